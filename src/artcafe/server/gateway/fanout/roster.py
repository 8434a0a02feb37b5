"""The roster of a tenant on one process: the agents that are online, over all processes, while clients ask
for it.

It is read from the store and the other processes once, and follows what is said on `presence.*` from then on.
Nothing is read for a question. Every COMPARE_SECONDS it is compared with the rows of the store, in case a
word was lost.
"""

import asyncio
import logging
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import partial
from typing import Any, Protocol

import msgspec

from artcafe.server.core.presence.questions import AgentDetails
from artcafe.server.domain.agent import Agent
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.ids import PLATFORM_SENDER, AgentId, TenantId
from artcafe.server.domain.listing import Source
from artcafe.server.ports.bus import Link, Subscription
from artcafe.wire import envelopes
from artcafe.wire.codes import Code
from artcafe.wire.discovery import MAX_METADATA, AgentChange, OnlineAgent, Who
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import from_bus, pattern_to_bus

LOG = logging.getLogger("artcafe.gateway")

COMPARE_SECONDS = 15.0
"""How often the roster is compared with what the store says: one read."""

IDLE_SECONDS = 30.0
"""How long a roster is kept that nobody asks for or follows."""

TICK_SECONDS = 1.0

LOADED_AT_ONCE = 100
"""Agents whose records and details are read together."""

PAGE_BYTES = 65_536
SCANNED_AT_ONCE = 2000
"""Bytes of agents in a page, about, and agents that are looked at for one: then the page ends, and has a next
one."""

Tell = Callable[[AgentChange, OnlineAgent], None]
"""Tell a follower of a change. It must not block or raise."""


Listed = Callable[[TenantId], Source[Agent]]
"""ports.records.AgentRecords.listed."""


class OnlineSource(Protocol):
    """core.presence.presence.Presence, as far as a roster needs it. Raises unavailable."""

    async def online(self, tenant: TenantId) -> Mapping[AgentId, int]:
        """The agents that are online."""
        ...

    async def details(self, tenant: TenantId, agents: Collection[AgentId]) -> Mapping[AgentId, AgentDetails]:
        """The details of those of the agents that are online."""
        ...


class _Said(msgspec.Struct):
    status: str
    metadata: dict[str, Any] = {}


_read_said = msgspec.json.Decoder(_Said).decode
_read_envelope = envelopes.decode_envelope


class Follower:
    """A question whose answer is followed; `ended` is called when the roster ends before."""

    __slots__ = ("ended", "tell", "who")

    def __init__(self, who: Who, tell: Tell, ended: Callable[[], None]) -> None:
        self.who = who
        self.tell = tell
        self.ended = ended


def fits(who: Who, agent: OnlineAgent) -> bool:
    """Whether an agent belongs to the answer."""
    return (who.status is None or who.status == agent.status) and set(who.capabilities) <= set(
        agent.capabilities
    )


