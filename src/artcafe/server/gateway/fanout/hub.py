"""The hub of one tenant: one subscription on the bus per pattern, shared by all its subscribers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from artcafe.server.domain.channel_rules import DurableChannel
from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects.envelope import NOT_OURS, id_of, reencoded
from artcafe.server.gateway.fanout.acknowledgements import Acknowledgements
from artcafe.server.gateway.fanout.cutover import Cutover
from artcafe.server.gateway.fanout.delivery_queue import DeliveryQueue
from artcafe.server.gateway.fanout.duplicate_filter import DuplicateFilter
from artcafe.server.gateway.fanout.durable import ChannelTails, CoveredSubscription
from artcafe.server.gateway.fanout.durable_subscription import Announce
from artcafe.server.gateway.fanout.durable_subscriptions import DurableSubscriptions
from artcafe.server.gateway.fanout.inboxes import TenantInboxes
from artcafe.server.gateway.fanout.recovery import Recovery
from artcafe.server.gateway.fanout.requests import RequestExchange
from artcafe.server.gateway.fanout.subscriber import (
    ClientSubscription,
    Recovering,
    Subscriber,
    Topic,
)
from artcafe.server.gateway.fanout.topics import Topics
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.ports.bus import Link, Subscription
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import Address, pattern_to_bus

LOG = logging.getLogger("artcafe.gateway")

RECENT = 1024
"""Messages after which no other copy of one by another pattern is expected."""

BUDGET = 8192
"""Units of work (Subscriber.take) that one tenant's deliveries take in one turn of the event loop."""

RETRY_SECONDS = 0.2
"""When a bus that was away is asked again what it has sent."""


