"""What nginx does with a request when a server dies, is slow or refuses: a change is never sent twice."""

import asyncio
import socket
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.kit.nginx import Nginx, running_nginx

READS, CHANGES = ("GET", "HEAD"), ("POST", "PUT", "PATCH", "DELETE")


@dataclass
class Servers:
    """Two servers, and what came to either of them. `path` says what happens to a request."""

    seen: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    serving: set["asyncio.Task[None]"] = field(default_factory=set)

    @asynccontextmanager
    async def one(self, name: str) -> AsyncIterator[str]:
        """A server; its address."""
        server = await asyncio.start_server(lambda *pipe: self._serve(name, *pipe), "127.0.0.1", 0)
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            self.ended.set()
            await asyncio.gather(*self.serving)

    async def _serve(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lengths = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
                await reader.readexactly(int(lengths[0].partition(":")[2]) if lengths else 0)
                method, path, _ = head.split(" ", 2)
                self.seen[f"{method} {path}"].append(name)
                if "dies" in path:
                    break
                if "slow" in path:
                    await self.ended.wait()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


@dataclass
class Edge:
    """nginx before servers."""

    nginx: Nginx
    servers: Servers
    client: httpx.AsyncClient

    async def ask(self, method: str, path: str) -> int:
        """The status of the answer."""
        body = b"{}" if method in {"POST", "PUT", "PATCH"} else None
        answer = await self.client.request(method, f"/api/v1/{path}", content=body)
        if answer.status_code >= 500 and method != "HEAD":
            assert answer.json()["code"] == "unavailable"
        return answer.status_code

    def seen(self, method: str, path: str) -> list[str]:
        """Where it was sent."""
        return sorted(self.servers.seen[f"{method} /api/v1/{path}"])


@asynccontextmanager
async def an_edge(folder: Path, *, refusing: int = 0) -> AsyncIterator[Edge]:
    """Two servers, and so many more that refuse connections, before and behind them."""
    servers = Servers()
    async with AsyncExitStack() as stack:
        there = [await stack.enter_async_context(servers.one(name)) for name in ("one", "two")]
        dead = []
        for _ in range(refusing):
            closed = stack.enter_context(socket.socket())
            closed.bind(("127.0.0.1", 0))
            dead.append(f"127.0.0.1:{closed.getsockname()[1]}")
        upstreams = [*dead[: refusing // 2], *there, *dead[refusing // 2 :]]
        nginx = stack.enter_context(running_nginx(folder, "--answer-seconds", "1", upstreams=upstreams))
        trust = ssl.create_default_context(cafile=nginx.certificate)
        client = httpx.AsyncClient(base_url=nginx.url, verify=trust, timeout=20.0)
        await stack.enter_async_context(client)
        yield Edge(nginx, servers, client)


async def test_a_change_is_sent_once_whether_its_server_dies_or_is_slow(tmp_path: Path) -> None:
    async with an_edge(tmp_path) as edge:
        for path in ("dies", "slow"):
            answers = await asyncio.gather(*(edge.ask(method, path) for method in (*READS, *CHANGES)))
            assert answers[len(READS) :] == [504] * 4, "what came of it is not known"
            for method in CHANGES:
                assert len(edge.seen(method, path)) == 1, f"{method} {path}"
            for method in READS:
                assert edge.seen(method, path) == ["one", "two"], f"{method} {path}"
        # Nobody is left out for having been slow or for having died.
        for method in (*READS, *CHANGES):
            assert [await edge.ask(method, "well") for _ in range(4)] == [200] * 4
            assert edge.seen(method, "well") == ["one", "one", "two", "two"]


async def test_what_no_server_was_sent_goes_to_one_that_can_be_reached(tmp_path: Path) -> None:
    async with an_edge(tmp_path, refusing=4) as edge:
        for method in (*READS, *CHANGES):
            assert [await edge.ask(method, "well") for _ in range(6)] == [200] * 6
            assert len(edge.seen(method, "well")) == 6
        for method in CHANGES:
            assert await edge.ask(method, "dies") == 504
            assert len(edge.seen(method, "dies")) == 1


@pytest.mark.parametrize("method", CHANGES)
async def test_where_no_server_can_be_reached_nothing_was_done(tmp_path: Path, method: str) -> None:
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        with running_nginx(tmp_path, upstreams=[f"127.0.0.1:{dead.getsockname()[1]}"] * 9) as nginx:
            trust = ssl.create_default_context(cafile=nginx.certificate)
            async with httpx.AsyncClient(base_url=nginx.url, verify=trust) as client:
                answer = await client.request(method, "/api/v1/agents")
    assert (answer.status_code, answer.json()["detail"]) == (502, "No server answers at the moment.")
    assert answer.headers["retry-after"] == "1"
