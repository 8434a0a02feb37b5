"""Servers that are killed or stand still while agents are connected to them: the others tell who is
offline."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from tests.kit.deadlines import PATIENCE
from tests.kit.platform import RunningPlatform
from tests.kit.sockets import Socket, proven
from tests.kit.two_servers import Installation, another_server, make_tenant

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def said(watcher: Socket) -> tuple[str, str]:
    """The next word of the platform about an agent."""
    message = await watcher.expect("message")
    assert message["from"] == "sys"
    return message["data"]["agent_id"], message["data"]["status"]


async def status(installation: Installation, server: RunningPlatform, tenant: str, agent: str) -> str:
    """What REST of this server says."""
    headers = {**installation.headers(), "x-tenant-id": tenant}
    async with httpx.AsyncClient(base_url=f"{server.url}/api/v1", headers=headers) as rest:
        answer = await rest.get(f"/agents/{agent}")
        return str(answer.json()["agent"]["status"])


async def becomes(
    installation: Installation, server: RunningPlatform, tenant: str, agent: str, wanted: str
) -> None:
    """Wait until REST of this server says so."""
    async with asyncio.timeout(PATIENCE):
        while await status(installation, server, tenant, agent) != wanted:
            await asyncio.sleep(0.05)


async def test_who_was_connected_to_a_server_that_is_killed_is_told_to_be_offline_once(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    keys = {name: new_keys(name) for name in ("watcher", "a", "b", "c")}
    await make_tenant(installation, "killed", **keys)
    async with AsyncExitStack() as stack:
        third = await stack.enter_async_context(another_server(installation))

        async def enter(server: RunningPlatform, agent: str) -> Socket:
            return await stack.enter_async_context(proven(server.ws, "killed", agent, keys[agent]))

        watcher = await enter(installation.one, "watcher")
        await becomes(installation, installation.two, "killed", "watcher", "online")
        await watcher.subscribe("presence.a")
        await watcher.subscribe("presence.b")
        await watcher.subscribe("presence.c")
        await enter(third, "a")
        assert await said(watcher) == ("a", "online")
        await enter(third, "b")
        assert await said(watcher) == ("b", "online")
        await enter(installation.two, "b")
        for server in (installation.one, installation.two):
            await becomes(installation, server, "killed", "a", "online")

        third.process.kill()

        assert await said(watcher) == ("a", "offline")
        for server in (installation.one, installation.two):
            await becomes(installation, server, "killed", "a", "offline")
            assert await status(installation, server, "killed", "b") == "online"
        # Whatever is told twice is told before the next one is.
        await enter(installation.two, "c")
        assert await said(watcher) == ("c", "online")


async def test_who_is_connected_to_a_server_that_stood_still_is_online_again(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    keys = {name: new_keys(name) for name in ("watcher", "a")}
    await make_tenant(installation, "stalled", **keys)
    async with (
        another_server(installation) as third,
        proven(installation.one.ws, "stalled", "watcher", keys["watcher"]) as watcher,
        proven(third.ws, "stalled", "a", keys["a"]) as a,
    ):
        await becomes(installation, installation.one, "stalled", "a", "online")
        await watcher.subscribe("presence.a")

        third.process.send_signal(signal.SIGSTOP)
        assert await said(watcher) == ("a", "offline")
        await becomes(installation, installation.two, "stalled", "a", "offline")

        third.process.send_signal(signal.SIGCONT)
        assert await said(watcher) == ("a", "online")
        for server in (installation.one, installation.two, third):
            await becomes(installation, server, "stalled", "a", "online")
        await a.subscribe("agents.a.>")
        await watcher.send(type="publish", subject="agents.a.hello", data=1)
        await a.expect("message", data=1)


async def test_all_servers_that_are_killed_leave_nobody_online_to_the_next_one(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    key = new_keys("a")
    await make_tenant(installation, "restarted", a=key)
    async with another_server(installation) as third, proven(third.ws, "restarted", "a", key):
        await becomes(installation, third, "restarted", "a", "online")
        third.process.kill()
        third.process.wait()
        async with another_server(installation) as next_one:
            await becomes(installation, next_one, "restarted", "a", "offline")
