"""Who wants what here: one subscription on the bus per tenant and pattern, however many share it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.delivery import Delivery
from artcafe.server.gateway.dialects import Dialect
from artcafe.server.gateway.letter import NOT_OURS, Letter, arrived
from artcafe.server.ports.bus import Link, Subscription
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import Address, matches, pattern_to_bus

LOG = logging.getLogger("artcafe.gateway")

RECENT = 256
"""Messages that came to a member by several subscriptions and are remembered, to deliver each once."""

MAX_CHOICES = 1024
"""Subjects for which a member remembers how they are delivered."""


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
        # The form of a message, and whether more copies of it come; None where it is not delivered.
        self._choices: dict[tuple[Topic, str], tuple[str, bool] | None] = {}
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

    def take(self, topic: Topic, delivery: Delivery) -> None:
        """Deliver the copies of messages that came for one topic, but for those that were before them."""
        try:
            choice = self._choices[topic, delivery.subject]
        except KeyError:
            choice = self._choose(topic, delivery.subject)
        if choice is None:
            return
        form, more = choice
        shape = delivery.shape(form, self._dialect)
        frames, joined = shape.frames, shape.joined
        if more or self._recent:
            frames = [
                framed
                for letter, framed in zip(shape.letters, frames, strict=True)
                if self._is_first(letter.envelope.id, more=more)
            ]
            joined = b"".join(frames)
        if frames:
            self._deliver(joined)
            self._delivered += len(frames)

    def _choose(self, topic: Topic, subject: str) -> tuple[str, bool] | None:
        """The form of the oldest matching subscription; with queue groups alone, of the topic's own."""
        matching = [known for known in self.subscriptions.values() if matches(known.address.subject, subject)]
        own = next((known for known in matching if known.topic is topic), None)
        choice = None
        alone = [known for known in matching if known.queue is None]
        passed_over = own is not None and own.queue is not None and any(known.complete for known in alone)
        if own is not None and not passed_over and not self.stopped and self._hears(subject):
            oldest = alone[0] if alone else own
            choice = oldest.address.form, any(known.topic is not topic for known in matching)
        if len(self._choices) >= MAX_CHOICES:
            self._choices.clear()
        self._choices[topic, subject] = choice
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


_Run = tuple[Topic, str, list[Letter]]
"""What came for one topic on one bus subject with nothing else between."""


class TenantHub:
    """The subscriptions and acknowledgements of one tenant on this process."""

    def __init__(self, tenant: TenantId, link: Link) -> None:
        self.tenant = tenant
        self.link = link
        self.sessions = 0
        self._gaps = link.gaps
        self._waiting: list[Callable[[ArtcafeError | None], None]] = []
        self._confirming = False
        self._topics: dict[str, Topic] = {}
        # Bounded by what the link reads, and what is published here, in one turn of the event loop.
        self._runs: list[_Run] = []

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
                partial(self._said, topic),
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
            letter = arrived(payload)
        except NOT_OURS as error:
            LOG.warning("tenant %s: dropped a message that is not ours: %s", self.tenant, error)
        else:
            self._keep(topic, bus_subject, letter)

    def _said(self, topic: Topic, bus_subject: str, payload: bytes) -> None:
        """A message of this process: it was written here, by `encode`."""
        self._keep(topic, bus_subject, Letter(payload))

    def _keep(self, topic: Topic, bus_subject: str, letter: Letter) -> None:
        """Keep it for the end of the turn: what is alike is delivered at once."""
        runs = self._runs
        if not runs:
            asyncio.get_running_loop().call_soon(self._deliver)
        else:
            last = runs[-1]
            if last[0] is topic and last[1] == bus_subject:
                last[2].append(letter)
                return
        runs.append((topic, bus_subject, [letter]))

    def _deliver(self) -> None:
        runs, self._runs = self._runs, []
        for topic, bus_subject, letters in runs:
            if not topic.members:
                continue
            try:
                delivery = Delivery(self.tenant, bus_subject, letters)
                for member in tuple(topic.members):
                    member.take(topic, delivery)
            except ValueError as error:
                LOG.warning("tenant %s: dropped messages that are not ours: %s", self.tenant, error)
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
        if self._topics.get(topic.pattern) is topic:
            del self._topics[topic.pattern]

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
                except Exception:
                    # Nobody is left without an answer: those who came meanwhile have the next flush.
                    LOG.exception("tenant %s: fault in a flush", self.tenant)
                    failure = ArtcafeError(Code.internal)
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
