"""Tenants for operators, over REST."""

from typing import Any

import httpx
import pytest

from artcafe.server.api.operator_tenants import LimitOverrides
from artcafe.server.domain.plan import LIMITS
from artcafe.wire.codes import Code
from tests.kit.api import Api, good, problem

TENANTS = "/api/v1/operator/tenants"
ACME = f"{TENANTS}/acme"

STARTER = {
    "agents": 3,
    "channels": 10,
    "connections": 5,
    "messages_per_month": 10_000,
    "api_calls_per_minute": 100,
    "messages_per_second": 200,
}


@pytest.fixture
def oscar(api: Api) -> httpx.AsyncClient:
    """An operator, who is in no tenant."""
    return api.signed_in("oscar", None)


async def ids(client: httpx.AsyncClient, **query: Any) -> list[str]:
    page = good(await client.get(TENANTS, params=query))
    return [tenant["id"] for tenant in page["tenants"]]


async def test_one_is_shown_with_what_it_uses_and_what_it_may(
    api: Api, oscar: httpx.AsyncClient, olivia: httpx.AsyncClient
) -> None:
    await api.installation.operate(plan="free", limits={"agents": 7, "channels": None})
    good(await olivia.post("/api/v1/channels", json={"name": "c"}), 201)

    answer = await oscar.get(ACME)

    tenant = good(answer)
    assert answer.headers["etag"] == (await olivia.get("/api/v1/tenants/acme")).headers["etag"]
    limits = tenant.pop("limits")
    assert {name: limits[name] for name in STARTER} == {**STARTER, "agents": 7, "channels": None}
    usage = tenant.pop("usage")
    assert usage["channels"] == 1
    assert {"agents", "messages", "bytes", "api_calls", "connections"} <= set(usage)
    assert tenant == {
        "id": "acme",
        "name": "acme",
        "status": "active",
        "plan": "starter",
        "subscription_tier": "free",
        "overrides": {"agents": 7, "channels": "unlimited"},
        "admin_email": "",
        "created_by": "olivia",
        "created_at": "2025-11-24T16:00:00.000Z",
        "updated_at": "2025-11-24T16:00:00.000Z",
    }


async def test_all_are_listed_by_page_and_by_what_they_are(api: Api, oscar: httpx.AsyncClient) -> None:
    await api.installation.operate(plan="pro")
    await oscar.patch(f"{TENANTS}/acme-2", json={"status": "suspended"})

    assert await ids(oscar) == ["acme", "acme-2"]
    assert await ids(oscar, status="suspended") == ["acme-2"]
    assert await ids(oscar, status="active") == ["acme"]
    assert await ids(oscar, plan="scale") == ["acme"]
    assert await ids(oscar, plan="pro") == ["acme"]
    assert await ids(oscar, q="ME-2") == ["acme-2"]
    assert await ids(oscar, q="nobody") == []
    first = good(await oscar.get(TENANTS, params={"limit": 1}))
    assert await ids(oscar, limit=1, next_token=first["next_token"]) == ["acme-2"]
    problem(await oscar.get(TENANTS, params={"next_token": first["next_token"], "q": "a"}), Code.bad_request)
    problem(await oscar.get(TENANTS, params={"plan": "platinum"}), Code.validation_failed)


async def test_single_limits_are_set_and_given_back(oscar: httpx.AsyncClient) -> None:
    given = {"plan": "growth", "limits": {"agents": 0, "connections": "unlimited"}}
    tenant = good(await oscar.patch(ACME, json=given))
    assert (tenant["plan"], tenant["limits"]["agents"], tenant["limits"]["connections"]) == (
        "growth",
        0,
        None,
    )

    tenant = good(await oscar.patch(ACME, json={"limits": {"agents": None}}))
    assert tenant["limits"]["agents"] == 10
    assert tenant["overrides"] == {"connections": "unlimited"}


