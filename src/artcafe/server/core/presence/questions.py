"""Questions of processes to each other about the agents that are connected to them, and the answers."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct, structs

from artcafe.server.domain.ids import AgentId, ChannelId, TenantId
from artcafe.wire.subjects import overlap

TOPIC = "presence"
"""The control topic on which processes ask each other."""

_WILD = ("*", ">")


class Holder(Protocol):
    """One connection, as far as it subscribes."""

    def patterns(self) -> Collection[str]:
        """The patterns that it holds now, in their short form."""


class PresenceQuestion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request to the processes in `asked`: the subscriptions of these agents, and the subscribers of these
    patterns, and the `details` of agents that are connected to them.

    `several` are agents with connections on more than one process, told apart so that each counts once.
    """

    asked: list[str]
    tenant: TenantId
    agents: list[AgentId] = []
    patterns: dict[ChannelId, str] = {}
    several: list[AgentId] = []
    details: list[AgentId] = []


class Listening(Struct, frozen=True):
    """The subscribers of one pattern on one process: subscriptions, agents, and those of `several`."""

    subscriptions: int
    agents: int
    several: list[AgentId]


class AgentDetails(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Since when an agent is connected, and what it said of itself last, and when (RFC 3339)."""

    since: str | None = None
    status: str | None = None
    metadata: dict[str, Any] | None = None
    said_at: str = ""


class PresenceAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The response of one process."""

    held: dict[AgentId, list[str]] = {}
    audience: dict[ChannelId, Listening] = {}
    details: dict[AgentId, AgentDetails] = {}


Online = Mapping[AgentId, Sequence[Holder]]
"""The connections of each agent of a tenant on one process."""

read_answer = msgspec.json.Decoder(PresenceAnswer).decode


def joined(one: AgentDetails | None, other: AgentDetails) -> AgentDetails:
    """The details of an agent that is connected to two processes: since the earlier time, with its later
    word."""
    if one is None:
        return other
    since = min(filter(None, (one.since, other.since)), default=None)
    return structs.replace(max(one, other, key=lambda each: each.said_at), since=since)


def known(
    online: Online, question: PresenceQuestion, details: Mapping[AgentId, AgentDetails]
) -> PresenceAnswer:
    """The answer of a process with these connections."""
    held = {agent: sorted(set(_held(online.get(agent, ())))) for agent in question.agents}
    return PresenceAnswer(
        held={agent: patterns for agent, patterns in held.items() if patterns},
        audience=_audience(online, question),
        details={agent: details[agent] for agent in question.details if agent in online},
    )


def _held(holders: Iterable[Holder]) -> list[str]:
    return [pattern for holder in holders for pattern in holder.patterns()]


def _audience(online: Online, question: PresenceQuestion) -> dict[ChannelId, Listening]:
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
