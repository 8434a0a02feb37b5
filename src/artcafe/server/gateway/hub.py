"""Who wants what here: one subscription on the bus per tenant and pattern, however many share it."""

import logging
from asyncio import gather, shield
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.interest import Interest
from artcafe.server.domain.recent import Recent
from artcafe.server.gateway.delivery import Delivery
from artcafe.server.gateway.groups import Groups
from artcafe.server.gateway.letter import NOT_OURS, arrived, identity
from artcafe.server.gateway.member import Keeper, Line, Member, Run, Seen, Topic
from artcafe.server.gateway.outbox import Outboxes
from artcafe.server.ports.bus import Link, Subscription
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import Address, pattern_to_bus

LOG = logging.getLogger("artcafe.gateway")

MAX_OVERLAP = 128
"""Patterns of one tenant on this process that may match one message, by the bound of Interest.most."""

MAX_LINES = 4096
"""Lines that a hub remembers."""

RECENT = 1024
"""Messages after which no other copy of one by another pattern is expected."""

BUDGET = 8192
"""Units of work (Member.take) that one tenant's deliveries take in one turn of the event loop."""


class TenantHub(Keeper):
    """The subscriptions and acknowledgements of one tenant on this process.

    The bus sends a copy of a message for each pattern that matches it. The first one is delivered, to
    whoever has any subscription without a queue that matches; the others are told by their id and
    dropped. Copies by queue groups are for the one member they come to.

    What is delivered in one turn of the event loop is bounded by `budget`. While more waits, nothing is
    read from the bus and publishers here have no room, so what waits is bounded by what is read and
    published in one turn.
    """

    def __init__(self, tenant: TenantId, link: Link, outboxes: Outboxes, *, budget: int = BUDGET) -> None:
        self.tenant = tenant
        self.link = link
        self._outboxes = outboxes
        self.sessions = 0
        self._gaps = link.gaps
        self._waiting: list[Callable[[ArtcafeError | None], None]] = []
        self._confirming = False
        # Those without a queue, by pattern.
        self._topics: dict[str, Topic] = {}
        self._groups = Groups()
        # The patterns of all topics, and how many topics have each.
        self._interest: Interest[str] = Interest()
        self._counts: Counter[str] = Counter()
        # Grows with every change of the topics.
        self._version = 0
        # By bus subject; those of a group by (group, bus subject).
        self._lines = Recent(MAX_LINES)
        self._seen = Seen(RECENT)
        # In the order in which they came.
        self._runs: list[Run] = []
        # The last of them, while more may be added: its line and its payloads.
        self._last: Line | None = None
        self._latest: list[bytes] = []
        self._number = 0
        self._budget = budget
        self.behind = False
        """Whether deliveries were left for the next turn."""

    def missed(self) -> bool:
        """Whether messages may have been missed since this was last asked."""
        before, self._gaps = self._gaps, self.link.gaps
        return self._gaps != before

    async def subscribe(self, member: Member, text: str, address: Address, queue: str | None) -> None:
        """Add a subscription; when this returns, everything published later is delivered.

        Subscribing again to the same text and queue changes nothing. Raises unavailable, and
        too_many_subscriptions where the member's patterns, or the tenant's, overlap too much.
        """
        key = (text, queue)
        if key in member.subscriptions:
            return
        if member.stopped:
            raise ArtcafeError(Code.unavailable, "The connection is over.")
        topic = self._topics.get(address.subject) if queue is None else None
        fresh = topic is None
        if topic is None:
            topic = Topic(address.subject, queue)
        held = member.add(key, address, topic)
        if fresh:
            try:
                self._include(topic)
            except BaseException:
                member.remove(key)
                raise
        topic.members[member] = None
        try:
            if fresh:
                await self._open(topic, queue)
            else:
                await shield(topic.handle)
            if queue is None:
                await self._settle(member)
                held.complete = True
                member.changed()
        except BaseException:
            await self._leave(member, key)
            raise

    async def _settle(self, member: Member) -> None:
        """Deliver what groups that the member is in were sent before."""
        if member.grouped:
            await self.link.settle()
            self._catch_up(member)

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

    def _include(self, topic: Topic) -> None:
        """Raises too_many_subscriptions."""
        pattern = topic.pattern
        if pattern not in self._counts:
            self._interest.add(pattern_to_bus(pattern), pattern)
            if self._interest.most > MAX_OVERLAP:
                self._interest.discard(pattern_to_bus(pattern), pattern)
                raise ArtcafeError(
                    Code.too_many_subscriptions,
                    f"One message may match {MAX_OVERLAP} patterns of a tenant; here they overlap more.",
                )
        self._counts[pattern] += 1
        if topic.queue is None:
            self._topics[pattern] = topic
        else:
            self._groups.add(topic)
        self._version += 1

    def _arrived(self, topic: Topic, bus_subject: str, payload: bytes) -> None:
        """A message by the bus."""
        if not topic.alive:
            heir = self._groups.other(topic)
            if heir is None:
                return
            topic = heir
        try:
            line = self._line(None if topic.queue is None else topic, bus_subject)
            if line.group is None:
                self._update(line)
                more = len(line.topics) > 1
                if more or self._seen.ids:
                    if identity(payload) in self._seen.ids:
                        return
                    payload = arrived(payload)
                    name = identity(payload)
                    assert name is not None
                    if self._seen.is_first(name, more):
                        self.keep(line, payload)
                    return
            self.keep(line, arrived(payload))
        except NOT_OURS as error:
            LOG.warning("tenant %s: dropped a message that is not ours: %s", self.tenant, error)

    def _receiver(self, topic: Topic, bus_subject: str) -> Callable[[bytes], None]:
        """Who takes what this process itself says: the same for all topics without a queue."""
        try:
            return self._line(None if topic.queue is None else topic, bus_subject)
        except ValueError:
            return partial(self._arrived, topic, bus_subject)

    def _line(self, group: Topic | None, bus_subject: str) -> Line:
        """Raises ValueError for a subject that is not ours."""
        key = bus_subject if group is None else (group, bus_subject)
        line: Line | None = self._lines.get(key)
        if line is None:
            line = Line(self, self.tenant, bus_subject, group)
            self._lines.put(key, line)
        return line

    def _update(self, line: Line) -> None:
        """Match a line with the topics as they are now: once for all of them, and again when they change."""
        if line.version != self._version:
            self._match(line)

    def _match(self, line: Line) -> None:
        line.version = self._version
        line.patterns = tuple(self._interest.of(line.bus_subject))
        if line.group is None:
            line.topics = tuple(self._topics[each] for each in line.patterns if each in self._topics)

    def keep(self, line: Line, payload: bytes) -> None:
        """Keep a message for the end of the turn: what is alike is delivered at once."""
        if line is self._last:
            self._latest.append(payload)
            return
        if not self._runs:
            self._outboxes.first(self._deliver)
        self._last, self._latest = line, [payload]
        self._number += 1
        self._runs.append(Run(line, Delivery(self._latest), self._number))

    def _deliver(self) -> None:
        """Deliver what waits, as far as the budget reaches."""
        runs, count, done, left = self._runs, len(self._runs), 0, self._budget
        self._last, self._latest = None, []
        while done < count:
            run = runs[done]
            try:
                left = self._advance(run, left)
            except Exception:  # Whoever comes after it is delivered to all the same.
                LOG.exception("tenant %s: fault in a delivery", self.tenant)
                if run.members is not None:
                    run.members[run.position - 1].failed()
            if run.members is None or run.position >= len(run.members):
                done += 1
            elif left <= 0:
                break
        del runs[:done]
        if runs:
            self._outboxes.first(self._deliver)
        if done < count:
            self.behind = True
            self.link.pause(True)
        elif self.behind:
            self.behind = False
            self.link.pause(False)

    def _advance(self, run: Run, left: int) -> int:
        """Deliver a run to further members, for so many units of work: how many are left."""
        if run.members is None:
            run.members = self._members(run.line)
        members = run.members
        while left > 0 and run.position < len(members):
            member = members[run.position]
            run.position += 1
            if member.upto < run.number:
                member.upto = run.number
                left -= member.take(run.line, run.delivery)
        return left

    def _members(self, line: Line) -> tuple[Member, ...]:
        """Everybody whom the messages of a line may concern, once."""
        self._update(line)
        topics = line.topics
        if len(topics) == 1:
            return tuple(topics[0].members)
        merged: dict[Member, None] = {}
        for topic in topics:
            merged.update(topic.members)
        return tuple(merged)

    def _catch_up(self, member: Member) -> None:
        """Deliver now what waits for a member."""
        self._last, self._latest = None, []
        for run in tuple(self._runs):
            if member.upto < run.number:
                member.upto = run.number
                self._update(run.line)
                try:
                    member.take(run.line, run.delivery)
                except Exception:
                    LOG.exception("tenant %s: fault in a delivery", self.tenant)
                    member.failed()

    async def unsubscribe(self, member: Member, text: str, queue: str | None) -> bool:
        """Remove a subscription; from here on nothing more comes by it. False when there was none."""
        key = (text, queue)
        if key not in member.subscriptions:
            return False
        if queue is None:
            # What is on its way to it may have been passed over where it came by a group.
            await self._settle(member)
        else:
            await _close(member.subscriptions[key].topic.opened)
        await self._leave(member, key)
        return True

    async def drain(self, member: Member) -> None:
        """Let a member's groups send it nothing more; when this returns, what they had sent is delivered. Its
        subscriptions stay, and others without a queue bring what they bring."""
        held = member.subscriptions.values()
        await _close_all([each.topic.opened for each in held if each.queue is not None])
        self._catch_up(member)

    async def _leave(self, member: Member, key: tuple[str, str | None]) -> None:
        self._catch_up(member)  # What was here before.
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
        topic = member.remove(key)
        if any(known.topic is topic for known in member.subscriptions.values()):
            return None
        del topic.members[member]
        if topic.members:
            return None
        self._forget(topic)
        self._hand_on(topic, member)
        return topic.opened

    def _hand_on(self, topic: Topic, member: Member) -> None:
        """Give what waits for who left a group to another member, if there is one here."""
        other = self._groups.other(topic)
        if other is None:
            return
        for run in [run for run in self._runs if run.line.group is topic and member.upto < run.number]:
            line = self._line(other, run.line.bus_subject)
            for payload in run.delivery.payloads:
                self.keep(line, payload)

    def _forget(self, topic: Topic) -> None:
        if not topic.alive:
            return
        topic.alive = False
        self._version += 1
        pattern = topic.pattern
        if self._topics.get(pattern) is topic:
            del self._topics[pattern]
        self._groups.discard(topic)
        self._counts[pattern] -= 1
        if not self._counts[pattern]:
            del self._counts[pattern]
            self._interest.discard(pattern_to_bus(pattern), pattern)
        if not self._counts:
            self._lines.clear()

    def confirm_later(self, tell: Callable[[ArtcafeError | None], None]) -> Coroutine[Any, Any, None] | None:
        """Call `tell` when the bus has everything published before, with outcome_unknown where that cannot be
        known: what the link took may still leave it, or have left it. One flush serves everybody who waits;
        the work is handed back when nobody does it yet.
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
                except Exception:  # Nobody is left without an answer: who came meanwhile has the next flush.
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
    await gather(*[_close(handle) for handle in handles if handle is not None])