class TenantHub:
    """The subscriptions of one tenant on this process, and the acknowledgements of what is published.

    The bus sends a copy of a message for each pattern that matches it. The first one is delivered, to
    whoever has any subscription without a queue that matches; the others are told by their id and
    dropped. Copies by queue groups are for the one subscriber they come to. `budget` is DeliveryQueue's.

    What a durable channel stores comes by its tail (`channels`); the bus brings copies of it for queue groups
    alone. Any other copy there was not stored, and is dropped.
    """

    def __init__(
        self,
        tenant: TenantId,
        link: Link,
        scheduler: TurnScheduler,
        *,
        process: str = "",
        budget: int = BUDGET,
        start: Callable[[Coroutine[Any, Any, None]], None] | None = None,
        announce: Announce | None = None,
    ) -> None:
        """`process` is what the ids of messages that are published here begin with; `start` is
        RequestExchange's and DurableSubscriptions', `announce` is theirs."""
        self.tenant = tenant
        self.link = link
        self.sessions = 0
        self._gaps = link.gaps
        self.acknowledgements = Acknowledgements(tenant, link)
        self._topics = Topics(tenant)
        self.requests = RequestExchange(tenant, link, start)
        self._queue = DeliveryQueue(tenant, link, scheduler, self._topics, budget, self.requests.delivered)
        self.channels = ChannelTails(tenant, link, self._topics, self._queue)
        self.durable = DurableSubscriptions(tenant, link, self.channels.route, announce, start)
        self.inboxes = TenantInboxes(tenant, link.inboxes, start, announce)
        self._seen = DuplicateFilter(RECENT)
        # How the envelopes begin that are delivered here without the bus; nothing, where there are none.
        self._from_here = b""
        self._beginning = b'{"id":"%b-' % process.encode() if process else b""

    def missed(self) -> bool:
        """Whether messages may have been missed since this was last asked."""
        before, self._gaps = self._gaps, self.link.gaps
        return self._gaps != before

    def waiting(self) -> int:
        """How many messages wait to be delivered."""
        return self._queue.messages()

    async def subscribe(self, subscriber: Subscriber, text: str, address: Address, queue: str | None) -> None:
        """Add a subscription; when this returns, everything published later is delivered.

        Subscribing again to the same text and queue changes nothing. Raises unavailable, and
        too_many_subscriptions where the subscriber's patterns, or the tenant's, overlap too much.
        """
        key = (text, queue)
        if key in subscriber.subscriptions:
            return
        if subscriber.stopped or (subscriber.drained and queue is not None):
            raise ArtcafeError(Code.unavailable, "The connection is over.")
        topic = self._topics.plain.get(address.subject) if queue is None else None
        fresh = topic is None
        if topic is None:
            topic = Topic(address.subject, queue)
        held = subscriber.add(key, address, topic)
        if fresh:
            try:
                self._topics.include(topic)
            except BaseException:
                subscriber.remove(key)
                raise
        cutover = subscriber.begin_cutover(held, closing=False)
        topic.subscribers[subscriber] = None
        try:
            if fresh:
                await self._open(topic, queue)
            else:
                await asyncio.shield(topic.handle)
            if queue is None:
                await self._complete(subscriber, held, cutover)
        except BaseException:
            try:
                await self._leave(subscriber, key)
            finally:
                if cutover is not None:
                    subscriber.end_cutover(cutover)
            raise

    def may_miss(self, subscriber: Subscriber) -> bool:
        """Whether a subscriber may miss messages while the bus is away: by any subscription but those within
        a durable channel, whose tail misses none."""
        return any(
            held.queue is not None or self.channels.storing(held.topic.pattern) is None
            for held in subscriber.subscriptions.values()
        )

    def recovery(
        self,
        subscriber: Subscriber,
        channel: DurableChannel,
        room: Callable[[], Awaitable[None]],
        start: Callable[[Coroutine[Any, Any, None]], None],
    ) -> Recovering:
        """The subscriber's recovery in a channel, which expects one more subscription; `start` runs it. Until
        that has joined, nothing of the channel is delivered to the subscriber."""
        known = subscriber.recoveries.get(channel.stream)
        if known is None:
            self.catch_up(subscriber)
            known = Recovery(subscriber, channel, self.channels, room)
            subscriber.recover(channel.stream, known)
            start(known.run())
        known.expect()
        return known

    def place(self, subscriber: Subscriber, held: ClientSubscription) -> None:
        """Let recoveries that are under way know a new subscription without a queue, which begins now."""
        if held.queue is None and subscriber.recoveries:
            for channel in self.channels.storing_some(held.topic.pattern):
                recovery, place = subscriber.recoveries.get(channel.stream), self.channels.place(channel)
                if recovery is not None and place is not None:
                    recovery.place(held, place.seq)

    def catch_up(self, subscriber: Subscriber) -> None:
        """Deliver now what waits for a subscriber."""
        self._queue.catch_up(subscriber)

    async def _complete(
        self, subscriber: Subscriber, held: ClientSubscription, cutover: Cutover | None
    ) -> None:
        """Let a subscription without a queue have all messages. Raises unavailable."""
        if cutover is not None:
            await self._cut(subscriber, cutover)
        held.complete = True
        subscriber.changed()
        if cutover is not None:
            await self._end_cutover(subscriber, cutover)

    async def _cut(self, subscriber: Subscriber, cutover: Cutover) -> None:
        """Let the newer kind of copies begin. Raises unavailable."""
        await self.link.settle()
        self._queue.catch_up(subscriber)
        cutover.cut()

    async def _end_cutover(self, subscriber: Subscriber, cutover: Cutover) -> None:
        """Let the older kind of copies end. Where the bus is away, the cutover stays."""
        try:
            await self.link.settle()
        except ArtcafeError as error:
            LOG.debug("tenant %s: a cutover stays: %s", self.tenant, error)
        else:
            self._queue.catch_up(subscriber)
            subscriber.end_cutover(cutover)

    async def _open(self, topic: Topic, queue: str | None) -> None:
        try:
            handle: Subscription = await self.link.subscribe(
                pattern_to_bus(topic.pattern),
                partial(self._arrived, topic),
                queue,
                partial(self._receiver, topic),
            )
            if queue is None:
                handle = await self._cover(handle, topic)
        except BaseException as error:
            # Who waits is told, and who comes from now on tries again.
            self._topics.forget(topic)
            topic.handle.set_exception(
                error if isinstance(error, ArtcafeError) else ArtcafeError(Code.internal)
            )
            topic.handle.exception()  # Nobody may wait, and asyncio would log that.
            raise
        topic.handle.set_result(handle)
        if not topic.subscribers:
            await _close(handle)

    async def _cover(self, handle: Subscription, topic: Topic) -> Subscription:
        """Let durable channels deliver to a topic, too; what closes both. Raises unavailable, not_found."""
        covered = CoveredSubscription(handle, self.channels)
        try:
            await self.channels.cover(topic.pattern)
        except BaseException:
            await _close(covered)
            raise
        return covered

    def _arrived(self, topic: Topic, bus_subject: str, payload: bytes) -> None:
        """A message by the bus."""
        if not topic.alive:
            heir = self._topics.groups.other(topic)
            if heir is None:
                return
            topic = heir
        if topic.queue is None and self._from_here and payload.startswith(self._from_here):
            # It was delivered when it was published. The server takes a link that was made anew for another
            # client, and sends it what its last one has left on the way.
            return
        try:
            route = self._topics.route(self._queue, None if topic.queue is None else topic, bus_subject)
            if route.group is None:
                self._topics.update(route)
                if route.stream is not None:
                    return
                more = len(route.topics) > 1
                if more or self._seen.ids:
                    if id_of(payload) in self._seen.ids:
                        return
                    payload = reencoded(payload)
                    name = id_of(payload)
                    assert name is not None
                    if self._seen.is_first(name, more):
                        self._queue.enqueue(route, payload)
                    return
            self._queue.enqueue(route, reencoded(payload))
        except NOT_OURS as error:
            LOG.warning("tenant %s: dropped a message that is not ours: %s", self.tenant, error)

    def _receiver(self, topic: Topic, bus_subject: str) -> Callable[[bytes], None]:
        """Who takes what this process itself says: the same for all topics without a queue."""
        self._from_here = self._beginning  # A link that asks delivers it.
        try:
            return self._topics.route(self._queue, None if topic.queue is None else topic, bus_subject)
        except ValueError:
            return partial(self._arrived, topic, bus_subject)

    async def unsubscribe(self, subscriber: Subscriber, text: str, queue: str | None) -> bool:
        """Remove a subscription; from here on nothing more comes by it. False when there was none."""
        key = (text, queue)
        if key not in subscriber.subscriptions:
            return False
        held = subscriber.subscriptions[key]
        if queue is not None:
            await self._close_groups(subscriber, [held.topic])
        elif (cutover := subscriber.begin_cutover(held, closing=True)) is not None:
            try:
                await self._cut(subscriber, cutover)
            except BaseException:
                subscriber.end_cutover(cutover)  # It goes on as it was.
                raise
            if key in subscriber.subscriptions:
                await self._close_behind(subscriber, subscriber.remove(key), cutover)
            return True
        await self._leave(subscriber, key)
        return True

    async def _close_behind(self, subscriber: Subscriber, topic: Topic, cutover: Cutover) -> None:
        """End what the client does not have any more, after the last copies by it."""
        await self._end_cutover(subscriber, cutover)
        cutover.listening = False
        await _close(self._release(subscriber, topic))

    async def drain(self, subscriber: Subscriber) -> None:
        """Let a subscriber's groups send it nothing more; when this returns, what they had sent is delivered.
        Its subscriptions stay, and those without a queue go on. It joins no group any more."""
        subscriber.drained = True
        held = subscriber.subscriptions.values()
        await self._close_groups(subscriber, [each.topic for each in held if each.queue is not None])

    async def _close_groups(self, subscriber: Subscriber, topics: Sequence[Topic]) -> None:
        await _close_all([topic.opened for topic in topics])
        if any(queue is None for _, queue in subscriber.subscriptions):
            # Copies by the groups were passed over: those that stand for them may be on their way.
            try:
                await self.link.settle()
            except ArtcafeError as error:
                LOG.debug("tenant %s: a group is left while the bus is away: %s", self.tenant, error)
        self._queue.catch_up(subscriber)

    async def _leave(self, subscriber: Subscriber, key: tuple[str, str | None]) -> None:
        self._queue.catch_up(subscriber)  # What was here before.
        if key in subscriber.subscriptions:
            await _close(self._detach(subscriber, key))

    def leave(self, *subscribers: Subscriber) -> Coroutine[Any, Any, None]:
        """Remove all subscriptions of subscribers, at once; what is left to tell the bus is handed back."""
        handles: list[Subscription | None] = []
        for subscriber in subscribers:
            handles += [self._detach(subscriber, key) for key in tuple(subscriber.subscriptions)]
            handles += [self._release(subscriber, topic) for topic in subscriber.listened()]
        return _close_all(handles)

    def end(self, held: Sequence[tuple[Subscriber, tuple[str, str | None]]]) -> Coroutine[Any, Any, None]:
        """Remove some subscriptions, at once; what is left to do on the bus is handed back. Where a member
        stays in a group, what is for the group comes by the old way until the bus has brought what was sent.
        """
        handles: list[Subscription | None] = []
        closing: list[tuple[Subscriber, Topic, Cutover]] = []
        for subscriber, key in sorted(held, key=lambda each: each[1][1] is None):  # Groups first.
            cutover = subscriber.begin_cutover(subscriber.subscriptions[key], closing=True)
            if cutover is None:
                handles.append(self._detach(subscriber, key))
            else:
                closing.append((subscriber, subscriber.remove(key), cutover))
        return self._end(handles, closing)

    async def _end(
        self, handles: Sequence[Subscription | None], closing: Sequence[tuple[Subscriber, Topic, Cutover]]
    ) -> None:
        await asyncio.gather(_close_all(handles), *[self._cut_and_close(*each) for each in closing])

    async def _cut_and_close(self, subscriber: Subscriber, topic: Topic, cutover: Cutover) -> None:
        while not subscriber.stopped:
            try:
                await self._cut(subscriber, cutover)
                break
            except ArtcafeError:  # The bus is away. What it brings when it is back may have come before.
                await asyncio.sleep(RETRY_SECONDS)
        await self._close_behind(subscriber, topic, cutover)

    def _detach(self, subscriber: Subscriber, key: tuple[str, str | None]) -> Subscription | None:
        """Take a subscription from a subscriber. What nobody needs any more on the bus is handed back."""
        return self._release(subscriber, subscriber.remove(key))

    def _release(self, subscriber: Subscriber, topic: Topic) -> Subscription | None:
        if subscriber.listens(topic):
            return None
        topic.subscribers.pop(subscriber, None)
        if topic.subscribers:
            return None
        self._topics.forget(topic)
        other = self._topics.groups.other(topic)
        if other is not None:
            self._queue.hand_on(topic, subscriber, other)
        return topic.opened


async def _close(handle: Subscription | None) -> None:
    """Nobody hears it any more: a bus that cannot be told is no reason to leave others open."""
    if handle is not None:
        try:
            await handle.close()
        except ArtcafeError as error:
            LOG.warning("a subscription on the bus was not closed: %s", error)


async def _close_all(handles: Sequence[Subscription | None]) -> None:
    await asyncio.gather(*[_close(handle) for handle in handles if handle is not None])
