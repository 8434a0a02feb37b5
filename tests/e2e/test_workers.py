"""Several processes on one port, seen from outside: they are one platform, and take each other's place."""

import asyncio
import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from artcafe import Client
from artcafe.client.subscription import Subscription
from tests.kit.deadlines import eventually
from tests.kit.http_corpus import WEBSOCKET, request
from tests.kit.platform import RunningPlatform, artcafe, environment, running_platform
from tests.kit.processes import alive, descendants

NewKey = Callable[[], Path]
SECONDS = 20.0
AGENTS, EACH = 6, 4
"""So many connections that both workers have some: the kernel shares them out by their addresses."""

UPGRADE = request(
    *WEBSOCKET.rstrip().split(b"\r\n"),
    b"Sec-WebSocket-Protocol: artcafe.v1",
    target=b"/api/v1/ws/agent/a0?tenant_id=acme",
)
"""Of an agent that logs in in band."""


def workers(platform: RunningPlatform) -> set[int]:
    """The processes that serve."""
    return descendants(platform.process.pid, "artcafe.server.worker")


class Crowd:
    """Clients that all listen to the same subject."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.heard: list[list[int]] = []

    async def listen(self, subscription: Subscription) -> None:
        """Keep what comes."""
        heard: list[int] = []
        self.heard.append(heard)
        async for message in subscription:
            heard.append(message.data)  # noqa: PERF401 - it is looked at meanwhile

    async def say(self, number: int) -> None:
        """One of them says it, and all of them hear it."""
        await self.clients[number % len(self.clients)].publish("news", number)
        await eventually(lambda: all(number in heard for heard in self.heard), f"{number}", SECONDS)

    async def back(self, reconnects: int) -> None:
        """Wait until so many have come back, and all are there."""
        await eventually(
            lambda: (
                sum(client.reconnects for client in self.clients) >= reconnects
                and all(client.connected for client in self.clients)
            ),
            f"{reconnects} come back",
            SECONDS,
        )


@asynccontextmanager
async def a_crowd(platform: RunningPlatform, new_key: NewKey) -> AsyncIterator[Crowd]:
    crowd = Crowd()
    platform.make_tenant("acme")
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        listening = []
        for number in range(AGENTS):
            key = new_key()
            platform.make_agent("acme", f"a{number}", key)
            for _ in range(EACH):
                client = Client(platform.ws, tenant="acme", agent=f"a{number}", key=key)
                crowd.clients.append(await stack.enter_async_context(client))
                subscription = await client.subscribe("news")
                listening.append(tasks.create_task(crowd.listen(subscription)))
        yield crowd
        for task in listening:
            task.cancel()


@asynccontextmanager
async def newcomers(platform: RunningPlatform) -> AsyncIterator[Counter[bytes]]:
    """Clients that ask for a WebSocket or for /readyz on new connections, and the status lines they get."""
    port = urlsplit(platform.url).port
    answers: Counter[bytes] = Counter()
    requests = [UPGRADE, request(b"Connection: close", target=b"/readyz")]
    over = False

    async def come() -> None:
        for wanted in cycle(requests):
            if over:
                break
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(wanted)
            async with asyncio.timeout(SECONDS):
                answers[await reader.readline()] += 1
            writer.transport.abort()
            await asyncio.sleep(0.02)  # Others want the processor, too.

    async with asyncio.TaskGroup() as tasks:
        coming = [tasks.create_task(come()) for _ in range(2)]
        yield answers
        over = True
        await asyncio.wait(coming)


async def test_workers_are_one_platform_and_take_each_others_place(tmp_path: Path, new_key: NewKey) -> None:
    with running_platform(tmp_path / "data", "--workers", "2") as platform:
        first = workers(platform)
        assert len(first) == 2
        async with a_crowd(platform, new_key) as crowd:
            await crowd.say(1)
            with platform.rest("acme") as rest:
                online = {agent["id"]: agent["status"] for agent in rest.get("/agents").json()["agents"]}
            assert online == {f"a{number}": "online" for number in range(AGENTS)}

            # A hangup of the whole group is for the one that started them.
            for pid in first:
                os.kill(pid, signal.SIGHUP)
            await crowd.say(4)
            assert (workers(platform), sum(client.reconnects for client in crowd.clients)) == (first, 0)

            # One is killed: its clients come back, the others notice nothing.
            os.kill(min(first), signal.SIGKILL)
            await crowd.back(1)
            moved = sum(client.reconnects for client in crowd.clients)
            assert 0 < moved < len(crowd.clients), "both served somebody"
            assert all(client.reconnects <= 1 for client in crowd.clients)
            await crowd.say(2)
            await eventually(lambda: len(workers(platform)) == 2, "the next worker", SECONDS)

            # Both are renewed, one after the other; whoever connects meanwhile is served.
            second = workers(platform)
            async with newcomers(platform) as answers:
                platform.process.send_signal(signal.SIGHUP)
                await eventually(lambda: not workers(platform) & second, "new workers", SECONDS)
            assert set(answers) == {b"HTTP/1.1 101 Switching Protocols\r\n", b"HTTP/1.1 200 OK\r\n"}
            await crowd.back(moved + len(crowd.clients))
            await crowd.say(3)
            assert all(sorted(heard) == [1, 2, 3, 4] for heard in crowd.heard), "each once"

        last = workers(platform) | descendants(platform.process.pid, "nats-server")
        assert platform.stop() == 0
        assert not [pid for pid in last if alive(pid)]
    assert "Traceback" not in platform.log.read_text()


def test_workers_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    with running_platform(tmp_path / "data", "--workers", "2") as platform:
        all_of_them = workers(platform)
        platform.process.kill()
        platform.process.wait()
        asyncio.run(eventually(lambda: not any(alive(pid) for pid in all_of_them), "their end", SECONDS))


async def test_workers_that_do_not_come_up_are_told(tmp_path: Path) -> None:
    (tmp_path / "issuer").write_text("in the way of the issuer's keys")
    process = await asyncio.create_subprocess_exec(
        *artcafe("up", "--port", "0", "--data-dir", str(tmp_path), "--workers", "2"),
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    async with asyncio.timeout(SECONDS):
        _, said = await process.communicate()
    assert process.returncode == 1
    lines = said.decode().splitlines()
    assert lines[-1] == "Error: A worker did not come up; what it logged says why."
    assert any("issuer" in line for line in lines)


@pytest.mark.parametrize("workers_wanted", ["0", "65", "two"])
def test_a_number_of_workers_that_makes_no_sense(workers_wanted: str) -> None:
    refused = subprocess.run(
        artcafe("up", "--workers", workers_wanted),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        env=environment(),
    )
    assert refused.returncode == 2
    assert "--workers" in refused.stderr
