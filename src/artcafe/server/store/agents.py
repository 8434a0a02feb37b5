"""Agents and their keys in the store."""

from collections.abc import Callable

from artcafe.server.domain.agent import Agent, AgentRules
from artcafe.server.domain.audit import AuditEntry
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.listing import Source
from artcafe.server.ports.answers import Kept
from artcafe.server.store import addresses as at
from artcafe.server.store.answers import kept_in
from artcafe.server.store.audit import logged
from artcafe.server.store.item import ABSENT, ANY, Conflict, Delete, Op, Put, Rev
from artcafe.server.store.partitions import live
from artcafe.server.store.quota import Space, StorageQuota
from artcafe.server.store.split import SplitTable
from artcafe.server.store.table import Table
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

DETAILS = ("capabilities", "capability_definitions", "metadata")

_RECORD, _CLAIMS = 2, 3
"""Where in the creation of an agent its record and its claims stand."""


class AgentTable:
    """ports.AgentRecords. A key is claimed by a row of its own, in the same transaction as its agent."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._rows = SplitTable(table, Agent, DETAILS)
        self._quota = StorageQuota(table)

    async def get(self, tenant: TenantId, agent: AgentId) -> Agent | None:
        """The agent, or None."""
        pk = at.tenant(await self._table.partition(tenant))
        stored = await self._rows.read(pk, at.agent(agent))
        return stored.record if stored else None

    async def rules(self, tenant: TenantId, agent: AgentId) -> AgentRules | None:
        """The part of the agent that a login reads, or None."""
        pk = at.tenant(await self._table.partition(tenant))
        return await self._rows.rules(pk, at.agent(agent), AgentRules)

    async def create(
        self,
        agent: Agent,
        limit: int | None,
        entry: AuditEntry,
        space: int | None = None,
        kept: Kept | None = None,
    ) -> None:
        """Raises conflict when the id or one of the keys is taken, not_found, quota_exceeded."""
        partition = await self._table.partition(agent.tenant)
        pk = at.tenant(partition)

        async def attempt() -> tuple[None, list[Op]]:
            counted = await self._table.count(pk, at.AGENTS, 1, limit)
            grown = await self._quota.move(agent.tenant, self._rows.space(agent, None), space)
            first, second = self._rows.put(pk, at.agent(agent.id), agent, None)
            return None, [
                counted,
                live(partition),
                first,
                *(_claim(pk, agent, fingerprint) for fingerprint in _fingerprints(agent)),
                second,
                *grown,
                *logged(entry, partition),
                *kept_in(pk, kept),
            ]

        try:
            await self._table.again(attempt, line=(agent.tenant, at.AGENTS))
        except Conflict as conflict:
            raise _refused(conflict.index) from None

    async def change(
        self,
        tenant: TenantId,
        agent: AgentId,
        edit: Callable[[Agent], Agent],
        entry: AuditEntry,
        space: int | None = None,
        kept: Kept | None = None,
    ) -> Agent:
        """Apply `edit` to the current record. Raises not_found, conflict, quota_exceeded."""
        partition = await self._table.partition(tenant)
        pk = at.tenant(partition)

        async def attempt() -> tuple[Agent, list[Op]]:
            stored = await self._rows.read(pk, at.agent(agent))
            if stored is None:
                raise ArtcafeError(Code.not_found)
            changed = edit(stored.record)
            before, after = _fingerprints(stored.record), _fingerprints(changed)
            growth = self._rows.space(changed, stored) - self._rows.taken(stored)
            first, second = self._rows.put(pk, at.agent(agent), changed, stored)
            return changed, [
                first,
                *(_claim(pk, changed, fingerprint) for fingerprint in sorted(after - before)),
                *(
                    Delete(pk, sk, ANY)
                    for fingerprint in sorted(before - after)
                    for sk in (at.key(fingerprint), at.use(agent, fingerprint))
                ),
                second,
                *await self._quota.move(tenant, growth, space),
                live(partition),
                *logged(entry, partition),
                *kept_in(pk, kept),
            ]

        try:
            return await self._table.again(attempt)
        except Conflict:
            raise _refused(_CLAIMS) from None

    async def delete(
        self, tenant: TenantId, agent: AgentId, check: Callable[[Agent], None], entry: AuditEntry
    ) -> Agent:
        """Remove the agent, its claims and what was seen of it, unless `check` raises; the agent as it was.

        Raises not_found.
        """
        partition = await self._table.partition(tenant)
        pk = at.tenant(partition)

        async def attempt() -> tuple[Agent, list[Op]]:
            stored = await self._rows.read(pk, at.agent(agent))
            if stored is None:
                raise ArtcafeError(Code.not_found)
            check(stored.record)
            first, second = self._rows.delete(pk, at.agent(agent), Rev(stored.rev))
            return stored.record, [
                await self._table.count(pk, at.AGENTS, -1),
                first,
                second,
                *await self._quota.move(tenant, Space() - self._rows.taken(stored), None),
                *(
                    Delete(pk, sk)
                    for fingerprint in _fingerprints(stored.record)
                    for sk in (at.key(fingerprint), at.use(agent, fingerprint))
                ),
                Delete(pk, at.seen(agent)),
                live(partition),
                *logged(entry, partition),
            ]

        return await self._table.again(attempt, contested=2)

    def listed(self, tenant: TenantId) -> Source[Agent]:
        """The tenant's agents, by id."""
        return self._rows.source(tenant, at.AGENTS)

    async def count(self, tenant: TenantId) -> int:
        """How many agents the tenant has."""
        return await self._table.counted(at.tenant(await self._table.partition(tenant)), at.AGENTS)


def _fingerprints(agent: Agent) -> set[str]:
    return {key.fingerprint for key in agent.keys}


def _claim(pk: str, agent: Agent, fingerprint: str) -> Op:
    return Put(pk, at.key(fingerprint), {"agent": agent.id}, ABSENT)


def _refused(index: int) -> ArtcafeError:
    if index == _RECORD:
        return ArtcafeError(Code.conflict, "There is an agent of this id.")
    return ArtcafeError(Code.conflict, "The key belongs to another agent of this tenant.")
