"""Presence: the connected agents and their subscriptions, over all server processes."""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from artcafe.server.core.presence.leases import Leases
from artcafe.server.core.presence.questions import (
    TOPIC,
    AgentDetails,
    Holder,
    PresenceAnswer,
    PresenceQuestion,
    joined,
    known,
    read_answer,
)
from artcafe.server.domain.ids import AgentId, ChannelId, TenantId
from artcafe.server.ports.bus import Control
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.leases import HeldTenant, Lease, LeaseRecords
from artcafe.server.ports.records import SightingRecords
from artcafe.wire.discovery import MAX_METADATA
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.times import rfc3339

OLDER_LIFETIME = 90
"""Seconds after which what an older release wrote ends by itself."""

Tell = Callable[[TenantId, Mapping[AgentId, bool]], Awaitable[None]]
"""Tell a tenant which agents came (True) and which went; when it returns, the bus has it."""


async def _to_nobody(_: TenantId, __: Mapping[AgentId, bool]) -> None:
    """A `Tell` that does nothing."""


class Presence:
    """Tracks the connections of this process, and shares them with the others by rows in the store, which are
    right while the process holds its lease.

    Its owner calls `hold` every leases.RENEW_SECONDS, and `announce` after changes and when the lease was
    lost.
    """

    def __init__(
        self,
        records: SightingRecords,
        leases: LeaseRecords,
        control: Control,
        clock: Clock,
        name: str,
        new_id: Callable[[], str],
    ) -> None:
        """`name` tells this process from all others that run."""
        self._records = records
        self._lease_records = leases
        self._leases = Leases(leases, clock, name, new_id)
        self._control = control
        self._clock = clock
        self._online: dict[TenantId, dict[AgentId, list[Holder]]] = {}
        self._details: dict[TenantId, dict[AgentId, AgentDetails]] = {}
        self._left: dict[TenantId, dict[AgentId, str]] = {}
        # Who was told to be online; False where it is not sure what was told last.
        self._told: dict[TenantId, dict[AgentId, bool]] = {}
        self._changed: set[TenantId] = set()

    def arrived(self, tenant: TenantId, agent: AgentId, holder: Holder) -> None:
        """One more connection of the agent."""
        self._online.setdefault(tenant, {}).setdefault(agent, []).append(holder)
        details = self._details.setdefault(tenant, {})
        if agent not in details:  # Of one that only reconnects, nothing is told, and nothing changes.
            details[agent] = AgentDetails(since=rfc3339(self._clock.now()))
        self._changed.add(tenant)

    def left(self, tenant: TenantId, agent: AgentId, holder: Holder) -> None:
        """A connection that arrived is gone."""
        agents = self._online[tenant]
        agents[agent].remove(holder)
        if not agents[agent]:
            del agents[agent]
            self._left.setdefault(tenant, {})[agent] = rfc3339(self._clock.now())
        self._changed.add(tenant)

    def said(self, tenant: TenantId, agent: AgentId, status: str, metadata: dict[str, Any]) -> None:
        """An agent that is connected here told its status; what is larger than MAX_METADATA is not kept."""
        details = self._details.get(tenant, {})
        if agent in details:
            kept = metadata if len(msgspec.json.encode(metadata)) <= MAX_METADATA else None
            at = rfc3339(self._clock.now())
            details[agent] = msgspec.structs.replace(details[agent], status=status, metadata=kept, said_at=at)

    def here(self, tenant: TenantId) -> int:
        """Connections of the tenant on this process."""
        return sum(self._here(tenant).values())

    def _here(self, tenant: TenantId) -> dict[AgentId, int]:
        return {agent: len(holders) for agent, holders in self._online.get(tenant, {}).items()}

    async def hold(self) -> None:
        """Renew the lease, and see whose is over. Raises unavailable."""
        await self._leases.watch()

    @property
    def due(self) -> bool:
        """Whether a lease is over: this process's own, so that it has to `announce` everybody again, or one
        that is `taken_over`."""
        return self._leases.due

    async def announce(self, tell: Tell = _to_nobody) -> None:
        """Write what changed, and tell who came and who went, over all processes. After the lease was lost,
        everything is written and told again: others told that everybody went.

        The last that is told of an agent is right, whatever several processes do at once; it may be
        told twice. Raises unavailable when that happened to some tenant: it is tried again then.
        """
        if self._leases.lost:
            await self._leases.take()
            self._told.clear()
            self._changed.update(self._online)
        if self._changed:
            await self._leases.take()
        failure = None
        for tenant in sorted(self._changed):
            self._changed.discard(tenant)
            try:
                await self._announce(tenant, tell)
            except BaseException as error:
                self._changed.add(tenant)
                if not isinstance(error, ArtcafeError):
                    raise
                failure = error  # One tenant's failure keeps no other tenants from being told.
        if failure is not None:
            raise failure

    async def _announce(self, tenant: TenantId, tell: Tell) -> None:
        """The rows are read before they are written and after: of two processes to which an agent comes
        at once, one at least does not see the other before; of two that it leaves, one does not after."""
        here, left = self._here(tenant), dict(self._left.get(tenant, {}))
        told = self._told.setdefault(tenant, {})
        came = [agent for agent in here if not told.get(agent)]
        went = [agent for agent in told if agent not in here]
        before = await self._elsewhere(tenant) if came else {}
        await self._records.announce(tenant, self._leases.holder, here, left)
        self._written(tenant, left)
        if came or went:
            after = await self._elsewhere(tenant)
            news = {agent: True for agent in came if agent not in before or agent not in after}
            gone = [agent for agent in went if agent not in after]
            news |= dict.fromkeys(gone, False)
            if news:
                told |= dict.fromkeys(news, False)
                await tell(tenant, news)
            if gone:
                await self._tell_back(tenant, gone, tell)
        self._told[tenant] = dict.fromkeys(here, True)
        details, online = self._details.get(tenant, {}), self._online.get(tenant, {})
        for agent in details.keys() - online.keys():
            del details[agent]
        if not self._online.get(tenant) and tenant not in self._changed:
            for held in (self._online, self._details, self._told):
                held.pop(tenant, None)

    async def _tell_back(self, tenant: TenantId, gone: Sequence[AgentId], tell: Tell) -> None:
        """Somebody may have come elsewhere, who saw the rows that are gone now, and said nothing."""
        again = await self._elsewhere(tenant)
        back = {agent: True for agent in gone if agent in again}
        if back:
            await tell(tenant, back)

    async def leave(self) -> None:
        """Give the lease up, when everybody left and that was announced. Raises unavailable."""
        await self._leases.leave()

    # Processes that are gone.

    async def taken_over(self) -> list[tuple[Lease, Sequence[HeldTenant]]]:
        """The leases that are over and that this process is the one to clear, with the tenants in which their
        holders had agents. Raises unavailable."""
        return [
            (lease, await self._lease_records.held(lease.holder)) for lease in await self._leases.taken_over()
        ]

    async def clear(self, lease: Lease, held: HeldTenant, tell: Tell) -> None:
        """Tell who was connected to the holder of a lease that is over and nowhere else, and remove its rows.
        What is cut off in between is told again when this is. Raises unavailable."""
        tenant, latest = held.tenant, self._latest()
        row = (await self._records.online(tenant, latest)).get(lease.holder)
        if row is not None:
            others = await self.online(tenant)
            gone = [agent for agent in row.agents if agent not in others]
            if gone:
                await self._records.left(tenant, dict.fromkeys(gone, rfc3339(lease.at)))
                await tell(tenant, dict.fromkeys(gone, False))
                await self._tell_back(tenant, gone, tell)
        await self._lease_records.clear(lease.holder, held)

    async def forget(self, lease: Lease) -> None:
        """Remove a lease whose holder's rows are cleared. Raises unavailable."""
        await self._lease_records.forget(lease)

    def _written(self, tenant: TenantId, left: Mapping[AgentId, str]) -> None:
        kept = {agent: at for agent, at in self._left.get(tenant, {}).items() if left.get(agent) != at}
        if kept:
            self._left[tenant] = kept
        else:
            self._left.pop(tenant, None)

    def _latest(self) -> int:
        """When a row of an older release that runs ends at the latest, where clocks are as far apart at
        most."""
        return int(self._clock.now()) + 2 * OLDER_LIFETIME

    async def _others(self, tenant: TenantId) -> Mapping[str, Mapping[AgentId, int]]:
        """Connections per agent on each of the other processes, as they last said."""
        rows = {
            process: row
            for process, row in (await self._records.online(tenant, self._latest())).items()
            if not self._leases.is_own(process)
        }
        holding = await self._leases.holding(process for process, row in rows.items() if row.leased)
        return {process: row.agents for process, row in rows.items() if not row.leased or process in holding}

    async def _elsewhere(self, tenant: TenantId) -> Counter[AgentId]:
        """Connections per agent on the other processes, as they last said."""
        counts: Counter[AgentId] = Counter()
        for agents in (await self._others(tenant)).values():
            counts.update(agents)
        return counts

    async def online(self, tenant: TenantId) -> Mapping[AgentId, int]:
        """Connections per agent: this process exactly, the others as they last said."""
        counts = await self._elsewhere(tenant)
        counts.update(self._here(tenant))
        return dict(counts)

    async def last_seen(self, tenant: TenantId, agents: Sequence[AgentId]) -> Mapping[AgentId, str]:
        """The times at which agents that are not connected were last seen."""
        stored = await self._records.last_seen(tenant, agents)
        here = {agent: at for agent, at in self._left.get(tenant, {}).items() if agent in agents}
        return {**stored, **here}

    # What is subscribed to.

    async def subscriptions(self, tenant: TenantId, agents: Sequence[AgentId]) -> Mapping[AgentId, list[str]]:
        """The patterns that these agents hold now, over all processes: short form, sorted, each once.

        An agent without a subscription is missing, and so is what a process holds that does not answer.
        """
        if not agents:
            return {}
        wanted = set(agents)
        elsewhere = await self._others(tenant)
        asked = [process for process, online in elsewhere.items() if not wanted.isdisjoint(online)]
        held: defaultdict[AgentId, set[str]] = defaultdict(set)
        for answer in await self._ask(PresenceQuestion(asked=asked, tenant=tenant, agents=sorted(wanted))):
            for agent, patterns in answer.held.items():
                held[agent].update(patterns)
        return {agent: sorted(patterns) for agent, patterns in held.items()}

    async def details(self, tenant: TenantId, agents: Collection[AgentId]) -> Mapping[AgentId, AgentDetails]:
        """The details of those of the agents that are online; without content where their process does not
        answer, or is of an older release."""
        others = {
            process: found
            for process, online in (await self._others(tenant)).items()
            if (found := online.keys() & agents)
        }
        asked = sorted({agent for found in others.values() for agent in found})
        here = [agent for agent in agents if agent in self._online.get(tenant, {})]
        details = {agent: AgentDetails() for agent in asked}
        question = PresenceQuestion(asked=list(others), tenant=tenant, details=sorted({*asked, *here}))
        for answer in await self._ask(question):
            for agent, each in answer.details.items():
                details[agent] = joined(details.get(agent), each)
        return details

    async def audience(
        self, tenant: TenantId, patterns: Mapping[ChannelId, str]
    ) -> Mapping[ChannelId, tuple[int, int]]:
        """For each channel the live subscriptions that overlap its pattern, and how many agents hold them."""
        if not patterns:
            return {}
        elsewhere = await self._others(tenant)
        places = Counter(self._online.get(tenant, {}).keys())
        for online in elsewhere.values():
            places.update(online.keys())
        several = sorted(agent for agent, processes in places.items() if processes > 1)
        question = PresenceQuestion(
            asked=list(elsewhere), tenant=tenant, patterns=dict(patterns), several=several
        )
        subscriptions: Counter[ChannelId] = Counter()
        agents: Counter[ChannelId] = Counter()
        shared: defaultdict[ChannelId, set[AgentId]] = defaultdict(set)
        for answer in await self._ask(question):
            for channel, listening in answer.audience.items():
                subscriptions[channel] += listening.subscriptions
                agents[channel] += listening.agents
                shared[channel].update(listening.several)
        return {name: (subscriptions[name], agents[name] + len(shared[name])) for name in patterns}

    async def _ask(self, question: PresenceQuestion) -> list[PresenceAnswer]:
        """The answer of this process, and those of the asked processes that answer in time."""
        answers = [self._known(question)]
        if question.asked:
            payload = msgspec.json.encode(question)
            try:
                told = await self._control.ask(TOPIC, payload, len(question.asked))
            except ArtcafeError:  # The bus is away: nobody answers.
                told = ()
            answers += [read_answer(answer) for answer in told]
        return answers

    def answer(self, question: PresenceQuestion) -> bytes | None:
        """This process's answer to a question; None when it is not asked."""
        return msgspec.json.encode(self._known(question)) if self._leases.holder in question.asked else None

    def _known(self, question: PresenceQuestion) -> PresenceAnswer:
        tenant = question.tenant
        return known(self._online.get(tenant, {}), question, self._details.get(tenant, {}))
