"""Agents talk over plain WebSockets: the frames of docs/protocol.md, word for word."""

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from artcafe.wire.payload import MAX_DEPTH
from tests.kit.deadlines import PATIENCE
from tests.kit.platform import RunningPlatform
from tests.kit.sockets import Socket, agent_url, proven, unproven
from tests.kit.ssh_keys import KeyRing, fingerprint, raw_signature, ssh_keygen_sign

NewKey = Callable[[], Path]


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048"])
@pytest.mark.parametrize("form", ["sshsig", "raw"])
async def test_every_kind_of_key_logs_in(
    platform: RunningPlatform, tenant: str, keys: KeyRing, kind: str, form: str
) -> None:
    key = keys.path(kind)
    platform.make_agent(tenant, "planner", key)
    async with unproven(platform.ws, tenant, "planner") as socket:
        challenge = await socket.expect("challenge", namespace="agent-auth.v1@artcafe")
        if form == "sshsig":
            signature = ssh_keygen_sign(key, challenge["text"])
            await socket.send(type="auth", signature=signature, client={"name": "test", "version": "1"})
        else:
            signature = base64.b64encode(raw_signature(key, challenge["text"].encode())).decode()
            await socket.send(type="auth", format="raw", key=fingerprint(key), signature=signature)
        welcome = await socket.expect("welcome", tenant=tenant, agent="planner", heartbeat_seconds=25.0)
        assert welcome["limits"] == {
            "max_payload_bytes": 1_048_576,
            "messages_per_second": 1000,
            "subscriptions": 256,
        }


async def test_a_question_and_its_answer(platform: RunningPlatform, tenant: str, new_key: NewKey) -> None:
    asker, helper = new_key(), new_key()
    platform.make_agent(tenant, "asker", asker)
    platform.make_agent(tenant, "helper", helper)
    async with (
        proven(platform.ws, tenant, "asker", asker) as a,
        proven(platform.ws, tenant, "helper", helper) as b,
    ):
        await a.subscribe("inbox.asker.*")
        await b.subscribe("agents.helper.>")
        await a.send(
            type="publish",
            subject="agents.helper.ask",
            data={"q": "Wie heißt die Hauptstadt?"},
            headers={"trace": "1"},
            reply_to="inbox.asker.1",
            id="q1",
        )
        ack = await a.expect("ack", id="q1")
        question = await b.expect("message", subject="agents.helper.ask", reply_to="inbox.asker.1")
        assert question["from"] == "asker"
        assert question["id"] == ack["message_id"]
        assert question["data"] == {"q": "Wie heißt die Hauptstadt?"}
        assert question["headers"] == {"trace": "1"}
        await b.send(type="publish", subject=question["reply_to"], data="Rom")
        answer = await a.expect("message", subject="inbox.asker.1", data="Rom")
        assert answer["from"] == "helper"


async def test_wildcards_and_unsubscribing(platform: RunningPlatform, tenant: str, new_key: NewKey) -> None:
    key = new_key()
    platform.make_agent(tenant, "a", key)
    async with proven(platform.ws, tenant, "a", key) as a:
        await a.subscribe("tasks.*.done")
        for subject in ("tasks.1.done", "tasks.1.new", "tasks.1.2.done", "tasks.done"):
            await a.send(type="publish", subject=subject, data=subject)
        await a.expect("message", subject="tasks.1.done")
        await a.silence()
        await a.send(type="unsubscribe", subject="tasks.*.done", id="u")
        await a.expect("unsubscribed", subject="tasks.*.done", id="u")
        await a.send(type="publish", subject="tasks.1.done", data=1, id="p")
        await a.expect("ack", id="p")
        await a.silence()
        await a.send(type="unsubscribe", subject="tasks.*.done", id="again")
        await a.expect("error", code="not_found", id="again")


