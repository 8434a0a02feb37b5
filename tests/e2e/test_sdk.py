"""The SDK against the platform: what its users write, and what happens to it."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from artcafe import ArtcafeError, Client, Code, KeyFile, SshAgent, Subscription
from tests.kit.deadlines import PATIENCE
from tests.kit.platform import RunningPlatform, running_platform
from tests.kit.ssh_agent import add_key, running_ssh_agent
from tests.kit.ssh_keys import KeyRing

NewKey = Callable[[], Path]


async def test_ask_and_answer(platform: RunningPlatform, tenant: str, new_key: NewKey) -> None:
    asker, helper = new_key(), new_key()
    platform.make_agent(tenant, "asker", asker)
    platform.make_agent(tenant, "helper", helper)
    async with (
        Client(platform.url, tenant=tenant, agent="asker", key=asker) as a,
        Client(platform.ws, tenant=tenant, agent="helper", key=KeyFile(helper)) as h,
        await h.subscribe("agents.helper.>") as questions,
        await a.subscribe("inbox.asker.*") as answers,
    ):
        message_id = await a.publish("agents.helper.ask", {"q": 1}, reply_to="inbox.asker.1")
        question = await anext(questions)
        assert (question.id, question.sender, question.data) == (message_id, "asker", {"q": 1})
        await question.respond({"a": 2})
        answer = await anext(answers)
        assert (answer.sender, answer.data) == ("helper", {"a": 2})


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa-256", "rsa-2048"])
async def test_keys_from_files_and_from_ssh_agent(
    platform: RunningPlatform, tenant: str, keys: KeyRing, kind: str, tmp_path: Path
) -> None:
    key = keys.path(kind)
    platform.make_agent(tenant, "a", key)
    with running_ssh_agent(tmp_path / "agent") as socket:
        add_key(socket, key)
        for signer in (KeyFile(key), SshAgent(socket)):
            async with Client(platform.ws, tenant=tenant, agent="a", key=signer) as client:
                assert client.connected


async def test_a_key_made_by_the_service(platform: RunningPlatform, tenant: str, tmp_path: Path) -> None:
    with platform.rest(tenant) as rest:
        made = rest.post("/agents", json={"name": "Trip Planner"}).json()
        assert made["agent"]["id"] == "trip-planner"
        assert "private_key" not in rest.get("/agents/trip-planner").text.replace('"private_key":null', "")
    pem = tmp_path / "key.pem"
    pem.write_text(made["private_key"])
    assert pem.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    async with Client(platform.ws, tenant=tenant, agent="trip-planner", key=pem) as client:
        await client.publish("hello", None)


async def test_refusals_are_errors_of_the_table(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    key, other = new_key(), new_key()
    platform.make_agent(tenant, "a", key)
    with pytest.raises(ArtcafeError) as refused:
        async with Client(platform.ws, tenant=tenant, agent="a", key=other):
            pass
    assert refused.value.code is Code.unauthorized
    async with Client(platform.ws, tenant=tenant, agent="a", key=key) as client:
        with pytest.raises(ArtcafeError) as refused:
            await client.publish("sys.x", 1)
        assert refused.value.code is Code.forbidden
        with pytest.raises(ArtcafeError) as refused:
            await client.subscribe("agents.b.>")
        assert refused.value.code is Code.forbidden


async def test_a_revoked_key_stops_the_client_for_good(
    platform: RunningPlatform, tenant: str, new_key: NewKey
) -> None:
    key = new_key()
    platform.make_agent(tenant, "a", key)
    async with (
        Client(platform.ws, tenant=tenant, agent="a", key=key) as client,
        await client.subscribe("x") as messages,
    ):
        with platform.rest(tenant) as rest:
            [known] = rest.get("/agents/a/keys").json()["keys"]
            await asyncio.to_thread(rest.put, f"/agents/a/keys/{known['id']}", json={"status": "revoked"})
        with pytest.raises(ArtcafeError) as ended:
            await anext(messages)
        assert ended.value.code is Code.key_revoked


@pytest.mark.parametrize("queue", [None, "workers"])
async def test_a_subscription_that_a_change_of_rights_ended_raises_and_a_new_one_hears(
    platform: RunningPlatform, tenant: str, new_key: NewKey, queue: str | None
) -> None:
    key = new_key()
    platform.make_agent(tenant, "a", key)
    errors: list[ArtcafeError] = []
    async with (
        asyncio.timeout(PATIENCE),
        Client(platform.ws, tenant=tenant, agent="a", key=key, on_error=errors.append) as client,
        await client.subscribe("open") as others,
    ):
        secrets = await client.subscribe("secret.x", queue=queue)
        looping = asyncio.ensure_future(anext(secrets))
        with platform.rest(tenant) as rest:
            denied = {"policy": {"subscribe": {"deny": ["secret.>"]}}}
            assert rest.put("/agents/a", json=denied).status_code == 200
            with pytest.raises(ArtcafeError) as ended:
                await looping
            assert ended.value.code is Code.forbidden
            named = {"subject": "secret.x"} if queue is None else {"subject": "secret.x", "queue": queue}
            assert ended.value.details == named
            with pytest.raises(ArtcafeError) as refused:
                await client.subscribe("secret.x", queue=queue)
            assert refused.value.code is Code.forbidden
            assert rest.put("/agents/a", json={"policy": {}}).status_code == 200
        again = await _subscribed(client, "secret.x", queue)
        await client.publish("secret.x", 1)
        await client.publish("open", 2)
        assert (await anext(again)).data == 1
        assert (await anext(others)).data == 2
        with pytest.raises(ArtcafeError) as still:
            await anext(secrets)
        assert still.value.details == named
        assert (client.reconnects, errors) == (0, [])


async def _subscribed(client: Client, subject: str, queue: str | None) -> Subscription:
    """Subscribe as soon as the right is felt."""
    while True:
        try:
            return await client.subscribe(subject, queue=queue)
        except ArtcafeError as refused:
            if refused.code is not Code.forbidden:
                raise


async def test_a_restart_of_the_platform_is_survived(tmp_path: Path, keys: KeyRing) -> None:
    key = keys.path()
    with running_platform(tmp_path / "data") as platform:
        platform.make_tenant("acme")
        platform.make_agent("acme", "a", key)
        port = platform.url.rpartition(":")[2]
        assert platform.stop() == 0
    # The second one listens where the first one did; the agent was made for good.
    with running_platform(tmp_path / "data", "--port", port) as platform:
        client = Client(platform.ws, tenant="acme", agent="a", key=key)
        async with client, await client.subscribe("x") as messages:
            await asyncio.to_thread(platform.stop, signal.SIGTERM)
            with running_platform(tmp_path / "data", "--port", port):
                async with asyncio.timeout(PATIENCE):
                    while client.reconnects == 0:
                        await asyncio.sleep(0.05)
                await client.publish("x", "again")
                message = await anext(messages)
                assert (message.data, message.after_gap) == ("again", True)
    assert not (tmp_path / "data" / "run.json").exists()
