"""Members of a hub, and messages for them."""

import json
from collections.abc import Callable
from typing import Any

from msgspec import Raw

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects.dialect import Dialect
from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.fanout.subscriber import Subscriber
from artcafe.wire.codes import Code
from artcafe.wire.envelopes import Envelope
from artcafe.wire.frames import encode
from artcafe.wire.subjects import parse_pattern, to_bus
from tests.kit.installation import counting
from tests.kit.scripted_peer import texts
from tests.kit.unreliable_bus import UnreliableLink

ACME = TenantId("acme")
SUBJECT = "a.b.c.d.e.f.g.h"
Publish = Callable[..., None]


class Reader:
    """A member of the hub, and what it was given. `on_message` is called in the middle of a delivery,
    `writes` counts how often it was given something."""

    def __init__(self, hub: TenantHub, dialect: Dialect | None = None) -> None:
        self.hub = hub
        self.subscriber = Subscriber(self, dialect or NativeDialect())
        self.got: list[tuple[str, Any]] = []
        self.writes = 0
        self.on_message: Callable[[], None] = lambda: None
        self.ended: list[Code] = []

    def deliver(self, framed: bytes) -> None:
        """subscriber.Receiver."""
        self.writes += 1
        for text in texts(framed):
            message = json.loads(text)
            self.got.append((message["subject"], message["data"]))
        self.on_message()

    def end(self, code: Code) -> None:
        """subscriber.Receiver."""
        self.ended.append(code)

    async def subscribe(self, text: str, queue: str | None = None) -> None:
        """As the client writes it."""
        await self.hub.subscribe(self.subscriber, text, parse_pattern(text, ACME), queue)

    async def unsubscribe(self, text: str, queue: str | None = None) -> bool:
        """As it was subscribed."""
        return await self.hub.unsubscribe(self.subscriber, text, queue)

    async def leave(self) -> None:
        """The connection is gone."""
        await self.hub.leave(self.subscriber)


def publisher(link: UnreliableLink) -> Publish:
    """A function that publishes data to a subject, as the agent `planner`."""
    new_id = counting("m")

    def publish(subject: str, data: object = 1) -> None:
        envelope = Envelope(id=new_id(), timestamp="t", data=Raw(encode(data)))
        link.publish(to_bus("planner", subject), encode(envelope))

    return publish


def matching(number: int) -> list[str]:
    """So many patterns, each another one, that all receive SUBJECT."""
    tokens = SUBJECT.split(".")
    return [
        ".".join("*" if which >> position & 1 else token for position, token in enumerate(tokens))
        for which in range(number)
    ]
