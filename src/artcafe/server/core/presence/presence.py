"""Presence: the connected agents and their subscriptions, over all server processes."""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct

from artcafe.server.domain.ids import AgentId, ChannelId, TenantId
from artcafe.server.ports.bus import Control
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.records import SightingRecords
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import overlap
from artcafe.wire.times import rfc3339

LIFETIME = 90
"""Seconds after which a process that stopped telling is believed to be gone."""

SET_SECONDS = 5.0
"""A clock that jumps by more was set, or the machine slept; by less, every renewal is early enough."""

TOPIC = "presence"
"""The control topic on which processes ask each other."""

_WILD = ("*", ">")


class Holder(Protocol):
    """One connection, as far as it subscribes."""

    def patterns(self) -> Collection[str]:
        """The patterns that it holds now, in their short form."""


class PresenceQuestion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request to the processes in `asked`: the subscriptions of these agents, and the subscribers of these
    patterns.

    `several` are agents with connections on more than one process, told apart so that each counts once.
    """

    asked: list[str]
    tenant: TenantId
    agents: list[AgentId] = []
    patterns: dict[ChannelId, str] = {}
    several: list[AgentId] = []


class Listening(Struct, frozen=True):
    """The subscribers of one pattern on one process: subscriptions, agents, and those of `several`."""

    subscriptions: int
    agents: int
    several: list[AgentId]


class PresenceAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The response of one process."""

    held: dict[AgentId, list[str]] = {}
    audience: dict[ChannelId, Listening] = {}


Tell = Callable[[TenantId, Mapping[AgentId, bool]], Awaitable[None]]
"""Tell a tenant which agents came (True) and which went; when it returns, the bus has it."""


async def _to_nobody(_: TenantId, __: Mapping[AgentId, bool]) -> None:
    """A `Tell` that does nothing."""


_read_answer = msgspec.json.Decoder(PresenceAnswer).decode


