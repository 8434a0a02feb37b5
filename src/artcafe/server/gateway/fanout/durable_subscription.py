"""Durable subscriptions of one tenant on this process: each shares what its consumer hands out among its
members here, and gives back what a member leaves."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from msgspec import UNSET, Raw

from artcafe.server.domain.channel_rules import DurableChannel
from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects.envelope import NOT_OURS, placed, reencoded
from artcafe.server.gateway.fanout.subscriber import MessageRoute
from artcafe.server.ports.consumers import Consumer, Consumers, HandedOut
from artcafe.server.ports.streams import StoredMessage
from artcafe.wire.codes import Code
from artcafe.wire.deliveries import DeadLetter
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import encode

LOG = logging.getLogger("artcafe.gateway")

MEMBER_BYTES = 524_288
"""Bytes that a member has not settled, before it gets no more; one message is always taken."""

RETRY_SECONDS = 10.0
"""When a message comes again that could not become a dead letter, or that no member may hear."""

Announce = Callable[[str, bytes], object]
"""Publishes what the platform says, to a subject. May raise ArtcafeError."""

Route = Callable[[StoredMessage], MessageRoute]
"""Gives the route of a stored message. Raises NOT_OURS."""


class Member(Protocol):
    """A client that shares in a durable subscription."""

    def take(self, leased: "LeasedMessage", route: MessageRoute, payload: bytes) -> bool:
        """Deliver a message; False where it may not hear it. Must not block or raise."""
        ...

    def lapse(self, leased: "LeasedMessage") -> None:
        """The lease of a message is over: it is another member's."""
        ...

    def end(self, error: ArtcafeError) -> None:
        """The subscription is over."""
        ...


class Share:
    """What one member has, and may have, of a durable subscription."""

    __slots__ = ("held", "member", "most", "open", "size")

    def __init__(self, member: Member, most: int) -> None:
        self.member = member
        self.most = most
        self.open = True
        """Whether it takes more."""
        self.held: dict[LeasedMessage, None] = {}
        self.size = 0

    @property
    def free(self) -> int:
        """How many more it takes now."""
        return self.most - len(self.held) if self.open and self.size < MEMBER_BYTES else 0


class LeasedMessage:
    """One message that a member has: client_deliveries.Delivery."""

    __slots__ = ("_subscription", "deadline", "handed", "share", "size", "token")

    def __init__(
        self, subscription: "DurableSubscription", handed: HandedOut, share: Share, size: int
    ) -> None:
        self._subscription = subscription
        self.handed = handed
        self.share = share
        self.size = size
        self.deadline = 0.0
        self.token = ""
        """The member's own name of it."""

    @property
    def redelivered(self) -> int:
        """How often it was delivered before."""
        return self.handed.count - 1

    def ack(self) -> None:
        """It is done. Raises unavailable."""
        self._subscription.release(self)
        self._subscription.consumer.ack(self.handed)

    def nak(self, delay: float) -> None:
        """It is to be delivered again, after so many seconds. Raises unavailable."""
        self._subscription.release(self)
        self._subscription.consumer.nak(self.handed, delay)

    def renew(self) -> None:
        """Its lease begins anew. Raises unavailable."""
        self._subscription.consumer.renew(self.handed)
        self._subscription.lease(self)

    async def term(self, reason: str) -> None:
        """Return when it is a dead letter. Raises unavailable, channel_full: then it comes again."""
        self._subscription.release(self)
        await self._subscription.bury(self.handed, reason or "terminated by the client")


