"""Agents on a plain WebSocket, without the SDK: what any language would write."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.kit.deadlines import PATIENCE
from tests.kit.ssh_keys import raw_signature, ssh_keygen_sign

PROTOCOL = Subprotocol("artcafe.v1")


class Socket:
    """Frames in and out, as objects."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, **frame: Any) -> None:
        """Send a frame; `from_` style names are not needed by any client frame."""
        await self.connection.send(json.dumps(frame))

    async def receive(self, seconds: float = PATIENCE) -> dict[str, Any]:
        """The next frame."""
        async with asyncio.timeout(seconds):
            frame: dict[str, Any] = json.loads(await self.connection.recv())
            return frame

    async def expect(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next frame, which must be of this type and have these fields."""
        frame = await self.receive()
        assert frame["type"] == kind, frame
        assert {name: frame.get(name) for name in fields} == fields, frame
        return frame

    async def subscribe(self, subject: str, **more: Any) -> None:
        """Subscribe and wait until it counts."""
        await self.send(type="subscribe", subject=subject, **more)
        await self.expect("subscribed", subject=subject)

    async def silence(self) -> None:
        """Nothing is on its way to this client: a ping is answered by its pong and nothing before it."""
        await self.send(type="ping", id="silence")
        await self.expect("pong", id="silence")

    async def closed(self, seconds: float = PATIENCE) -> int:
        """Wait for the server to close; the close code. Frames before it are dropped."""
        async with asyncio.timeout(seconds):
            with suppress(ConnectionClosed):
                while True:
                    await self.connection.recv()
            code = self.connection.close_code
            assert code is not None
            return code


def agent_url(ws: str, tenant: str, agent: str, path: str = "/api/v1/ws/agent", **query: str) -> str:
    """The address of an agent."""
    return f"{ws}{path}/{agent}?{urlencode({'tenant_id': tenant, **query})}"


@asynccontextmanager
async def unproven(ws: str, tenant: str, agent: str) -> AsyncIterator[Socket]:
    """A connection that still owes the answer to its challenge."""
    async with connect(agent_url(ws, tenant, agent), subprotocols=[PROTOCOL], max_size=None) as connection:
        yield Socket(connection)


@asynccontextmanager
async def proven(ws: str, tenant: str, agent: str, key: Path) -> AsyncIterator[Socket]:
    """An agent that logged in in band, by `ssh-keygen -Y sign`."""
    async with unproven(ws, tenant, agent) as socket:
        challenge = await socket.expect("challenge")
        signature = await asyncio.to_thread(ssh_keygen_sign, key, challenge["text"], challenge["namespace"])
        await socket.send(type="auth", signature=signature)
        await socket.expect("welcome", tenant=tenant, agent=agent)
        yield socket


@asynccontextmanager
async def legacy(
    ws: str, tenant: str, agent: str, key: Path, challenge: str, path: str = "/api/v1/ws/agent"
) -> AsyncIterator[Socket]:
    """A client of the original service: it signs a challenge of its own, raw, and puts both into the URL.

    Dialect A is spoken at this path, dialect B at /ws/agent.
    """
    signature = base64.b64encode(raw_signature(key, challenge.encode())).decode()
    url = agent_url(ws, tenant, agent, path, challenge=challenge, signature=signature)
    async with connect(url, max_size=None) as connection:
        yield Socket(connection)
