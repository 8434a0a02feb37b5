"""The time of a message from its publisher to its subscribers."""

import pytest

from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.telemetry.delivery_latency import DeliveryLatency
from artcafe.server.telemetry.instruments import Instruments
from artcafe.wire.times import rfc3339
from tests.kit.metrics import values
from tests.kit.turns import turns

NOW = 1_700_000_000.0
COUNT = "artcafe_delivery_latency_seconds_count"


def message(published: float) -> bytes:
    return b'{"id":"m-1","timestamp":"%b","data":{}}' % rfc3339(published).encode()


async def deliver(scheduler: TurnScheduler, payload: bytes) -> None:
    """A turn in which a message is delivered, as the delivery queue does it."""
    scheduler.at_end(lambda: scheduler.sample(payload) if scheduler.sampling else None)
    await turns(2)


async def test_a_message_is_measured_when_it_is_asked_for_and_the_next_one_is_not() -> None:
    instruments, scheduler = Instruments(), TurnScheduler()
    latency = DeliveryLatency(instruments, scheduler, lambda: NOW)
    await deliver(scheduler, message(NOW - 9))
    assert values(instruments.collect())[COUNT] == 0
    latency.ask()
    for age in (0.02, 5.0):
        await deliver(scheduler, message(NOW - age))
    found = values(instruments.collect())
    assert found[COUNT] == 1
    assert abs(found["artcafe_delivery_latency_seconds_sum"] - 0.02) < 1e-6


async def test_one_of_the_future_was_delivered_at_once() -> None:
    instruments, scheduler = Instruments(), TurnScheduler()
    latency = DeliveryLatency(instruments, scheduler, lambda: NOW)
    latency.ask()
    await deliver(scheduler, message(NOW + 60))
    assert values(instruments.collect())["artcafe_delivery_latency_seconds_sum"] == 0


async def test_what_is_no_envelope_is_not_measured_and_nothing_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    instruments, scheduler = Instruments(), TurnScheduler()
    latency = DeliveryLatency(instruments, scheduler, lambda: NOW)
    for poison in (b"\xff", b'{"timestamp":1e999}', b"[]"):
        latency.ask()
        await deliver(scheduler, poison)
    assert values(instruments.collect())[COUNT] == 0
    assert caplog.records == []
