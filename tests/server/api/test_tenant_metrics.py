"""A tenant's own metrics: the numbers of usage and presence, in two formats."""

import httpx
import pytest

from artcafe.server.domain.plan import LIMITS
from artcafe.wire.codes import Code
from tests.kit.api import Api, good, problem
from tests.kit.installation import ACME, OTHER
from tests.kit.metrics import parsed
from tests.kit.usage import count_message

METRICS = "/api/v1/tenants/acme/metrics"
PROMETHEUS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
"""What a Prometheus of 2023 asks for."""


async def furnish(api: Api, olivia: httpx.AsyncClient) -> None:
    """An agent, a channel, and messages of this tenant and of another one."""
    await olivia.post("/api/v1/channels", json={"id": "tasks", "name": "x"})
    await olivia.post("/api/v1/agents", json={"id": "a1", "name": "x"})
    meter = api.installation.process.meter
    for size in (10, 5):
        count_message(meter, ACME, "a1", ["tasks"], size)
    count_message(meter, OTHER, "a1", [], 1000)


async def test_a_member_sees_what_the_tenant_has_and_uses(api: Api, olivia: httpx.AsyncClient) -> None:
    await furnish(api, olivia)
    found = good(await olivia.get(METRICS))
    counted = ("connections", "connected_agents", "agents", "channels", "messages", "bytes", "durable_bytes")
    assert {name: found[name] for name in counted} == {
        "connections": 0,
        "connected_agents": 0,
        "agents": 1,
        "channels": 1,
        "messages": 2,
        "bytes": 15,
        "durable_bytes": 0,
    }
    assert (found["tenant_id"], found["plan"], found["month"]) == ("acme", "enterprise", "2025-11")
    assert set(found["limits"]) == set(LIMITS)
    assert found["limits"]["agents"] is None


async def test_it_is_what_billing_says(api: Api, olivia: httpx.AsyncClient) -> None:
    await furnish(api, olivia)
    found = good(await olivia.get(METRICS))
    used = good(await olivia.get("/api/v1/usage-metrics/billing"))["current_usage"]
    assert {name: found[name] for name in used} == {**used, "api_calls": used["api_calls"] - 1}


async def test_prometheus_gets_the_same_as_text(api: Api, olivia: httpx.AsyncClient) -> None:
    await furnish(api, olivia)
    await api.installation.operate(limits={"agents": 7})
    answer = await olivia.get(METRICS, headers={"accept": PROMETHEUS})
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = parsed(answer.text)
    assert found["artcafe_tenant_published_messages_total"] == 2
    assert found["artcafe_tenant_published_bytes_total"] == 15
    assert found['artcafe_tenant_limit{limit="agents"}'] == 7
    assert 'artcafe_tenant_limit{limit="channels"}' not in found, "it is unlimited"
    assert not [name for name in found if "acme" in name]


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html", ""])
async def test_anybody_else_gets_json(olivia: httpx.AsyncClient, accept: str) -> None:
    answer = await olivia.get(METRICS, headers={"accept": accept})
    assert good(answer)["tenant_id"] == "acme"


async def test_who_is_no_member_sees_nothing(olivia: httpx.AsyncClient) -> None:
    problem(await olivia.get(f"/api/v1/tenants/{OTHER}/metrics"), Code.forbidden)
