"""How many connections there may be, and who makes room."""

import logging

import pytest

from artcafe.server.edge.connections import OpenConnections
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


class Client:
    """connections.Idle"""

    def __init__(self, registry: OpenConnections, remote: str, *, idle: bool = False) -> None:
        self.remote = remote
        self.registry = registry
        registry.make_room(remote)
        registry.add(self)
        if idle:
            registry.idle(self)

    def evict(self) -> None:
        self.registry.discard(self)

    def shutdown(self) -> None:
        self.registry.discard(self)


def refusal(registry: OpenConnections, remote: str) -> Code:
    with pytest.raises(ArtcafeError) as refused:
        Client(registry, remote)
    return refused.value.code


def test_connections_are_counted_by_address_and_in_all() -> None:
    registry = OpenConnections(3, 2)
    one, two = Client(registry, "192.0.2.1"), Client(registry, "192.0.2.1")
    assert refusal(registry, "192.0.2.1") is Code.too_many_connections
    Client(registry, "192.0.2.2")
    assert refusal(registry, "192.0.2.3") is Code.unavailable
    registry.add(one)
    registry.discard(two)
    registry.discard(two)
    assert (len(registry), registry.count("192.0.2.1"), registry.refused) == (2, 1, 2)
    Client(registry, "192.0.2.1")


def test_who_is_unknown_counts_in_all_and_for_no_address() -> None:
    registry = OpenConnections(3, 1)
    for _ in range(3):
        Client(registry, "")
    assert refusal(registry, "") is Code.unavailable


def test_the_one_that_is_idle_longest_makes_room() -> None:
    registry = OpenConnections(3, 3)
    first, second, third = (Client(registry, f"192.0.2.{n}", idle=True) for n in range(3))
    registry.busy(first)
    registry.idle(first)
    fourth = Client(registry, "192.0.2.9")
    assert set(registry) == {first, third, fourth}
    registry.busy(third)
    fifth = Client(registry, "192.0.2.9")
    assert set(registry) == {third, fourth, fifth}
    assert second not in registry
    assert refusal(registry, "192.0.2.9") is Code.unavailable
    assert registry.evicted == 2


def test_an_address_at_its_bound_makes_room_of_its_own_alone() -> None:
    registry = OpenConnections(10, 2)
    others = [Client(registry, "192.0.2.1", idle=True) for _ in range(2)]
    silent = Client(registry, "192.0.2.2", idle=True)
    busy = Client(registry, "192.0.2.2")
    newcomer = Client(registry, "192.0.2.2")
    assert set(registry) == {*others, busy, newcomer}
    assert silent not in registry
    assert refusal(registry, "192.0.2.2") is Code.too_many_connections


def test_nothing_is_kept_of_who_is_gone() -> None:
    registry = OpenConnections(10, 2)
    for n in range(100):
        registry.discard(Client(registry, f"192.0.2.{n}", idle=True))
    kept = [value for value in vars(registry).values() if isinstance(value, dict)]
    assert kept
    assert not any(kept)


def test_each_refusal_is_an_event(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    registry = OpenConnections(1, 1)
    Client(registry, "192.0.2.1")
    refusal(registry, "192.0.2.1")
    refusal(registry, "")

    assert [record.__dict__["event"].fields() for record in caplog.records] == [
        {"reason": "too_many_connections", "status": 429, "address": "192.0.2.1"},
        {"reason": "unavailable", "status": 503, "address": ""},
    ]


def test_retired_connections_have_their_first_request_and_no_second_one() -> None:
    registry = OpenConnections(9, 9)
    between, answered, websocket = (Client(registry, f"192.0.2.{n}") for n in range(3))
    registry.idle(between)
    fresh = Client(registry, "192.0.2.9")
    registry.connected(fresh)
    registry.retire()
    assert set(registry) == {answered, websocket, fresh}
    registry.idle(answered)  # Its answer is sent.
    assert set(registry) == {websocket, fresh}
    assert registry.fresh == 1
    registry.busy(fresh)  # Its request came.
    assert registry.fresh == 0
    registry.idle(fresh)
    assert set(registry) == {websocket}


def test_whoever_goes_before_the_first_request_is_waited_for_no_more() -> None:
    registry = OpenConnections(9, 9)
    client = Client(registry, "192.0.2.1")
    registry.connected(client)
    registry.discard(client)
    assert registry.fresh == 0
