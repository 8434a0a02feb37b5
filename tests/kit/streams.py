"""Streams on a real nats-server: made by a user who may, used by a link with the rights of a gateway."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.bus.nats.link import NatsLink
from artcafe.server.bus.nats.requests import Requests
from artcafe.server.bus.nats.streams.streams import NatsStreams
from artcafe.server.domain.tenant import Tenant
from artcafe.server.embedded.nats_server import NatsServerError
from artcafe.server.ports.streams import StoredMessage
from artcafe.wire.subjects import pattern_to_bus, to_stored
from tests.kit.deadlines import PATIENCE
from tests.kit.nats import Nats, running_nats
from tests.kit.nginx import free_port

CHANNEL = "tasks.>"
STREAM = "CH_tasks"
PATTERN = pattern_to_bus(CHANNEL)
SUBJECT = "m.a1.tasks.new"


@dataclass(frozen=True)
class Streaming:
    """A link of a process, and its streams."""

    link: NatsLink
    requests: Requests
    streams: NatsStreams


@asynccontextmanager
async def streaming(
    nats: Nats,
    tenant: Tenant,
    url: str = "",
    *,
    rights: Mapping[str, Any] | None = None,
    patience: float = PATIENCE,
) -> AsyncIterator[Streaming]:
    """A running link with its streams; `url` leads to the server by another way, `rights` are other ones than
    those of a gateway."""
    credentials = nats.operator.credentials(tenant)
    if rights is not None:
        account, signer = nats.operator._tenant_keys(tenant)
        credentials = NatsCredentials(account, signer, nats.clock, "test", dict(rights))
    link = NatsLink(
        [url or nats.url],
        credentials,
        "test",
        buffer_bytes=10**7,
        patience=patience,
        jitter=lambda: 0.0,
        echo=False,
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run())
        requests = Requests(link)
        streams = NatsStreams(link, requests, tasks.create_task)
        try:
            await link.ready()
            yield Streaming(link, requests, streams)
        finally:
            link.close()
            streams.close()
            running.cancel()


class StreamMaker:
    """Makes, changes and deletes streams, as the control plane does."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def make(self, stream: str = STREAM, channel: str = CHANNEL, **more: Any) -> None:
        """The stream of a durable channel."""
        bus = pattern_to_bus(channel)
        stored = to_stored(bus)
        republish = {"src": stored, "dest": bus.replace("*", "{{wildcard(1)}}", 1)}
        await self.ask(
            f"CREATE.{stream}",
            {**_CONFIG, "name": stream, "subjects": [stored], "republish": republish, **more},
        )

    async def ask(self, what: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A call of $JS.API.STREAM that succeeds."""
        payload = b"" if body is None else msgspec.json.encode(body)
        answer = await self._requests.request(f"$JS.API.STREAM.{what}", payload, seconds=PATIENCE)
        told: dict[str, Any] = msgspec.json.decode(answer.payload)
        assert "error" not in told, told["error"]
        return told

    async def delete(self, stream: str = STREAM) -> None:
        """Delete it, with all that it holds."""
        await self.ask(f"DELETE.{stream}")

    async def remove(self, *sequences: int, stream: str = STREAM) -> None:
        """Delete single messages."""
        for sequence in sequences:
            await self.ask(f"MSG.DELETE.{stream}", {"seq": sequence, "no_erase": True})

    async def purge(self, stream: str = STREAM, **what: Any) -> None:
        """Delete messages."""
        await self.ask(f"PURGE.{stream}", what)


_CONFIG: dict[str, Any] = {
    "retention": "limits",
    "storage": "file",
    "discard": "old",
    "max_msgs": -1,
    "max_bytes": 64 * 1024 * 1024,
    "max_age": 0,
    "max_msg_size": 1024 * 1024,
    "max_consumers": 256,
    "num_replicas": 1,
    "allow_direct": True,
    "allow_atomic": True,
    "allow_msg_ttl": True,
    "duplicate_window": 120_000_000_000,
    "deny_delete": False,
}


@asynccontextmanager
async def stream_maker(nats: Nats, tenant: Tenant) -> AsyncIterator[StreamMaker]:
    """A user who may do everything with streams."""
    rights = {"pub": {"allow": ["$JS.API.>"]}, "sub": {"allow": []}}
    async with streaming(nats, tenant, rights=rights) as made:
        yield StreamMaker(made.requests)


class MortalNats:
    """A nats-server that is killed and started again, on its port and its data."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._listen = f"127.0.0.1:{free_port()}"
        self._seed = os.urandom(32)
        self._running = AsyncExitStack()
        self.nats: Nats

    async def start(self) -> Nats:
        """Return when it takes clients."""
        running = running_nats(self._data, seed=self._seed, listen=self._listen)
        self.nats = await self._running.enter_async_context(running)
        return self.nats

    async def kill(self) -> None:
        """End it with SIGKILL."""
        os.kill(self.nats.server.pid, signal.SIGKILL)
        with suppress(NatsServerError):
            await self.nats.server.wait()
        await self._running.aclose()

    async def stop(self) -> None:
        """End it."""
        await self._running.aclose()


class Received:
    """What a tail delivered, and how often it restarted."""

    def __init__(self) -> None:
        self.got: list[StoredMessage] = []
        self.restarts = 0

    def deliver(self, message: StoredMessage) -> None:
        """One message."""
        self.got.append(message)

    def restarted(self) -> None:
        """The stream lost what was delivered."""
        self.restarts += 1

    @property
    def sequences(self) -> list[int]:
        """Of what was delivered, in that order."""
        return [message.seq for message in self.got]
