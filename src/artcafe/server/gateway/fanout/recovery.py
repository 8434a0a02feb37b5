"""Recovery of durable messages: the seam between what is stored and what comes live, for one subscriber and
channel."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from artcafe.server.domain.channel_rules import DurableChannel
from artcafe.server.gateway.dialects.envelope import NOT_OURS, placed, reencoded, seq_of
from artcafe.server.gateway.fanout.durable import ChannelTail, ChannelTails
from artcafe.server.gateway.fanout.subscriber import ClientSubscription, MessageRoute, Subscriber
from artcafe.server.ports.streams import StoredMessage
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import encode
from artcafe.wire.subjects import overlap, pattern_to_bus

LOG = logging.getLogger("artcafe.gateway")

HELD_MESSAGES = 1024
HELD_BYTES = 1_048_576
"""What is held of a channel while its store is read. What comes beyond is read from the store as well."""

READ_BYTES = 131_072
"""What is read from the store at a time, for one client."""

RETRY_SECONDS = 0.5
"""When a store that did not answer is asked again."""


class Recovery:
    """Delivers to a subscriber what a channel stored behind the places where its subscriptions are, then what
    came meanwhile, then lets the rest come live: in the order of the channel, each message once.

    Until then it takes all messages of the channel instead of the subscriber, those of its other
    subscriptions too, so that there is one order. It keeps what comes behind the cut, the last sequence that
    it reads from the store; when that is too much it drops it, makes a new cut, and reads on.
    """

    def __init__(
        self,
        subscriber: Subscriber,
        channel: DurableChannel,
        channels: ChannelTails,
        room: Callable[[], Awaitable[None]],
    ) -> None:
        """`room` returns when the client has taken most of what was sent to it."""
        self._subscriber = subscriber
        self._channel = channel
        self._channels = channels
        self._room = room
        tail = channels.tail(channel)
        # What subscriptions have that are not among the places; unknown before the first cut.
        self._floor: int | None = None if tail is None else tail.following - 1
        self._places: dict[ClientSubscription, int] = {}
        self._epoch: str | None = None
        self._joining = 0
        self._joined = asyncio.Event()
        # Grows when what is being read is not what has to be read any more.
        self._version = 0
        self._cut = 0
        self._holding = False
        self._held: list[tuple[int, MessageRoute, bytes]] = []
        self._size = 0
        self._overflowed = False

    def expect(self) -> None:
        """A subscription begins whose place is not known yet; `join` or `give_up` follows."""
        self._joining += 1

    def join(self, held: ClientSubscription, seq: int) -> None:
        """Begin behind this sequence for a subscription that is expected."""
        self.place(held, seq)
        self.give_up()

    def give_up(self) -> None:
        """A subscription that is expected does not come."""
        self._joining -= 1
        self._joined.set()

    def place(self, held: ClientSubscription, seq: int) -> None:
        """Begin, or begin again, behind this sequence for a subscription."""
        self._places[held] = seq
        self._version += 1

    def hold(self, route: MessageRoute, payloads: Sequence[bytes]) -> None:
        """See subscriber.Recovering."""
        if not self._holding or self._overflowed:
            return
        for payload in payloads:
            seq = seq_of(payload)
            if seq <= self._cut:
                continue
            self._size += len(payload)
            if len(self._held) >= HELD_MESSAGES or self._size > HELD_BYTES:
                self._overflowed = True
                self._held.clear()
                return
            self._held.append((seq, route, payload))

    async def run(self) -> None:
        """Deliver what is missing; when this returns, what comes is delivered live."""
        try:
            while not self._subscriber.stopped and self._channels.holds(self._channel):
                try:
                    if await self._round():
                        break
                except ArtcafeError as error:  # The bus is away; or the channel goes, and its rules are next.
                    LOG.debug("a recovery waits: %s", error)
                    await asyncio.sleep(RETRY_SECONDS)
        except Exception:
            LOG.exception("fault in a recovery")
            self._subscriber.failed()
        finally:
            self._subscriber.recover(self._channel.stream, None)

    async def _round(self) -> bool:
        """Read up to a new cut; whether the rest comes live from here on. Raises unavailable, not_found."""
        while self._joining:
            self._joined.clear()
            await self._joined.wait()
        async with self._subscriber.reading:
            tail = self._channels.tail(self._channel)
            if tail is None:
                raise ArtcafeError(Code.unavailable)
            try:
                return await self._read(tail)
            finally:
                self._holding = False

    async def _read(self, tail: ChannelTail) -> bool:
        if self._epoch is None:
            self._epoch = tail.epoch
        elif self._epoch != tail.epoch:
            self._subscriber.lose()
            return True
        # From here to the first reading nothing is awaited: what comes behind the cut is held.
        cut = self._cut = tail.following - 1
        self._held.clear()
        self._size, self._overflowed, self._holding = 0, False, True
        if self._floor is None:
            self._floor = cut
        version, pattern, epoch = self._version, self._pattern(), encode(tail.epoch)
        at = min([self._floor, *self._places.values()])
        while at < cut:
            await self._room()
            found = await self._channels.streams.read(
                self._channel.stream, at + 1, cut, pattern=pattern, most_bytes=READ_BYTES
            )
            if self._subscriber.stopped:
                return True
            if self._version != version:
                return False
            for message in found.messages:
                self._replay(message, epoch)
            at = min(found.following - 1, cut)
            self._advance(at)
        if self._overflowed or self._version != version or self._joining:
            return False
        ahead = max([0, *self._places.values()])
        if ahead >= tail.following:
            # The client was elsewhere, at a process that is ahead of this one.
            await tail.reached(ahead)
            return False
        for seq, route, payload in self._held:
            self._channels.update(route)
            self._subscriber.replay(route, payload, self._behind(seq))
        return True

    def _pattern(self) -> str | None:
        """The bus pattern of what has to be read; None: the whole channel."""
        wanted = {
            held.topic.pattern
            for held in self._subscriber.subscriptions.values()
            if held.queue is None and overlap(held.topic.pattern, self._channel.pattern)
        }
        return pattern_to_bus(wanted.pop()) if len(wanted) == 1 else None

    def _replay(self, message: StoredMessage, epoch: bytes) -> None:
        try:
            route = self._channels.route(message)
            payload = placed(reencoded(message.payload), message.seq, epoch)
        except NOT_OURS as error:
            LOG.warning("dropped a stored message that is not ours: %s", error)
        else:
            self._subscriber.replay(route, payload, self._behind(message.seq))

    def _behind(self, seq: int) -> Callable[[ClientSubscription], bool]:
        """Tells whether a subscription has not had the message with this sequence."""
        return lambda held: seq > self._places.get(held, self._floor or 0)

    def _advance(self, seq: int) -> None:
        for held, place in self._places.items():
            if place < seq:
                self._places[held] = seq
        self._floor = max(self._floor or 0, seq)
