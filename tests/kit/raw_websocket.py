"""A WebSocket client that does what libraries forbid: broken frames, no reading, resets."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.kit.deadlines import PATIENCE

UPGRADE = (
    "GET {target} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def masked(
    payload: bytes, opcode: int = TEXT, *, fin: bool = True, rsv: int = 0, mask: bytes = bytes(4)
) -> bytes:
    """One frame as a client sends it; a mask of zeros leaves the payload readable."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    if any(mask):
        pattern = (mask * (size // 4 + 1))[:size]
        payload = (int.from_bytes(payload) ^ int.from_bytes(pattern)).to_bytes(size)
    return head + mask + payload


def closing(code: int, reason: bytes = b"") -> bytes:
    """A client's CLOSE frame."""
    return masked(code.to_bytes(2, "big") + reason, CLOSE)


@dataclass
class RawClient:
    """An open connection. Every wait ends within ten seconds."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def write(self, data: bytes) -> None:
        """Send bytes as they are; nothing happens when the server has hung up."""
        if not self.writer.is_closing():
            self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The HTTP answer: status, headers and body."""
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.strip().split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(status.split()[1]), headers, body

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload. Servers must not mask, and need not fragment."""
        async with asyncio.timeout(PATIENCE):
            first, size = await self.reader.readexactly(2)
            assert first & 0xF0 == 0x80, f"first byte {first:#x}"
            assert size < 128, "masked"
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return first & 0x0F, await self.reader.readexactly(size)

    async def close_code(self) -> int:
        """Skip to the server's CLOSE and give back its code."""
        while (got := await self.frame())[0] != CLOSE:
            pass
        assert len(got[1]) >= 2, "CLOSE without a code"
        return int.from_bytes(got[1][:2], "big")

    async def ended(self) -> bytes:
        """Whatever comes before the server hangs up."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    def reset(self) -> None:
        """Vanish: the kernel answers from now on with RST."""
        if not self.writer.is_closing():
            sock = self.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()


@contextlib.asynccontextmanager
async def raw_client(port: int, *, receive_buffer: int | None = None) -> AsyncIterator[RawClient]:
    """Connect to a server on this machine. A small receive buffer makes a slow reader slow at once."""
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def raw_websocket(
    port: int, target: str = "/", *, receive_buffer: int | None = None, more: str = ""
) -> AsyncIterator[RawClient]:
    """Connect and upgrade; `more` are lines of the request's head, each with its CRLF."""
    async with raw_client(port, receive_buffer=receive_buffer) as client:
        client.write(f"{UPGRADE.format(target=target)[:-2]}{more}\r\n".encode())
        status, _, body = await client.answer()
        assert status == 101, (status, body)
        yield client
