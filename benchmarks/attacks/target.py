"""What an attacker has: an ordinary tenant of its own, agents' keys, and sockets that obey no protocol."""

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from artcafe.client.login import answer, text_to_sign
from artcafe.client.rest import Rest
from artcafe.client.signer import KeyFile
from artcafe.wire import frames


class RefusedError(Exception):
    """The server did not let an agent in."""


CUT = (OSError, EOFError, ConnectionClosed, InvalidHandshake, RefusedError)
"""What a client sees whose connection the server refuses or ends."""

AGENTS = 8
"""Agents of a tenant, `agent-0` and so on, each with a key file of its name."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the platform answers, and a tenant's own credentials.

    `token` is an admin's, `keys` the folder of its agents' key files. All connections come from `address`,
    one of the loopback's: each tenant has its own, as clients of different tenants have.
    """

    host: str
    port: int
    tenant: str
    token: str
    keys: str
    address: str = "127.0.0.1"

    @property
    def url(self) -> str:
        """The REST API's address."""
        return f"http://{self.host}:{self.port}"

    def rest(self) -> Rest:
        """REST calls as an admin of the tenant."""
        return Rest(self.url, self.token, tenant=self.tenant, timeout=60.0)

    @contextlib.asynccontextmanager
    async def socket(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A bare TCP connection, reset at the end."""
        reader, writer = await asyncio.open_connection(self.host, self.port, local_addr=(self.address, 0))
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def challenged(self, agent: str) -> tuple[ClientConnection, frames.Challenge]:
        """A WebSocket of an agent that has not answered its challenge yet."""
        path = f"/api/v1/ws/agent/{agent}?tenant_id={self.tenant}"
        socket = await connect(
            f"ws://{self.host}:{self.port}{path}",
            subprotocols=[frames.SUBPROTOCOL],  # type: ignore[list-item]  # a NewType of str
            compression=None,
            proxy=None,
            local_addr=(self.address, 0),
            max_size=None,
            ping_interval=None,
            close_timeout=1.0,
        )
        said = frames.decode_server(await socket.recv(decode=False))
        if not isinstance(said, frames.Challenge):
            raise RefusedError(f"no challenge: {said}")
        return socket, said

    async def agent(self, number: int) -> ClientConnection:
        """A WebSocket of one of the tenant's agents, logged in."""
        name = f"agent-{number}"
        socket, challenge = await self.challenged(name)
        signed = KeyFile(Path(self.keys) / name).sign(
            text_to_sign(challenge, server=f"ws://{self.host}:{self.port}", tenant=self.tenant, agent=name)
        )
        await socket.send(answer(signed, name="attack", version="1"), text=True)
        said = frames.decode_server(await socket.recv(decode=False))
        if not isinstance(said, frames.Welcome):
            raise RefusedError(f"not let in: {said}")
        return socket

    @contextlib.asynccontextmanager
    async def agents(self, count: int) -> AsyncIterator[list[ClientConnection]]:
        """So many connections, spread over the agents."""
        sockets: list[ClientConnection] = []
        try:
            for number in range(count):
                sockets.append(await self.agent(number % AGENTS))  # noqa: PERF401 - closed below when one fails
            yield sockets
        finally:
            for socket in sockets:
                cut(socket)

    def upgrade(self, path: str | None = None) -> bytes:
        """The request that opens a WebSocket, for a bare socket; without a path, that of an agent."""
        path = path or f"agent/agent-0?tenant_id={self.tenant}"
        return (
            f"GET /api/v1/ws/{path} HTTP/1.1\r\n"
            f"Host: {self.host}:{self.port}\r\n"
            f"Sec-WebSocket-Protocol: {frames.SUBPROTOCOL}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n\r\n"
        ).encode()

    def request(self, method: str, path: str, body: bytes = b"", *more: str) -> bytes:
        """A request of the tenant's owner, whole."""
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self.host}:{self.port}",
            f"Authorization: Bearer {self.token}",
            f"X-Tenant-Id: {self.tenant}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *more,
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack. `strike` runs for about so many seconds, then gives a sentence about what it met.

    `prepare` makes what the attack needs in the attacker's own tenant, before anything is measured.
    """

    name: str
    title: str
    strike: Callable[[Target, float], Awaitable[str]]
    prepare: Callable[[Target], Awaitable[None]] | None = None


def cut(socket: ClientConnection) -> None:
    """Reset a connection; nothing happens when it is closed."""
    if not socket.transport.is_closing():
        socket.transport.abort()


def until(seconds: float) -> Iterator[int]:
    """Count from 0 until the time is over."""
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        yield number
        number += 1


async def at_rate(seconds: float, per_second: float) -> AsyncIterator[int]:
    """Count from 0 at this rate until the time is over."""
    began = time.monotonic()
    for number in until(seconds):
        yield number
        wait = began + (number + 1) / per_second - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)


async def push(
    writer: asyncio.StreamWriter, data: bytes, seconds: float, reader: asyncio.StreamReader | None = None
) -> int:
    """Write the same bytes again and again; how many the server took before it hung up.

    Whatever it answers is read and dropped when a `reader` is given, and left unread otherwise.
    """
    sent = 0
    reading = asyncio.create_task(_drop(reader)) if reader is not None else None
    with contextlib.suppress(*CUT, TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                writer.write(data)
                await writer.drain()
                sent += len(data)
                await asyncio.sleep(0)
    if reading is not None:
        reading.cancel()
    return sent


async def _drop(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(*CUT):
        while await reader.read(1 << 16):
            pass


def text(value: Any) -> str:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"))
