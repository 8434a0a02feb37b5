"""The durable channels of one tenant on this process: which there are, and a tail of each that a subscription
may match."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from artcafe.server.domain.channel_rules import ChannelRules, DurableChannel
from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects.envelope import NOT_OURS, placed, reencoded
from artcafe.server.gateway.fanout.subscriber import MessageRoute, MessageSink
from artcafe.server.gateway.fanout.topics import Topics
from artcafe.server.ports.bus import Link, Subscription
from artcafe.server.ports.streams import StoredMessage, Streams, Tail
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import Position, encode
from artcafe.wire.subjects import pattern_to_bus

LOG = logging.getLogger("artcafe.gateway")

RETRY_SECONDS = 0.5
"""When a tail that could not be opened is tried again."""


class ChannelTail:
    """The tail of one durable channel, shared by all subscriptions here. `opened` is done when it delivers,
    and fails for everybody who waits when it cannot."""

    def __init__(self, channel: DurableChannel, emit: Callable[["ChannelTail", StoredMessage], None]) -> None:
        self.channel = channel
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.encoded_epoch = b""
        self._emit = emit
        self._tail: Tail | None = None
        # What came before the tail was handed over, in order.
        self._early: list[StoredMessage] = []
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._closed = False

    @property
    def following(self) -> int:
        """The sequence of the next delivery, once it is open."""
        assert self._tail is not None
        return self._early[0].seq if self._early else self._tail.following

    @property
    def epoch(self) -> str:
        """The epoch of what is delivered, once it is open."""
        assert self._tail is not None
        return self._tail.epoch

    def begin(self, tail: Tail) -> None:
        """It is open: deliver what came already."""
        self._tail = tail
        self.renew()
        while self._early:
            self._emit(self, self._early.pop(0))
        self.opened.set_result(None)

    def renew(self) -> None:
        """The epoch is another one."""
        self.encoded_epoch = encode(self.epoch)

    def deliver(self, message: StoredMessage) -> None:
        """A message was stored."""
        if self._closed:
            return
        if self._tail is None:
            self._early.append(message)
            return
        self._emit(self, message)
        if self._waiting:
            self._wake(lambda seq: seq <= message.seq)

    async def reached(self, seq: int) -> None:
        """Return when it has delivered everything up to a sequence, or is closed."""
        if self.following <= seq and not self._closed:
            reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((seq, reached))
            await reached

    async def close(self) -> None:
        """Deliver nothing any more. Closing twice is allowed."""
        self._closed = True
        self._wake(lambda _: True)
        if self._tail is not None:
            try:
                await self._tail.close()
            except ArtcafeError as error:
                LOG.warning("a tail was not closed: %s", error)

    def _wake(self, ripe: Callable[[int], bool]) -> None:
        waiting, self._waiting = self._waiting, []
        for seq, reached in waiting:
            if not ripe(seq):
                self._waiting.append((seq, reached))
            elif not reached.done():
                reached.set_result(None)


class ChannelTails:
    """Delivers what durable channels store to the subscriptions without a queue: each message once, in the
    order of the channel, with its place."""

    def __init__(self, tenant: TenantId, link: Link, topics: Topics, sink: MessageSink) -> None:
        self._tenant = tenant
        self._link = link
        self._topics = topics
        self._sink = sink
        self._rules = ChannelRules([])
        self._tails: dict[str, ChannelTail] = {}

    @property
    def streams(self) -> Streams:
        """The tenant's streams."""
        return self._link.streams

    def storing(self, pattern: str) -> DurableChannel | None:
        """As ChannelRules.storing."""
        return self._rules.storing(pattern)

    def storing_some(self, pattern: str) -> Iterable[DurableChannel]:
        """As ChannelRules.storing_some."""
        return self._rules.storing_some(pattern)

    def holds(self, channel: DurableChannel) -> bool:
        """Whether it is still a durable channel, and the same."""
        return self._rules.storing(channel.pattern) == channel

    def follow(self, rules: ChannelRules) -> Coroutine[Any, Any, None] | None:
        """Go by these rules from now on; what is left to do on the bus is handed back."""
        if rules is self._rules:
            return None
        self._rules = rules
        self._topics.store(self._stream_of)
        over = [tail for tail in self._tails.values() if not self.holds(tail.channel)]
        for tail in over:
            del self._tails[tail.channel.stream]
        missing = {
            channel.stream: channel
            for pattern in self._topics.plain
            for channel in rules.storing_some(pattern)
            if channel.stream not in self._tails
        }
        return self._adjust(over, missing.values()) if over or missing else None

    async def _adjust(self, over: Iterable[ChannelTail], missing: Iterable[DurableChannel]) -> None:
        for tail in over:
            await tail.close()
        for channel in missing:
            while self.holds(channel) and self._is_wanted(channel):
                try:
                    await self._open(channel)
                    break
                except ArtcafeError as error:
                    LOG.warning("tenant %s: %s is not delivered yet: %s", self._tenant, channel.id, error)
                    await asyncio.sleep(RETRY_SECONDS)

    def tail(self, channel: DurableChannel) -> ChannelTail | None:
        """The tail of a channel, if it is open."""
        tail = self._tails.get(channel.stream)
        return tail if tail is not None and tail.opened.done() else None

    def place(self, channel: DurableChannel) -> Position | None:
        """The place behind which its messages are delivered from now on; None unless its tail is open."""
        tail = self.tail(channel)
        return None if tail is None else Position(epoch=tail.epoch, seq=tail.following - 1)

    async def cover(self, pattern: str) -> None:
        """Return when what is stored later, and matches a short pattern, is delivered. Raises unavailable,
        and not_found where a channel was deleted meanwhile."""
        for channel in tuple(self._rules.storing_some(pattern)):
            await self._open(channel)

    async def trim(self) -> None:
        """Close the tails that nobody needs any more."""
        for tail in [tail for tail in self._tails.values() if not self._is_wanted(tail.channel)]:
            if tail.opened.done():
                del self._tails[tail.channel.stream]
                await tail.close()

    async def _open(self, channel: DurableChannel) -> None:
        known = self._tails.get(channel.stream)
        if known is not None:
            await asyncio.shield(known.opened)
            return
        fresh = self._tails[channel.stream] = ChannelTail(channel, self._emit)
        try:
            tail = await self.streams.tail(
                channel.stream,
                pattern_to_bus(channel.pattern),
                fresh.deliver,
                partial(self._restarted, fresh),
            )
        except BaseException as error:
            # Who waits is told, and who comes from now on tries again.
            if self._tails.get(channel.stream) is fresh:
                del self._tails[channel.stream]
            told = error if isinstance(error, ArtcafeError) else ArtcafeError(Code.unavailable)
            fresh.opened.set_exception(told)
            fresh.opened.exception()  # Nobody may wait, and asyncio would log that.
            raise
        fresh.begin(tail)
        if self._tails.get(channel.stream) is not fresh:
            await fresh.close()  # The channel is not durable any more.
        await self.trim()

    def _is_wanted(self, channel: DurableChannel) -> bool:
        plain = self._topics.plain
        return any(
            each in plain for each in self._topics.interest.overlapping(pattern_to_bus(channel.pattern))
        )

    def _stream_of(self, subject: str) -> str | None:
        durable = self._rules.of(subject).permission.durable
        return None if durable is None else durable.stream

    def route(self, message: StoredMessage) -> MessageRoute:
        """The route of a stored message, as the topics are now. Raises ValueError for what is not ours."""
        route = self._topics.route(self._sink, None, message.subject)
        self._topics.update(route)
        return route

    def update(self, route: MessageRoute) -> None:
        """Match a route with the topics as they are now."""
        self._topics.update(route)

    def _emit(self, tail: ChannelTail, message: StoredMessage) -> None:
        try:
            route = self.route(message)
            if route.topics:
                payload = placed(reencoded(message.payload), message.seq, tail.encoded_epoch)
                self._sink.enqueue(route, payload)
        except NOT_OURS as error:
            LOG.warning("tenant %s: dropped a stored message that is not ours: %s", self._tenant, error)

    def _restarted(self, tail: ChannelTail) -> None:
        """The channel does not hold what was delivered: its subscribers come back, and are told."""
        if not tail.opened.done():
            return
        tail.renew()
        LOG.warning("tenant %s: the channel %s lost messages", self._tenant, tail.channel.id)
        for subscriber in set(self._topics.plain_subscribers(tail.channel.pattern)):
            subscriber.lose()


class CoveredSubscription:
    """A subscription on the bus, and the tails of the durable channels that its pattern may match."""

    def __init__(self, inner: Subscription, channels: ChannelTails) -> None:
        self._inner = inner
        self._channels = channels

    async def close(self) -> None:
        """See ports.Subscription."""
        try:
            await self._inner.close()
        finally:
            await self._channels.trim()
