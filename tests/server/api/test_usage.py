"""Usage over REST: the numbers of the one counter, in the shapes that clients in the field read."""

from typing import Any

import httpx
import pytest

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.principal import User
from artcafe.wire.codes import Code
from tests.kit.api import Api, good, problem
from tests.kit.contents import contents
from tests.kit.installation import ACME, OTHER
from tests.kit.usage import count_message

NOON = "2025-11-24T16:00:00.000Z"
USAGE = "/api/v1/usage-metrics"
BILLING = "/api/v1/usage-metrics/billing"
UNLIMITED = {
    "max_agents": None,
    "max_channels": None,
    "max_messages_per_day": None,
    "max_api_calls_per_day": None,
    "max_storage_bytes": 1024 * 1024 * 1024,
    "max_durable_bytes": 4096 * 1024 * 1024,
    "max_inbox_messages": 1000,
    "max_inbox_bytes": 1024 * 1024 * 1024,
    "concurrent_connections": None,
}


async def test_a_week_is_told_day_by_day(api: Api, olivia: httpx.AsyncClient) -> None:
    for channel in ("tasks", "quiet"):
        await olivia.post("/api/v1/channels", json={"id": channel, "name": "x"})
    for agent in ("a1", "a2"):
        await olivia.post("/api/v1/agents", json={"id": agent, "name": "x"})
    meter = api.installation.process.meter
    count_message(meter, ACME, "a1", ["tasks"], 10)
    count_message(meter, ACME, "a1", [], 5)
    meter.active(ACME, "a1")
    count_message(meter, OTHER, "a1", ["quiet"], 1000)

    usage = good(await olivia.get(USAGE))

    assert set(usage) == {"metrics", "totals", "limits", "success"}
    assert usage["success"] is True
    assert [day["date"] for day in usage["metrics"]] == [f"2025-11-{day}" for day in range(18, 25)]
    assert usage["metrics"][-1] == {
        "tenant_id": "acme",
        "date": "2025-11-24",
        "agents_count": 2,
        "active_agents_count": 1,
        "channels_count": 2,
        "active_channels_count": 1,
        "messages_count": 2,
        "bytes_count": 15,
        "api_calls_count": 5,
        "storage_used_bytes": await stored_bytes(api),
        "created_at": NOON,
        "metadata": {},
    }
    assert usage["metrics"][0]["messages_count"] == usage["metrics"][0]["api_calls_count"] == 0
    assert usage["totals"] == {"messages_count": 2, "bytes_count": 15, "api_calls_count": 5}
    assert usage["limits"] == UNLIMITED


async def test_flushed_or_not_it_is_the_same_number(api: Api, olivia: httpx.AsyncClient) -> None:
    meter = api.installation.process.meter
    count_message(meter, ACME, "a1", [], 10)
    before = good(await olivia.get(USAGE))["totals"]["messages_count"]

    await meter.flush()

    assert good(await olivia.get(USAGE))["totals"]["messages_count"] == before == 1


async def test_a_span_is_told_with_both_its_ends(api: Api, olivia: httpx.AsyncClient) -> None:
    meter = api.installation.process.meter
    for _ in range(3):
        count_message(meter, ACME, "a1", [], 1)
        api.installation.clock.advance(86_400)

    usage = good(await olivia.get(f"{USAGE}?start_date=2025-11-24&end_date=2025-11-25"))

    assert [day["messages_count"] for day in usage["metrics"]] == [1, 1]
    assert usage["totals"]["messages_count"] == 2
    one = good(await olivia.get(f"{USAGE}?start_date=2025-11-26&end_date=2025-11-26"))
    assert [day["date"] for day in one["metrics"]] == ["2025-11-26"]


@pytest.mark.parametrize(
    "query",
    [
        "start_date=2025-11-25&end_date=2025-11-24",
        "start_date=2024-10-01&end_date=2025-11-24",
        "start_date=2026-01-01",
        "start_date=yesterday",
        "end_date=2025-02-30",
        "end_date=99999999999999",
    ],
)
async def test_a_span_that_is_none_is_refused(olivia: httpx.AsyncClient, query: str) -> None:
    problem(await olivia.get(f"{USAGE}?{query}"), Code.validation_failed)


@pytest.mark.parametrize(("day", "days"), [("0001-01-01", 1), ("0001-01-03", 3), ("9999-12-31", 7)])
async def test_the_ends_of_the_calendar_are_days_like_others(
    olivia: httpx.AsyncClient, day: str, days: int
) -> None:
    usage = good(await olivia.get(f"{USAGE}?end_date={day}"))

    assert len(usage["metrics"]) == days
    assert usage["metrics"][-1]["date"] == day


