"""A lane: commands begin with the subject and the size of what follows, whatever came before."""

from collections.abc import Callable

from artcafe.server.bus.nats.publish_route import MAX_LANES, Lane, Lanes


def test_a_command_begins_with_its_subject_and_its_own_size() -> None:
    lane = Lane("m.a.b", ())
    sizes = [5, 5, 0, 1_048_576, 5]
    assert [lane.sized(size) for size in sizes] == [b"PUB m.a.b %d\r\n" % size for size in sizes]


class Listener:
    """lane.Listener: of one receiver for all subjects."""

    def __init__(self, pattern: str, receive: Callable[[bytes], None]) -> None:
        self.pattern = pattern
        self._receive = receive

    def receiver(self, subject: str) -> Callable[[bytes], None]:
        """lane.Listener."""
        return self._receive


def test_who_listens_by_several_patterns_is_called_once() -> None:
    lanes, one, other = Lanes(), list[bytes](), list[bytes]()
    for pattern in ("m.a.b", "m.*.b", "m.>"):
        lanes.add(Listener(pattern, one.append))
    lanes.add(Listener("m.a.*", other.append))
    for receive in lanes.of("m.a.b").receivers:
        receive(b"x")
    assert (one, other) == ([b"x"], [b"x"])


def test_a_flood_of_subjects_leaves_the_lanes_that_are_used() -> None:
    lanes = Lanes()
    hot = lanes.of("m.a.hot")
    for number in range(3 * MAX_LANES):
        lanes.of(f"m.a.n{number}")
        assert lanes.of("m.a.hot") is hot
    assert len(lanes._known) <= MAX_LANES


def test_who_begins_or_ends_listening_is_known_at_once() -> None:
    lanes, got = Lanes(), list[bytes]()
    listener = Listener("m.*.b", got.append)
    assert lanes.of("m.a.b").receivers == ()
    lanes.add(listener)
    assert lanes.of("m.a.b").receivers == (got.append,)
    lanes.discard(listener)
    assert lanes.of("m.a.b").receivers == ()
