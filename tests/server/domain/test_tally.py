"""Tallies: each is added up once, on the day of its messages, however many there are."""

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tally import DAY_SECONDS, MAX_TALLIES, Tallies, Tally

ACME = TenantId("acme")
NOON = 1_764_000_000.0


class Sums:
    """What was added up, by the end of the day that it was counted for."""

    def __init__(self) -> None:
        self.tallies = Tallies(self.add_up)
        self.added: list[tuple[float, int, int]] = []

    def tally(self) -> Tally:
        """A new one."""
        return Tally(self.tallies, ACME, "a1", ["tasks"])

    def add_up(self) -> None:
        """What a meter does."""
        for tally in self.tallies.take():
            self.added.append((self.tallies.day_ends, tally.messages, tally.bytes))
            tally.messages = tally.bytes = 0


def test_messages_of_a_day_are_added_up_once() -> None:
    sums = Sums()
    tally = sums.tally()
    for size in (1, 2, 3):
        tally.count(size, NOON)
    assert (len(sums.tallies), tally.last) == (1, NOON)
    sums.add_up()
    sums.add_up()
    assert [(messages, size) for _, messages, size in sums.added] == [(3, 6)]


def test_a_tally_counts_on_after_it_was_added_up() -> None:
    sums = Sums()
    tally = sums.tally()
    tally.count(1, NOON)
    sums.add_up()
    tally.count(2, NOON)
    sums.add_up()
    assert [(messages, size) for _, messages, size in sums.added] == [(1, 1), (1, 2)]


def test_the_next_day_and_one_before_it_are_counted_for_themselves() -> None:
    sums = Sums()
    tally = sums.tally()
    ends = (NOON // DAY_SECONDS + 1) * DAY_SECONDS
    tally.count(1, ends - 0.001)
    tally.count(2, ends)
    sums.tally().count(4, ends - 0.001)  # A clock that was set back.
    sums.add_up()
    assert sums.added == [(ends, 1, 1), (ends + DAY_SECONDS, 1, 2), (ends, 1, 4)]


def test_they_are_added_up_before_they_are_too_many() -> None:
    sums = Sums()
    for _ in range(MAX_TALLIES + 1):
        sums.tally().count(1, NOON)
    assert (len(sums.added), len(sums.tallies)) == (MAX_TALLIES, 1)
