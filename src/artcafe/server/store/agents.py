"""Agents and their keys in the store."""

from collections.abc import Callable

from artcafe.server.domain.agent import Agent
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.ports import Page
from artcafe.server.store import addresses as at
from artcafe.server.store.item import ABSENT, ANY, Check, Conflict, Delete, Op, Put, Rev
from artcafe.server.store.table import Stored, Table, data
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


class AgentTable:
    """ports.AgentRecords. A key is claimed by a row of its own, in the same transaction as its agent."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: TenantId, agent: AgentId) -> Agent | None:
        """The agent, or None."""
        stored = await self._table.read(at.tenant(tenant), at.agent(agent), Agent)
        return stored.record if stored else None

    async def create(self, agent: Agent) -> None:
        """Raises conflict when the id or one of the keys is taken, not_found without the tenant."""
        pk = at.tenant(agent.tenant)
        try:
            await self._table.write(
                Check(pk, at.META),
                Put(pk, at.agent(agent.id), data(agent), ABSENT),
                *(_claim(agent, fingerprint) for fingerprint in _fingerprints(agent)),
            )
        except Conflict as conflict:
            raise _refused(conflict.index) from None

    async def change(self, tenant: TenantId, agent: AgentId, edit: Callable[[Agent], Agent]) -> Agent:
        """Apply `edit` to the current record. Raises not_found, conflict."""
        pk = at.tenant(tenant)

        def steps(stored: Stored[Agent]) -> tuple[Agent, list[Op]]:
            changed = edit(stored.record)
            before, after = _fingerprints(stored.record), _fingerprints(changed)
            return changed, [
                Put(pk, at.agent(agent), data(changed), Rev(stored.rev)),
                *(_claim(changed, fingerprint) for fingerprint in sorted(after - before)),
                *(Delete(pk, at.key(fingerprint), ANY) for fingerprint in sorted(before - after)),
            ]

        try:
            return await self._table.change(pk, at.agent(agent), Agent, steps)
        except Conflict:
            raise _refused(2) from None

    async def delete(self, tenant: TenantId, agent: AgentId) -> None:
        """Remove the agent, its claims and what was seen of it. Raises not_found."""
        pk = at.tenant(tenant)

        def steps(stored: Stored[Agent]) -> tuple[Agent, list[Op]]:
            return stored.record, [
                Delete(pk, at.agent(agent), Rev(stored.rev)),
                *(Delete(pk, at.key(fingerprint)) for fingerprint in _fingerprints(stored.record)),
            ]

        await self._table.change(pk, at.agent(agent), Agent, steps)
        async for item in self._table.items(pk, at.uses(agent)):
            await self._table.write(Delete(pk, item.sk))
        await self._table.write(Delete(pk, at.seen(agent)))

    async def list(self, tenant: TenantId, limit: int, cursor: str | None) -> Page[Agent]:
        """A page of agents. Raises bad_request for a cursor that no earlier page gave."""
        return await self._table.page(at.tenant(tenant), at.AGENTS, Agent, limit, cursor)

    async def count(self, tenant: TenantId) -> int:
        """How many agents the tenant has."""
        return sum([1 async for _ in self._table.items(at.tenant(tenant), at.AGENTS)])


def _fingerprints(agent: Agent) -> set[str]:
    return {key.fingerprint for key in agent.keys}


def _claim(agent: Agent, fingerprint: str) -> Op:
    return Put(at.tenant(agent.tenant), at.key(fingerprint), {"agent": agent.id}, ABSENT)


def _refused(index: int) -> ArtcafeError:
    if index == 0:
        return ArtcafeError(Code.not_found, "There is no such tenant.")
    if index == 1:
        return ArtcafeError(Code.conflict, "There is an agent of this id.")
    return ArtcafeError(Code.conflict, "The key belongs to another agent of this tenant.")
