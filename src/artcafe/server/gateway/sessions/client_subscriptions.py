"""The subscriptions of one connection: begun with what is live or with what is stored, and ended."""

from collections.abc import Awaitable, Callable

from artcafe.server.core.durable import history
from artcafe.server.core.publishing.publisher import MessageClock
from artcafe.server.domain.access import Rights
from artcafe.server.domain.channel_rules import DurableChannel
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.fanout.subscriber import ClientSubscription, Subscriber
from artcafe.server.gateway.sessions.answers import Answers
from artcafe.server.gateway.sessions.client import Work
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.since import parse_since
from artcafe.wire.subjects import Address, parse_pattern, pattern_to_bus


class ClientSubscriptions:
    """Begins and ends subscriptions as the frames of one client ask, by the `rights` of the moment, and
    answers them. A connection has at most `most`. `room` returns when the client has taken most of what was
    sent to it; `start` runs what goes on after the answer."""

    __slots__ = ("_answers", "_clock", "_hub", "_most", "_room", "_start", "_subscriber", "rights")

    def __init__(
        self,
        subscriber: Subscriber,
        hub: TenantHub,
        answers: Answers,
        *,
        rights: Rights,
        most: int,
        room: Callable[[], Awaitable[None]],
        start: Callable[[Work], None],
        clock: MessageClock,
    ) -> None:
        self._subscriber = subscriber
        self._hub = hub
        self._answers = answers
        self.rights = rights
        self._most = most
        self._room = room
        self._start = start
        self._clock = clock

    async def begin(self, frame: frames.Subscribe) -> None:
        """Subscribe, and answer the frame."""
        try:
            address = parse_pattern(frame.subject, self._hub.tenant)
            if frame.max_in_flight or frame.lease_ms or frame.max_deliveries:
                raise ArtcafeError(Code.bad_frame, "Only a durable subscription has leases and deliveries.")
            self.rights.check_subscribe(address, queue=frame.queue is not None)
            held = self._subscriber.subscriptions
            if (frame.subject, frame.queue) not in held and len(held) >= self._most:
                raise ArtcafeError(Code.too_many_subscriptions)
            channel = None if frame.queue is not None else self._hub.channels.storing(address.subject)
            if frame.since is not None or frame.recover is not None:
                answer = await self._recover(frame, address, channel)
            else:
                await self._hear(frame, address)
                answer = self._live(frame, channel)
        except ArtcafeError as error:
            self._answers.refuse(error, frame.id)
        else:
            self._answers.send(answer)

    async def _hear(self, frame: frames.Subscribe, address: Address) -> ClientSubscription:
        await self._hub.subscribe(self._subscriber, frame.subject, address, frame.queue)
        held = self._subscriber.subscriptions.get((frame.subject, frame.queue))
        if held is None:
            raise ArtcafeError(Code.forbidden, "The rights changed while the subscription began.")
        self._hub.place(self._subscriber, held)
        return held

    def _live(self, frame: frames.Subscribe, channel: DurableChannel | None) -> frames.Subscribed:
        """The answer where what comes from now on is delivered."""
        place = None if channel is None else self._hub.channels.place(channel)
        if place is None:
            return frames.Subscribed(subject=frame.subject, id=frame.id)
        self._hub.catch_up(self._subscriber)
        return frames.Subscribed(
            subject=frame.subject, id=frame.id, epoch=place.epoch, seq=place.seq, last=place.seq
        )

    async def _recover(
        self, frame: frames.Subscribe, address: Address, channel: DurableChannel | None
    ) -> frames.Subscribed:
        """Begin with what is stored; the answer. What is stored follows it. Raises ArtcafeError."""
        if frame.queue is not None or (frame.since is not None and frame.recover is not None):
            raise ArtcafeError(Code.bad_frame, "It is since or recover, and neither with a queue.")
        if channel is None:
            raise ArtcafeError(Code.not_durable, "The pattern does not lie within one durable channel.")
        self._clock.read()
        asked = None if frame.since is None else parse_since(frame.since, self._clock.now)
        recovery = self._hub.recovery(self._subscriber, channel, self._room, self._start)
        key, held = (frame.subject, None), None
        known = key in self._subscriber.subscriptions
        try:
            held = await self._hear(frame, address)
            streams, stream = self._hub.channels.streams, channel.stream
            state = await streams.state(stream)
            if frame.recover is not None:
                beginning = history.after(frame.recover, state)
            else:
                assert asked is not None
                pattern = pattern_to_bus(address.subject)
                beginning = await history.since(streams, stream, pattern, asked, state)
            if self._subscriber.subscriptions.get(key) is not held or not self._hub.channels.holds(channel):
                raise ArtcafeError(Code.forbidden, "The rights changed while the subscription began.")
        except BaseException:
            recovery.give_up()
            if held is not None and not known:
                await self._hub.unsubscribe(self._subscriber, frame.subject, None)
            raise
        held.channel = channel
        recovery.join(held, beginning.seq)
        return frames.Subscribed(
            subject=frame.subject,
            id=frame.id,
            epoch=state.epoch,
            seq=beginning.seq,
            last=state.last,
            recovered=beginning.reason is None,
            reason=beginning.reason,
        )

    async def end(self, frame: frames.Unsubscribe) -> None:
        """Unsubscribe, and answer the frame."""
        try:
            if not await self._hub.unsubscribe(self._subscriber, frame.subject, frame.queue):
                raise ArtcafeError(Code.not_found, "There is no such subscription on this connection.")
        except ArtcafeError as error:
            self._answers.refuse(error, frame.id)
        else:
            self._answers.send(frames.Unsubscribed(subject=frame.subject, id=frame.id))

    def over(self, held: ClientSubscription) -> ArtcafeError | None:
        """Why a subscription is over now: it is not allowed, or its place is in a channel that is no more."""
        try:
            self.rights.check_subscribe(held.address, queue=held.queue is not None)
        except ArtcafeError as error:
            return error
        if held.channel is not None and not self._hub.channels.holds(held.channel):
            return ArtcafeError(Code.not_durable, "The channel is not durable any more.")
        return None
