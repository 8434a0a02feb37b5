"""Dashboards on a whole platform: sockets, tokens and agents as they are."""

import base64
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.kit.deadlines import eventually
from tests.kit.platform import RunningPlatform
from tests.kit.sockets import Socket, proven


def dashboard(platform: RunningPlatform) -> str:
    return f"{platform.ws}/api/v1/ws/dashboard"


async def test_a_dashboard_sees_an_agent_come_speak_and_go(
    platform: RunningPlatform, tenant: str, new_key: Callable[[], Path]
) -> None:
    key = new_key()
    platform.make_agent(tenant, "worker", key)
    async with connect(dashboard(platform)) as connection:
        human = Socket(connection)
        await human.send(type="auth", token=platform.token(), tenant_id=tenant)
        await human.expect("connected", tenant_id=tenant, role="owner")
        await human.send(type="subscribe", topic=f"channels.{tenant}.tasks")
        await human.expect("subscribed", topic=f"channels.{tenant}.tasks")
        async with proven(platform.ws, tenant, "worker", key) as worker:
            await human.expect("agent.online", topic="presence.worker")
            await worker.subscribe("answers")
            await worker.send(type="publish", subject="tasks", data={"n": 1})
            await human.expect("channel_message", subject=f"channels.{tenant}.tasks", data={"n": 1})
            await human.send(type="publish", topic="answers", data="seen", id="p")
            await human.expect("ack", id="p")
            await worker.expect("message", data="seen")
            with platform.rest(tenant) as rest:
                shown = rest.get("/agents/worker").json()["agent"]
            assert (shown["status"], shown["channel_subscriptions"]) == ("online", ["answers"])
        told = await human.expect("agent.offline", topic="presence.worker")
        assert told["data"]["agent_id"] == "worker"


async def test_a_frame_of_40000_subjects_is_refused_and_everybody_stays(
    platform: RunningPlatform, tenant: str, new_key: Callable[[], Path]
) -> None:
    key = new_key()
    platform.make_agent(tenant, "bystander", key)
    async with (
        proven(platform.ws, tenant, "bystander", key) as bystander,
        connect(f"{dashboard(platform)}?token={platform.token()}&tenant_id={tenant}") as connection,
    ):
        human = Socket(connection)
        await human.expect("connected")
        await human.send(type="subscribe", subjects=["b"] * 40_000, id="s")
        await human.expect("error", code="bad_frame", id="s")
        await human.silence()
        await bystander.silence()


async def test_a_quota_that_is_used_is_told_and_stops_every_way_in_until_the_operator_gives_more(
    platform: RunningPlatform, tenant: str, new_key: Callable[[], Path]
) -> None:
    key = new_key()
    platform.make_agent(tenant, "worker", key)
    with platform.rest(tenant) as rest:
        set_quota = partial(rest.patch, f"/operator/tenants/{tenant}")
        assert rest.post("/channels", json={"id": "tasks", "name": "tasks"}).is_success
        assert set_quota(json={"limits": {"messages_per_month": 5}}).is_success
        async with (
            proven(platform.ws, tenant, "worker", key) as worker,
            connect(f"{dashboard(platform)}?token={platform.token()}&tenant_id={tenant}") as connection,
        ):
            human = Socket(connection)
            await human.expect("connected")
            await human.send(type="subscribe", topic="sys.quota")
            await human.expect("subscribed")
            for number in range(4):
                await worker.send(type="publish", subject="tasks", data=number, id=f"{number}")
                await worker.expect("ack", id=f"{number}")
            warning = await told_of_quota(human)
            assert (warning["used"], warning["limit"], warning["percent"]) == (4, 5, 80)
            assert rest.post("/channels/tasks/messages", json={}).is_success
            assert (await told_of_quota(human))["percent"] == 100

            refused = rest.post("/channels/tasks/messages", json={})
            assert (refused.status_code, refused.json()["code"]) == (402, "quota_exceeded")
            await worker.send(type="publish", subject="tasks", data=1, id="w")
            await worker.expect("error", code="quota_exceeded", id="w")
            await human.send(type="publish", topic="tasks", data=1, id="h")
            await human.expect("error", code="quota_exceeded", id="h")

            assert set_quota(json={"limits": {"messages_per_month": 100}}).is_success
            await eventually(lambda: rest.post("/channels/tasks/messages", json={}).is_success)
            await worker.send(type="publish", subject="tasks", data=1, id="again")
            await worker.expect("ack", id="again")


async def told_of_quota(human: Socket) -> dict[str, Any]:
    """What the platform tells next on `sys.quota`."""
    while (frame := await human.receive()).get("topic") != "sys.quota":
        pass
    data: dict[str, Any] = frame["payload"]
    return data


async def test_the_token_may_come_in_the_url(platform: RunningPlatform, tenant: str) -> None:
    packed = base64.b64encode(json.dumps({"token": platform.token(), "tenantId": tenant}).encode()).decode()
    for query in (f"token={platform.token()}&tenant_id={tenant}", f"auth={packed}"):
        async with connect(f"{dashboard(platform)}?{query}", max_size=None) as connection:
            await Socket(connection).expect("connected", tenant_id=tenant)


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?token=nonsense", {}, 401),
        ("?auth=nonsense", {}, 401),
        ("", {"authorization": "Bearer nonsense"}, 401),
        ("?token=TOKEN&tenant_id=no-such-tenant", {}, 403),
        ("?token=TOKEN", {"origin": "https://evil.example"}, 403),
        ("", {"origin": "https://evil.example"}, 403),
    ],
)
async def test_who_stays_outside_hears_it_before_the_upgrade(
    platform: RunningPlatform, query: str, headers: dict[str, str], status: int
) -> None:
    url = dashboard(platform) + query.replace("TOKEN", platform.token())
    with pytest.raises(InvalidStatus) as refusal:
        async with connect(url, additional_headers=headers):
            pass
    answer = refusal.value.response
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
