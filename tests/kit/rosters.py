"""Rosters of a tenant whose agents a test names."""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from artcafe.server.core.presence.questions import AgentDetails
from artcafe.server.domain.agent import Agent
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.listing import Page, Source
from artcafe.server.gateway.fanout.roster import Rosters
from tests.kit.records import an_agent


@dataclass
class OnlineAgents:
    """The agents that are online, with their details, and the capabilities of all. `reads` counts what is
    read; with `failure` nothing is. `before` is called before details are given."""

    details_of: dict[str, AgentDetails] = field(default_factory=dict)
    capabilities: dict[str, list[str]] = field(default_factory=dict)
    reads: int = 0
    failure: Exception | None = None
    before: Callable[[], Awaitable[None]] | None = None

    def add(self, agent: str, *capabilities: str, **details: Any) -> None:
        """One that is online."""
        self.details_of[agent] = AgentDetails(**details)
        self.capabilities[agent] = list(capabilities)

    async def online(self, tenant: TenantId) -> Mapping[AgentId, int]:
        """See OnlineSource."""
        self._read()
        return {AgentId(agent): 1 for agent in self.details_of}

    async def details(self, tenant: TenantId, agents: Collection[AgentId]) -> Mapping[AgentId, AgentDetails]:
        """See OnlineSource."""
        self._read()
        found = {agent: self.details_of[agent] for agent in agents if agent in self.details_of}
        before, self.before = self.before, None
        if before is not None:
            await before()
        return found

    def listed(self, tenant: TenantId) -> Source[Agent]:
        """See AgentRecords."""

        async def some(ids: Sequence[str]) -> Page[Agent]:
            self._read()
            known = [agent for agent in ids if agent in self.capabilities]
            records = [replace(an_agent(agent), capabilities=self.capabilities[agent]) for agent in known]
            return Page(records, None)

        async def nothing(limit: int, cursor: str | None) -> Page[Agent]:
            raise NotImplementedError

        return Source(nothing, nothing, some)

    def rosters(
        self, monotonic: Callable[[], float], start: Callable[[Coroutine[Any, Any, None]], None]
    ) -> Rosters:
        """Those of one process."""
        return Rosters(self, self.listed, monotonic, start)

    def _read(self) -> None:
        self.reads += 1
        if self.failure is not None:
            raise self.failure
