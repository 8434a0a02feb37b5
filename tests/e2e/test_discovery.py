"""Agents ask who is online, by the SDK and the command line, while servers come and go."""

import asyncio
import json
import subprocess
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, AsyncExitStack, aclosing
from pathlib import Path

import httpx
import pytest

from artcafe import AgentChange, AgentEvent, ArtcafeError, Client, Code
from tests.kit.deadlines import PATIENCE
from tests.kit.nginx import free_port
from tests.kit.platform import RunningPlatform, artcafe, environment, running_platform
from tests.kit.sockets import Socket, proven
from tests.kit.two_servers import Installation, another_server, make_tenant

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def can(installation: Installation, tenant: str, agent: str, *capabilities: str) -> None:
    """Give an agent capabilities."""
    headers = {**installation.headers(), "x-tenant-id": tenant}
    async with httpx.AsyncClient(base_url=f"{installation.one.url}/api/v1", headers=headers) as rest:
        answer = await rest.put(f"/agents/{agent}", json={"capabilities": list(capabilities)})
        assert answer.is_success, answer.text


async def told(events: AsyncGenerator[AgentEvent]) -> tuple[AgentChange, str]:
    """The next change."""
    async with asyncio.timeout(PATIENCE):
        event = await anext(events)
    return event.change, event.agent.id


async def test_agents_of_a_server_that_is_killed_leave_the_answer(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    keys = {name: new_keys(name) for name in ("asking", "a", "b")}
    await make_tenant(installation, "who", **keys)
    await can(installation, "who", "a", "draw")
    await can(installation, "who", "b", "draw", "write")
    async with AsyncExitStack() as stack:
        third = await stack.enter_async_context(another_server(installation))

        async def enter(server: RunningPlatform, agent: str) -> Socket:
            return await stack.enter_async_context(proven(server.ws, "who", agent, keys[agent]))

        client = Client(installation.one.ws, tenant="who", agent="asking", key=keys["asking"])
        await stack.enter_async_context(client)
        events = await stack.enter_async_context(aclosing(client.watch_agents("draw")))
        waiting = asyncio.ensure_future(told(events))
        await enter(third, "a")
        assert await waiting == (AgentChange.joined, "a")
        b = await enter(installation.two, "b")
        assert await told(events) == (AgentChange.joined, "b")
        await b.send(type="presence", status="busy", metadata={"jobs": 2})
        assert await told(events) == (AgentChange.changed, "b")

        assert [agent.id for agent in await client.who("draw")] == ["a", "b"]
        [agent] = await client.who(["draw", "write"], status="busy")
        assert (agent.id, agent.metadata) == ("b", {"jobs": 2})
        assert agent.since is not None

        third.process.kill()

        assert await told(events) == (AgentChange.left, "a")
        assert [agent.id for agent in await client.who("draw")] == ["b"]
        await can(installation, "who", "b", "write")
        assert await told(events) == (AgentChange.left, "b")


async def test_after_a_reconnect_it_goes_on_with_what_is_another(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    keys = {name: new_keys(name) for name in ("asking", "a", "b", "c")}
    await make_tenant(installation, "again", **keys)
    port = str(free_port())

    def server() -> AbstractContextManager[RunningPlatform]:
        """One more, always at the same address."""
        return running_platform(
            installation.one.data_dir, "--port", port, command="serve", settings=installation.settings
        )

    async with AsyncExitStack() as stack:
        third: RunningPlatform = await asyncio.to_thread(stack.enter_context, server())
        client = await stack.enter_async_context(
            Client(third.ws, tenant="again", agent="asking", key=keys["asking"])
        )
        await stack.enter_async_context(proven(installation.two.ws, "again", "a", keys["a"]))
        async with proven(installation.two.ws, "again", "b", keys["b"]):
            events = await stack.enter_async_context(aclosing(client.watch_agents()))
            joined = {await told(events) for _ in range(3)}
            assert joined == {(AgentChange.joined, name) for name in ("asking", "a", "b")}
            third.process.kill()
            third.process.wait()
        await stack.enter_async_context(proven(installation.two.ws, "again", "c", keys["c"]))
        await asyncio.to_thread(stack.enter_context, server())

        changes: set[tuple[AgentChange, str]] = set()
        while not changes >= {(AgentChange.left, "b"), (AgentChange.joined, "c")}:
            changes.add(await told(events))
        assert not {name for _, name in changes} & {"a"}


async def test_a_loop_ends_with_its_client_and_more_than_eight_are_refused(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    key = new_keys("a")
    await make_tenant(installation, "ends", a=key)
    async with AsyncExitStack() as stack:
        client = Client(installation.one.ws, tenant="ends", agent="a", key=key)
        await stack.enter_async_context(client)
        loops = []
        for _ in range(8):
            loops.append(await stack.enter_async_context(aclosing(client.watch_agents())))
            assert await told(loops[-1]) == (AgentChange.joined, "a")
        async with aclosing(client.watch_agents()) as more:
            with pytest.raises(ArtcafeError) as refused:
                await told(more)
            assert refused.value.code is Code.too_many_subscriptions
        await loops.pop().aclose()
        async with aclosing(client.watch_agents()) as more:
            assert await told(more) == (AgentChange.joined, "a")
        await client.close()
        with pytest.raises(StopAsyncIteration):
            await told(loops[0])


async def test_the_command_line_prints_them(
    installation: Installation, new_keys: Callable[[str], Path]
) -> None:
    keys = {name: new_keys(name) for name in ("asking", "a")}
    await make_tenant(installation, "shown", **keys)
    await can(installation, "shown", "a", "draw")

    def shown(*words: str) -> str:
        login = ("-t", "shown", "-a", "asking", "-k", str(keys["asking"]))
        done = subprocess.run(
            artcafe("who", *words, *login, "--url", installation.one.url),
            capture_output=True,
            text=True,
            env=environment(),
            timeout=60,
            check=True,
        )
        return done.stdout

    async with proven(installation.two.ws, "shown", "a", keys["a"]) as a:
        await a.send(type="presence", status="busy", metadata={"jobs": 2})
        await a.send(type="ping")
        await a.expect("pong")
        async with proven(installation.two.ws, "shown", "asking", keys["asking"]) as other:
            # Whoever is told to be online is in every answer from then on.
            await other.subscribe("presence.*")
            line = ""
            async with asyncio.timeout(PATIENCE):
                while not line:
                    line = await asyncio.to_thread(shown, "--capability", "draw")
        since, name, status, capabilities, metadata = line.strip().split("  ")
        assert (name, status, capabilities, json.loads(metadata)) == ("a", "busy", "draw", {"jobs": 2})
        told_of = json.loads(
            await asyncio.to_thread(shown, "--capability", "draw", "--status", "busy", "--json")
        )
        assert told_of == {
            "id": "a", "capabilities": ["draw"], "since": since, "status": "busy", "metadata": {"jobs": 2}
        }  # fmt: skip
        assert await asyncio.to_thread(shown, "--capability", "write") == ""
