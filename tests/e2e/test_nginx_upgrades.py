"""What nginx hands on of an offer to upgrade: read at an upstream that only listens."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from tests.kit.http_corpus import KEY, WEBSOCKET
from tests.kit.http_wire import wire
from tests.kit.nginx import Nginx, running_nginx

pytestmark = pytest.mark.asyncio(loop_scope="module")

H2C = b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
SOCKETS = ["/api/v1/ws/dashboard", "/api/v1/ws/agent/a", "/ws/agent/a", "/ws/dashboard"]
OTHERS = ["/api/v1/agents", "/health", "/docs", "/console/"]


@dataclass
class Upstream:
    """The heads that came."""

    nginx: Nginx
    heads: list[bytes] = field(default_factory=list)

    async def fields(self, request: bytes) -> dict[bytes, bytes]:
        """Send a request to nginx, and give back what the upstream was told, names in lower case."""
        self.heads.clear()
        trust = ssl.create_default_context(cafile=self.nginx.certificate)
        async with wire(self.nginx.https_port, trust) as client:
            await client.send(request)
            assert await client.answer() is not None
        (head,) = self.heads
        lines = [line.partition(b": ") for line in head.split(b"\r\n")[1:] if line]
        return {name.lower(): value for name, _, value in lines}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def upstream(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Upstream]:
    folder: Path = tmp_path_factory.mktemp("nginx")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with running_nginx(folder, upstreams=[f"127.0.0.1:{port}"]) as nginx:
            came = Upstream(nginx)
            yield came


def request(path: str, lines: bytes, *, method: str = "GET", version: str = "1.1") -> bytes:
    return f"{method} {path} HTTP/{version}\r\nHost: localhost\r\n".encode() + lines + b"\r\n"


@pytest.mark.parametrize("path", SOCKETS)
async def test_a_handshake_is_handed_on(upstream: Upstream, path: str) -> None:
    for lines in (WEBSOCKET, WEBSOCKET.replace(b": Upgrade", b": keep-alive, Upgrade")):
        told = await upstream.fields(request(path, lines))
        assert (told[b"upgrade"], told[b"connection"]) == (b"websocket", b"upgrade")
        assert told[b"host"] == b"localhost"
        assert told[b"x-forwarded-for"] == b"127.0.0.1"
        assert told[b"x-request-id"]


@pytest.mark.parametrize("path", [*SOCKETS, *OTHERS])
async def test_no_other_offer_is(upstream: Upstream, path: str) -> None:
    for lines in (H2C, b"Upgrade: TLS/1.0\r\nConnection: Upgrade\r\n", b"Upgrade: websocket\r\n" + KEY):
        told = await upstream.fields(request(path, lines))
        assert b"upgrade" not in told
        assert told.get(b"connection") in {None, b"close"}
    for refused in (
        request(path, WEBSOCKET + b"Content-Length: 0\r\n", method="POST"),
        request(path, WEBSOCKET, version="1.0"),
    ):
        assert b"upgrade" not in await upstream.fields(refused)


@pytest.mark.parametrize("path", OTHERS)
async def test_a_handshake_elsewhere_is_not(upstream: Upstream, path: str) -> None:
    told = await upstream.fields(request(path, WEBSOCKET))
    assert b"upgrade" not in told
    assert b"connection" not in told
