"""Who wants what here: one subscription on the bus per tenant and pattern, however many share it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.delivery import Delivery, Writer
from artcafe.server.gateway.dialects import Dialect
from artcafe.server.gateway.letter import NOT_OURS, arrived
from artcafe.server.gateway.outbox import Outboxes
from artcafe.server.ports.bus import Link, Subscription
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import Address, from_bus, matches, pattern_to_bus

LOG = logging.getLogger("artcafe.gateway")

RECENT = 256
"""Messages that came to a member by several subscriptions and are remembered, to deliver each once."""

MAX_CHOICES = 1024
"""Lines for which a member remembers how they are delivered."""

MAX_LINES = 4096
"""Lines that a hub remembers."""


class Receiver(Protocol):
    """Where deliveries end."""

    def deliver(self, framed: bytes, /) -> None:
        """Take WebSocket frames, joined; must not block or raise."""
        ...


class Topic:
    """One pattern on the bus, and the members that share it."""

    __slots__ = ("handle", "members", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.members: dict[Member, None] = {}
        # Done when the bus delivers; fails for everybody who waits when it refuses.
        self.handle: asyncio.Future[Subscription] = asyncio.get_running_loop().create_future()


class Line:
    """Messages of one sender on one subject that come for one topic.

    Raises ValueError when the subject is not one of this platform.
    """

    __slots__ = ("_hub", "_writers", "sender", "subject", "topic")

    def __init__(self, hub: "TenantHub", topic: Topic, bus_subject: str) -> None:
        self.topic = topic
        self.sender, self.subject = from_bus(bus_subject)
        self._hub = hub
        self._writers: dict[tuple[str, str], Writer] = {}

    def said(self, payload: bytes) -> None:
        """A message of this process: it was written here, by `encode`."""
        self._hub.keep(self, payload)

    def writer(self, form: str, dialect: Dialect) -> Writer:
        """Who writes for subscribers of a dialect and a form of the subject: the same one for all of them."""
        key = (form, dialect.name)
        writer = self._writers.get(key)
        if writer is None:
            writer = dialect.writer(self._hub.tenant, form + self.subject, self.sender)
            self._writers[key] = writer
        return writer


class Subscribed:
    """One subscription of one member, in the form the client wrote it."""

    __slots__ = ("address", "complete", "queue", "topic")

    def __init__(self, address: Address, queue: str | None, topic: Topic) -> None:
        self.address = address
        self.complete = False
        """Whether it brings every message that still comes, so that copies by queue groups are not needed."""
        self.queue = queue
        self.topic = topic


class Member:
    """One connection's subscriptions: a message that several of them match is delivered once.

    Whichever copy comes first is the one, so nothing is lost while a subscription opens or ends. But
    a copy by a queue group is passed over once a subscription without a group has them all: there is
    no order between the two (ports.Link), and there is to be one for the client.
    """

    def __init__(self, receiver: Receiver, dialect: Dialect) -> None:
        self.subscriptions: dict[tuple[str, str | None], Subscribed] = {}
        self._deliver = receiver.deliver
        self._dialect = dialect
        # Who writes the messages of a line, and whether more copies of them come; None where they are not
        # delivered.
        self._choices: dict[Line, tuple[Writer, bool] | None] = {}
        self._recent: dict[str, None] = {}
        self._hears: Callable[[str], bool] = lambda _: True
        self.stopped = False
        self._delivered = 0

    def filter(self, hears: Callable[[str], bool]) -> None:
        """Deliver from now on only what is on a subject that this tells true of."""
        self._hears = hears
        self._choices.clear()

    def stop(self) -> None:
        """Deliver nothing any more, and take no more subscriptions."""
        self.stopped = True
        self._choices.clear()

    def delivered(self) -> int:
        """How many messages were delivered since this was last asked."""
        delivered, self._delivered = self._delivered, 0
        return delivered

    def changed(self) -> None:
        """The set of subscriptions is another one."""
        self._choices.clear()

    def take(self, line: Line, delivery: Delivery) -> None:
        """Deliver the copies of messages that came for one topic, but for those that were before them."""
        try:
            choice = self._choices[line]
        except KeyError:
            choice = self._choose(line)
        if choice is None:
            return
        writer, more = choice
        shape = delivery.shape(writer)
        count, joined = shape.count, shape.joined
        if more or self._recent:
            frames = [framed for name, framed in shape.each(delivery) if self._is_first(name, more=more)]
            count, joined = len(frames), b"".join(frames)
        if count:
            self._deliver(joined)
            self._delivered += count

    def _choose(self, line: Line) -> tuple[Writer, bool] | None:
        """In the form of the oldest matching subscription; with queue groups alone, of the topic's own."""
        topic, subject = line.topic, line.subject
        matching = [known for known in self.subscriptions.values() if matches(known.address.subject, subject)]
        own = next((known for known in matching if known.topic is topic), None)
        choice = None
        alone = [known for known in matching if known.queue is None]
        passed_over = own is not None and own.queue is not None and any(known.complete for known in alone)
        if own is not None and not passed_over and not self.stopped and self._hears(subject):
            form = (alone[0] if alone else own).address.form
            more = any(known.topic is not topic for known in matching)
            choice = line.writer(form, self._dialect), more
        if len(self._choices) >= MAX_CHOICES:
            self._choices.clear()
        self._choices[line] = choice
        return choice

    def _is_first(self, message_id: str, *, more: bool) -> bool:
        """Whether this copy of a message is the first; it is remembered where more may come."""
        if message_id in self._recent:
            return False
        if more:
            if len(self._recent) >= RECENT:
                del self._recent[next(iter(self._recent))]
            self._recent[message_id] = None
        return True


