"""Dialect A: clients that were written for the original service connect unmodified."""

import base64
import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.kit.platform import RunningPlatform
from tests.kit.sockets import PROTOCOL, Socket, agent_url, legacy, proven
from tests.kit.ssh_keys import KeyRing, raw_signature, ssh_keygen_sign

NewKey = Callable[[], Path]


async def test_the_recorded_exchange(
    platform: RunningPlatform, tenant: str, keys: KeyRing, new_key: NewKey
) -> None:
    rsa, other = keys.path("rsa-2048"), new_key()
    platform.make_agent(tenant, "worker", rsa)
    platform.make_agent(tenant, "modern", other)
    challenge = f"{uuid.uuid4()}"
    async with (
        proven(platform.ws, tenant, "modern", other) as modern,
        legacy(platform.ws, tenant, "worker", rsa, challenge) as worker,
    ):
        await modern.subscribe("agents.presence.*")
        await modern.subscribe("tasks.>")
        online = {
            "agent_id": "worker",
            "name": "Worker",
            "status": "online",
            "capabilities": [],
            "hostname": "host",
            "timestamp": "2026-01-01T00:00:00Z",
        }
        # In one go, as those clients do: nobody waits for an answer before the next frame.
        await worker.send(type="publish", subject="agents.presence.online", data=online)
        await worker.send(type="subscribe", subject="tasks.*")
        await worker.send(type="subscribe", subject="agents.worker.*")
        await worker.send(type="subscribe", subject="agents.control.worker.*")
        await worker.send(type="ping")
        await worker.expect("subscribed", subject="tasks.*")
        await worker.expect("subscribed", subject="agents.worker.*")
        await worker.expect("subscribed", subject="agents.control.worker.*")
        assert "timestamp" in await worker.expect("pong")
        seen = await modern.expect("message", subject="agents.presence.online")
        assert (seen["from"], seen["data"]) == ("worker", online)

        # A publish reaches its own short subscription (the original's subject trap), without an ack.
        await worker.send(type="publish", subject="tasks.new", data={"n": 1, "agent_id": "liar"})
        delivered = await worker.expect("message", subject="tasks.new")
        assert delivered["data"]["n"] == 1
        assert (delivered["data"]["agent_id"], delivered["data"]["tenant_id"]) == ("worker", tenant)
        assert "timestamp" in delivered["data"]
        assert (await modern.expect("message", subject="tasks.new"))["data"] == {"n": 1, "agent_id": "liar"}

        await modern.send(type="publish", subject="agents.worker.ask", data={"timestamp": "kept"})
        asked = await worker.expect("message", subject="agents.worker.ask")
        assert asked["data"] == {"timestamp": "kept", "agent_id": "modern", "tenant_id": tenant}
        await modern.send(type="publish", subject="agents.control.worker.stop", data="now")
        await worker.expect("message", subject="agents.control.worker.stop", data="now")


