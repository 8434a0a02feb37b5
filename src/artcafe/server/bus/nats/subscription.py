"""A subscription of a link."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from artcafe.server.ports.bus import Deliver, Own

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

    __slots__ = ("_link", "_own", "deliver", "number", "open", "pattern", "queue")

    def __init__(
        self, link: SubscriptionOwner, pattern: str, queue: str | None, deliver: Deliver, own: Own | None
    ) -> None:
        self.open = True
        self.pattern = pattern
        self.queue = queue
        self.deliver = deliver
        self.number: int | None = None
        self._link = link
        self._own = own

    async def close(self) -> None:
        """As ports.Subscription; without a queue nothing is delivered after this was called."""
        if not self.open:
            return
        self.open = False
        if self.queue is None:
            self._link.forget(self)
        else:
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