PLANS: list[tuple[str, dict[str, Any]]] = [
    (
        "starter",
        {"max_agents": 3, "max_channels": 10, "max_messages_per_day": 333, "concurrent_connections": 5},
    ),
    (
        "basic",
        {"max_agents": 10, "max_channels": 100, "max_messages_per_day": 3333, "concurrent_connections": 20},
    ),
    (
        "pro",
        {
            "max_agents": 50,
            "max_channels": 500,
            "max_messages_per_day": 16_666,
            "concurrent_connections": 100,
        },
    ),
    ("enterprise", UNLIMITED),
]


@pytest.mark.parametrize(("tier", "limits"), PLANS)
async def test_the_limits_are_the_plans(api: Api, tier: str, limits: dict[str, Any]) -> None:
    zoe = api.signed_in("zoe", "z")
    await api.installation.make_tenant(TenantId("z"), "zoe", subscription_tier=tier)

    told = good(await zoe.get(USAGE))["limits"]

    assert set(told) == set(UNLIMITED)
    assert {name: told[name] for name in limits} == limits
    assert good(await zoe.get(BILLING))["limits"] == told


async def stored_bytes(api: Api) -> int:
    """What the records of `acme` take."""
    tenants = api.installation.process.tenants
    return await tenants.space(await tenants.enter(User(UserId("olivia")), "acme"))


async def test_billing_is_this_month_against_the_plan(api: Api, olivia: httpx.AsyncClient) -> None:
    meter = api.installation.process.meter
    await olivia.post("/api/v1/agents", json={"name": "a1"})
    count_message(meter, ACME, "a1", [], 10)
    api.installation.clock.advance(10 * 86_400)  # into December
    count_message(meter, ACME, "a1", [], 4)

    billing = good(await olivia.get(BILLING))

    assert set(billing) == {
        "tenant_id", "plan", "billing_cycle", "status", "current_usage", "limits", "success"
    }  # fmt: skip
    assert billing["tenant_id"] == "acme"
    assert (billing["plan"], billing["billing_cycle"], billing["status"]) == (
        "enterprise",
        "monthly",
        "active",
    )
    assert billing["current_usage"] == {
        "agents": 1,
        "channels": 0,
        "messages": 1,
        "bytes": 4,
        "api_calls": 1,
        "storage_bytes": await stored_bytes(api),
        "durable_bytes": 0,
    }
    assert billing["current_usage"]["storage_bytes"] > 100


async def test_billing_says_what_durable_channels_reserve(olivia: httpx.AsyncClient) -> None:
    for channel in ("tasks", "jobs"):
        body = {"id": channel, "name": channel, "durability": {"max_bytes": 100_000}}
        good(await olivia.post("/api/v1/channels", json=body), 201)

    assert good(await olivia.get(BILLING))["current_usage"]["durable_bytes"] == 200_000


async def test_a_call_is_counted_for_the_tenant_it_was_let_into_and_for_no_other(
    api: Api, olivia: httpx.AsyncClient
) -> None:
    """Usage must not be a thing that strangers can run up."""
    meter = api.installation.process.meter
    await olivia.get("/api/v1/agents")
    await olivia.get("/api/v1/tenants/acme")
    await api.signed_in("nina", "acme").get("/api/v1/agents")
    await api.client(authorization="Bearer garbage", x_tenant_id="acme").get("/api/v1/agents")
    await api.signed_in("zoe", "nowhere").get("/api/v1/agents")

    await meter.flush()

    counted = await api.installation.memory.counters(f"USE#{await api.installation.partition()}")
    assert counted == {"2025-11-24#api_calls": 2}
    counters = {row[1] for row in contents(api.installation.memory) if row[0] == "counter"}
    assert counters == {f"USE#{await api.installation.partition()}"}


async def test_more_than_a_page_of_everything_is_counted(api: Api, olivia: httpx.AsyncClient) -> None:
    human = await api.installation.process.tenants.enter(User(UserId("olivia")), "acme")
    for number in range(205):
        await api.installation.make_agent(human, f"a{number}")
        await api.installation.process.channels.create(human, f"c{number}", {"name": "c"})

    usage = good(await olivia.get(BILLING))["current_usage"]

    assert (usage["agents"], usage["channels"]) == (205, 205)


@pytest.mark.parametrize("path", [USAGE, BILLING])
async def test_every_member_may_see_it_and_no_stranger(api: Api, path: str) -> None:
    for user in ("olivia", "adam", "mia", "vera"):
        good(await api.signed_in(user).get(path))
    problem(await api.signed_in("nina", "acme").get(path), Code.forbidden)
