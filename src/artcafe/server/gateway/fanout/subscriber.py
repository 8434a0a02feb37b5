"""The subscriptions of one connection, and the choice of messages that are delivered by them."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from artcafe.server.domain.channel_rules import DurableChannel
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.interest import Interest
from artcafe.server.domain.recent import Recent
from artcafe.server.gateway.dialects.dialect import Dialect
from artcafe.server.gateway.dialects.rendering import Encoder, MessageBatch
from artcafe.server.gateway.fanout.cutover import Cutover
from artcafe.server.gateway.fanout.duplicate_filter import DuplicateFilter
from artcafe.server.gateway.fanout.responder import Responder
from artcafe.server.ports.bus import Subscription
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import Address, from_bus, pattern_to_bus

LOG = logging.getLogger("artcafe.gateway")

MAX_OVERLAP = 16
"""A subscriber's subscriptions on the bus that may match one message, by the bound of Interest.most."""

MAX_CHOICES = 1024
"""Routes for which a subscriber remembers how they are delivered."""

RECENT = 256
"""Messages after which no other copy of one by another queue group is expected."""

MAX_CUTOVERS = 16
"""Cutovers of a subscriber at a time."""

_BY_GROUPS, _CUT, _HELD = 1, 2, 4
"""The checks of copies on a route: several groups bring them, cutovers concern them, a recovery takes
them."""

UNIT_BYTES = 4096
"""Bytes that are as much work to deliver as one message is."""


class Receiver(Protocol):
    """Where deliveries end."""

    def deliver(self, framed: bytes, /) -> None:
        """Take WebSocket frames, joined; must not block or raise."""

    def end(self, code: Code, /) -> None:
        """Say why, and close."""


class Recovering(Protocol):
    """What takes the messages of a stream instead of a subscriber, until it has delivered what is missing."""

    def hold(self, route: "MessageRoute", payloads: Sequence[bytes], /) -> None:
        """Take consecutive messages of a route; must not block or raise."""
        ...

    def expect(self) -> None:
        """A subscription begins whose place is not known yet."""
        ...

    def join(self, held: "ClientSubscription", seq: int, /) -> None:
        """The place of a subscription that is expected is behind this sequence."""
        ...

    def give_up(self) -> None:
        """A subscription that is expected does not come."""
        ...

    def place(self, held: "ClientSubscription", seq: int, /) -> None:
        """The place of any other subscription is behind this sequence."""
        ...


class MessageSink:
    """The interface of the queue that messages of a route go to."""

    __slots__ = ()

    def enqueue(self, route: "MessageRoute", payload: bytes) -> None:
        """Add a message of a route. `payload` comes from `encode`."""
        raise NotImplementedError


class Topic:
    """One subscription on the bus: a pattern, and the subscribers that share it; with a queue, one."""

    __slots__ = ("alive", "handle", "pattern", "queue", "subscribers")

    def __init__(self, pattern: str, queue: str | None = None) -> None:
        self.pattern = pattern
        self.queue = queue
        self.subscribers: dict[Subscriber, None] = {}
        self.alive = True
        """Whether its copies of messages count: not once nobody needs it, or the bus refused it."""
        # Done when the bus delivers; fails for everybody who waits when it refuses.
        self.handle: asyncio.Future[Subscription] = asyncio.get_running_loop().create_future()

    @property
    def opened(self) -> Subscription | None:
        """What there is to close. What is still being opened is closed by whoever opens it."""
        opened = self.handle.done() and self.handle.exception() is None
        return self.handle.result() if opened else None


