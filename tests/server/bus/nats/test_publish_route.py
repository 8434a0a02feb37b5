"""A route: commands begin with the subject and the size of what follows, whatever came before."""

from collections.abc import Callable

from artcafe.server.bus.nats.publish_route import MAX_ROUTES, PublishRoute, PublishRoutes


def test_a_command_begins_with_its_subject_and_its_own_size() -> None:
    route = PublishRoute("m.a.b", ())
    sizes = [5, 5, 0, 1_048_576, 5]
    assert [route.sized(size) for size in sizes] == [b"PUB m.a.b %d\r\n" % size for size in sizes]


class Listener:
    """route.Listener: of one receiver for all subjects."""

    def __init__(self, pattern: str, receive: Callable[[bytes], None]) -> None:
        self.pattern = pattern
        self._receive = receive

    def receiver(self, subject: str) -> Callable[[bytes], None]:
        """route.Listener."""
        return self._receive


def test_who_listens_by_several_patterns_is_called_once() -> None:
    routes, one, other = PublishRoutes(), list[bytes](), list[bytes]()
    for pattern in ("m.a.b", "m.*.b", "m.>"):
        routes.add(Listener(pattern, one.append))
    routes.add(Listener("m.a.*", other.append))
    for receive in routes.of("m.a.b").receivers:
        receive(b"x")
    assert (one, other) == ([b"x"], [b"x"])


def test_a_flood_of_subjects_leaves_the_lanes_that_are_used() -> None:
    routes = PublishRoutes()
    hot = routes.of("m.a.hot")
    for number in range(3 * MAX_ROUTES):
        routes.of(f"m.a.n{number}")
        assert routes.of("m.a.hot") is hot
    assert len(routes._known) <= MAX_ROUTES


def test_who_begins_or_ends_listening_is_known_at_once() -> None:
    routes, got = PublishRoutes(), list[bytes]()
    listener = Listener("m.*.b", got.append)
    assert routes.of("m.a.b").receivers == ()
    routes.add(listener)
    assert routes.of("m.a.b").receivers == (got.append,)
    routes.discard(listener)
    assert routes.of("m.a.b").receivers == ()
