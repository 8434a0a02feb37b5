"""Inboxes of two servers: what is stored for an agent waits, is delivered once, and outlives a server that is
killed."""

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from artcafe.client.client import Client
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import PATIENCE
from tests.kit.platform import RunningPlatform, artcafe, environment
from tests.kit.sockets import Socket, proven
from tests.kit.two_servers import Installation, another_server, make_tenant

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def store(sender: Socket, *data: Any, **more: Any) -> None:
    """Store each for the agent w1."""
    for each in data:
        frame = {"type": "publish", "subject": "agents.w1.tasks", "store": True, **more}
        await sender.send(**frame, data=each, id=f"p{each}")
        await sender.expect("ack", id=f"p{each}")


async def opened(agent: Socket) -> int:
    """Open the inbox; how many wait."""
    await agent.send(type="inbox", id="o")
    waiting: int = (await agent.expect("inbox_opened", id="o"))["waiting"]
    return waiting


async def acknowledge(agent: Socket, message: dict[str, Any]) -> None:
    """Acknowledge a message, and wait until it is removed."""
    await agent.send(type="ack", delivery=message["delivery"], id="a")
    await agent.expect("settled", id="a")


async def test_what_is_stored_on_one_server_is_delivered_on_the_other(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    boss, w1 = new_keys("boss"), new_keys("w1")
    await make_tenant(installation, "post", boss=boss, w1=w1)
    async with proven(installation.one.ws, "post", "boss", boss) as sender:
        await store(sender, "low", priority=2)
        await store(sender, "a", "b", receipt=True)
        await sender.subscribe("agents.boss.receipts")
        async with proven(installation.two.ws, "post", "w1", w1) as agent:
            assert await opened(agent) == 3
            got = [await agent.expect("message") for _ in range(3)]
            assert [(each["data"], each["from"], each["waiting"]) for each in got] == [
                ("a", "boss", 2),
                ("b", "boss", 1),
                ("low", "boss", 0),
            ]
            await store(sender, "live")
            live = await agent.expect("message", data="live")
            for each in (live, *got[:2]):
                await acknowledge(agent, each)
            receipts = [await sender.expect("message", subject="agents.boss.receipts") for _ in range(2)]
            assert {each["data"]["message_id"] for each in receipts} == {each["id"] for each in got[:2]}
            assert {each["from"] for each in receipts} == {"sys"}
            async with proven(installation.one.ws, "post", "w1", w1) as other:
                assert await opened(other) == 1
                assert (await other.expect("message"))["data"] == "low"
                assert (await agent.expect("inbox_closed"))["reason"] == "taken_over"


async def test_other_agents_and_tenants_have_inboxes_of_their_own(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    keys = {name: new_keys(name) for name in ("boss", "w1", "w2")}
    await make_tenant(installation, "mine", **keys)
    await make_tenant(installation, "other", **keys)
    async with proven(installation.one.ws, "mine", "boss", keys["boss"]) as sender:
        await store(sender, "a")
    for tenant, agent, waiting in (("other", "w1", 0), ("mine", "w2", 0), ("mine", "w1", 1)):
        async with proven(installation.one.ws, tenant, agent, keys[agent]) as socket:
            assert await opened(socket) == waiting


async def test_the_sdk_stores_and_reads(installation: Installation, new_keys: Callable[[str], Path]) -> None:
    boss, w1 = new_keys("boss"), new_keys("w1")
    await make_tenant(installation, "sdk", boss=boss, w1=w1)

    def client(agent: str, key: Path, server: RunningPlatform) -> Client:
        return Client(server.ws, tenant="sdk", agent=agent, key=key, timeout=PATIENCE)

    async with client("boss", boss, installation.one) as sender, client("w1", w1, installation.two) as agent:
        receipts = await sender.subscribe("agents.boss.receipts")
        await sender.publish("agents.w1.a", "later", store=True, priority=2)
        message_id = await sender.publish("agents.w1.a", "now", store=True, receipt=True, expires_in=60)
        with pytest.raises(ArtcafeError, match="no such agent"):
            await sender.publish("agents.w2.a", 1, store=True)
        with pytest.raises(ArtcafeError, match="nobody's"):
            await sender.publish("tasks.new", 1, store=True)
        for wrong in ({"priority": 1}, {"store": True, "priority": 7}, {"store": True, "expires_in": 1e9}):
            with pytest.raises(ArtcafeError) as refused:
                await sender.publish("agents.w1.a", 1, **wrong)
            assert refused.value.code is Code.validation_failed
        live = await agent.subscribe("agents.w1.>")
        async with agent.inbox(max_in_flight=1) as inbox:
            assert inbox.waiting + inbox.pending == 2
            first = await anext(inbox)
            assert (first.data, first.sender, first.subject, inbox.waiting) == (
                "now",
                "boss",
                "agents.w1.a",
                1,
            )
            await first.ack(confirm=True)
            assert (await anext(receipts)).data["message_id"] == message_id
            second = await anext(inbox)
            await second.nak(confirm=True)
            again = await anext(inbox)
            assert (again.data, again.redelivered) == ("later", 1)
            with pytest.raises(ArtcafeError, match="once"):
                await agent.inbox()
            async with client("w1", w1, installation.one) as other, other.inbox() as taken:
                assert (await anext(taken)).data == "later"
                with pytest.raises(ArtcafeError, match="Another connection"):
                    await anext(inbox)
        async with agent.inbox() as inbox:
            await (await anext(inbox)).term("torn")
        assert live.pending == 0


async def test_the_command_line_stores_and_prints(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    boss, w1 = new_keys("boss"), new_keys("w1")
    await make_tenant(installation, "shell", boss=boss, w1=w1)
    url = installation.one.url

    async def run(*words: str) -> tuple[str, str]:
        program = await asyncio.create_subprocess_exec(
            *artcafe(*words, "--url", url, "-t", "shell"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(),
        )
        out, err = await asyncio.wait_for(program.communicate(), PATIENCE)
        assert program.returncode == 0, err
        return out.decode(), err.decode()

    send = ("-a", "boss", "-k", str(boss))
    for n in (1, 2):
        await run("pub", "agents.w1.do", f'{{"n": {n}}}', *send, "--store", "--priority", "0")
    read = ("inbox", "-a", "w1", "-k", str(w1))
    kept, _ = await run(*read, "--keep")
    lines, _ = await run(*read, "--json")
    assert len(kept.splitlines()) == 2
    assert [json.loads(line)["data"] for line in lines.splitlines()] == [{"n": 1}, {"n": 2}]
    assert await run(*read) == ("", "Nothing waits.\n")


async def test_the_inbox_of_an_agent_that_is_deleted_is_emptied(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    boss, w1 = new_keys("boss"), new_keys("w1")
    await make_tenant(installation, "gone", boss=boss, w1=w1)
    async with proven(installation.one.ws, "gone", "boss", boss) as sender:
        await store(sender, "a")
    headers = {**installation.headers(), "x-tenant-id": "gone"}
    async with httpx.AsyncClient(base_url=f"{installation.one.url}/api/v1", headers=headers) as rest:
        assert (await rest.delete("/agents/w1")).status_code in {200, 204}
        again = {"id": "w1", "name": "w1", "public_key": Path(f"{w1}.pub").read_text()}
        assert (await rest.post("/agents", json=again)).status_code == 201
    async with proven(installation.one.ws, "gone", "w1", w1) as agent:
        assert await opened(agent) == 0


async def test_a_server_that_is_killed_loses_nothing_and_repeats_only_what_was_not_acknowledged(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    boss, w1 = new_keys("boss"), new_keys("w1")
    await make_tenant(installation, "crashed", boss=boss, w1=w1)
    async with proven(installation.one.ws, "crashed", "boss", boss) as sender:
        await store(sender, *range(1, 11))
    async with (
        another_server(installation) as third,
        proven(third.ws, "crashed", "w1", w1) as agent,
    ):
        assert await opened(agent) == 10
        got = [await agent.expect("message") for _ in range(10)]
        assert [each["data"] for each in got] == list(range(1, 11))
        for each in got[:6]:
            await acknowledge(agent, each)
        third.stop(signal.SIGKILL)
    async with proven(installation.one.ws, "crashed", "w1", w1) as agent:
        assert await opened(agent) == 4
        got = [await agent.expect("message") for _ in range(4)]
        assert [each["data"] for each in got] == [7, 8, 9, 10]
        await agent.silence()