class Presence:
    """Tracks the connections of this process, and shares them with the others by rows in the store.

    Its owner calls `announce` after changes, and every few seconds: everything is written
    again before it expires.
    """

    def __init__(self, records: SightingRecords, control: Control, clock: Clock, instance: str) -> None:
        self._records = records
        self._control = control
        self._clock = clock
        self._instance = instance
        self._online: dict[TenantId, dict[AgentId, list[Holder]]] = {}
        self._left: dict[TenantId, dict[AgentId, str]] = {}
        # Who was told to be online; False where it is not sure what was told last.
        self._told: dict[TenantId, dict[AgentId, bool]] = {}
        self._changed: set[TenantId] = set()
        self._announced: dict[TenantId, float] = {}  # When, by the monotonic clock.
        self._ahead = self._lead()

    def arrived(self, tenant: TenantId, agent: AgentId, holder: Holder) -> None:
        """One more connection of the agent."""
        self._online.setdefault(tenant, {}).setdefault(agent, []).append(holder)
        self._changed.add(tenant)

    def left(self, tenant: TenantId, agent: AgentId, holder: Holder) -> None:
        """A connection that arrived is gone."""
        agents = self._online[tenant]
        agents[agent].remove(holder)
        if not agents[agent]:
            del agents[agent]
            self._left.setdefault(tenant, {})[agent] = rfc3339(self._clock.now())
        self._changed.add(tenant)

    def here(self, tenant: TenantId) -> int:
        """Connections of the tenant on this process."""
        return sum(self._here(tenant).values())

    def _here(self, tenant: TenantId) -> dict[AgentId, int]:
        return {agent: len(holders) for agent, holders in self._online.get(tenant, {}).items()}

    async def announce(self, tell: Tell = _to_nobody) -> None:
        """Write what changed and what is about to expire, and tell who came and who went, over all processes.

        The last that is told of an agent is right, whatever several processes do at once; it may be
        told twice. Raises unavailable when that happened to some tenant: it is tried again then.
        """
        now, ahead = self._clock.monotonic(), self._lead()
        # What is written ends by the wall clock: when that was set, it ends too early or too late.
        was_set, self._ahead = abs(ahead - self._ahead) > SET_SECONDS, ahead
        due = {tenant for tenant, at in self._announced.items() if was_set or now - at > LIFETIME / 3}
        failure = None
        for tenant in sorted(self._changed | due):
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
        now, ends = self._clock.monotonic(), int(self._clock.now()) + LIFETIME
        here, left = self._here(tenant), dict(self._left.get(tenant, {}))
        told = self._told.setdefault(tenant, {})
        came = [agent for agent in here if not told.get(agent)]
        went = [agent for agent in told if agent not in here]
        before = await self._elsewhere(tenant) if came else {}
        await self._records.announce(tenant, self._instance, here, left, ends)
        self._announced[tenant] = now
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
                # Somebody may have come elsewhere who saw the row of this process, and said nothing.
                again = await self._elsewhere(tenant)
                back = {agent: True for agent in gone if agent in again}
                if back:
                    await tell(tenant, back)
        self._told[tenant] = dict.fromkeys(here, True)
        if not self._online.get(tenant) and tenant not in self._changed:
            for held in (self._online, self._announced, self._told):
                held.pop(tenant, None)

    def _written(self, tenant: TenantId, left: Mapping[AgentId, str]) -> None:
        kept = {agent: at for agent, at in self._left.get(tenant, {}).items() if left.get(agent) != at}
        if kept:
            self._left[tenant] = kept
        else:
            self._left.pop(tenant, None)

    def _lead(self) -> float:
        """By how much the wall clock is ahead of the monotonic one: the same until it is set."""
        return self._clock.now() - self._clock.monotonic()

    def _latest(self) -> int:
        """When a row of a process that runs ends at the latest, where clocks are LIFETIME apart at most."""
        return int(self._clock.now()) + 2 * LIFETIME

    async def _elsewhere(self, tenant: TenantId) -> Counter[AgentId]:
        """Connections per agent on the other processes, as they last said."""
        counts: Counter[AgentId] = Counter()
        for agents in (await self._records.online(tenant, self._instance, self._latest())).values():
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
        elsewhere = await self._records.online(tenant, self._instance, self._latest())
        asked = [process for process, online in elsewhere.items() if not wanted.isdisjoint(online)]
        held: defaultdict[AgentId, set[str]] = defaultdict(set)
        for answer in await self._ask(PresenceQuestion(asked=asked, tenant=tenant, agents=sorted(wanted))):
            for agent, patterns in answer.held.items():
                held[agent].update(patterns)
        return {agent: sorted(patterns) for agent, patterns in held.items()}

    async def audience(
        self, tenant: TenantId, patterns: Mapping[ChannelId, str]
    ) -> Mapping[ChannelId, tuple[int, int]]:
        """For each channel the live subscriptions that overlap its pattern, and how many agents hold them."""
        if not patterns:
            return {}
        elsewhere = await self._records.online(tenant, self._instance, self._latest())
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
            answers += [_read_answer(answer) for answer in told]
        return answers

    def answer(self, question: PresenceQuestion) -> bytes | None:
        """This process's answer to a question; None when it is not asked."""
        return msgspec.json.encode(self._known(question)) if self._instance in question.asked else None

    def _known(self, question: PresenceQuestion) -> PresenceAnswer:
        online = self._online.get(question.tenant, {})
        held = {agent: sorted(set(_held(online.get(agent, ())))) for agent in question.agents}
        return PresenceAnswer(
            held={agent: patterns for agent, patterns in held.items() if patterns},
            audience=_audience(online, question),
        )


def _held(holders: Iterable[Holder]) -> list[str]:
    return [pattern for holder in holders for pattern in holder.patterns()]


def _audience(
    online: Mapping[AgentId, Sequence[Holder]], question: PresenceQuestion
) -> dict[ChannelId, Listening]:
    """Two patterns that overlap begin with the same token, or one with a wildcard: few are compared."""
    if not question.patterns:
        return {}
    several = frozenset(question.several)
    by_first: defaultdict[str, defaultdict[str, list[AgentId]]] = defaultdict(lambda: defaultdict(list))
    for agent, holders in online.items():
        for pattern in _held(holders):
            by_first[pattern.partition(".")[0]][pattern].append(agent)
    found = {}
    for channel, wanted in question.patterns.items():
        first = wanted.partition(".")[0]
        groups = by_first if first in _WILD else [first, *_WILD]
        listeners = [
            agent
            for group in groups
            for pattern, agents in by_first.get(group, {}).items()
            if overlap(wanted, pattern)
            for agent in agents
        ]
        if listeners:
            who = set(listeners)
            found[channel] = Listening(len(listeners), len(who - several), sorted(who & several))
    return found
