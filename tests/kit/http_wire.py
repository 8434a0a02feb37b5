"""Answers as they come over a wire, and an application that says what it was asked."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request

from tests.kit.deadlines import PATIENCE


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Echo:
    """An application that answers with what it was asked, and remembers it."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.app = FastAPI()
        self.gate = asyncio.Event()
        self.gate.set()
        methods = ["GET", "HEAD", "POST", "PUT"]
        self.app.add_api_route("/api/v1/{path:path}", self._answer, methods=methods)
        self.app.add_api_route("/slow/{path:path}", self._later, methods=methods)
        self.app.add_api_route("/large/{size}", self._large, methods=methods)
        self.app.add_api_route("/deaf", self._without_the_body, methods=methods)

    async def _answer(self, request: Request) -> dict[str, Any]:
        body = await request.body()
        seen = {
            "method": request.method,
            "path": request.url.path,
            "query": request.url.query,
            "body": body.decode("latin-1"),
            "headers": [[name.decode(), value.decode("latin-1")] for name, value in request.headers.raw],
        }
        self.seen.append(seen)
        return seen

    async def _later(self, request: Request) -> dict[str, Any]:
        await self.gate.wait()
        return await self._answer(request)

    async def _large(self, size: int) -> dict[str, str]:
        return {"x": "x" * size}

    async def _without_the_body(self) -> dict[str, str]:
        return {}


class Wire:
    """A connection on which bytes are sent as they are, and answers are read strictly."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes, step: int | None = None) -> None:
        """Send it at once, or in steps of so many bytes, each a read of its own."""
        for at in range(0, len(data), step or len(data) or 1):
            if self.writer.is_closing():
                return
            self.writer.write(data[at : at + step] if step else data)
            if step:
                await asyncio.sleep(0)

    async def answer(self, *, to_head: bool = False) -> Answer | None:
        """The next answer that is not 100 Continue; None when the connection has ended.

        Whatever else comes fails the test: half an answer, or bytes that are none.
        """
        async with asyncio.timeout(PATIENCE):
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError as end:
                if end.partial:
                    raise
                return None
            except ConnectionError:
                return None
            line, *lines = head.decode("latin-1").strip().split("\r\n")
            version, status, _ = f"{line} ".split(" ", 2)
            assert version == "HTTP/1.1", line
            if status == "100":
                return await self.answer(to_head=to_head)
            headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
            body = b"" if to_head else await self._body(headers)
            return Answer(int(status), headers, body)

    async def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return await self.reader.readexactly(int(headers["content-length"]))
        if headers.get("transfer-encoding") != "chunked":
            return b""
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"
        return body


@asynccontextmanager
async def wire(
    port: int, trust: ssl.SSLContext | None = None, local: str | None = None
) -> AsyncIterator[Wire]:
    """Connect to a server on this machine, with TLS where somebody is trusted."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1",
        port,
        ssl=trust,
        server_hostname="localhost" if trust else None,
        limit=1 << 20,
        local_addr=(local, 0) if local else None,
    )
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()
