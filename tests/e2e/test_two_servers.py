"""Two `artcafe serve` on one NATS and one store, with an issuer of their own: they are one platform."""

import asyncio
import base64
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.kit.deadlines import PATIENCE
from tests.kit.platform import RunningPlatform, artcafe, environment, running_platform
from tests.kit.proxy import Proxy
from tests.kit.sockets import Socket, agent_url, legacy, proven, unproven
from tests.kit.ssh_keys import raw_signature, ssh_keygen_sign
from tests.kit.two_servers import Installation, make_tenant

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_agents_on_different_servers_talk(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    a_key, b_key = new_keys("a"), new_keys("b")
    await make_tenant(installation, "talk", a=a_key, b=b_key)
    async with (
        proven(installation.one.ws, "talk", "a", a_key) as a,
        proven(installation.two.ws, "talk", "b", b_key) as b,
    ):
        await b.subscribe("agents.b.>")
        await a.send(type="publish", subject="agents.b.hello", data=1, id="1")
        await a.expect("ack", id="1")
        assert (await b.expect("message", subject="agents.b.hello", data=1))["from"] == "a"
        await b.send(type="ping")
        await b.expect("pong")


async def test_a_challenge_is_spent_on_both_servers_at_once(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    key = new_keys("a")
    await make_tenant(installation, "once", a=key)
    async with httpx.AsyncClient() as rest:
        answer = await rest.post(
            f"{installation.one.url}/api/v1/agents/auth/challenge",
            json={"tenant_id": "once", "agent_id": "a"},
        )
    challenge = answer.json()["challenge"]
    signature = base64.b64encode(raw_signature(key, challenge.encode())).decode()

    async def enter(ws: str) -> bool:
        try:
            url = agent_url(ws, "once", "a", challenge=challenge, signature=signature)
            async with connect(url) as connection:
                await Socket(connection).silence()
        except InvalidStatus as refused:
            return refused.response.status_code != 401
        return True

    # Issued by one, answered at both, many at once: exactly one gets in.
    servers = [installation.two.ws, installation.one.ws] * 3
    assert sorted(await asyncio.gather(*map(enter, servers))) == [False] * 5 + [True]
    async with legacy(installation.one.ws, "once", "a", key, "chosen") as a:
        await a.silence()
    with pytest.raises(InvalidStatus, match="401"):
        async with legacy(installation.two.ws, "once", "a", key, "chosen"):
            pass


async def test_a_key_revoked_on_one_server_closes_on_the_other(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    key = new_keys("a")
    await make_tenant(installation, "revoke", a=key)
    headers = {**installation.headers(), "x-tenant-id": "revoke"}
    async with (
        httpx.AsyncClient(base_url=f"{installation.one.url}/api/v1", headers=headers) as rest,
        proven(installation.two.ws, "revoke", "a", key) as a,
    ):
        [known] = (await rest.get("/agents/a/keys")).json()["keys"]
        await rest.put(f"/agents/a/keys/{known['id']}", json={"status": "revoked"})
        # By the word: of itself, a process asks again only after a minute.
        assert await a.closed() == 4502


async def test_a_key_revoked_while_a_server_is_cut_off_closes_there_when_it_is_back(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    """The word is told once, and not heard. Of itself it asks after a minute, longer than this waits."""
    key = new_keys("a")
    await make_tenant(installation, "unheard", a=key)
    headers = {**installation.headers(), "x-tenant-id": "unheard"}
    async with Proxy(installation.settings["NATS_URL"]) as way:
        settings = {**installation.settings, "NATS_URL": way.url}
        with ExitStack() as stack:
            apart = await asyncio.to_thread(
                stack.enter_context,
                running_platform(installation.one.data_dir, command="serve", settings=settings),
            )
            stack.callback(setattr, way, "refusing", False)  # Its stop does not wait for the bus.
            async with (
                httpx.AsyncClient(base_url=f"{installation.one.url}/api/v1", headers=headers) as rest,
                proven(apart.ws, "unheard", "a", key) as a,
            ):
                way.refusing = True
                way.cut()
                [known] = (await rest.get("/agents/a/keys")).json()["keys"]
                await rest.put(f"/agents/a/keys/{known['id']}", json={"status": "revoked"})
                await a.send(type="ping")
                await a.expect("pong")
                way.refusing = False
                assert await a.closed() == 4502
            await asyncio.to_thread(stack.close)


async def test_a_tenant_that_is_suspended_on_one_is_closed_and_refused_on_both_until_it_is_resumed(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    key, bystander_key = new_keys("a"), new_keys("b")
    await make_tenant(installation, "closed", a=key)
    await make_tenant(installation, "open", b=bystander_key)
    headers = {**installation.headers("eve"), "x-tenant-id": "closed"}
    servers = (installation.one, installation.two)
    async with (
        httpx.AsyncClient(
            base_url=f"{installation.one.url}/api/v1", headers=installation.headers()
        ) as operator,
        httpx.AsyncClient(headers=headers) as member,
        proven(installation.one.ws, "closed", "a", key) as here,
        proven(installation.two.ws, "closed", "a", key) as there,
        proven(installation.two.ws, "open", "b", bystander_key) as bystander,
        connect(f"{installation.two.ws}/api/v1/ws/dashboard") as connection,
    ):
        eve = {"user_id": "eve", "role": "admin"}
        assert (await operator.post("/tenants/closed/members", json=eve)).is_success
        assert (
            await member.patch(f"{installation.one.url}/api/v1/operator/tenants/closed", json={})
        ).status_code == 403
        dashboard = Socket(connection)
        token = headers["authorization"].removeprefix("Bearer ")
        await dashboard.send(type="auth", token=token, tenant_id="closed")
        await dashboard.expect("connected", role="admin")

        suspended = await operator.patch("/operator/tenants/closed", json={"status": "suspended"})
        assert suspended.json()["status"] == "suspended"

        for socket in (here, there, dashboard):
            assert await socket.closed() == 4504
        await bystander.send(type="ping")
        await bystander.expect("pong")
        for server in servers:
            answer = await member.get(f"{server.url}/api/v1/agents")
            assert (answer.status_code, answer.json()["code"]) == (403, "suspended")
            seen = await member.get(f"{server.url}/api/v1/tenants/closed")
            assert seen.json()["status"] == "suspended"
            assert not await _lets_in(server.ws, "closed", "a", key)
            with pytest.raises(InvalidStatus, match="403"):
                async with legacy(server.ws, "closed", "a", key, f"chosen at {server.url}"):
                    pass

        resumed = await operator.patch("/operator/tenants/closed", json={"status": "active"})
        assert resumed.is_success
        async with (
            proven(installation.one.ws, "closed", "a", key) as sender,
            proven(installation.two.ws, "closed", "a", key) as receiver,
        ):
            await receiver.subscribe("tasks")
            await sender.send(type="publish", subject="tasks", data=1)
            await receiver.expect("message", data=1)
        entries = (await member.get(f"{installation.two.url}/api/v1/audit")).json()["entries"]
        assert [(entry["action"], entry["actor"], entry["operator"]) for entry in entries[:2]] == [
            ("tenant.resume", "ada", True),
            ("tenant.suspend", "ada", True),
        ]


async def test_who_is_online_is_known_on_both(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    key = new_keys("a")
    await make_tenant(installation, "online", a=key)
    headers = {**installation.headers(), "x-tenant-id": "online"}
    async with httpx.AsyncClient(base_url=f"{installation.one.url}/api/v1", headers=headers) as rest:
        async with (
            proven(installation.one.ws, "online", "a", key) as here,
            proven(installation.two.ws, "online", "a", key) as there,
        ):
            await here.subscribe("x")
            await there.subscribe("y")
            await _until(rest, connections=2)
            shown = (await rest.get("/agents/a")).json()["agent"]
            assert shown["channel_subscriptions"] == ["x", "y"]
        await _until(rest, connections=0)


async def _until(rest: httpx.AsyncClient, *, connections: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await rest.get("/agents/a")).json()["agent"]["active_connections"] != connections:
            await asyncio.sleep(0.05)


def _rest(installation: Installation, server: RunningPlatform, tenant: str) -> httpx.AsyncClient:
    headers = {**installation.headers(), "x-tenant-id": tenant}
    return httpx.AsyncClient(base_url=f"{server.url}/api/v1", headers=headers)


async def test_a_login_that_was_remembered_on_one_is_refused_once_revoked_on_the_other(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    key = new_keys("a")
    await make_tenant(installation, "warm", a=key)
    async with (
        _rest(installation, installation.one, "warm") as rest,
        proven(installation.two.ws, "warm", "a", key) as inside,
    ):
        [known] = (await rest.get("/agents/a/keys")).json()["keys"]
        await rest.put(f"/agents/a/keys/{known['id']}", json={"status": "revoked"})
        # The word that closes it has come, so what was remembered is forgotten, long before it expires.
        assert await inside.closed() == 4502
        assert not await _lets_in(installation.two.ws, "warm", "a", key)


async def _lets_in(ws: str, tenant: str, agent: str, key: Path) -> bool:
    async with unproven(ws, tenant, agent) as socket:
        challenge = await socket.expect("challenge")
        signature = await asyncio.to_thread(ssh_keygen_sign, key, challenge["text"], challenge["namespace"])
        await socket.send(type="auth", signature=signature)
        return bool((await socket.receive())["type"] == "welcome")


async def test_a_rule_changed_on_one_is_felt_by_who_is_connected_to_the_other(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    a_key, b_key = new_keys("a"), new_keys("b")
    await make_tenant(installation, "rules", a=a_key, b=b_key)
    async with (
        _rest(installation, installation.one, "rules") as rest,
        proven(installation.two.ws, "rules", "a", a_key) as a,
        proven(installation.two.ws, "rules", "b", b_key) as b,
    ):
        await a.subscribe("tasks.*")
        await b.subscribe(">")
        policy = {"subscribe": {"deny": ["tasks.*"]}, "publish": {"allow": ["other"]}}
        assert (await rest.put("/agents/a", json={"policy": policy})).is_success
        # By the word: of itself, a process asks again only after a minute.
        assert (await a.expect("error", code="forbidden"))["details"] == {"subject": "tasks.*"}
        await a.send(type="publish", subject="tasks.new", data=1, id="no")
        await a.expect("error", code="forbidden", id="no")

        closed = {"id": "secrets", "name": "s", "subject": "secrets.>", "subscribers": ["a"]}
        assert (await rest.post("/channels", json=closed)).status_code == 201
        async with asyncio.timeout(PATIENCE):
            while await _hears_itself(b, "secrets.x"):
                pass
        await a.send(type="publish", subject="other", data=2)
        await b.expect("message", subject="other", data=2)


async def _hears_itself(agent: Socket, subject: str) -> bool:
    await agent.send(type="publish", subject=subject, data=1, id="p")
    # The ack follows the message, by the same connection to the bus.
    first = await agent.receive()
    if first["type"] == "message":
        await agent.expect("ack", id="p")
    return bool(first["type"] == "message")


async def test_what_one_answered_the_other_goes_on_with(installation: Installation) -> None:
    await make_tenant(installation, "both")
    once = {"idempotency-key": "the-same"}
    async with (
        _rest(installation, installation.one, "both") as one,
        _rest(installation, installation.two, "both") as two,
    ):
        made = await one.post("/agents", json={"name": "Planner"}, headers=once)
        again = await two.post("/agents", json={"name": "Planner"}, headers=once)
        assert made.status_code == again.status_code == 201
        assert again.json() == made.json()

        await two.post("/agents", json={"name": "Second"})
        page = (await one.get("/agents?limit=1")).json()
        rest = (await two.get("/agents", params={"limit": 1, "next_token": page["next_token"]})).json()
        assert [agent["id"] for agent in [*page["agents"], *rest["agents"]]] == ["planner", "second"]

        match = {"if-match": made.headers["etag"]}
        assert (await two.put("/agents/planner", json={"name": "New"}, headers=match)).is_success
        late = await one.put("/agents/planner", json={"name": "Late"}, headers=match)
        assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
        assert (await one.get("/agents/planner")).json()["agent"]["name"] == "New"


async def test_a_dashboard_on_one_sees_who_comes_to_the_other(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    key = new_keys("a")
    await make_tenant(installation, "watch", a=key)
    token = installation.headers()["authorization"].removeprefix("Bearer ")
    async with connect(f"{installation.one.ws}/api/v1/ws/dashboard") as connection:
        dashboard = Socket(connection)
        await dashboard.send(type="auth", token=token, tenant_id="watch")
        await dashboard.expect("connected", tenant_id="watch", role="owner")
        await dashboard.send(type="subscribe", topic="channels.watch.tasks")
        await dashboard.expect("subscribed", topic="channels.watch.tasks")
        async with proven(installation.two.ws, "watch", "a", key) as a:
            await dashboard.expect("agent.online", topic="presence.a")
            # Moving from one server to the other is neither coming nor going.
            async with proven(installation.one.ws, "watch", "a", key):
                await a.send(type="publish", subject="tasks", data={"n": 1})
                await dashboard.expect("channel_message", data={"n": 1})
        event = await dashboard.expect("agent.offline", topic="presence.a")
        assert event["data"]["agent_id"] == "a"


async def test_serve_without_an_issuer_is_refused(installation: Installation, tmp_path: Path) -> None:
    settings = {"NATS_URL": installation.settings["NATS_URL"]}
    seed = (installation.one.data_dir / "operator.seed").read_text().strip()
    done = await asyncio.to_thread(
        subprocess.run,
        artcafe("serve", "--port", "0", "--data-dir", str(tmp_path)),
        capture_output=True,
        text=True,
        env=environment(**settings, ARTCAFE_OPERATOR_SEED=seed),
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "ARTCAFE_OIDC_ISSUER" in done.stderr


async def test_a_nats_that_is_not_ours_is_refused(installation: Installation, tmp_path: Path) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        artcafe("serve", "--port", "0", "--data-dir", str(tmp_path)),
        capture_output=True,
        text=True,
        env=environment(**installation.settings),
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "nats-config" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
