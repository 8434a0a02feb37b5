"""The table of log events: what an event says, and how it is handed to logging."""

import logging
from typing import Any

import pytest

from artcafe.server import events
from artcafe.server.events import Connected, Disconnected, Event, LoginRefused, Request, Started, note


def refused(**fields: Any) -> LoginRefused:
    given: dict[str, Any] = {
        "way": "websocket",
        "code": "unauthorized",
        "reason": "bad_signature",
        "tenant": "acme",
    }
    return LoginRefused(**{**given, "address": "192.0.2.1", **fields})


def test_an_event_is_named_after_its_class_and_leaves_out_what_does_not_apply() -> None:
    event = Connected(way="dashboard", address="192.0.2.1", connection="c1")

    assert event.name == "connected"
    assert event.fields() == {"way": "dashboard", "address": "192.0.2.1", "connection": "c1"}


@pytest.mark.parametrize("kind", Event.__subclasses__(), ids=lambda kind: kind.__name__)
def test_what_events_are_folded_by_are_fields_of_them_and_never_unique_ones(kind: type[Event]) -> None:
    """A field that is another one for each connection or request would fold nothing."""
    alike = set(kind.alike or ())

    assert alike <= set(kind.__struct_fields__)
    assert not alike & {"connection", "request", "seconds", "ms", "path", "queued", "frames_in", "frames_out"}
    assert kind.__doc__


def test_only_what_no_client_causes_is_never_folded() -> None:
    assert {kind.__name__ for kind in Event.__subclasses__() if kind.alike is None} == {
        "AccountsReconciled",
        "Started",
        "StreamsReconciled",
        "StartFailed",
    }


def test_refused_logins_of_one_address_are_alike_whatever_agent_is_tried() -> None:
    assert refused(agent="a1", connection="c1").fold_key() == refused(agent="a2", connection="c2").fold_key()
    assert refused().fold_key() != refused(reason="unknown_agent").fold_key()
    assert refused().fold_key() != refused(address="192.0.2.2").fold_key()


def test_addresses_of_one_ipv6_network_are_alike() -> None:
    """Whoever has one address of a /64 has all of them."""
    one, other = refused(address="2001:db8::1"), refused(address="2001:db8::ffff:2")

    assert one.fold_key() == other.fold_key()
    assert one.common()["address"] == "2001:db8::/64"
    assert one.fields()["address"] == "2001:db8::1"
    assert refused(address="2001:db8:0:1::1").fold_key() != one.fold_key()
    assert refused(address="not:an:address").common()["address"] == "not:an:address"


@pytest.mark.parametrize(
    ("status", "level"), [(200, "DEBUG"), (304, "DEBUG"), (401, "INFO"), (429, "INFO"), (503, "ERROR")]
)
def test_the_level_of_a_request_is_that_of_its_status(status: int, level: str) -> None:
    event = Request(method="GET", route="/health", status=status, ms=1.0, address="192.0.2.1")

    assert logging.getLevelName(event.severity) == level


def test_an_event_is_one_record_with_the_event_in_it(caplog: pytest.LogCaptureFixture) -> None:
    event = refused()
    with caplog.at_level(logging.INFO, "artcafe.events"):
        note(event)

    [record] = caplog.records
    assert (record.name, record.levelname, record.getMessage()) == (
        "artcafe.events",
        "WARNING",
        "login_refused",
    )
    assert record.__dict__["event"] is event


def test_below_the_level_nothing_is_made_of_an_event(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr(events.LOG, "makeRecord", lambda *args, **_: made.append(args))
    with caplog.at_level(logging.WARNING, "artcafe.events"):
        note(Disconnected(code=1000, seconds=1.0, frames_in=1, frames_out=1, address="::1", connection="c1"))

    assert made == []


def test_what_tells_of_the_process_is_never_folded() -> None:
    assert Started(url="http://x", data_dir="/d", nats_url="nats://x", version="1").alike is None
