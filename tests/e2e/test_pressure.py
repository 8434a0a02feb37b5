"""Slow readers, silent peers and crowds at the door: bounded, and nobody else is harmed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.kit.deadlines import PATIENCE
from tests.kit.platform import RunningPlatform, running_platform
from tests.kit.sockets import PROTOCOL, agent_url, proven
from tests.kit.ssh_keys import KeyRing

NewKey = Callable[[], Path]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """A platform with small limits."""
    limits = {
        "ARTCAFE_HEARTBEAT_SECONDS": "1",
        "ARTCAFE_MAX_QUEUED_BYTES": "262144",
        "ARTCAFE_MAX_PENDING_LOGINS_PER_ADDRESS": "5",
    }
    with running_platform(tmp_path_factory.mktemp("small") / "data", settings=limits) as running:
        running.make_tenant("acme")
        yield running


@pytest.fixture(scope="module")
def agents(small: RunningPlatform, keys: KeyRing) -> tuple[Path, Path]:
    """The keys of the agents `a` and `b`."""
    one, two = keys.path("ed25519"), keys.path("ecdsa-256")
    small.make_agent("acme", "a", one)
    small.make_agent("acme", "b", two)
    return one, two


async def test_a_reader_that_stops_is_closed_and_others_get_everything(
    small: RunningPlatform, agents: tuple[Path, Path]
) -> None:
    a, b = agents
    async with (
        proven(small.ws, "acme", "a", a) as publisher,
        proven(small.ws, "acme", "b", b) as reader,
        proven(small.ws, "acme", "b", b) as sleeper,
    ):
        await reader.subscribe("flood")
        await sleeper.subscribe("flood")
        # Nothing is read any more; far more is sent than kernels and libraries hide (16 MB).
        sleeper.connection.transport.pause_reading()
        for number in range(64):
            await publisher.send(type="publish", subject="flood", data="x" * 262_144, id=f"{number}")
            await publisher.expect("ack", id=f"{number}")
            frame = await reader.expect("message", subject="flood")
            assert len(frame["data"]) == 262_144
        sleeper.connection.transport.resume_reading()
        code = await sleeper.closed()
        # 4002, or 1006 where the socket was cut before the client came to read the reason.
        assert code in {4002, 1006}
        await reader.silence()
        log = small.log.read_text()
        assert "Traceback" not in log


async def test_a_peer_that_is_silent_for_two_heartbeats_is_closed(
    small: RunningPlatform, agents: tuple[Path, Path]
) -> None:
    a, b = agents
    async with (
        proven(small.ws, "acme", "a", a) as dead,
        proven(small.ws, "acme", "b", b) as alive,
    ):
        dead.connection.transport.pause_reading()
        with small.rest("acme") as rest:
            async with asyncio.timeout(PATIENCE):
                # In a thread: the other one has to answer pings meanwhile.
                while (await asyncio.to_thread(rest.get, "/agents/a")).json()["agent"]["active_connections"]:
                    await asyncio.sleep(0.1)
        # Whoever answers pings is left alone, however long it says nothing.
        await alive.silence()
        dead.connection.transport.resume_reading()
        assert await dead.closed() in {4003, 1006}


async def test_connections_that_do_not_log_in_are_few_per_address(
    small: RunningPlatform, agents: tuple[Path, Path]
) -> None:
    async with AsyncExitStack() as stack:
        async for _ in _crowd(small, stack, 5):
            pass
        with pytest.raises(InvalidStatus) as refused:
            await connect(agent_url(small.ws, "acme", "a"), subprotocols=[PROTOCOL])
        assert refused.value.response.status_code == 429
        assert b"too_many_connections" in refused.value.response.body
    # They left, so there is room again.
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                async with proven(small.ws, "acme", "a", agents[0]) as a:
                    await a.silence()
                    return
            except InvalidStatus:
                await asyncio.sleep(0.05)


async def _crowd(
    platform: RunningPlatform, stack: AsyncExitStack, size: int
) -> AsyncIterator[ClientConnection]:
    for _ in range(size):
        yield await stack.enter_async_context(
            connect(agent_url(platform.ws, "acme", "a"), subprotocols=[PROTOCOL])
        )