async def test_overlapping_subscriptions_deliver_once_in_the_form_of_the_oldest(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    key = new_key()
    platform.make_agent(tenant, "a", key)
    async with proven(platform.ws, tenant, "a", key) as a:
        await a.subscribe(f"tenant.{tenant}.tasks.*")
        await a.subscribe("tasks.>")
        await a.subscribe(">")
        await a.send(type="publish", subject="tasks.new", data=1)
        await a.expect("message", subject=f"tenant.{tenant}.tasks.new")
        await a.send(type="publish", subject="tasks.a.b", data=2)
        await a.expect("message", subject="tasks.a.b")
        await a.send(type="publish", subject="other", data=3)
        await a.expect("message", subject="other")
        await a.silence()


async def test_a_queue_group_shares_the_work(platform: RunningPlatform, tenant: str, new_key: NewKey) -> None:
    key = new_key()
    platform.make_agent(tenant, "worker", key)
    async with (
        proven(platform.ws, tenant, "worker", key) as one,
        proven(platform.ws, tenant, "worker", key) as two,
        proven(platform.ws, tenant, "worker", key) as boss,
    ):
        for socket in (one, two):
            await socket.subscribe("jobs", queue="workers")
        for number in range(40):
            await boss.send(type="publish", subject="jobs", data=number, id=f"{number}")
        for number in range(40):
            await boss.expect("ack", id=f"{number}")
        shares = [await _drain(socket) for socket in (one, two)]
        assert sorted(shares[0] + shares[1]) == list(range(40))
        assert all(shares), "each member gets a share"


async def _drain(socket: Socket) -> list[int]:
    await socket.send(type="ping", id="end")
    taken = []
    while (frame := await socket.receive())["type"] == "message":
        taken.append(frame["data"])
    return taken


async def test_order_is_kept_through_thousands_of_messages(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    one, two = new_key(), new_key()
    platform.make_agent(tenant, "one", one)
    platform.make_agent(tenant, "two", two)
    async with (
        proven(platform.ws, tenant, "one", one) as publisher,
        proven(platform.ws, tenant, "two", two) as reader,
    ):
        await reader.subscribe("count.*")
        for number in range(1500):
            await publisher.send(type="publish", subject="count.up", data=number)
        assert [(await reader.receive())["data"] for _ in range(1500)] == list(range(1500))


async def test_frames_that_cannot_be_read_are_answered_and_change_nothing(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    key = new_key()
    platform.make_agent(tenant, "a", key)
    async with proven(platform.ws, tenant, "a", key) as a:
        await a.subscribe(">")
        for text, frame_id in (
            ("{", None),
            ("[]", None),
            ('"publish"', None),
            ('{"type":"nonsense","id":"1"}', "1"),
            ('{"type":"publish","subject":"x","id":"2"}', "2"),
            ('{"type":"publish","subject":7,"data":1,"id":"3"}', "3"),
            ('{"type":"publish","subject":"x","data":1,"id":"' + "i" * 65 + '"}', None),
            ('{"type":"publish","subject":"x","data":' + "[" * 5000 + "]" * 5000 + "}", None),
        ):
            await a.connection.send(text)
            await a.expect("error", code="bad_frame", id=frame_id)
        for subject in ("", "a b", "a\r\nPUB x 1", "a..b", ".a", "a.", "*", "a.>", "ü", "$SYS.x", "a" * 256):
            await a.send(type="publish", subject=subject, data=1, id="s")
            await a.expect("error", code="invalid_subject", id="s")
        for subject in ("sys.x", "presence.a", "dlq.x", "tenant.other.channel.x", "channels.other.x"):
            await a.send(type="publish", subject=subject, data=1, id="f")
            await a.expect("error", code="forbidden", id="f")
        await a.silence()


async def test_binary_messages_close_with_1003(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    key = new_key()
    platform.make_agent(tenant, "a", key)
    async with proven(platform.ws, tenant, "a", key) as a:
        await a.connection.send(b"\x00")
        assert await a.closed() == 1003


async def test_payloads_over_the_limit_are_refused_and_frames_over_it_close(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    key = new_key()
    platform.make_agent(tenant, "a", key)
    async with proven(platform.ws, tenant, "a", key) as a:
        await a.subscribe("big")
        await a.send(type="publish", subject="big", data="x" * (1_048_576 - 2), id="fits")
        frames = [await a.receive(), await a.receive()]
        assert {frame["type"] for frame in frames} == {"ack", "message"}
        await a.send(type="publish", subject="big", data="x" * (1_048_576 - 1), id="over")
        await a.expect("error", code="too_large", id="over")
        await a.send(type="publish", subject="big", data="x" * 1_100_000, id="frame")
        assert await a.closed() == 1009


async def test_sending_through_the_rate_limit_is_throttled(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    with platform.rest(tenant) as rest:
        rest.put(f"/tenants/{tenant}", json={"subscription_tier": "starter"}).raise_for_status()
    key = new_key()
    platform.make_agent(tenant, "a", key)
    async with proven(platform.ws, tenant, "a", key) as a:
        for number in range(1000):
            await a.send(type="publish", subject="x", data=number)
        error = await a.expect("error", code="rate_limited")
        assert 1 <= error["retry_after_ms"] <= 1000


async def test_subscriptions_are_limited(platform: RunningPlatform, tenant: str, new_key: NewKey) -> None:
    key = new_key()
    platform.make_agent(tenant, "a", key)
    async with proven(platform.ws, tenant, "a", key) as a:
        for number in range(256):
            await a.send(type="subscribe", subject=f"s.{number}")
        for number in range(256):
            await a.expect("subscribed", subject=f"s.{number}")
        await a.send(type="subscribe", subject="one.more", id="m")
        await a.expect("error", code="too_many_subscriptions", id="m")
        await a.subscribe("s.0")


async def test_an_agent_has_eight_connections_and_not_nine(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    key = new_key()
    platform.make_agent(tenant, "a", key)
    sockets = []
    for _ in range(8):
        context = proven(platform.ws, tenant, "a", key)
        sockets.append((context, await context.__aenter__()))
    async with unproven(platform.ws, tenant, "a") as ninth:
        challenge = await ninth.expect("challenge")
        await ninth.send(type="auth", signature=ssh_keygen_sign(key, challenge["text"]))
        await ninth.expect("error", code="too_many_connections")
        assert await ninth.closed() == 4006
    # Each of the eight still is a connection of its own (bug: a second one stole the first).
    for context, socket in sockets:
        await socket.silence()
        await context.__aexit__(None, None, None)


async def test_a_challenge_from_rest_proves_in_the_url_once(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    key = new_key()
    platform.make_agent(tenant, "a", key)
    async with httpx.AsyncClient(base_url=f"{platform.url}/api/v1") as rest:
        answer = await rest.post("/agents/auth/challenge", json={"tenant_id": tenant, "agent_id": "a"})
        challenge = answer.json()["challenge"]
        signature = base64.b64encode(raw_signature(key, challenge.encode())).decode()
        url = agent_url(platform.ws, tenant, "a", challenge=challenge, signature=signature)
        async with connect(url) as connection:
            await Socket(connection).silence()
        with pytest.raises(InvalidStatus, match="401"):
            await connect(url)
        verify = {"tenant_id": tenant, "agent_id": "a", "challenge": challenge, "response": signature}
        assert (await rest.post("/agents/auth/verify", json=verify)).status_code == 401
        fresh = await rest.post("/auth/agent/challenge", json={"tenant_id": tenant, "agent_id": "a"})
        text = fresh.json()["challenge"]
        verify |= {"challenge": text, "response": ssh_keygen_sign(key, text)}
        assert (await rest.post("/auth/agent/verify", json=verify)).json()["valid"] is True
        assert (await rest.post("/auth/agent/verify", json=verify)).status_code == 401


async def test_nothing_about_a_refused_login_tells_why(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    key, other = new_key(), new_key()
    platform.make_agent(tenant, "a", key)

    async def refused(to_tenant: str, agent: str, signed_by: Path, **change: str) -> tuple[object, ...]:
        async with unproven(platform.ws, to_tenant, agent) as socket:
            challenge = await socket.expect("challenge")
            text = change.get("text") or challenge["text"]
            signature = change.get("signature") or ssh_keygen_sign(
                signed_by, text, change.get("namespace") or challenge["namespace"]
            )
            await socket.send(type="auth", signature=signature)
            error = await socket.receive()
            return (error, await socket.closed(), socket.connection.close_reason)

    answers = {
        repr(answer)
        for answer in [
            await refused(tenant, "a", other),
            await refused(tenant, "a", key, namespace="git"),
            await refused(tenant, "a", key, text="something else"),
            await refused(tenant, "a", key, signature="garbage"),
            await refused(tenant, "a", key, signature="x" * 9000),
            await refused(tenant, "nobody", key),
            await refused("nowhere", "a", key),
        ]
    }
    assert len(answers) == 1, answers
    assert "4500" in answers.pop()


async def test_without_a_proof_there_is_no_upgrade(platform: RunningPlatform, tenant: str) -> None:
    for url in (
        agent_url(platform.ws, tenant, "a"),
        agent_url(platform.ws, tenant, "a", challenge="x", signature="eA=="),
        agent_url(platform.ws, "no tenant", "a"),
        f"{platform.ws}/api/v1/ws/agent/a",
    ):
        with pytest.raises(InvalidStatus) as refusal:
            await connect(url)
        assert refusal.value.response.status_code == 401
        assert b'"unauthorized"' in refusal.value.response.body
    for path in ("/api/v1/ws/elsewhere", "/api/v1/api/v1/ws/agent/a"):
        with pytest.raises(InvalidStatus, match="404"):
            await connect(platform.ws + path)


async def test_a_first_frame_that_is_no_answer_ends_the_login(platform: RunningPlatform, tenant: str) -> None:
    async with unproven(platform.ws, tenant, "a") as socket:
        await socket.expect("challenge")
        await socket.send(type="subscribe", subject=">")
        await socket.expect("error", code="unauthorized")
        assert await socket.closed() == 4500


async def test_data_of_as_many_levels_as_there_may_be_reaches_whoever_wants_it_by_every_way(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    """An envelope around 982 levels could be written, acknowledged, and read by nobody behind the bus."""
    key = new_key()
    platform.make_agent(tenant, "a", key)
    async with (
        proven(platform.ws, tenant, "a", key) as publisher,
        proven(platform.ws, tenant, "a", key) as plain,
        proven(platform.ws, tenant, "a", key) as group,
    ):
        # By two patterns, so that copies are compared, and by the bus alone.
        await plain.subscribe("deep.*")
        await plain.subscribe("deep.>")
        await group.subscribe("deep.*", queue="workers")
        deepest = json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)
        await publisher.send(type="publish", subject="deep.x", data=deepest, id="1")
        await publisher.expect("ack", id="1")
        await plain.expect("message", subject="deep.x", data=deepest)
        await group.expect("message", subject="deep.x", data=deepest)
        for depth in (MAX_DEPTH + 1, 500, *range(976, 986)):
            data = "[" * depth + "]" * depth
            await publisher.connection.send(f'{{"type":"publish","subject":"deep.x","data":{data},"id":"2"}}')
            await publisher.expect("error", code="bad_frame")
        await plain.silence()
        await group.silence()


async def test_presence_is_told_to_who_wants_it(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    one, two = new_key(), new_key()
    platform.make_agent(tenant, "one", one)
    platform.make_agent(tenant, "two", two)
    async with (
        proven(platform.ws, tenant, "one", one) as a,
        proven(platform.ws, tenant, "two", two) as b,
    ):
        await a.subscribe("presence.*")
        await b.send(type="presence", status="busy", metadata={"job": 7})
        while (told := await a.expect("message"))["from"] == "sys":
            pass  # The platform tells that they came, when it gets round to it.
        assert (told["from"], told["subject"]) == ("two", "presence.two")
        assert told["data"] == {"agent_id": "two", "status": "busy", "metadata": {"job": 7}}


async def test_who_is_online_and_what_it_used_is_known(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    key = new_key()
    platform.make_agent(tenant, "a", key)
    with platform.rest(tenant) as rest:
        async with proven(platform.ws, tenant, "a", key) as a:
            for number in range(7):
                await a.send(type="publish", subject="tasks", data=number, id=f"{number}")
                await a.expect("ack", id=f"{number}")
            online = rest.get("/agents/a").json()["agent"]
            assert (online["status"], online["active_connections"]) == ("online", 1)
            used = rest.get("/agents/a/keys").json()["keys"][0]["last_used_at"]
            assert used is not None
        day = rest.get("/usage-metrics").json()["metrics"][-1]
        assert (day["messages_count"], day["bytes_count"], day["active_agents_count"]) == (7, 7, 1)
        async with asyncio.timeout(PATIENCE):
            while (agent := rest.get("/agents/a").json()["agent"])["status"] == "online":
                await asyncio.sleep(0.05)
        assert agent["last_seen"] >= used