async def test_an_overridden_limit_is_the_one_that_is_enforced(
    oscar: httpx.AsyncClient, olivia: httpx.AsyncClient
) -> None:
    good(await oscar.patch(ACME, json={"limits": {"channels": 1, "agents": 0}}))
    good(await olivia.post("/api/v1/channels", json={"name": "c"}), 201)

    problem(await olivia.post("/api/v1/channels", json={"name": "d"}), Code.quota_exceeded)
    problem(await olivia.post("/api/v1/agents", json={"name": "a"}), Code.quota_exceeded)
    assert good(await olivia.get("/api/v1/usage-metrics"))["limits"]["max_channels"] == 1
    assert good(await olivia.get("/api/v1/tenants/acme"))["limits"]["max_agents"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {"plan": "platinum"},
        {"status": "away"},
        {"limits": {"agents": True}},
        {"limits": {"agents": 1.5}},
        {"limits": {"agents": "1"}},
        {"limits": {"agents": -1}},
        {"limits": {"agents": 2**53}},
        {"limits": {"agents": 10**400}},
        {"limits": {"messages_per_second": "unlimited"}},
        {"limits": {"name": 1}},
        {"limits": [1]},
        {"limit": {"agents": 1}},
        {"limits": {"messages_per_second": 0}},
        {"limits": {"storage_bytes": "unlimited"}},
        {"limits": {f"n{number}": 1 for number in range(65)}},
    ],
    ids=lambda body: str(body)[:60],
)
async def test_what_cannot_be_is_refused_and_sets_nothing(
    oscar: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    before = good(await oscar.get(ACME))

    problem(await oscar.patch(ACME, json={"plan": "growth", **body}), Code.validation_failed)

    assert good(await oscar.get(ACME)) == before


async def test_an_unknown_limit_is_told_the_nearest_name(oscar: httpx.AsyncClient) -> None:
    told = problem(await oscar.patch(ACME, json={"limits": {"agent": None}}), Code.validation_failed)

    assert "agents" in told["detail"]


async def test_nobody_overwrites_what_another_operator_set(oscar: httpx.AsyncClient) -> None:
    read = (await oscar.get(ACME)).headers["etag"]
    good(await oscar.patch(ACME, json={"plan": "growth"}, headers={"if-match": read}))

    refused = await oscar.patch(ACME, json={"plan": "scale"}, headers={"if-match": read})

    problem(refused, Code.precondition_failed)
    problem(await oscar.patch(f"{TENANTS}/nowhere", json={"plan": "scale"}), Code.not_found)


@pytest.mark.parametrize("body", [{"plan": "growth"}, {"plan": 1}, {"nothing": "known"}], ids=str)
async def test_who_is_no_operator_is_told_that_and_nothing_else(
    api: Api, olivia: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    for path in (ACME, f"{TENANTS}/nowhere", f"{TENANTS}/a.b"):
        problem(await olivia.patch(path, json=body), Code.forbidden)
        problem(await olivia.get(path), Code.forbidden)
    problem(await olivia.get(TENANTS, params={"limit": 0}), Code.forbidden)


async def test_members_of_a_suspended_tenant_see_that_it_is_and_do_nothing(
    api: Api, oscar: httpx.AsyncClient, olivia: httpx.AsyncClient
) -> None:
    token = good(await olivia.post("/api/v1/tenants/acme/invitations", json={"role": "viewer"}), 201)["token"]
    good(await olivia.post("/api/v1/channels", json={"name": "c"}), 201)
    good(await oscar.patch(ACME, json={"status": "suspended"}))

    assert good(await olivia.get("/api/v1/tenants"))[0]["status"] == "suspended"
    assert good(await olivia.get("/api/v1/tenants/acme"))["status"] == "suspended"
    for method, path, body in (
        ("GET", "/api/v1/agents", None),
        ("GET", "/api/v1/tenants/acme/members", None),
        ("POST", "/api/v1/channels/c/messages", {"x": 1}),
        ("PUT", "/api/v1/tenants/acme", {"status": "active"}),
        ("DELETE", "/api/v1/tenants/acme", None),
    ):
        problem(await olivia.request(method, path, json=body), Code.suspended)
    accept = "/api/v1/invitations/accept"
    problem(await api.signed_in("zoe", None).post(accept, json={"token": token}), Code.suspended)
    problem(await api.signed_in("zoe", None).post(accept, json={"token": token[:-1] + "_"}), Code.not_found)
    problem(await api.signed_in("zoe").get("/api/v1/agents"), Code.forbidden)

    good(await oscar.patch(ACME, json={"status": "active"}))

    good(await olivia.get("/api/v1/agents"))
    good(await api.signed_in("zoe", None).post(accept, json={"token": token}))


def test_every_limit_of_a_plan_can_be_overridden() -> None:
    assert list(LimitOverrides.model_fields) == list(LIMITS)
