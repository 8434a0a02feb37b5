"""The telemetry of one process, over what it observes."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from artcafe.server.core.usage import MessageTotals
from artcafe.server.domain.change import Kind
from artcafe.server.gateway.load import GatewayLoad
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.ports.stream_usage import StreamUsage
from artcafe.server.telemetry.telemetry import MAX_PLANS, Telemetry
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.issuers import StoppedClock
from tests.kit.metrics import values
from tests.kit.outcomes import refused
from tests.kit.turns import turns


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry(StoppedClock(), "1.2.3")


def observing(
    telemetry: Telemetry,
    load: GatewayLoad,
    totals: MessageTotals | None = None,
    streams: Callable[[], Awaitable[StreamUsage]] | None = None,
) -> AbstractAsyncContextManager[None]:
    """Over a gateway with this load, in which every look counts one message as delivered."""
    counted = totals or MessageTotals()

    def count_delivered() -> None:
        counted.delivered += 1

    return telemetry.observing(
        load=lambda: load,
        count_delivered=count_delivered,
        totals=lambda: counted,
        lookups={(Kind.tenant, True): 7, (Kind.agent, False): 1},
        scheduler=TurnScheduler(),
        streams=streams,
    )


async def test_what_is_observed_is_told_as_it_is_now(telemetry: Telemetry) -> None:
    load = GatewayLoad(
        connections=Counter({("agent", "starter"): 3, ("human", "scale"): 1}),
        tenants=2,
        pending_logins=4,
        queued_bytes=500,
        longest_queue=300,
        waiting=6,
        gaps=1,
    )
    async with observing(telemetry, load, MessageTotals(messages=10, bytes=99)):
        found = values(telemetry.collect())
        assert values(telemetry.collect())["artcafe_delivered_messages_total"] == 2
    expected = {
        'artcafe_build_info{version="1.2.3"}': 1,
        'artcafe_connections{kind="agent",plan="starter"}': 3,
        'artcafe_connections{kind="human",plan="scale"}': 1,
        "artcafe_connected_tenants": 2,
        "artcafe_pending_logins": 4,
        "artcafe_send_queue_bytes": 500,
        "artcafe_longest_send_queue_bytes": 300,
        "artcafe_delivery_queue_messages": 6,
        "artcafe_bus_gaps_total": 1,
        "artcafe_published_messages_total": 10,
        "artcafe_published_bytes_total": 99,
        "artcafe_delivered_messages_total": 1,
        'artcafe_cache_lookups_total{cache="tenant",outcome="hit"}': 7,
        'artcafe_cache_lookups_total{cache="agent",outcome="miss"}': 1,
    }
    assert {name: found.get(name) for name in expected} == expected


async def test_plans_are_few_whatever_tenants_have(telemetry: Telemetry) -> None:
    load = GatewayLoad(connections=Counter({("agent", f"plan-{n}"): 1 for n in range(MAX_PLANS + 9)}))
    async with observing(telemetry, load):
        found = values(telemetry.collect())
    named = [name for name in found if name.startswith('artcafe_connections{kind="agent"')]
    assert len(named) == MAX_PLANS + 1
    assert found['artcafe_connections{kind="agent",plan="other"}'] == 9


async def test_streams_are_asked_while_it_observes(telemetry: Telemetry) -> None:
    async def read() -> StreamUsage:
        return StreamUsage(streams=5)

    async with observing(telemetry, GatewayLoad(), streams=read):
        await eventually(lambda: values(telemetry.collect()).get("artcafe_jetstream_streams") == 5)


async def test_a_probe_tells_whether_its_dependency_answers(telemetry: Telemetry) -> None:
    away = [True]

    async def check() -> None:
        if away[0]:
            raise ArtcafeError(Code.unavailable)

    probe = telemetry.probed({"bus": check})["bus"]
    up, failures = 'artcafe_dependency_up{dependency="bus"}', 'artcafe_probe_failures_total{dependency="bus"}'
    async with observing(telemetry, GatewayLoad()):
        with refused(Code.unavailable):
            await probe()
        found = values(telemetry.collect())
        assert (found[up], found[failures], found["artcafe_bus_round_trip_seconds_count"]) == (0, 1, 0)
        away[0] = False
        await probe()
        found = values(telemetry.collect())
        assert (found[up], found[failures], found["artcafe_bus_round_trip_seconds_count"]) == (1, 1, 1)


async def test_while_a_probe_is_on_its_way_the_last_one_counts(telemetry: Telemetry) -> None:
    gate = asyncio.Event()
    gate.set()

    async def check() -> None:
        await gate.wait()

    probe = telemetry.probed({"bus": check})["bus"]
    async with observing(telemetry, GatewayLoad()):
        await probe()
        gate.clear()
        running = asyncio.ensure_future(probe())
        await turns()
        assert values(telemetry.collect())['artcafe_dependency_up{dependency="bus"}'] == 1
        running.cancel()  # As when it takes too long.
        await asyncio.wait([running])
        assert values(telemetry.collect())['artcafe_dependency_up{dependency="bus"}'] == 0


def test_requests_are_counted_by_route_and_class_of_status(telemetry: Telemetry) -> None:
    telemetry.observe_request("GET", "/api/v1/agents", 200, 0.02, None)
    telemetry.observe_request("GET", "/api/v1/agents", 404, 0.02, None)
    telemetry.observe_request("other", None, 404, 0.02, None)
    found = values(telemetry.collect())
    assert found['artcafe_http_requests_total{method="GET",route="/api/v1/agents",status="4xx"}'] == 1
    assert found['artcafe_http_requests_total{method="other",route="none",status="4xx"}'] == 1
    name = "artcafe_http_request_duration_seconds_count"
    assert found[f'{name}{{method="GET",route="/api/v1/agents"}}'] == 2
