"""What tests say to a link and hear from it."""

from collections.abc import Awaitable

import pytest

from artcafe.server.bus.nats.link import NatsLink
from artcafe.server.ports.bus import Deliver, Link
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually

Got = list[tuple[str, bytes]]


def collect(into: Got, prefix: str = "") -> Deliver:
    """A receiver that appends (prefix + subject, payload)."""

    def deliver(subject: str, payload: bytes) -> None:
        into.append((prefix + subject, payload))

    return deliver


async def some(got: Got, number: int) -> None:
    """Wait until this many have arrived."""
    await eventually(lambda: len(got) >= number, f"message {number}")


class Inbox:
    """A receiver that remembers."""

    def __init__(self) -> None:
        self.got: list[str] = []

    def __call__(self, subject: str, payload: bytes) -> None:
        self.got.append(payload.decode())

    async def some(self, number: int) -> None:
        """Wait until this many have arrived."""
        await eventually(lambda: len(self.got) >= number)


async def hearing(link: Link | NatsLink, pattern: str = "m.>") -> Inbox:
    """An inbox subscribed to a pattern."""
    inbox = Inbox()
    await link.subscribe(pattern, inbox)
    return inbox


def publish(link: Link | NatsLink, *texts: str) -> None:
    """Publish each text."""
    for text in texts:
        link.publish("m.a.x", text.encode())


async def unavailable(what: Awaitable[object]) -> None:
    """Assert that it raises unavailable."""
    with pytest.raises(ArtcafeError) as refusal:
        await what
    assert refusal.value.code is Code.unavailable


async def everything_sent(link: Link) -> None:
    """Return when whatever this link published before has been delivered to this link's subscriptions."""
    marks: Got = []
    mark = await link.subscribe("m.test.mark", collect(marks))
    link.publish("m.test.mark", b"")
    await eventually(lambda: marks)
    await mark.close()
