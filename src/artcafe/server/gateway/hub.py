"""Who wants what here: one subscription on the bus per tenant and pattern, however many share it."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.delivery import Delivery, Dialect
from artcafe.server.ports import Link, Subscription
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import decode_envelope
from artcafe.wire.subjects import Address, matches, pattern_to_bus

LOG = logging.getLogger("artcafe.gateway")

RECENT = 256
"""Messages a member of several queue groups remembers, to get each once."""

MAX_WINNERS = 1024
"""Subjects for which a member with several subscriptions remembers the one that delivers."""


class Receiver(Protocol):
    """Where deliveries end."""

    def deliver(self, framed: bytes) -> None:
        """Take one WebSocket frame; must not block or raise."""
        ...


class Topic:
    """One pattern on the bus, and the members that share it."""

    __slots__ = ("handle", "members", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.members: dict[Member, None] = {}
        # Done when the bus delivers; fails for everybody who waits when it refuses.
        self.handle: asyncio.Future[Subscription] = asyncio.get_running_loop().create_future()


class Subscribed:
    """One subscription of one member, in the form the client wrote it."""

    __slots__ = ("address", "queue", "topic")

    def __init__(self, address: Address, queue: str | None, topic: Topic) -> None:
        self.address = address
        self.queue = queue
        self.topic = topic


class Member:
    """One connection's subscriptions: a message that several of them match is delivered once."""

    def __init__(self, receiver: Receiver, dialect: Dialect) -> None:
        self.subscriptions: dict[tuple[str, str | None], Subscribed] = {}
        self._receiver = receiver
        self._dialect = dialect
        self._winners: dict[str, Subscribed | None] = {}
        self._recent: deque[str] = deque(maxlen=RECENT)

    def changed(self) -> None:
        """The set of subscriptions is another one."""
        self._winners.clear()

    def take(self, topic: Topic, delivery: Delivery) -> None:
        """Deliver the copy of a message that came for one topic, unless another copy is the one."""
        winner = self._winner(delivery.subject)
        if winner is None:
            # Only queue groups match: this copy was given to this member.
            winner = next(known for known in self.subscriptions.values() if known.topic is topic)
            if delivery.id in self._recent:
                return
            self._recent.append(delivery.id)
        elif winner.topic is not topic:
            return
        self._receiver.deliver(delivery.frame(winner.address.form, self._dialect))

    def _winner(self, subject: str) -> Subscribed | None:
        """The oldest subscription outside queue groups that matches, if any."""
        try:
            return self._winners[subject]
        except KeyError:
            pass
        if len(self._winners) >= MAX_WINNERS:
            self._winners.clear()
        winner = self._winners[subject] = next(
            (
                known
                for known in self.subscriptions.values()
                if known.queue is None and matches(known.address.subject, subject)
            ),
            None,
        )
        return winner


class TenantHub:
    """The subscriptions and acknowledgements of one tenant on this process."""

    def __init__(self, tenant: TenantId, link: Link) -> None:
        self.tenant = tenant
        self.link = link
        self.sessions = 0
        self._waiting: list[Callable[[ArtcafeError | None], None]] = []
        self._confirming = False
        self._topics: dict[str, Topic] = {}

    async def subscribe(self, member: Member, text: str, address: Address, queue: str | None) -> None:
        """Add a subscription; when this returns, everything published later is delivered.

        Subscribing again to the same text and queue changes nothing. Raises unavailable.
        """
        key = (text, queue)
        if key in member.subscriptions:
            return
        topic = self._topics.get(address.subject) if queue is None else None
        fresh = topic is None
        if topic is None:
            topic = Topic(address.subject)
            if queue is None:
                self._topics[address.subject] = topic
        topic.members[member] = None
        member.subscriptions[key] = Subscribed(address, queue, topic)
        member.changed()
        if fresh:
            await self._open(topic, queue)
        try:
            await asyncio.shield(topic.handle)
        except ArtcafeError:
            await self.unsubscribe(member, text, queue)
            raise

    async def _open(self, topic: Topic, queue: str | None) -> None:
        try:
            handle = await self.link.subscribe(
                pattern_to_bus(topic.pattern),
                lambda subject, payload: self._arrived(topic, subject, payload),
                queue,
            )
        except ArtcafeError as error:
            topic.handle.set_exception(error)
        except BaseException:
            topic.handle.cancel()
            raise
        else:
            topic.handle.set_result(handle)
            if not topic.members:
                await handle.close()

    def _arrived(self, topic: Topic, bus_subject: str, payload: bytes) -> None:
        try:
            delivery = Delivery(self.tenant, bus_subject, decode_envelope(payload))
            for member in tuple(topic.members):
                member.take(topic, delivery)
        except (ValueError, RecursionError) as error:
            LOG.warning("tenant %s: dropped a message that is not ours: %s", self.tenant, error)

    async def unsubscribe(self, member: Member, text: str, queue: str | None) -> bool:
        """Remove a subscription; when this returns, nothing more comes by it. False when there was none."""
        gone = member.subscriptions.pop((text, queue), None)
        if gone is None:
            return False
        member.changed()
        topic = gone.topic
        if any(known.topic is topic for known in member.subscriptions.values()):
            return True
        topic.members.pop(member, None)
        if not topic.members:
            if gone.queue is None:
                self._topics.pop(topic.pattern, None)
            # A topic that is still being opened is closed by whoever opens it.
            if topic.handle.done() and not topic.handle.cancelled() and topic.handle.exception() is None:
                await topic.handle.result().close()
        return True

    async def leave(self, member: Member) -> None:
        """Remove everything a member had."""
        for text, queue in tuple(member.subscriptions):
            await self.unsubscribe(member, text, queue)

    def confirm_later(self, tell: Callable[[ArtcafeError | None], None]) -> Coroutine[Any, Any, None] | None:
        """Call `tell` when the bus has everything published before, with the failure if there was one.

        One flush serves everybody who waits; the work is handed back when nobody does it yet.
        """
        self._waiting.append(tell)
        if self._confirming:
            return None
        self._confirming = True
        return self._confirm()

    async def _confirm(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                failure: ArtcafeError | None = None
                try:
                    await self.link.flush()
                except ArtcafeError as error:
                    failure = error
                for tell in waiting:
                    tell(failure)
        finally:
            self._confirming = False
