"""Deliveries of an inbox: what the connection that has it is given, and settles."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from artcafe.server.ports.inboxes import InboxMessage
from artcafe.wire.envelopes import InboxEnvelope


class Holder(Protocol):
    """The connection that opened an inbox. Nothing of it may raise, and `room` alone may take time."""

    most: int
    """Deliveries that it has not settled, at most."""

    def take(self, delivery: "InboxDelivery", envelope: InboxEnvelope, waiting: int) -> None:
        """Deliver a message, behind which so many wait."""
        ...

    def lose(self) -> None:
        """Another connection opened the inbox."""
        ...

    async def room(self) -> None:
        """Return when the client has taken most of what was sent to it, or is gone."""
        ...


@dataclass(frozen=True, slots=True)
class WantedReceipt:
    """Who wants to hear that a message is settled."""

    sender: str
    subject: str
    message_id: str


TellSettled = Callable[[str, WantedReceipt, str | None], None]
"""Tells a sender that this owner settled its message; with a reason: that it could not be done."""


class Settler(Protocol):
    """The inbox of a delivery, as that sees it."""

    def settle(self, delivery: "InboxDelivery", reason: str | None) -> Awaitable[None]:
        """Remove a message; done when it is removed."""
        ...

    def give_back(self, delivery: "InboxDelivery", delay: float) -> None:
        """Deliver it again, after so many seconds."""
        ...


class InboxDelivery:
    """One message that a client has: client_deliveries.Delivery. There is no lease: it is the client's until
    it is settled, or the connection ends."""

    __slots__ = ("_inbox", "priority", "receipt", "redelivered", "seq", "size", "token")

    def __init__(
        self, inbox: Settler, message: InboxMessage, receipt: WantedReceipt | None, count: int
    ) -> None:
        self._inbox = inbox
        self.seq = message.seq
        self.priority = message.priority
        self.size = len(message.payload)
        self.receipt = receipt
        self.redelivered = count
        """How often it was delivered before, as far as this process knows."""
        self.token = ""
        """The client's own name of it."""

    def ack(self) -> Awaitable[None]:
        """It is done; done when it is removed."""
        return self._inbox.settle(self, None)

    def nak(self, delay: float) -> None:
        """It is to be delivered again, after so many seconds."""
        self._inbox.give_back(self, delay)

    def renew(self) -> None:
        """Nothing: there is no lease."""

    async def term(self, reason: str) -> None:
        """Return when it is removed."""
        await self._inbox.settle(self, reason)
