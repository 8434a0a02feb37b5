"""The generator counts what really came, and a relay that loses, doubles or changes one is found out."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from benchmarks.generator import PATIENCE, Generator
from benchmarks.payload import WrongDelivery
from benchmarks.peers.mosquitto import MqttDialect
from benchmarks.websocket import HungUp
from tests.benchmarks.relay import Fault, faithful, relay

ENOUGH = 0.02
"""Seconds: each window has one round at least, however short it is."""


@contextmanager
def generator(fault: Fault = faithful, patience: float = PATIENCE) -> Iterator[Generator]:
    """A generator before a relay with this fault."""
    with relay(fault) as address, closing(Generator(MqttDialect(), address, patience)) as made:
        yield made


@pytest.mark.parametrize("receivers", [1, 3])
def test_a_closed_window_counts_every_delivery(receivers: int) -> None:
    with generator() as load:
        load.join(1, receivers, 256)
        window = load.closed(ENOUGH, 8)
    assert window.delivered > 0
    assert window.delivered % (8 * receivers) == 0
    assert window.latencies == []
    assert window.seconds > 0.0


def test_messages_go_on_being_numbered_when_their_size_changes() -> None:
    with generator() as load:
        load.join(1, 2, 256)
        assert load.closed(ENOUGH, 1).delivered >= 2
        load.resize(8192)
        assert load.closed(ENOUGH, 4).delivered >= 8


def test_a_paced_window_sends_what_was_asked_for_and_times_each_delivery() -> None:
    with generator() as load:
        load.join(1, 2, 256)
        window = load.paced(0.1, 200.0)
    assert window.delivered == 40
    assert len(window.latencies) == 40
    assert all(0.0 < each < PATIENCE for each in window.latencies)


def test_bursts_at_a_rate_are_timed_by_when_the_burst_was_due() -> None:
    with generator() as load:
        load.join(1, 2, 256)
        window = load.paced(0.1, 50.0, batch=8)
    assert window.delivered == 5 * 8 * 2
    assert len(window.latencies) == 80


def test_clients_that_come_and_go_each_get_in() -> None:
    with generator() as load:
        window = load.churn(0.1, 200.0)
    assert window.delivered == 20


def test_fewer_clients_come_to_a_server_that_is_slower() -> None:
    with generator() as load:
        window = load.churn(ENOUGH, 1_000_000.0)
    assert 0 < window.delivered < 20_000
    assert window.seconds < PATIENCE


def test_lanes_can_begin_at_any_number() -> None:
    with generator() as load:
        load.join(1, 1, 256, first=7)
        assert load.closed(ENOUGH, 2).delivered >= 2


def test_clients_that_left_can_come_again() -> None:
    with generator() as load:
        load.idle(3)
        load.leave()
        load.join(1, 1, 256)
        assert load.closed(ENOUGH, 1).delivered > 0


def lost(number: int, subscriber: int, packet: bytes) -> list[bytes]:
    return [] if number == 3 else [packet]


def doubled(number: int, subscriber: int, packet: bytes) -> list[bytes]:
    return [packet, packet] if number == 3 else [packet]


def last_doubled(number: int, subscriber: int, packet: bytes) -> list[bytes]:
    return [packet, packet] if number == 7 else [packet]


def changed(number: int, subscriber: int, packet: bytes) -> list[bytes]:
    return [packet.replace(b"lazy", b"busy")] if number == 3 else [packet]


def changed_for_the_last(number: int, subscriber: int, packet: bytes) -> list[bytes]:
    return changed(number, subscriber, packet) if subscriber == 2 else [packet]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (lost, "message 3 was due, 00000004 came"),
        (doubled, "message 4 was due, 00000003 came"),
        (last_doubled, "came twice"),
        (changed, "message 3 was changed"),
        (changed_for_the_last, "message 3 was changed"),
    ],
    ids=["lost", "doubled", "last doubled", "changed", "changed for the last of three"],
)
def test_a_fault_of_the_server_is_told(fault: Fault, why: str) -> None:
    with generator(fault) as load:
        load.join(1, 3, 256)
        with pytest.raises(WrongDelivery, match=why):
            load.closed(ENOUGH, 8)


def test_messages_that_never_come_are_told() -> None:
    with generator(lambda number, subscriber, packet: [], patience=0.05) as load:
        load.join(1, 2, 256)
        with pytest.raises(WrongDelivery, match="16 messages were lost"):
            load.closed(ENOUGH, 8)


def test_a_message_that_comes_behind_the_last_one_is_told() -> None:
    with (
        relay() as address,
        closing(Generator(MqttDialect(), address)) as load,
        closing(Generator(MqttDialect(), address)) as other,
    ):
        load.join(1, 1, 256)
        load.closed(ENOUGH, 1)
        # On the relay's only subject: the first one's subscriber gets it as well, and before.
        other.join(1, 1, 256)
        other.closed(0.0, 1)
        other.leave()
        with pytest.raises(WrongDelivery, match="came twice"):
            load.leave()


def test_a_server_that_hangs_up_is_told() -> None:
    def hang_up(number: int, subscriber: int, packet: bytes) -> list[bytes]:
        raise ConnectionAbortedError

    with generator(hang_up) as load:
        load.join(1, 1, 256)
        with pytest.raises((HungUp, ConnectionError)):
            load.closed(ENOUGH, 1)
