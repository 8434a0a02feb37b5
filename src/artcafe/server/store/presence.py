"""When keys and agents were last seen, and who is connected where."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.store import addresses as at
from artcafe.server.store.item import MAX_OPS, Delete, Op, Put
from artcafe.server.store.table import Table, data

ROW_AGENTS = 2000
"""Agents in one row, well below the size of an item."""


class _Online(Struct):
    agents: dict[AgentId, int]


class _At(Struct):
    at: str


class SightingTable:
    """ports.SightingRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def used(self, tenant: TenantId, agent: AgentId, fingerprint: str, at_time: str) -> None:
        """A key logged in."""
        await self._table.write(Put(at.tenant(tenant), at.uses(agent) + fingerprint, data(_At(at_time))))

    async def uses(self, tenant: TenantId, agent: AgentId) -> Mapping[str, str]:
        """Fingerprint to the time of its last login."""
        prefix = at.uses(agent)
        found = {}
        async for item in self._table.items(at.tenant(tenant), prefix):
            found[item.sk.removeprefix(prefix)] = str(item.data["at"])
        return found

    async def announce(
        self,
        tenant: TenantId,
        instance: str,
        online: Mapping[AgentId, int],
        left: Mapping[AgentId, str],
        expires: int,
    ) -> None:
        """Replace what this server process holds, and note who left when."""
        pk, prefix = at.tenant(tenant), at.online(instance)
        names = sorted(online)
        chunks = [names[start : start + ROW_AGENTS] for start in range(0, len(names), ROW_AGENTS)]
        rows = {
            f"{prefix}{number}": _Online({name: online[name] for name in chunk})
            for number, chunk in enumerate(chunks)
        }
        before = {item.sk async for item in self._table.items(pk, prefix)}
        # Who left is written before the rows forget it: a cut in between writes it again, never not.
        steps: list[Op] = [Put(pk, at.seen(agent), data(_At(when))) for agent, when in left.items()]
        steps += [Put(pk, sk, data(row), expires=expires) for sk, row in rows.items()]
        steps += [Delete(pk, sk) for sk in sorted(before - rows.keys())]
        for start in range(0, len(steps), MAX_OPS):
            await self._table.write(*steps[start : start + MAX_OPS])

    async def online(self, tenant: TenantId) -> Mapping[AgentId, int]:
        """Connections per agent, over all processes."""
        counts: Counter[AgentId] = Counter()
        for row in await self._table.all(at.tenant(tenant), at.ONLINE, _Online):
            counts.update(row.agents)
        return counts

    async def last_seen(self, tenant: TenantId, agents: Sequence[AgentId]) -> Mapping[AgentId, str]:
        """When these agents were last seen going; an agent never seen is missing."""
        pk = at.tenant(tenant)
        found = await asyncio.gather(*(self._table.read(pk, at.seen(agent), _At) for agent in agents))
        return {agent: row.record.at for agent, row in zip(agents, found, strict=True) if row}
