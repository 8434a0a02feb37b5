"""Who is connected, over all server processes."""

from collections.abc import Mapping, Sequence

from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.ports import Clock, SightingRecords
from artcafe.wire.times import rfc3339

LIFETIME = 90
"""Seconds after which a process that stopped telling is believed to be gone."""


class Presence:
    """Counts the connections of this process and tells the others by one record per tenant.

    Whoever owns it calls `announce` every few seconds: changes are written then, and everything
    is written again before it expires.
    """

    def __init__(self, records: SightingRecords, clock: Clock, instance: str) -> None:
        self._records = records
        self._clock = clock
        self._instance = instance
        self._online: dict[TenantId, dict[AgentId, int]] = {}
        self._left: dict[TenantId, dict[AgentId, str]] = {}
        self._changed: set[TenantId] = set()
        self._announced: dict[TenantId, float] = {}

    def arrived(self, tenant: TenantId, agent: AgentId) -> None:
        """One more connection of the agent."""
        agents = self._online.setdefault(tenant, {})
        agents[agent] = agents.get(agent, 0) + 1
        self._changed.add(tenant)

    def left(self, tenant: TenantId, agent: AgentId) -> None:
        """One connection of the agent less."""
        agents = self._online[tenant]
        agents[agent] -= 1
        if agents[agent] == 0:
            del agents[agent]
            self._left.setdefault(tenant, {})[agent] = rfc3339(self._clock.now())
        self._changed.add(tenant)

    def here(self, tenant: TenantId) -> int:
        """Connections of the tenant on this process."""
        return sum(self._online.get(tenant, {}).values())

    async def announce(self) -> None:
        """Write what changed and what is about to expire. Raises unavailable; it is tried again then."""
        now = self._clock.now()
        due = {tenant for tenant, at in self._announced.items() if now - at > LIFETIME / 3}
        for tenant in sorted(self._changed | due):
            self._changed.discard(tenant)
            agents, left = dict(self._online.get(tenant, {})), dict(self._left.get(tenant, {}))
            try:
                await self._records.announce(tenant, self._instance, agents, left, int(now) + LIFETIME)
            except BaseException:
                self._changed.add(tenant)
                raise
            self._announced[tenant] = now
            self._written(tenant, left)
            if not self._online.get(tenant) and tenant not in self._changed:
                self._online.pop(tenant, None)
                self._announced.pop(tenant, None)

    def _written(self, tenant: TenantId, left: Mapping[AgentId, str]) -> None:
        kept = {agent: at for agent, at in self._left.get(tenant, {}).items() if left.get(agent) != at}
        if kept:
            self._left[tenant] = kept
        else:
            self._left.pop(tenant, None)

    async def online(self, tenant: TenantId) -> Mapping[AgentId, int]:
        """Connections per agent: this process exactly, the others as they last said."""
        counts = dict(await self._records.online(tenant, self._instance))
        for agent, connections in self._online.get(tenant, {}).items():
            counts[agent] = counts.get(agent, 0) + connections
        return counts

    async def last_seen(self, tenant: TenantId, agents: Sequence[AgentId]) -> Mapping[AgentId, str]:
        """When agents that are not connected were last seen going."""
        stored = await self._records.last_seen(tenant, agents)
        here = {agent: at for agent, at in self._left.get(tenant, {}).items() if agent in agents}
        return {**stored, **here}