_Run = tuple[Line, Delivery]
"""What came on one line with nothing else between."""


class TenantHub:
    """The subscriptions and acknowledgements of one tenant on this process."""

    def __init__(self, tenant: TenantId, link: Link, outboxes: Outboxes) -> None:
        self.tenant = tenant
        self.link = link
        self._outboxes = outboxes
        self.sessions = 0
        self._gaps = link.gaps
        self._waiting: list[Callable[[ArtcafeError | None], None]] = []
        self._confirming = False
        self._topics: dict[str, Topic] = {}
        self._lines: dict[tuple[Topic, str], Line] = {}
        # Bounded by what the link reads, and what is published here, in one turn of the event loop.
        self._runs: list[_Run] = []
        # The last of them: its line and its payloads.
        self._last: Line | None = None
        self._latest: list[bytes] = []

    def missed(self) -> bool:
        """Whether messages may have been missed since this was last asked."""
        before, self._gaps = self._gaps, self.link.gaps
        return self._gaps != before

    async def subscribe(self, member: Member, text: str, address: Address, queue: str | None) -> None:
        """Add a subscription; when this returns, everything published later is delivered.

        Subscribing again to the same text and queue changes nothing. Raises unavailable.
        """
        key = (text, queue)
        if key in member.subscriptions:
            return
        if member.stopped:
            raise ArtcafeError(Code.unavailable, "The connection is over.")
        topic = self._topics.get(address.subject) if queue is None else None
        fresh = topic is None
        if topic is None:
            topic = Topic(address.subject)
            if queue is None:
                self._topics[address.subject] = topic
        topic.members[member] = None
        held = member.subscriptions[key] = Subscribed(address, queue, topic)
        member.changed()
        try:
            if fresh:
                await self._open(topic, queue)
            else:
                await asyncio.shield(topic.handle)
            if queue is None:
                await self._settle(member)
                held.complete = True
                member.changed()
        except BaseException:
            await self._leave(member, key)
            raise

    async def _settle(self, member: Member) -> None:
        """Deliver what groups that the member is in were sent before."""
        if any(queue is not None for _, queue in member.subscriptions):
            await self.link.settle()
            self._deliver()

    async def _open(self, topic: Topic, queue: str | None) -> None:
        try:
            handle = await self.link.subscribe(
                pattern_to_bus(topic.pattern),
                partial(self._arrived, topic),
                queue,
                partial(self._receiver, topic),
            )
        except BaseException as error:
            # Who waits is told, and who comes from now on tries again.
            self._forget(topic)
            topic.handle.set_exception(
                error if isinstance(error, ArtcafeError) else ArtcafeError(Code.internal)
            )
            topic.handle.exception()  # Nobody may wait, and asyncio would log that.
            raise
        topic.handle.set_result(handle)
        if not topic.members:
            await _close(handle)

    def _arrived(self, topic: Topic, bus_subject: str, payload: bytes) -> None:
        """A message by the bus."""
        try:
            self.keep(self._line(topic, bus_subject), arrived(payload))
        except NOT_OURS as error:
            LOG.warning("tenant %s: dropped a message that is not ours: %s", self.tenant, error)

    def _receiver(self, topic: Topic, bus_subject: str) -> Callable[[bytes], None]:
        """Who takes what this process itself says."""
        try:
            return self._line(topic, bus_subject).said
        except ValueError:
            return partial(self._arrived, topic, bus_subject)

    def _line(self, topic: Topic, bus_subject: str) -> Line:
        """Raises ValueError for a subject that is not ours."""
        key = (topic, bus_subject)
        line = self._lines.get(key)
        if line is None:
            line = Line(self, topic, bus_subject)
            if len(self._lines) >= MAX_LINES:
                self._lines.clear()
            self._lines[key] = line
        return line

    def keep(self, line: Line, payload: bytes) -> None:
        """Keep a message for the end of the turn: what is alike is delivered at once."""
        if line is self._last:
            self._latest.append(payload)
            return
        if not self._runs:
            self._outboxes.first(self._deliver)
        self._last, self._latest = line, [payload]
        self._runs.append((line, Delivery(self._latest)))

    def _deliver(self) -> None:
        runs = self._runs
        self._runs, self._last, self._latest = [], None, []
        for line, delivery in runs:
            try:
                for member in tuple(line.topic.members):
                    member.take(line, delivery)
            except Exception:
                # What comes after it is delivered all the same.
                LOG.exception("tenant %s: fault in a delivery", self.tenant)

    async def unsubscribe(self, member: Member, text: str, queue: str | None) -> bool:
        """Remove a subscription; from here on nothing more comes by it. False when there was none."""
        key = (text, queue)
        if key not in member.subscriptions:
            return False
        if queue is None:
            # What is on its way to it may have been passed over where it came by a group.
            await self._settle(member)
        await self._leave(member, key)
        return True

    async def _leave(self, member: Member, key: tuple[str, str | None]) -> None:
        self._deliver()  # What was here before.
        if key in member.subscriptions:
            await _close(self._detach(member, key))

    def leave(self, *members: Member) -> Coroutine[Any, Any, None]:
        """Remove everything the members had, at once; what is left to tell the bus is handed back."""
        return self.end([(member, key) for member in members for key in member.subscriptions])

    def end(self, held: Sequence[tuple[Member, tuple[str, str | None]]]) -> Coroutine[Any, Any, None]:
        """Remove some subscriptions, at once; what is left to tell the bus is handed back."""
        return _close_all([self._detach(member, key) for member, key in held])

    def _detach(self, member: Member, key: tuple[str, str | None]) -> Subscription | None:
        """Take a subscription from a member. What nobody needs any more on the bus is handed back."""
        topic = member.subscriptions.pop(key).topic
        member.changed()
        if any(known.topic is topic for known in member.subscriptions.values()):
            return None
        del topic.members[member]
        if topic.members:
            return None
        self._forget(topic)
        # A topic that is still being opened is closed by whoever opens it.
        opened = topic.handle.done() and topic.handle.exception() is None
        return topic.handle.result() if opened else None

    def _forget(self, topic: Topic) -> None:
        self._lines.clear()
        if self._topics.get(topic.pattern) is topic:
            del self._topics[topic.pattern]

    def confirm_later(self, tell: Callable[[ArtcafeError | None], None]) -> Coroutine[Any, Any, None] | None:
        """Call `tell` when the bus has everything published before, with outcome_unknown where that cannot be
        known: what the link took may still leave it, or have left it.

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
                except ArtcafeError:
                    failure = ArtcafeError(Code.outcome_unknown)
                except Exception:
                    # Nobody is left without an answer: those who came meanwhile have the next flush.
                    LOG.exception("tenant %s: fault in a flush", self.tenant)
                    failure = ArtcafeError(Code.outcome_unknown)
                for tell in waiting:
                    tell(failure)
        finally:
            self._confirming = False


async def _close(handle: Subscription | None) -> None:
    """Nobody hears it any more: a bus that cannot be told is no reason to leave others open."""
    if handle is not None:
        try:
            await handle.close()
        except ArtcafeError as error:
            LOG.warning("a subscription on the bus was not closed: %s", error)


async def _close_all(handles: Sequence[Subscription | None]) -> None:
    for handle in handles:
        await _close(handle)