class DurableSubscription:
    """One durable subscription, and its members here."""

    def __init__(
        self,
        tenant: TenantId,
        channel: DurableChannel,
        name: str,
        consumers: Consumers,
        route: Route,
        announce: Announce,
        start: Callable[[Coroutine[Any, Any, None]], None],
        left: Callable[["DurableSubscription"], None],
    ) -> None:
        """`start` runs work as a task; `left` is called when the last member left."""
        self.channel = channel
        self.name = name
        self.consumer: Consumer
        self._tenant = tenant
        self._consumers = consumers
        self._route = route
        self._announce = announce
        self._start = start
        self._left = left
        self._encoded_epoch = b""
        self._shares: dict[Share, None] = {}
        # Those that take more, the next one first.
        self._ready: dict[Share, None] = {}
        # Handed out, while nobody has room: it was asked for by a member that left, or has grown full.
        self._waiting: deque[tuple[HandedOut, float]] = deque()
        # What the last member left: given back when nothing is handed out here any more.
        self._returned: list[HandedOut] = []
        # By their deadlines, the next one first: each lease takes the same time.
        self._leased: dict[LeasedMessage, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self.closed = False

    def begin(self, consumer: Consumer, epoch: str) -> None:
        """Share what this hands out. What it hands out before is kept."""
        self.consumer = consumer
        self._encoded_epoch = encode(epoch)
        self._hand_on()

    @property
    def idle(self) -> bool:
        """Whether nobody here takes more. What members have they may settle all the same."""
        return not self._shares

    def _turn_end(self) -> None:
        """What was settled in this turn makes room."""
        self._scheduled = False
        if self.closed:
            return
        self._hand_on()
        if self.idle:
            self._left(self)

    def _soon(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn_end)

    def join(self, member: Member, most: int) -> Share:
        """Let a member share, with so many messages at a time."""
        share = Share(member, most)
        self._shares[share] = None
        self._return()
        self._update(share)
        self._hand_on()
        return share

    def stop(self, share: Share) -> None:
        """Deliver nothing more to a member; what it has it may still settle."""
        share.open = False
        self._shares.pop(share, None)
        self._update(share)
        self._soon()

    def leave(self, share: Share) -> None:
        """A member is gone: what it has is given back at once, or, after the last one here, as soon as it
        cannot come here again."""
        self.stop(share)
        for leased in tuple(share.held):
            self.release(leased)
            self._returned.append(leased.handed)
        if self._shares or self.closed:
            self._return()

    def _return(self) -> None:
        returned, self._returned = self._returned, []
        for handed in returned:
            self._give_back(handed)

    async def close(self) -> None:
        """Consume no more. Closing twice is allowed."""
        if self.closed:
            return
        self.closed = True
        try:
            await self.consumer.close()
        except ArtcafeError as error:
            LOG.warning("tenant %s: a consumer was not closed: %s", self._tenant, error)
        finally:
            self._returned += [handed for handed, _ in self._waiting]
            self._waiting.clear()
            self._return()

    def over(self) -> None:
        """The consumer was deleted."""
        for share in tuple(self._shares):
            self.stop(share)
            share.member.end(ArtcafeError(Code.not_durable, "The durable subscription was deleted."))

    # What is handed out.

    def take(self, handed: HandedOut) -> None:
        """A message was handed out to this process."""
        self._waiting.append((handed, self._loop.time()))
        if self._encoded_epoch and not self.closed:
            self._hand_on()

    def _hand_on(self) -> None:
        """Give members what waits, in turn, and ask for as much as they take."""
        while self._waiting and self._ready:
            handed, since = self._waiting.popleft()
            if self._loop.time() - since < self.consumer.rules.lease:  # Else it is handed out again.
                self._deliver(handed)
        if not self.closed and self._encoded_epoch:
            free = sum(share.free for share in self._ready)
            self.consumer.want(max(0, free - len(self._waiting)))

    def _deliver(self, handed: HandedOut) -> None:
        if handed.count > self.consumer.rules.max_deliveries > 0:
            self._start(self._bury_or_retry(handed, "delivered too often"))
            return
        try:
            route = self._route(handed.message)
            payload = placed(reencoded(handed.message.payload), handed.message.seq, self._encoded_epoch)
        except NOT_OURS as error:
            LOG.warning("tenant %s: a stored message is not ours: %s", self._tenant, error)
            self._start(self._bury_or_retry(handed, "not a message of this platform"))
            return
        for share in tuple(self._ready):
            leased = LeasedMessage(self, handed, share, len(payload))
            if share.member.take(leased, route, payload):
                share.held[leased] = None
                share.size += leased.size
                del self._ready[share]  # Last in turn, if it takes more.
                self._update(share)
                self.lease(leased)
                return
        self._give_back(handed, RETRY_SECONDS)

    def _update(self, share: Share) -> None:
        if share.free > 0:
            self._ready.setdefault(share, None)
        else:
            self._ready.pop(share, None)

    def _give_back(self, handed: HandedOut, delay: float = 0.0) -> None:
        try:
            self.consumer.nak(handed, delay)
        except ArtcafeError as error:
            LOG.debug("tenant %s: a message comes again when its lease is over: %s", self._tenant, error)

    # Leases.

    def lease(self, leased: LeasedMessage) -> None:
        """Let a lease begin, or begin anew."""
        self._leased.pop(leased, None)
        leased.deadline = self._loop.time() + self.consumer.rules.lease
        self._leased[leased] = None
        if self._timer is None:
            self._timer = self._loop.call_at(leased.deadline, self._expire)

    def release(self, leased: LeasedMessage) -> None:
        """A member has a message no more."""
        if self._leased.pop(leased, False) is None:
            del leased.share.held[leased]
            leased.share.size -= leased.size
            self._update(leased.share)
            self._soon()

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._leased:
            leased = next(iter(self._leased))
            if leased.deadline > now:
                self._timer = self._loop.call_at(leased.deadline, self._expire)
                return
            self.release(leased)
            leased.share.member.lapse(leased)

    # Dead letters.

    async def _bury_or_retry(self, handed: HandedOut, reason: str) -> None:
        try:
            await self.bury(handed, reason)
        except ArtcafeError as error:
            LOG.warning(
                "tenant %s: %s keeps a message that is dead: %s", self._tenant, self.channel.id, error
            )
            self._give_back(handed, RETRY_SECONDS)

    async def bury(self, handed: HandedOut, reason: str) -> None:
        """Make a dead letter of a message. Raises unavailable, channel_full."""
        message = handed.message
        try:
            route = self._route(message)
            sender, subject, envelope = route.sender, route.subject, reencoded(message.payload)
        except NOT_OURS:
            sender, subject, envelope = "", message.subject, encode(message.payload)
        letter = DeadLetter(
            subject=subject,
            sender=sender,
            seq=message.seq,
            durable=self.name,
            deliveries=min(handed.count, self.consumer.rules.max_deliveries or handed.count),
            reason=reason,
            message=Raw(envelope),
        )
        await self._consumers.bury(
            self.channel.stream, self.name, encode(letter), f"dead.{self.name}.{message.seq}"
        )
        self.consumer.term(handed)
        try:
            letter.message = UNSET
            self._announce(f"dlq.{self.channel.id}", encode(letter))
        except ArtcafeError as error:
            LOG.warning("tenant %s: a dead letter was not announced: %s", self._tenant, error)
