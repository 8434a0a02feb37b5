"""Spans as a collector gets them."""

import json
from collections.abc import Iterator

import pytest

from artcafe.server import events
from artcafe.server.domain.ids import TenantId
from artcafe.server.telemetry.event_counts import EventCounts
from artcafe.server.telemetry.instruments import Instruments
from artcafe.server.telemetry.tracing import MESSAGES_PER_SECOND, Tracing
from artcafe.wire.times import rfc3339
from tests.kit.collector import Collector, running_collector
from tests.kit.issuers import StoppedClock

ACME = TenantId("acme")
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


def tracing_to(collector: Collector, clock: StoppedClock, ratio: float = 1.0) -> Tracing:
    return Tracing(collector.url, ratio, clock, "1.2.3")


def message(headers: dict[str, str], published: float) -> bytes:
    said = {"id": "m-1", "timestamp": rfc3339(published), "data": {}, "headers": headers}
    return json.dumps(said, separators=(",", ":")).encode()


async def test_a_message_continues_its_trace_and_whoever_gets_it_continues_from_there(
    collector: Collector, clock: StoppedClock
) -> None:
    tracing = tracing_to(collector, clock)
    given = {"traceparent": SAMPLED, "other": "x"}
    headers = tracing.published(ACME, "a1", "tasks", "m-1", given)
    tracing.delivered([("acme", "tasks", message(headers, clock.now() - 0.25))])
    await tracing.finish()
    (publish,), (deliver,) = collector.named("publish tasks"), collector.named("deliver tasks")
    assert headers == {"traceparent": f"00-{TRACE}-{publish.span}-01", "other": "x"}
    assert given == {"traceparent": SAMPLED, "other": "x"}, "what the client sent is left as it is"
    assert (publish.trace, publish.parent) == (TRACE, PARENT)
    assert (deliver.trace, deliver.parent) == (TRACE, publish.span)
    assert deliver.ended - deliver.began == 250_000_000
    assert publish.attributes == {
        "messaging.system": "artcafe",
        "messaging.operation.name": "publish",
        "messaging.destination.name": "tasks",
        "messaging.message.id": "m-1",
        "artcafe.tenant": "acme",
        "artcafe.sender": "a1",
    }


@pytest.mark.parametrize("poison", [b'{"traceparent":"', b'{"headers":{"traceparent":"x"}}', b"\xff"])
async def test_what_is_no_envelope_keeps_no_other_message_from_its_trace(
    collector: Collector, clock: StoppedClock, poison: bytes
) -> None:
    tracing = tracing_to(collector, clock)
    good = message({"traceparent": SAMPLED}, clock.now())
    tracing.delivered([("acme", "tasks", poison), ("globex", "tasks", good)])
    await tracing.finish()
    assert [span.attributes["artcafe.tenant"] for span in collector.spans] == ["globex"]


@pytest.mark.parametrize("traceparent", [None, "", "x", f"00-{'0' * 32}-{PARENT}-01", UNSAMPLED])
async def test_a_message_without_a_sampled_trace_is_left_as_it_is(
    collector: Collector, clock: StoppedClock, traceparent: str | None
) -> None:
    tracing = tracing_to(collector, clock)
    headers = {} if traceparent is None else {"traceparent": traceparent}
    assert tracing.published(ACME, "a1", "tasks", "m-1", headers) is headers
    tracing.delivered([("acme", "tasks", message(headers, clock.now()))])
    await tracing.finish()
    assert collector.spans == []


async def test_a_share_of_all_traces_is_recorded_whoever_began_them(
    collector: Collector, clock: StoppedClock
) -> None:
    tracing = tracing_to(collector, clock, ratio=0.0)
    headers = {"traceparent": SAMPLED}
    assert tracing.published(ACME, "a1", "tasks", "m-1", headers) is headers
    tracing.request("GET", "/x", 200, 0.1, SAMPLED)
    tracing.request("GET", "/x", 200, 0.1, None)
    await tracing.finish()
    assert collector.spans == []


async def test_a_request_continues_the_trace_that_it_names_or_begins_one(
    collector: Collector, clock: StoppedClock
) -> None:
    tracing = tracing_to(collector, clock)
    tracing.request("GET", "/agents/{id}", 200, 0.5, SAMPLED)
    tracing.request("POST", None, 503, 0.1, None)
    await tracing.finish()
    (named,), (begun,) = collector.named("GET /agents/{id}"), collector.named("POST")
    assert (named.trace, named.parent, named.ended - named.began) == (TRACE, PARENT, 500_000_000)
    assert named.attributes["http.route"] == "/agents/{id}"
    assert named.attributes["http.response.status_code"] == 200
    assert (begun.parent, begun.failed, named.failed) == ("", True, False)


async def test_logins_are_traced_while_it_hears_them(collector: Collector, clock: StoppedClock) -> None:
    tracing = tracing_to(collector, clock)
    accepted = events.LoginAccepted(way="websocket", tenant="acme", agent="a1", address="::1", ms=20.0)
    refused = events.LoginRefused(
        way="url", code="unauthorized", reason="unknown_agent", address="::1", ms=3.0
    )
    by_rest = events.LoginAccepted(way="rest", tenant="acme", agent="a1", address="::1")
    with EventCounts(Instruments()).counting():
        with tracing.hearing():
            for event in (accepted, refused, by_rest):
                events.note(event)
        events.note(accepted)
    await tracing.finish()
    one, other = collector.named("login")
    assert (one.attributes, one.failed) == ({"artcafe.way": "websocket", "artcafe.tenant": "acme"}, False)
    assert one.ended - one.began == 20_000_000
    assert (other.attributes["error.type"], other.attributes["artcafe.reason"]) == (
        "unauthorized",
        "unknown_agent",
    )
    assert other.failed


async def test_a_collector_that_is_away_keeps_nobody_waiting(clock: StoppedClock) -> None:
    tracing = Tracing("http://127.0.0.1:9", 1.0, clock, "1.2.3")
    tracing.request("GET", "/x", 200, 0.1, None)
    await tracing.finish()


async def test_so_many_messages_a_second_are_traced_and_the_others_left_as_they_are(
    collector: Collector, clock: StoppedClock
) -> None:
    tracing = tracing_to(collector, clock)
    headers = {"traceparent": SAMPLED}
    most = int(MESSAGES_PER_SECOND)
    continued = [tracing.published(ACME, "a1", "tasks", "m-1", headers) for _ in range(most + 9)]
    assert continued[-9:] == [headers] * 9
    assert headers not in continued[:-9]
    tracing.delivered([("acme", "tasks", message(headers, clock.now()))] * (most + 9))
    clock.advance(0.02)
    assert tracing.published(ACME, "a1", "tasks", "m-1", headers) != headers
    await tracing.finish()
    assert len(collector.named("publish tasks")) == most + 1
    assert len(collector.named("deliver tasks")) == most
