"""An HTTP proxy on loopback that goes nowhere: it keeps what it was asked for, and says 502."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class HttpProxy:
    """`url` is what HTTP_PROXY names; `asked` the first line of each request."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head.split(b"\r\n")[0].decode())
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def http_proxy() -> AsyncIterator[HttpProxy]:
    """One that listens until the block ends."""
    proxy = HttpProxy()
    server = await asyncio.start_server(proxy.answer, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield proxy
