"""What is wanted of a link."""

import asyncio
from typing import Protocol

from artcafe.server.ports.bus import Deliver


class Keeper(Protocol):
    """The link, as its subscriptions see it."""

    def forget(self, subscription: "NatsSubscription", /) -> None:
        """It was closed."""
        ...


class NatsSubscription:
    """Interest in a pattern, told anew to each connection of its link: ports.Subscription."""

    __slots__ = ("_link", "deliver", "number", "open", "own", "pattern", "queue")

    def __init__(
        self, link: Keeper, pattern: str, queue: str | None, deliver: Deliver, own: Deliver | None
    ) -> None:
        self.open = True
        self.own = own or self._deliver_later
        self.pattern = pattern
        self.queue = queue
        self.deliver = deliver
        self.number: int | None = None
        self._link = link

    async def close(self) -> None:
        """Nothing is delivered after this was called. Closing twice is allowed."""
        if self.open:
            self.open = False
            self._link.forget(self)

    def _deliver_later(self, subject: str, payload: bytes) -> None:
        asyncio.get_running_loop().call_soon(self._deliver_if_open, subject, payload)

    def _deliver_if_open(self, subject: str, payload: bytes) -> None:
        if self.open:
            self.deliver(subject, payload)
