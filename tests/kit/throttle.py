"""A way to DynamoDB that can say, as the service does, that it has too much to do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_NAME = b"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
_TOO_MUCH = b'{"__type":"%b","message":"slow"}' % _NAME


class Throttle:
    """Forwards requests to an engine; while `closed`, each is refused. `refused` counts them."""

    def __init__(self, engine: str) -> None:
        self._engine = urlsplit(engine)
        self.closed = False
        self.refused = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client: requests, one after the other."""
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            there = await asyncio.open_connection(self._engine.hostname, self._engine.port)
            while True:
                request = await _message(reader)
                if self.closed:
                    self.refused += 1
                    writer.write(
                        b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\n"
                        b"content-length: %d\r\n\r\n%b" % (len(_TOO_MUCH), _TOO_MUCH)
                    )
                else:
                    there[1].write(request)
                    writer.write(await _message(there[0]))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            if there is not None:
                there[1].close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """A whole message of HTTP/1.1 that tells its length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head + await reader.readexactly(length)


@asynccontextmanager
async def throttled(engine: str) -> AsyncIterator[Throttle]:
    """The way to this engine."""
    throttle = Throttle(engine)
    server = await asyncio.start_server(throttle.serve, "127.0.0.1", 0)
    throttle.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield throttle
    finally:
        server.close()
