"""Something that answers as a nats-server would, or as none should."""

import asyncio
import json
from types import TracebackType
from typing import Any

from artcafe.server.bus.nats.servers import ServerAddress, server_address
from tests.kit.deadlines import eventually

GREETING = {"nonce": "abcdefgh_-1", "max_payload": 1000, "headers": True}


def info(**fields: Any) -> bytes:
    """An INFO line."""
    return b"INFO %b\r\n" % json.dumps(GREETING | fields).encode()


class ScriptedNats:
    """Greets with `first`, and answers the PING behind each CONNECT with `then`. Enter it before use.

    While `answering`, every later PING gets its PONG. `got` are the lines that clients sent.
    """

    def __init__(self, first: bytes = b"", then: bytes = b"PONG\r\n") -> None:
        self.first = first or info()
        self.then = then
        self.answering = True
        self.got: list[str] = []
        self._clients: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "ScriptedNats":
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()
        for client in self._clients:
            client.transport.abort()
        await eventually(lambda: not self._clients)
        await self._listening.wait_closed()

    @property
    def server(self) -> ServerAddress:
        """Where to connect."""
        return server_address(f"nats://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}")

    @property
    def open(self) -> int:
        """How many connections there are now."""
        return len(self._clients)

    def say(self, data: bytes) -> None:
        """Send these bytes to every client, in one piece."""
        for client in self._clients:
            client.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            writer.write(self.first)
            greeted = False
            while line := await reader.readline():
                self.got.append(line.decode().strip())
                if line == b"PING\r\n" and not greeted:
                    greeted = True
                    writer.write(self.then)
                elif line == b"PING\r\n" and self.answering:
                    writer.write(b"PONG\r\n")
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._clients.discard(writer)