class MessageRoute:
    """Messages of one sender on one subject: those for all subscriptions without a queue, or with `group`
    those that come by that one subscription with a queue. Called with what this process itself says.

    Raises ValueError when the subject is not one of this platform.
    """

    __slots__ = (
        "_encoders",
        "_sink",
        "_tenant",
        "bus_subject",
        "group",
        "patterns",
        "sender",
        "stream",
        "subject",
        "topics",
        "version",
    )

    def __init__(
        self, sink: MessageSink, tenant: TenantId, bus_subject: str, group: Topic | None = None
    ) -> None:
        self.group = group
        self.bus_subject = bus_subject
        self.sender, self.subject = from_bus(bus_subject)
        self.patterns: tuple[str, ...] = ()
        """The tenant's patterns that match, as of `version`; kept by the hub."""
        self.topics: tuple[Topic, ...] = () if group is None else (group,)
        """The topics whose subscribers get the messages, as of `version`."""
        self.stream: str | None = None
        """The stream that stores the messages, as of `version`; None where none does."""
        self.version = -1
        self._sink = sink
        self._tenant = tenant
        self._encoders: dict[tuple[str, str], tuple[tuple[Encoder, int], ...]] = {}

    # A method that was looked up would be another object each time, and each is called by the link.
    def __call__(self, payload: bytes) -> None:
        """A message of this process: it was written here, by `encode`."""
        self._sink.enqueue(self, payload)

    def choice(self, form: str, dialect: Dialect, checks: int) -> tuple[Encoder, int]:
        """The encoder for subscribers of a dialect and a form of the subject, the same one for all of them,
        and `checks`, from 0 to 7. The pair is one object: each of them remembers it, for every route."""
        key = (form, dialect.name)
        choices = self._encoders.get(key)
        if choices is None:
            encoder = dialect.encoder(self._tenant, form + self.subject, self.sender)
            choices = tuple([(encoder, each) for each in range(8)])
            self._encoders[key] = choices
        return choices[checks]


class ClientSubscription:
    """One subscription of one subscriber, in the form the client wrote it."""

    __slots__ = ("address", "channel", "complete", "number", "queue", "topic")

    def __init__(self, address: Address, queue: str | None, topic: Topic, number: int) -> None:
        """`number` grows with each subscription of the subscriber."""
        self.address = address
        self.channel: DurableChannel | None = None
        """The durable channel in which it has a place that the client named; else None."""
        self.complete = False
        """Whether it brings every message that still comes, so that copies by queue groups are not needed."""
        self.queue = queue
        self.topic = topic
        self.number = number


