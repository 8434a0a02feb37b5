"""Real servers for tests: uvicorn with a REST application and WebSockets on one random port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from artcafe.server.edge.connections import OpenConnections
from artcafe.server.edge.limits import HttpLimits
from artcafe.server.edge.protocol import http_protocol
from artcafe.server.gateway.websocket.handshake import Networks
from artcafe.server.gateway.websocket.mount import Endpoint, SocketLimits, websocket_protocol
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from tests.kit.deadlines import eventually


@dataclass
class Server:
    """A running server; `core.server_state.connections` are its open connections."""

    port: int
    core: uvicorn.Server
    task: asyncio.Task[None]
    connections: OpenConnections

    @property
    def http(self) -> str:
        """The base of REST addresses."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        """The base of WebSocket addresses."""
        return f"ws://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        """Stop as SIGTERM would, and return when it is done. A second call does nothing."""
        self.core.should_exit = True
        await self.task


@contextlib.asynccontextmanager
async def serving(
    app: FastAPI,
    endpoint: Endpoint,
    limits: SocketLimits | None = None,
    proxies: Networks = (),
    *,
    http: HttpLimits | None = None,
    most: int = 10_000,
    most_per_address: int = 10_000,
) -> AsyncIterator[Server]:
    """Run the application and the endpoint in this event loop until the block ends.

    The server is set up as production sets it up, its lifespan included; the loop is the test's.
    """
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        ws=websocket_protocol(endpoint, TurnScheduler(), limits, proxies),
        http=http_protocol(http or HttpLimits(), proxies),
        log_config=None,
        access_log=False,
    )
    core = uvicorn.Server(config)
    connections = OpenConnections(most, most_per_address)
    core.server_state.connections = connections  # type: ignore[assignment]  # as serving.py does
    task = asyncio.create_task(core.serve())
    try:
        await eventually(lambda: core.started or task.done(), "the start of uvicorn")
        if not core.started:
            await task
        server = Server(core.servers[0].sockets[0].getsockname()[1], core, task, connections)
        yield server
    finally:
        core.should_exit = True
        await task
