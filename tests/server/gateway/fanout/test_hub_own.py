"""What a process says comes once to its subscribers, also when its link breaks with messages on the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from msgspec import Raw

from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.process import MessageIds
from artcafe.wire.envelopes import Envelope
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import encode
from artcafe.wire.subjects import to_bus
from tests.kit.buses import tenant_links
from tests.kit.deadlines import eventually
from tests.kit.hubs import ACME, Reader
from tests.kit.nats import make_tenant, running_nats
from tests.kit.turns import turns
from tests.kit.unreliable_bus import UnreliableLink


class SlowRoute:
    """A way to a nats-server on which what a client sent arrives late, also when the client is gone."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self.url = ""
        self.flows = asyncio.Event()
        self.flows.set()
        self.clients: list[asyncio.StreamWriter] = []
        self.serving = 0
        self.held = 0
        """Reads of the slow connection that wait."""

    async def serve(self, reader: asyncio.StreamReader, encoder: asyncio.StreamWriter) -> None:
        """One connection; only the first is ever slow."""
        self.serving += 1
        self.clients.append(encoder)
        first = len(self.clients) == 1
        from_server, to_server = await asyncio.open_connection(self._to.hostname, self._to.port)

        async def up() -> None:
            with suppress(OSError):
                while data := await reader.read(65536):
                    await self._pass(to_server, data, slow=first)
            to_server.write_eof()

        async def down() -> None:
            with suppress(OSError):
                while data := await from_server.read(65536):
                    if not encoder.is_closing():
                        encoder.write(data)
            encoder.close()

        await asyncio.gather(up(), down())
        to_server.close()
        self.serving -= 1

    async def _pass(self, to_server: asyncio.StreamWriter, data: bytes, *, slow: bool) -> None:
        if slow:
            self.held += 1
            await self.flows.wait()
            self.held -= 1
        to_server.write(data)


@asynccontextmanager
async def slow_route(url: str) -> AsyncIterator[SlowRoute]:
    route = SlowRoute(url)
    server = await asyncio.start_server(route.serve, "127.0.0.1", 0)
    route.url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield route
        for client in route.clients:
            client.transport.abort()
        await eventually(lambda: not route.serving)


@pytest.mark.parametrize("process", ["", "the process"])
async def test_what_a_broken_link_had_on_the_way_comes_once_to_those_who_heard_it(
    tmp_path: Path, process: str
) -> None:
    """A hub that is not told of its process shows what the server does."""
    async with running_nats(tmp_path) as nats, nats.authority() as authority:
        tenant = make_tenant("acme")
        await authority.push(tenant)
        async with (
            slow_route(nats.url) as route,
            tenant_links(nats, url=route.url, patience=5) as ours,
            tenant_links(nats, patience=5) as theirs,
        ):
            link, other = await ours.link(tenant), await theirs.link(tenant)
            new_id, their_id = MessageIds(), MessageIds()
            hub = TenantHub(ACME, link, TurnScheduler(), process=process and new_id.process)
            reader, wide, elsewhere = (
                Reader(hub),
                Reader(hub),
                Reader(TenantHub(ACME, other, TurnScheduler())),
            )
            await reader.subscribe("jobs")
            await wide.subscribe(">")
            await elsewhere.subscribe("jobs")

            def envelope(new_id: MessageIds, data: object) -> bytes:
                return encode(Envelope(id=new_id(), timestamp="t", data=Raw(encode(data))))

            route.flows.clear()
            link.publish(to_bus("planner", "jobs"), envelope(new_id, 1))
            await eventually(lambda: route.held, "the message on its way")
            route.clients[0].transport.abort()
            await eventually(lambda: len(route.clients) == 2 and link.up)
            with suppress(ArtcafeError):  # The loss is told, once.
                await link.flush()
            await link.settle()
            route.flows.set()
            await eventually(lambda: elsewhere.got == [("jobs", 1)])
            other.publish(to_bus("planner", "jobs"), envelope(their_id, 2))
            await other.flush()
            await link.settle()
            await eventually(lambda: ("jobs", 2) in reader.got and ("jobs", 2) in wide.got)
            expected = [("jobs", 1), ("jobs", 2)] if process else [("jobs", 1), ("jobs", 1), ("jobs", 2)]
            assert reader.got == wide.got == expected


async def test_a_link_that_delivers_nothing_itself_brings_what_the_process_said(link: UnreliableLink) -> None:
    new_id = MessageIds()
    reader = Reader(TenantHub(ACME, link, TurnScheduler(), process=new_id.process))
    await reader.subscribe("jobs")
    envelope = Envelope(id=new_id(), timestamp="t", data=Raw(encode(1)))
    link.publish(to_bus("planner", "jobs"), encode(envelope))
    await turns()
    assert reader.got == [("jobs", 1)]
