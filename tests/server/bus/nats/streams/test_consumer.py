"""The pulls of one process, when the bus or the consumer goes away. What both buses promise is in
tests/contract/test_consumers.py."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.streams import consumer
from artcafe.server.bus.nats.streams.consumer import NatsConsumer
from artcafe.server.bus.nats.streams.consumers import NatsConsumers
from artcafe.server.bus.streams_account import StreamsAccount
from artcafe.server.ports.consumers import ConsumerRules, HandedOut
from tests.kit.deadlines import eventually
from tests.kit.nats import make_tenant
from tests.kit.streams import PATTERN, STREAM, SUBJECT, MortalNats, stream_maker, streaming
from tests.kit.turns import turns

RULES = ConsumerRules(pattern=PATTERN, first=1, lease=60.0, max_deliveries=5)


async def test_it_goes_on_after_the_bus_was_away_for_longer_than_anybody_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server, tenant = MortalNats(tmp_path / "data"), make_tenant("acme")
    got: list[HandedOut] = []
    try:
        nats = await server.start()
        async with nats.authority() as authority:
            await authority.push(tenant)
        async with stream_maker(nats, tenant) as maker:
            await maker.make()
        async with streaming(nats, tenant, patience=0.2) as process:
            connected = partial(StreamsAccount(nats.url, nats.operator).connected, tenant)
            consumers = NatsConsumers(process.link, process.streams, connected, process.streams.run)
            consuming = await consumers.consume(STREAM, "workers", RULES, got.append, lambda: None)
            consuming.want(5)
            await process.streams.store(STREAM, SUBJECT, b"1", None)
            await eventually(lambda: len(got) == 1)
            await server.kill()
            with caplog.at_level("DEBUG", "artcafe.server.bus.nats.streams.consumer"):
                await eventually(lambda: "pulled from later" in caplog.text)
            await server.start()
            await eventually(lambda: process.link.up)
            await process.streams.store(STREAM, SUBJECT, b"2", None)
            # The first one may come again: a bus that is killed forgets what it handed out just now.
            await eventually(lambda: got[-1].message.payload == b"2")
            await consuming.close()
    finally:
        await server.stop()


class ScriptedLink:
    """A link on which the test answers."""

    inbox = "_INBOX.x"
    max_payload = 1_000_000
    up = True
    over = False

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, line: bytes, payload: bytes) -> bool:
        """Take it."""
        self.sent.append(line)
        return True

    async def sendable(self) -> None:
        """At once."""

    async def subscribe_full(self, *_: object) -> "ScriptedLink":
        """Nothing comes but what the test says."""
        return self

    async def drain(self) -> None:
        """Nothing is left."""


async def test_a_deletion_is_not_forgotten_when_other_pulls_end_in_the_same_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer, "RETRY_SECONDS", 0.0)
    over: list[bool] = []

    async def exists() -> bool:
        raise AssertionError

    pulling = NatsConsumer(
        ScriptedLink(),  # type: ignore[arg-type]
        "_INBOX.x.c.1",
        STREAM,
        "workers",
        RULES,
        lambda _: None,
        lambda: over.append(True),
        exists,
    )
    await pulling.open(asyncio.ensure_future)
    pulling.want(2)
    await turns()
    for status in (b"409 Consumer Deleted", b"408 Request Timeout"):
        pulling._arrived("_INBOX.x.c.1", FullMessage("", b"NATS/1.0 %b\r\n\r\n" % status, b""))
    await eventually(lambda: over)
