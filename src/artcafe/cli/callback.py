"""The loopback redirect endpoint of a browser sign-in (RFC 8252 section 7.3)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlsplit

_LONGEST = 16_384
_READ_SECONDS = 10.0

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>ArtCafe PubSub</title>
<body style="font: 1.1rem/1.5 system-ui, sans-serif; max-width: 30rem; margin: 20vh auto; padding: 0 1rem">
<h1 style="font-size: 1.4rem">{title}</h1><p>{text}</p></body></html>"""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"

Accepts = Callable[[Mapping[str, str]], bool]


class Callback:
    """Listens on a port of 127.0.0.1 and remembers the first answer that `accepts` takes.

    What it does not take, any page in the browser could have sent: it is answered and forgotten.
    """

    def __init__(self) -> None:
        self._answer: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._accepts: Accepts = lambda _: False
        self.port = 0

    @property
    def redirect_uri(self) -> str:
        """The redirect address, as the issuer gets it."""
        return f"http://127.0.0.1:{self.port}/callback"

    async def answer(self, accepts: Accepts, seconds: float) -> Mapping[str, str]:
        """The parameters of the answer. Raises TimeoutError."""
        self._accepts = accepts
        async with asyncio.timeout(seconds):
            return await self._answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of a browser."""
        try:
            async with asyncio.timeout(_READ_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(self._response(head.partition(b"\r\n")[0].decode("ascii", "replace")))
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ConnectionError):
            return  # Not a browser that brings an answer.
        finally:
            writer.close()

    def _response(self, line: str) -> bytes:
        method, _, target = line.partition(" ")
        parts = urlsplit(target.partition(" ")[0])
        if method != "GET" or parts.path != "/callback":
            return _page(404, "Nothing here", "This address only waits for a sign-in.")
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        said = dict(pairs)
        if len(said) != len(pairs) or self._answer.done() or not self._accepts(said):
            return _page(400, "Not signed in", "This answer is not the one that was waited for.")
        self._answer.set_result(said)
        if "error" in said:
            return _page(200, "Not signed in", "This page can be closed; the terminal says more.")
        return _page(200, "Signed in", "This page can be closed; go on in the terminal.")


def _page(status: int, title: str, text: str) -> bytes:
    body = _PAGE.format(title=title, text=text).encode()
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        f"Content-Security-Policy: {_POLICY}\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


@asynccontextmanager
async def listening(port: int) -> AsyncIterator[Callback]:
    """A Callback on this port, 0 for any. Raises OSError when it is taken."""
    callback = Callback()
    server = await asyncio.start_server(callback.serve, "127.0.0.1", port, limit=_LONGEST)
    async with server:
        callback.port = server.sockets[0].getsockname()[1]
        yield callback
