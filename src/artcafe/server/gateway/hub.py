"""Who wants what here: one subscription on the bus per tenant and pattern, however many share it."""

import logging
from asyncio import gather, shield
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.acknowledgements import Acknowledgements
from artcafe.server.gateway.letter import NOT_OURS, arrived, identity
from artcafe.server.gateway.member import Member, Seen, Topic
from artcafe.server.gateway.outbox import Outboxes
from artcafe.server.gateway.runs import Runs
from artcafe.server.gateway.topics import Topics
from artcafe.server.ports.bus import Link, Subscription
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import Address, pattern_to_bus

LOG = logging.getLogger("artcafe.gateway")

RECENT = 1024
"""Messages after which no other copy of one by another pattern is expected."""

BUDGET = 8192
"""Units of work (Member.take) that one tenant's deliveries take in one turn of the event loop."""


class TenantHub:
    """The subscriptions of one tenant on this process, and the acknowledgements of what is published.

    The bus sends a copy of a message for each pattern that matches it. The first one is delivered, to
    whoever has any subscription without a queue that matches; the others are told by their id and
    dropped. Copies by queue groups are for the one member they come to. `budget` is that of Runs.
    """

    def __init__(self, tenant: TenantId, link: Link, outboxes: Outboxes, *, budget: int = BUDGET) -> None:
        self.tenant = tenant
        self.link = link
        self.sessions = 0
        self._gaps = link.gaps
        self.acknowledgements = Acknowledgements(tenant, link)
        self._topics = Topics(tenant)
        self._runs = Runs(tenant, link, outboxes, self._topics, budget)
        self._seen = Seen(RECENT)

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
        topic = self._topics.plain.get(address.subject) if queue is None else None
        fresh = topic is None
        if topic is None:
            topic = Topic(address.subject, queue)
        held = member.add(key, address, topic)
        if fresh:
            try:
                self._topics.include(topic)
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
            self._runs.catch_up(member)

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
            self._topics.forget(topic)
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
        if not topic.alive:
            heir = self._topics.groups.other(topic)
            if heir is None:
                return
            topic = heir
        try:
            line = self._topics.line(self._runs, None if topic.queue is None else topic, bus_subject)
            if line.group is None:
                self._topics.update(line)
                more = len(line.topics) > 1
                if more or self._seen.ids:
                    if identity(payload) in self._seen.ids:
                        return
                    payload = arrived(payload)
                    name = identity(payload)
                    assert name is not None
                    if self._seen.is_first(name, more):
                        self._runs.keep(line, payload)
                    return
            self._runs.keep(line, arrived(payload))
        except NOT_OURS as error:
            LOG.warning("tenant %s: dropped a message that is not ours: %s", self.tenant, error)

    def _receiver(self, topic: Topic, bus_subject: str) -> Callable[[bytes], None]:
        """Who takes what this process itself says: the same for all topics without a queue."""
        try:
            return self._topics.line(self._runs, None if topic.queue is None else topic, bus_subject)
        except ValueError:
            return partial(self._arrived, topic, bus_subject)

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
        self._runs.catch_up(member)

    async def _leave(self, member: Member, key: tuple[str, str | None]) -> None:
        self._runs.catch_up(member)  # What was here before.
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
        self._topics.forget(topic)
        other = self._topics.groups.other(topic)
        if other is not None:
            self._runs.hand_on(topic, member, other)
        return topic.opened


async def _close(handle: Subscription | None) -> None:
    """Nobody hears it any more: a bus that cannot be told is no reason to leave others open."""
    if handle is not None:
        try:
            await handle.close()
        except ArtcafeError as error:
            LOG.warning("a subscription on the bus was not closed: %s", error)


async def _close_all(handles: Sequence[Subscription | None]) -> None:
    await gather(*[_close(handle) for handle in handles if handle is not None])
