"""The inbox of one connection: opened and closed as its frames ask, and what is delivered of it."""

from artcafe.server.gateway.fanout.inbox import Inbox
from artcafe.server.gateway.fanout.inbox_delivery import InboxDelivery
from artcafe.server.gateway.fanout.inboxes import TenantInboxes
from artcafe.server.gateway.sessions.answers import Answers
from artcafe.server.gateway.sessions.client import Client, Work
from artcafe.server.gateway.sessions.client_deliveries import ClientDeliveries
from artcafe.wire import frames
from artcafe.wire.envelopes import InboxEnvelope
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.inbox import CLOSED, TAKEN_OVER, CloseInbox, InboxClosed, InboxOpened, OpenInbox


class _Holder:
    """inbox.Holder: this connection, from one `inbox` frame on."""

    def __init__(self, client: Client, answers: Answers, deliveries: ClientDeliveries, most: int) -> None:
        self.most = most
        self.inbox: Inbox | None = None
        self.delivered = 0
        self.lost = False
        self._client = client
        self._answers = answers
        self._deliveries = deliveries

    def take(self, delivery: InboxDelivery, envelope: InboxEnvelope, waiting: int) -> None:
        """See Holder."""
        self.delivered += 1
        delivery.token = self._deliveries.begin(delivery)
        message = envelope.message
        self._answers.send(
            frames.Message(
                subject=envelope.subject,
                sender=envelope.sender,
                id=message.id,
                timestamp=message.timestamp,
                data=message.data,
                headers=message.headers,
                reply_to=message.reply_to,
                delivery=delivery.token,
                redelivered=delivery.redelivered,
                waiting=waiting,
            )
        )

    def lose(self) -> None:
        """See Holder."""
        self.lost = True
        if self.inbox is not None:  # Else the frame is not answered yet.
            self._answers.send(InboxClosed(reason=TAKEN_OVER))

    async def room(self) -> None:
        """See Holder."""
        await self._client.room()


class ClientInbox:
    """The inbox of a client, which no other connection has while this one does."""

    __slots__ = (
        "_answers",
        "_client",
        "_delivered",
        "_deliveries",
        "_gone",
        "_holder",
        "_inboxes",
        "_owner",
    )

    def __init__(
        self,
        inboxes: TenantInboxes,
        owner: str,
        client: Client,
        answers: Answers,
        deliveries: ClientDeliveries,
    ) -> None:
        self._inboxes = inboxes
        self._owner = owner
        self._client = client
        self._answers = answers
        self._deliveries = deliveries
        self._holder: _Holder | None = None
        self._gone = False
        self._delivered = 0

    def handle(self, frame: OpenInbox | CloseInbox) -> Work | None:
        """Open the inbox, or close it, and answer the frame."""
        if isinstance(frame, OpenInbox):
            return self._open(frame)
        self._close()
        self._answers.send(InboxClosed(reason=CLOSED, id=frame.id))
        return None

    async def _open(self, frame: OpenInbox) -> None:
        """Open it; messages follow the answer. What was delivered by an earlier opening and is not settled is
        delivered anew."""
        self._close()
        for delivery in self._deliveries:
            if isinstance(delivery, InboxDelivery):
                self._deliveries.end(delivery.token)
        holder = self._holder = _Holder(self._client, self._answers, self._deliveries, frame.max_in_flight)
        try:
            inbox = await self._inboxes.open(self._owner, holder)
        except ArtcafeError as error:
            self._holder = None
            self._answers.refuse(error, frame.id)
            return
        if self._gone:
            inbox.release(holder)
            return
        holder.inbox = inbox
        self._answers.send(InboxOpened(waiting=inbox.waiting, id=frame.id))
        if holder.lost:  # By a connection that opened it meanwhile.
            holder.lose()
        inbox.begin(holder)

    def drain(self) -> None:
        """Deliver nothing more. What was delivered can still be settled."""
        self._close()

    def leave(self) -> None:
        """The connection is gone: what it did not settle waits as before."""
        self._gone = True
        self._close()

    def delivered(self) -> int:
        """How many messages were delivered since this was last asked."""
        if self._holder is not None:
            self._delivered += self._holder.delivered
            self._holder.delivered = 0
        delivered, self._delivered = self._delivered, 0
        return delivered

    def _close(self) -> None:
        holder, self._holder = self._holder, None
        if holder is not None:
            self._delivered += holder.delivered
            if holder.inbox is not None:
                holder.inbox.release(holder)
