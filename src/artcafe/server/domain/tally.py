"""Counts of messages that are alike, until they are added up."""

from collections.abc import Callable, Sequence

from artcafe.server.domain.ids import TenantId

MAX_TALLIES = 10_000
"""Tallies that wait to be added up."""

DAY_SECONDS = 86_400


class Tally:
    """Messages of one agent, or of humans, in the same channels and all of one day, that are not added up
    yet."""

    __slots__ = ("_tallies", "agent", "bytes", "channels", "last", "messages", "tenant")

    def __init__(self, tallies: "Tallies", tenant: TenantId, agent: str, channels: Sequence[str]) -> None:
        self.tenant = tenant
        self.agent = agent
        self.channels = channels
        self.messages = self.bytes = 0
        self.last = 0.0
        self._tallies = tallies

    def count(self, size: int, now: float) -> None:
        """Count one message of `size` payload bytes, at `now`, in Unix seconds."""
        if not self.messages or now >= self._tallies.day_ends:
            self._tallies.begin(self, now)
        self.messages += 1
        self.bytes += size
        self.last = now


class Tallies:
    """The tallies that count, all of the day that ends at `day_ends`, in Unix seconds: MAX_TALLIES at most.

    `add_up` is called when they are too many or the day is over; it is to `take` them.
    """

    __slots__ = ("_add_up", "_waiting", "day_ends")

    def __init__(self, add_up: Callable[[], None]) -> None:
        self._add_up = add_up
        self._waiting: list[Tally] = []
        self.day_ends = 0.0

    def __len__(self) -> int:
        """How many count."""
        return len(self._waiting)

    def begin(self, tally: Tally, now: float) -> None:
        """Let a tally count from now on, in Unix seconds; it is added up later, at the latest when the day is
        over."""
        if now >= self.day_ends or now < self.day_ends - DAY_SECONDS or len(self._waiting) >= MAX_TALLIES:
            self._add_up()
            self.day_ends = (now // DAY_SECONDS + 1) * DAY_SECONDS
        self._waiting.append(tally)

    def take(self) -> list[Tally]:
        """All that count, for adding them up; each begins from nothing afterwards."""
        tallies, self._waiting = self._waiting, []
        return tallies