class Roster:
    """The online agents of one tenant. `run` keeps it; until that ended, `first` says when it is complete."""

    def __init__(
        self,
        tenant: TenantId,
        link: Link,
        presence: OnlineSource,
        listed: Listed,
        monotonic: Callable[[], float],
    ) -> None:
        self.link = link
        self.over = False
        self._tenant = tenant
        self._presence = presence
        self._listed = listed
        self._monotonic = monotonic
        self._entries: dict[AgentId, OnlineAgent] = {}
        self._names: list[AgentId] = []
        self._followers: set[Follower] = set()
        # Agents to be read; those that are being read; those that were told of during a comparison.
        self._wanted: set[AgentId] = set()
        self._loading: set[AgentId] = set()
        self._touched: set[AgentId] = set()
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wake = asyncio.Event()
        self._due = float("-inf")
        self._gaps = link.gaps
        self._used = monotonic()

    async def complete(self) -> None:
        """Return when it was read. Raises unavailable."""
        self._used = self._monotonic()
        await asyncio.shield(self._first)

    def page(self, who: Who) -> tuple[list[OnlineAgent], str | None]:
        """A part of the answer, and behind which agent the next one begins; None at the end."""
        self._used = self._monotonic()
        start = 0 if who.after is None else bisect_right(self._names, who.after)
        names = self._names[start : start + SCANNED_AT_ONCE]
        found: list[OnlineAgent] = []
        last, size = who.after, 0
        for name in names:
            agent = self._entries[name]
            if fits(who, agent):
                size += len(msgspec.json.encode(agent))
                if len(found) == who.limit or (found and size > PAGE_BYTES):
                    return found, last
                found.append(agent)
            last = name
        return found, last if start + len(names) < len(self._names) else None

    def follow(self, who: Who, tell: Tell, ended: Callable[[], None]) -> Follower:
        """Tell each change of the answer from now on."""
        follower = Follower(who, tell, ended)
        self._followers.add(follower)
        return follower

    def unfollow(self, follower: Follower) -> None:
        """Tell no more."""
        self._used = self._monotonic()
        self._followers.discard(follower)

    def reread(self, agents: Collection[AgentId] | None = None) -> None:
        """Read these agents anew, or all: their records changed, or words may have been lost."""
        self._wanted |= self._entries.keys() & agents if agents is not None else self._entries.keys()
        self._wake.set()

    def close(self) -> None:
        """Let `run` end."""
        self.over = True
        self._wake.set()

    async def run(self) -> None:
        """Keep the roster until it is closed or nobody used it for a while."""
        subscription: Subscription | None = None
        try:
            while not self.over and (self._followers or self._monotonic() - self._used < IDLE_SECONDS):
                try:
                    if subscription is None:
                        subscription = await self._subscribe()
                    await self._read()
                except ArtcafeError as error:
                    self._failed(error)
                try:
                    async with asyncio.timeout(TICK_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            self.over = True
            self._failed(ArtcafeError(Code.unavailable, "The server does not follow this tenant any more."))
            for follower in tuple(self._followers):
                follower.ended()
            if subscription is not None:
                await _close(subscription)

    async def _subscribe(self) -> Subscription:
        return await self.link.subscribe(
            pattern_to_bus("presence.*"),
            self._arrived,
            None,
            lambda bus_subject: partial(self._arrived, bus_subject),
        )

    def _failed(self, error: ArtcafeError) -> None:
        """Refuse those who wait for the first time."""
        LOG.debug("tenant %s: who is online is not read now: %s", self._tenant, error)
        if not self._first.done():
            self._first.set_exception(error)
            self._first.exception()  # Nobody may wait, and asyncio would log that.
            self._first = asyncio.get_running_loop().create_future()

    async def _read(self) -> None:
        """Read what is due. Raises unavailable: then it is due again."""
        self._wake.clear()
        if self.link.gaps != self._gaps:
            self._gaps = self.link.gaps
            self._due = float("-inf")
            self.reread()
        if self._monotonic() >= self._due:
            await self._compare()
            self._due = self._monotonic() + COMPARE_SECONDS
        while self._wanted:
            await self._load()
        if not self._first.done():
            self._first.set_result(None)

    async def _compare(self) -> None:
        """Find out who came and went unheard. Whoever is told of meanwhile is right as told."""
        self._touched.clear()
        online = await self._presence.online(self._tenant)
        for agent in self._entries.keys() - online.keys() - self._touched:
            self._remove(agent)
        self._wanted |= online.keys() - self._entries.keys() - self._touched

    async def _load(self) -> None:
        """Read some of the wanted agents."""
        some = sorted(self._wanted)[:LOADED_AT_ONCE]
        self._wanted.difference_update(some)
        self._loading.update(some)
        try:
            details = await self._presence.details(self._tenant, some)
            records = await self._listed(self._tenant).some(some)
        except BaseException:
            self._wanted |= self._loading
            self._loading.clear()
            raise
        capabilities = {record.id: record.capabilities for record in records.items}
        for agent in some:
            if agent not in self._loading:
                continue  # It went meanwhile.
            known = details.get(agent)
            if known is None or agent not in capabilities:
                self._remove(agent)
            else:
                self._put(
                    OnlineAgent(
                        id=agent,
                        capabilities=capabilities[agent],
                        since=known.since,
                        status=known.status,
                        metadata=known.metadata,
                    )
                )
        self._loading.clear()

    def _arrived(self, bus_subject: str, payload: bytes) -> None:
        """A word about an agent."""
        try:
            sender, subject = from_bus(bus_subject)
            said = _read_said(_read_envelope(payload).data)
        except (ValueError, RecursionError):
            return  # Whoever subscribes to it is told the same; nothing is known by it.
        agent = AgentId(subject.partition(".")[2])
        self._touched.add(agent)
        if sender == PLATFORM_SENDER:
            if said.status == "offline":
                self._remove(agent)
            elif agent not in self._entries:
                self._want(agent)
        elif agent in self._entries and agent not in self._loading:
            kept = said.metadata if len(msgspec.json.encode(said.metadata)) <= MAX_METADATA else None
            self._put(msgspec.structs.replace(self._entries[agent], status=said.status, metadata=kept))
        else:
            self._want(agent)

    def _want(self, agent: AgentId) -> None:
        self._wanted.add(agent)
        self._wake.set()

    def _put(self, agent: OnlineAgent) -> None:
        name = AgentId(agent.id)
        before = self._entries.get(name)
        if before == agent:
            return
        if before is None:
            self._names.insert(bisect_left(self._names, name), name)
        self._entries[name] = agent
        for follower in tuple(self._followers):
            was, fit = before is not None and fits(follower.who, before), fits(follower.who, agent)
            if fit:
                follower.tell(AgentChange.changed if was else AgentChange.joined, agent)
            elif was and before is not None:
                follower.tell(AgentChange.left, before)

    def _remove(self, agent: AgentId) -> None:
        self._wanted.discard(agent)
        self._loading.discard(agent)
        before = self._entries.pop(agent, None)
        if before is None:
            return
        del self._names[bisect_left(self._names, agent)]
        for follower in tuple(self._followers):
            if fits(follower.who, before):
                follower.tell(AgentChange.left, before)


class Rosters:
    """The rosters of the tenants whose clients ask. `start` runs work as a task of the gateway's."""

    def __init__(
        self,
        presence: OnlineSource,
        listed: Listed,
        monotonic: Callable[[], float],
        start: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._presence = presence
        self._listed = listed
        self._monotonic = monotonic
        self._start = start
        self._held: dict[TenantId, Roster] = {}

    def of(self, tenant: TenantId, link: Link) -> Roster:
        """The tenant's roster, begun where there is none."""
        roster = self._held.get(tenant)
        if roster is None or roster.over or roster.link is not link:
            if roster is not None:
                roster.close()
            roster = self._held[tenant] = Roster(tenant, link, self._presence, self._listed, self._monotonic)
            self._start(self._run(tenant, roster))
        return roster

    async def _run(self, tenant: TenantId, roster: Roster) -> None:
        try:
            await roster.run()
        finally:
            if self._held.get(tenant) is roster:
                del self._held[tenant]

    def changed(self, change: Change) -> None:
        """Hear of a changed record."""
        roster = self._held.get(change.tenant)
        if roster is not None and change.kind is Kind.agent:
            roster.reread([AgentId(change.id)])

    def words_missed(self) -> None:
        """Changes may have been told unheard."""
        for roster in self._held.values():
            roster.reread()

    def close(self, tenant: TenantId, link: Link) -> None:
        """Nobody of the tenant is connected on this link any more."""
        roster = self._held.get(tenant)
        if roster is not None and roster.link is link:
            roster.close()

    def end(self) -> None:
        """Close all of them: the gateway ends."""
        for roster in self._held.values():
            roster.close()


async def _close(subscription: Subscription) -> None:
    try:
        await subscription.close()
    except ArtcafeError as error:
        LOG.warning("a subscription on the bus was not closed: %s", error)
