"""A platform in memory, for the tests of programs that use the SDK.

    async with artcafe.testing.platform() as running:
        client = await running.connect("planner")
        worker = Agent(running.url, tenant=running.tenant, agent="worker", key=await running.key("worker"))

It is the server itself, at a free port of this machine, with everything that clients can do: requests, queue
groups, durable channels, policies, the REST API, dashboards. Bus and store are in this process's memory: no
nats-server runs, nothing outlives the block, and nothing is read from the environment. It needs the extra
`server`, and serves in the event loop of the test.

Its limits: one process; what durable channels store is bounded by the number of messages alone; nothing is on
a disk, so an acknowledgement costs nothing and promises nothing beyond the block.
"""

import asyncio
import contextlib
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Unpack

import uvicorn

from artcafe.client.client import Client
from artcafe.client.loop_thread import LoopThread
from artcafe.client.options import ClientOptions
from artcafe.client.rest import Json, Rest
from artcafe.server import app
from artcafe.server.bus.memory import MemoryBus
from artcafe.server.edge.connections import OpenConnections
from artcafe.server.edge.protocol import http_protocol
from artcafe.server.process import Place, new_id
from artcafe.server.serving import http_limits
from artcafe.server.settings import Settings

__all__ = ["MemoryPlatform", "platform", "platform_in_thread"]

_CONNECTIONS = 10_000


class MemoryPlatform:
    """A running platform with one tenant.

    `url` is where it answers, `tenant` the tenant's id. `rest` manages it as the tenant's owner: policies,
    channels and all else of docs/api.md.
    """

    def __init__(self, url: str, tenant: str, rest: Rest, folder: Path, stack: AsyncExitStack) -> None:
        self.url = url
        self.tenant = tenant
        self.rest = rest
        self._folder = folder
        self._stack = stack
        self._keys: dict[str, Path] = {}

    async def key(self, agent: str) -> Path:
        """The private key of this agent, which is made when it is first named."""
        found = self._keys.get(agent)
        if found is None:
            made = await self.rest.create_agent(name=agent, id=agent)
            found = self._keys[agent] = self._folder / f"{agent}.key"
            found.touch(mode=0o600)
            found.write_text(made["private_key"])
        return found

    async def connect(self, agent: str, **options: Unpack[ClientOptions]) -> Client:
        """A client of this agent, connected until the platform ends; the agent is made when first named.

        `options` are those of Client. Raises as Client.connect.
        """
        client = Client(self.url, tenant=self.tenant, agent=agent, key=await self.key(agent), **options)
        return await self._stack.enter_async_context(client)

    async def durable_channel(
        self, name: str, subject: str, *, max_messages: int = 10_000, **fields: Any
    ) -> Json:
        """Make a channel that keeps so many messages of these subjects; `fields` are those of docs/api.md."""
        durability = {"max_messages": max_messages}
        return await self.rest.create_channel(
            name=name, id=name, subject=subject, durability=durability, **fields
        )


@asynccontextmanager
async def platform(tenant: str = "test") -> AsyncIterator[MemoryPlatform]:
    """Run a platform in this event loop until the block ends: clients are closed, then it stops."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="artcafe-")))
        url = await stack.enter_async_context(_serving(folder))
        secret = (folder / "issuer" / "secret").read_text().strip()
        async with Rest(url) as stranger:
            token = (await stranger.local_token(secret))["access_token"]
        rest = await stack.enter_async_context(Rest(url, token, tenant=tenant))
        await rest.create_tenant(name=tenant, id=tenant)
        clients = await stack.enter_async_context(AsyncExitStack())
        yield MemoryPlatform(url, tenant, rest, folder, clients)


@contextmanager
def platform_in_thread(tenant: str = "test") -> Iterator[tuple[MemoryPlatform, LoopThread]]:
    """Run a platform in a thread of its own, for tests that block, such as those of SyncClient.

    Its coroutines are run by the LoopThread: `key = thread.run(running.key("planner"))`.
    """
    thread = LoopThread("artcafe-platform")
    try:
        block = platform(tenant)
        running = thread.run(block.__aenter__())
        try:
            yield running, thread
        finally:
            thread.run(block.__aexit__(None, None, None))
    finally:
        thread.close()


@asynccontextmanager
async def _serving(folder: Path) -> AsyncIterator[str]:
    """The server at a free port; its address."""
    ready, ending = asyncio.get_running_loop().create_future(), asyncio.Event()
    # The groups of the server would put what the block raises into groups: so it has a task of its own.
    serving = asyncio.create_task(_serve(folder, ready, ending))  # noqa: TID251
    try:
        await asyncio.wait([serving, ready], return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            yield ready.result()
    finally:
        ending.set()
        await serving


async def _serve(folder: Path, ready: "asyncio.Future[str]", ending: asyncio.Event) -> None:
    given: dict[str, Any] = {
        "ARTCAFE_DATA_DIR": folder,
        "ARTCAFE_DEFAULT_TIER": "enterprise",
        "ARTCAFE_MAX_PENDING_LOGINS_PER_ADDRESS": _CONNECTIONS,
        "ARTCAFE_MAX_PENDING_LOGINS": _CONNECTIONS,
    }
    settings = _Given(**given)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = Place("127.0.0.1", listener.getsockname()[1])
        opening = app.platform(
            settings,
            place=place,
            nats_url="",
            seed=secrets.token_bytes(32),
            embedded=True,
            name=new_id(),
            memory=MemoryBus(),
        )
        async with opening as opened, asyncio.TaskGroup() as tasks:
            server = _Server(settings, opened)
            tasks.create_task(server.serve(sockets=[listener]))
            ready.set_result(place.url)
            await ending.wait()
            await opened.gateway.stop(0.0)
            server.should_exit = True


class _Given(Settings):
    """Settings of which nothing is read from the environment."""

    @classmethod
    def settings_customise_sources(cls, settings_cls: Any, init_settings: Any, *_: Any, **_more: Any) -> Any:
        return (init_settings,)


class _Server(uvicorn.Server):
    """uvicorn as the platform has it, but for what concerns the whole process."""

    def __init__(self, settings: Settings, opened: app.Platform) -> None:
        super().__init__(
            uvicorn.Config(
                opened.app,
                ws=opened.websocket,
                http=http_protocol(http_limits(settings), ()),
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            )
        )
        self.server_state.connections = OpenConnections(_CONNECTIONS, _CONNECTIONS)  # type: ignore[assignment]  # as serving.py

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the test's."""
        yield
