"""Events are counted, whether they are written or not."""

import logging
from typing import Any

import pytest

from artcafe.server import events
from artcafe.server.telemetry.event_counts import EventCounts
from artcafe.server.telemetry.instruments import Instruments
from tests.kit.metrics import values

WHO: dict[str, Any] = {"address": "127.0.0.1", "connection": "c1"}

EVENTS = [
    events.LoginAccepted(way="websocket", tenant="acme", agent="a1", **WHO),
    events.LoginRefused(way="url", code="unauthorized", reason="unknown_agent", tenant="acme", **WHO),
    events.LoginRefused(way="url", code="too_many_connections", tenant="acme", **WHO),
    events.HandshakeRefused(status=404, code="not_found", address="127.0.0.1"),
    events.ConnectionRefused(reason="too_many_connections", status=503, address="127.0.0.1"),
    events.Disconnected(code=4002, error="slow_consumer", seconds=1, frames_in=1, frames_out=1, **WHO),
    events.Disconnected(code=3123, seconds=1, frames_in=1, frames_out=1, **WHO),
    events.SlowConsumer(queued=1, tenant="acme", **WHO),
    events.Throttled(code="flooding", tenant="acme", **WHO),
    events.StoringFailed(reason="no space left"),
]

COUNTED = {
    'artcafe_logins_total{way="websocket"}': 1,
    'artcafe_login_refusals_total{reason="unknown_agent",way="url"}': 1,
    'artcafe_login_refusals_total{reason="too_many_connections",way="url"}': 1,
    'artcafe_handshake_refusals_total{status="404"}': 1,
    'artcafe_connection_refusals_total{reason="too_many_connections"}': 1,
    'artcafe_disconnections_total{error="slow_consumer"}': 1,
    'artcafe_disconnections_total{error="none"}': 1,
    "artcafe_slow_consumers_total": 1,
    'artcafe_throttled_total{code="flooding"}': 1,
    'artcafe_log_events_total{event="login_refused",level="warning"}': 2,
    'artcafe_log_events_total{event="storing_failed",level="error"}': 1,
}


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.ERROR])
def test_each_is_counted_at_every_level_of_the_log(level: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(level, "artcafe")
    instruments = Instruments()
    with EventCounts(instruments).counting():
        for event in EVENTS:
            events.note(event)
    found = values(instruments.collect())
    assert {name: found.get(name) for name in COUNTED} == COUNTED


def test_afterwards_nothing_is_counted_and_the_log_is_as_before(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "artcafe")
    instruments = Instruments()
    with EventCounts(instruments).counting():
        pass
    events.note(EVENTS[0])
    assert not [name for name in values(instruments.collect()) if name.startswith("artcafe_logins")]
    assert not events.LOG.isEnabledFor(logging.INFO)


def test_requests_at_debug_are_counted_elsewhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "artcafe")
    instruments = Instruments()
    with EventCounts(instruments).counting():
        events.note(events.Request(method="GET", route="/x", status=200, ms=1.0, address="127.0.0.1"))
    assert not [name for name in values(instruments.collect()) if name.startswith("artcafe_log_events")]
