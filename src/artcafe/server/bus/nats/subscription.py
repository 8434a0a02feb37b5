"""A subscription of a link."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from artcafe.server.bus.nats.connection import NatsConnection
from artcafe.server.ports.bus import Own

LOG = logging.getLogger(__name__)


class SubscriptionOwner(Protocol):
    """The part of a link that its subscriptions call."""

    def forget(self, subscription: "NatsSubscription", /) -> None:
        """Remove a subscription that was closed."""
        ...

    async def drain(self, subscription: "NatsSubscription", /) -> None:
        """Remove a subscription that was closed, once what the server had sent to it is delivered."""
        ...


class NatsSubscription:
    """Interest in a pattern, told anew to each connection of its link: ports.Subscription."""

    __slots__ = ("_link", "_own", "deliver", "missed", "number", "open", "pattern", "queue")

    def __init__(
        self,
        link: SubscriptionOwner,
        pattern: str,
        queue: str | None,
        deliver: Callable[[str, Any], None],
        own: Own | None,
        missed: Callable[[], None] | None = None,
    ) -> None:
        """With `missed`, `deliver` gets each message as a FullMessage; it is called where messages may have
        been missed."""
        self.open = True
        self.pattern = pattern
        self.queue = queue
        self.deliver = deliver
        self.missed = missed
        self.number: int | None = None
        self._link = link
        self._own = own

    def begin(self, connection: NatsConnection) -> None:
        """Subscribe on a new connection."""
        if self.missed is None:
            self.number = connection.take(self.pattern, self.queue, self.deliver)
        else:
            self.number = connection.take_full(self.pattern, self.deliver)

    def end(self) -> None:
        """The connection ended: messages may have been missed."""
        if self.missed is not None:
            self.missed()

    async def close(self) -> None:
        """As ports.Subscription; without a queue nothing is delivered after this was called."""
        if not self.open:
            return
        self.open = False
        if self.queue is None:
            self._link.forget(self)
        else:
            await self._link.drain(self)

    async def drain(self) -> None:
        """Close it; when this returns, what the server had sent to it before is delivered."""
        if self.open:
            self.open = False
            await self._link.drain(self)

    def receiver(self, subject: str) -> Callable[[bytes], None]:
        """Returns the receiver of messages that the link delivers itself, without the server."""
        if self._own is not None:
            try:
                return self._own(subject)
            except Exception:
                # It comes as from the server then, and to all others as it would.
                LOG.exception("fault of who listens to %s", self.pattern)
        return partial(self._deliver_later, subject)

    def _deliver_later(self, subject: str, payload: bytes) -> None:
        asyncio.get_running_loop().call_soon(self._deliver_if_open, subject, payload)

    def _deliver_if_open(self, subject: str, payload: bytes) -> None:
        if self.open:
            self.deliver(subject, payload)
