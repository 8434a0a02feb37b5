"""A TCP proxy on loopback that can break in the ways networks do."""

import asyncio
from types import TracebackType
from urllib.parse import urlsplit

from tests.kit.deadlines import eventually


class Proxy:
    """Forwards to one address, from a free port of `host`. Enter it before use.

    `accepted` counts connections ever made. While `refusing`, new ones are ended at once. While
    `swallowing`, what clients send is read and thrown away; while `stalled`, it is not even read.
    `sent` is what was forwarded of what clients sent, `swallowed` what was thrown away.
    """

    def __init__(self, url: str, host: str = "127.0.0.1") -> None:
        self._here = host
        self._host = urlsplit(url).hostname
        self._port = urlsplit(url).port
        self._scheme = urlsplit(url).scheme
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._moving = asyncio.Event()
        self._moving.set()
        self.accepted = 0
        self.refusing = False
        self.swallowing = False
        self.sent = bytearray()
        self.swallowed = bytearray()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, self._here, 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.refusing = True
        self._moving.set()
        while self._pairs:
            self.cut()
            await asyncio.sleep(0)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Where to connect."""
        return f"{self._scheme}://{self._here}:{self._server.sockets[0].getsockname()[1]}"

    @property
    def open(self) -> int:
        """How many connections there are now."""
        return len(self._pairs)

    @property
    def stalled(self) -> bool:
        """Whether clients are not read."""
        return not self._moving.is_set()

    @stalled.setter
    def stalled(self, yes: bool) -> None:
        if yes:
            self._moving.clear()
        else:
            self._moving.set()

    def cut(self) -> None:
        """End every connection, without a word."""
        for pair in self._pairs:
            for writer in pair:
                writer.transport.abort()

    def say(self, data: bytes) -> None:
        """Send these bytes to every client, as if the server had."""
        for client, _ in self._pairs:
            client.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.refusing:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, far_writer)
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._upstream(reader, far_writer), self._downstream(far_reader, writer))
        except OSError:
            pass
        finally:
            for end in pair:
                end.transport.abort()
            self._pairs.discard(pair)

    async def _upstream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._moving.wait()
            if self.swallowing:
                self.swallowed += data
            else:
                self.sent += data
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    async def _downstream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.transport.abort()


async def accepted(proxy: Proxy, number: int) -> None:
    """Wait until this many connections were made."""
    await eventually(lambda: proxy.accepted == number)