async def test_full_forms_meet_short_ones_and_come_back_in_their_own_form(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    key = new_key()
    platform.make_agent(tenant, "a", key)
    forms = {
        f"agents.{tenant}.": "x.1",
        f"channels.{tenant}.": "x.2",
        f"tenant.{tenant}.channel.": "x.3",
        f"tenant.{tenant}.": "x.4",
        "": "x.5",
    }
    for form in forms:
        async with proven(platform.ws, tenant, "a", key) as a:
            await a.subscribe(f"{form}x.*")
            for prefix, subject in forms.items():
                await a.send(type="publish", subject=prefix + subject, data=subject)
                await a.expect("message", subject=form + subject, data=subject)


async def test_a_chosen_challenge_is_good_once_for_ever(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    key = new_key()
    platform.make_agent(tenant, "a", key)
    async with legacy(platform.ws, tenant, "a", key, "my challenge") as a:
        await a.silence()
    with pytest.raises(InvalidStatus, match="401"):
        async with legacy(platform.ws, tenant, "a", key, "my challenge"):
            pass
    async with legacy(platform.ws, tenant, "a", key, "another challenge") as a:
        await a.silence()


async def test_a_chosen_challenge_needs_the_tenants_permission(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    key = new_key()
    platform.make_agent(tenant, "a", key)
    with platform.rest(tenant) as rest:
        answer = rest.put(f"/tenants/{tenant}", json={"allow_client_challenge": False})
        assert answer.json()["allow_client_challenge"] is False
    with pytest.raises(InvalidStatus) as refusal:
        async with legacy(platform.ws, tenant, "a", key, "mine"):
            pass
    assert refusal.value.response.status_code == 401
    assert json.loads(refusal.value.response.body)["code"] == "unauthorized"


async def test_the_subprotocol_with_a_url_login_speaks_our_dialect(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    key = new_key()
    platform.make_agent(tenant, "a", key)
    signature = base64.b64encode(raw_signature(key, b"pick")).decode()
    url = agent_url(platform.ws, tenant, "a", challenge="pick", signature=signature)
    async with connect(url, subprotocols=[PROTOCOL]) as connection:
        assert connection.subprotocol == PROTOCOL
        await Socket(connection).expect("welcome", agent="a")


async def test_dialect_b_and_the_others_are_one_tenant(
    platform: RunningPlatform, tenant: str, keys: KeyRing, new_key: NewKey
) -> None:
    """The recorded exchange of dialect B, with a client of each kind listening."""
    rsa, other = keys.path("rsa-2048"), new_key()
    platform.make_agent(tenant, "worker", rsa)
    platform.make_agent(tenant, "modern", other)
    subject = f"tenant.{tenant}.channel.tasks"
    async with proven(platform.ws, tenant, "modern", other) as ours:
        await ours.subscribe("presence.worker")
        async with (
            legacy(platform.ws, tenant, "worker", rsa, f"{uuid.uuid4()}") as dialect_a,
            legacy(platform.ws, tenant, "worker", rsa, f"{uuid.uuid4()}", path="/ws/agent") as dialect_b,
        ):
            await ours.expect("message", subject="presence.worker")  # The platform tells that it came.
            await ours.subscribe("tasks")
            await dialect_a.subscribe("tasks")
            await dialect_b.send(
                type="presence", agent_id="worker", status="online", capabilities=["plan"], metadata={}
            )
            await dialect_b.send(type="subscribe", subjects=[subject, f"tenant.{tenant}.channel.other"])
            await dialect_b.send(type="heartbeat")
            # No `subscribed` comes before it: this client does not know that word.
            await dialect_b.expect("heartbeat_ack")
            told = await ours.expect("message", subject="presence.worker")
            assert told["data"]["metadata"] == {"capabilities": ["plan"]}

            letter = {
                "id": "1",
                "timestamp": "2026-01-01T00:00:00Z",
                "version": "1.0",
                "tenant_id": tenant,
                "source": {"agent_id": "worker", "type": "agent"},
                "type": "message",
                "payload": {"n": 1},
                "correlation_id": "c1",
            }
            await dialect_b.send(type="publish", subject=subject, message=letter)
            seen = await ours.expect("message", subject="tasks", data={"n": 1})
            assert (seen["from"], seen["headers"]) == ("worker", {"correlation-id": "c1"})
            assert (await dialect_a.expect("message", subject="tasks"))["data"]["n"] == 1
            own = (await dialect_b.expect("message", subject=subject))["message"]
            assert (own["payload"], own["correlation_id"], own["source"]) == (
                {"n": 1},
                "c1",
                {"agent_id": "worker", "type": "agent"},
            )
            assert own["id"] == seen["id"] != "1"

            await ours.send(type="publish", subject="other", data="hello")
            got = (await dialect_b.expect("message", subject=f"tenant.{tenant}.channel.other"))["message"]
            assert (got["payload"], got["source"]["agent_id"]) == ("hello", "modern")
            await dialect_b.send(type="publish", subject="tenant.elsewhere.channel.x", message=letter)
            assert "another tenant" in (await dialect_b.expect("error"))["message"]


async def test_a_fetched_challenge_is_answered_in_any_of_three_forms(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    """As docs/protocol.md says, over REST and in the URL."""
    key = new_key()
    platform.make_agent(tenant, "a", key)
    who = {"tenant_id": tenant, "agent_id": "a"}
    forms: list[Callable[[str], str]] = [
        lambda text: base64.b64encode(raw_signature(key, text.encode())).decode(),
        lambda text: ssh_keygen_sign(key, text.encode()),
        lambda text: base64.b64encode(ssh_keygen_sign(key, text.encode()).encode()).decode(),
    ]
    with platform.rest(tenant) as rest:
        for form in forms:
            text = rest.post("/agents/auth/challenge", json=who).json()["challenge"]
            answer = rest.post("/agents/auth/verify", json={**who, "challenge": text, "response": form(text)})
            assert (answer.status_code, answer.json().get("valid")) == (200, True), answer.text
            text = rest.post("/agents/auth/challenge", json=who).json()["challenge"]
            url = agent_url(platform.ws, tenant, "a", challenge=text, signature=form(text))
            async with connect(url, subprotocols=[PROTOCOL]) as connection:
                await Socket(connection).expect("welcome", agent="a")