class Subscriber:
    """One connection's subscriptions: a message that several of them match is delivered once.

    The hub hands over one copy of each message for all subscriptions without a queue, whichever came
    first, and those that come by queue groups. A copy by a queue group is passed over once a subscription
    without a group has them all: there is no order between the two (ports.Link), and there is to be one
    for the client. While such a subscription begins or ends, a Cutover chooses. Of copies by several groups
    the first one is delivered. One with a `responder` may answer the requests that are delivered to it.
    """

    def __init__(self, receiver: Receiver, dialect: Dialect) -> None:
        self.subscriptions: dict[tuple[str, str | None], ClientSubscription] = {}
        self.upto = 0
        """The number of the last batch that was taken (DeliveryQueue)."""
        self.responder: Responder | None = None
        self._deliver = receiver.deliver
        self._end = receiver.end
        self._dialect = dialect
        # The encoder of a route's messages (None where they are not delivered), and what their copies are
        # looked at for.
        self._choices = Recent(MAX_CHOICES)
        self._seen: DuplicateFilter | None = None
        # Those under way, and the subscriptions that begin or end; also those that never came to an end,
        # because the bus was away: what they decide stays right.
        self._cutovers: dict[Cutover, ClientSubscription] = {}
        # Of the streams of which what is stored is being read for it.
        self.recoveries: dict[str, Recovering] = {}
        self.reading = asyncio.Lock()
        """Held by the recovery that reads: one at a time, so that what is read and held is bounded."""
        self._hears: Callable[[str], bool] = lambda _: True
        self.stopped = False
        self.drained = False
        """Whether its groups send it nothing more (TenantHub)."""
        self._delivered = 0
        self._subscribed = 0
        # Of many subscriptions: their overlap, and which have a pattern. Few are looked through.
        self._overlap: Interest[Topic] | None = None
        self._by_pattern: dict[str, list[ClientSubscription]] = {}

    @property
    def grouped(self) -> bool:
        """Whether it is in any queue group."""
        return any(queue is not None for _, queue in self.subscriptions)

    def filter(self, hears: Callable[[str], bool]) -> None:
        """Deliver from now on only what is on a subject that this tells true of."""
        self._hears = hears
        self.changed()

    def stop(self) -> None:
        """Deliver nothing any more, and take no more subscriptions."""
        self.stopped = True
        self.changed()

    def failed(self) -> None:
        """A delivery to it failed. Its connection is closed with `internal`: it is never to miss a message
        unknowingly."""
        self.stop()
        try:
            self._end(Code.internal)
        except Exception:
            LOG.exception("fault at the end of a connection")

    def count(self, deliveries: int) -> None:
        """Count what was delivered to it by a durable subscription."""
        self._delivered += deliveries

    def delivered(self) -> int:
        """How many messages were delivered since this was last asked."""
        delivered, self._delivered = self._delivered, 0
        return delivered

    def changed(self) -> None:
        """What decides about deliveries is another thing now."""
        self._choices.clear()

    def add(self, key: tuple[str, str | None], address: Address, topic: Topic) -> ClientSubscription:
        """Add a subscription. Raises too_many_subscriptions where one message might match more than
        MAX_OVERLAP of those on the bus."""
        if self._overlap is None and len(self.subscriptions) >= MAX_OVERLAP:
            self._overlap = Interest()
            for held in self.subscriptions.values():
                self._index(held)
        self._subscribed += 1
        held = ClientSubscription(address, key[1], topic, self._subscribed)
        if self._overlap is not None:
            self._index(held)
            if self._overlap.most > MAX_OVERLAP:
                self._unindex(held)
                raise ArtcafeError(
                    Code.too_many_subscriptions,
                    f"One message may match {MAX_OVERLAP} patterns of a connection; here they overlap more.",
                )
        self.subscriptions[key] = held
        self.changed()
        return held

    def remove(self, key: tuple[str, str | None]) -> Topic:
        """Remove a subscription: what it was on the bus."""
        held = self.subscriptions.pop(key)
        if self._overlap is not None:
            self._unindex(held)
        self.changed()
        return held.topic

    def _index(self, held: ClientSubscription) -> None:
        assert self._overlap is not None
        pattern = held.topic.pattern
        self._overlap.add(pattern_to_bus(pattern), held.topic)
        self._by_pattern.setdefault(pattern, []).append(held)

    def _unindex(self, held: ClientSubscription) -> None:
        assert self._overlap is not None
        pattern = held.topic.pattern
        alike = self._by_pattern[pattern]
        alike.remove(held)
        if not alike:
            del self._by_pattern[pattern]
        if all(other.topic is not held.topic for other in alike):
            self._overlap.discard(pattern_to_bus(pattern), held.topic)

    def begin_cutover(self, held: ClientSubscription, *, closing: bool) -> Cutover | None:
        """Let a subscription without a queue begin or end beside queue groups. None where nothing has to be
        chosen: without a group, or while the same pattern in another form has all messages, or where one ends
        before it was cut over to."""
        others = [each for each in self.subscriptions.values() if each is not held]
        groups = {each.topic.pattern for each in others if each.queue is not None}
        whole = others if closing else [each for each in others if each not in self._cutovers.values()]
        alike = any(each.topic is held.topic and (closing or each.complete) for each in whole)
        if not groups or held.queue is not None or alike:
            return None
        former = next((each for each, other in self._cutovers.items() if other is held), None)
        if former is not None:
            del self._cutovers[former]
            self.changed()
            if not former.closing and not former.is_cut:
                return None
        while len(self._cutovers) >= MAX_CUTOVERS:
            del self._cutovers[next(iter(self._cutovers))]
        cutover = Cutover(held.topic.pattern, tuple(groups), closing=closing, before=former)
        self._cutovers[cutover] = held
        self.changed()
        return cutover

    def end_cutover(self, cutover: Cutover) -> None:
        """All copies of the older kind came: what comes now is of the newer one."""
        held = self._cutovers.pop(cutover, None)
        if held is not None:
            held.complete = True
        self.changed()

    def listens(self, topic: Topic) -> bool:
        """Whether anything of it still needs a topic."""
        return any(held.topic is topic for held in self.subscriptions.values()) or any(
            each.listening and held.topic is topic for each, held in self._cutovers.items()
        )

    def listened(self) -> list[Topic]:
        """The topics that subscriptions need which the client does not have any more; from now on not."""
        listened = [held.topic for each, held in self._cutovers.items() if each.listening]
        self._cutovers.clear()
        return listened

    def reached(self, route: MessageRoute) -> bool:
        """Whether messages of a route are delivered to it."""
        choice = self._choices.get(route) or self._choose(route)
        return choice[0] is not None

    def take(self, route: MessageRoute, batch: MessageBatch) -> int:
        """Deliver messages of a line, but for those that were before them: how much work that was, in units
        of one small message."""
        choice = self._choices.get(route) or self._choose(route)
        encoder, checks = choice
        if encoder is None:
            return 1
        if checks & _HELD:
            assert route.stream is not None
            self.recoveries[route.stream].hold(route, batch.payloads)
            return 1
        encoded = batch.encoded(encoder)
        count, joined = encoded.count, encoded.joined
        if checks or (self._seen is not None and self._seen.ids):
            frames = self._checked(route, encoded.each(batch), checks)
            count, joined = len(frames), b"".join(frames)
        if count:
            self._deliver(joined)
            self._delivered += count
        return 1 + len(joined) // UNIT_BYTES

    def replay(
        self, route: MessageRoute, payload: bytes, wants: Callable[[ClientSubscription], bool]
    ) -> None:
        """Deliver a stored message, if a subscription without a queue `wants` it and the subscriber may hear
        it: in the form of the oldest one."""
        matching = [held for held in self._matching(route.patterns) if held.queue is None]
        own = next((held for held in matching if wants(held)), None)
        if own is None or self.stopped or not self._hears(route.subject):
            return
        encoder, _ = route.choice(own.address.form, self._dialect, 0)
        encoded = MessageBatch([payload]).encoded(encoder)
        if encoded.count:
            self._deliver(encoded.joined)
            self._delivered += encoded.count

    def recover(self, stream: str, recovery: Recovering | None) -> None:
        """Let this take what comes of a stream from now on; None: it is delivered again."""
        if recovery is None:
            self.recoveries.pop(stream, None)
        else:
            self.recoveries[stream] = recovery
        self.changed()

    def lose(self) -> None:
        """Messages were lost that it would have had: its connection is closed, so that it knows."""
        self._end(Code.unavailable)

    def _checked(self, route: MessageRoute, copies: list[tuple[str, bytes]], checks: int) -> list[bytes]:
        """The frames of those that are delivered of the copies, which are ids and frames."""
        if checks & _CUT:
            by_plain = route.group is None
            cutovers = [each for each in self._cutovers if each.concerns(route.subject)]
            chosen: list[tuple[str, bytes]] = []
            for name, framed in copies:
                said = [each.by_plain(name) for each in cutovers]
                if None in said or any(said) == by_plain:
                    chosen.append((name, framed))
            copies = chosen
        if route.group is None:
            return [framed for _, framed in copies]
        if self._seen is None:
            self._seen = DuplicateFilter(RECENT)
        more = bool(checks & _BY_GROUPS)
        return [framed for name, framed in copies if self._seen.is_first(name, more)]

    def _choose(self, route: MessageRoute) -> tuple[Encoder | None, int]:
        """In the form of the oldest matching subscription; with queue groups alone, of the route's own."""
        matching = self._matching(route.patterns)
        plain = [held for held in matching if held.queue is None]
        groups = [held for held in matching if held.queue is not None]
        under_way = [held for each, held in self._cutovers.items() if each.concerns(route.subject)]
        steady = any(held.complete and held not in under_way for held in plain)
        cut = not steady and bool(under_way)
        if route.group is not None:
            own = next((held for held in groups if held.topic is route.group), None)
            if steady:
                own = None  # Passed over.
        elif plain:
            own = plain[0]
        else:  # By one that the client does not have any more: what is the groups' else.
            own = groups[0] if cut and groups else None
        choice: tuple[Encoder | None, int] = None, 0
        if own is not None and not self.stopped and self._hears(route.subject):
            form = (plain[0] if plain else own).address.form
            # Copies by plain subscriptions the hub drops.
            several = route.group is not None and any(held.topic is not route.group for held in groups)
            held = route.group is None and route.stream in self.recoveries
            choice = route.choice(form, self._dialect, several * _BY_GROUPS + cut * _CUT + held * _HELD)
        self._choices.put(route, choice)
        return choice

    def _matching(self, patterns: tuple[str, ...]) -> list[ClientSubscription]:
        """The subscriptions that have one of the patterns, the oldest first."""
        if self._overlap is None:
            return [held for held in self.subscriptions.values() if held.topic.pattern in patterns]
        found = [held for pattern in patterns for held in self._by_pattern.get(pattern, ())]
        return sorted(found, key=lambda held: held.number)
