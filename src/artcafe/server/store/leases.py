"""Leases of server processes, and the tenants in which a process has agents, in the store."""

from collections.abc import Sequence

from msgspec import Struct

from artcafe.server.domain.ids import TenantId
from artcafe.server.ports.leases import HeldTenant, Lease
from artcafe.server.store import addresses as at
from artcafe.server.store.addresses import Partition
from artcafe.server.store.item import ABSENT, MAX_OPS, Conflict, Delete, Op, Put, Rev
from artcafe.server.store.records import readable
from artcafe.server.store.table import Table, data, translated


class _Lease(Struct):
    at: float
    by: str = ""


class _Held(Struct):
    tenant: TenantId


def held_row(holder: str, tenant: TenantId, partition: Partition) -> Put:
    """The operation that notes a tenant in which the process has agents."""
    return Put(at.held(holder), partition, data(_Held(tenant)))


class LeaseTable:
    """ports.LeaseRecords. A lease that is over stands under another key: its holder cannot renew it."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def all(self) -> Sequence[Lease]:
        """See ports.leases."""
        found = []
        async for item in self._table.items(at.LEASES):
            over = item.sk.startswith(at.OVER)
            holder = item.sk.removeprefix(at.OVER if over else at.HOLDS)
            found += [Lease(holder, item.rev, row.at, over, row.by) for row in readable([item], _Lease)[0]]
        return found

    async def take(self, holder: str, now: float) -> str:
        """See ports.leases."""
        return await self._put(Put(at.LEASES, at.HOLDS + holder, data(_Lease(now)), ABSENT))

    async def renew(self, holder: str, rev: str, now: float) -> str | None:
        """See ports.leases."""
        key = at.HOLDS + holder
        try:
            return await self._put(Put(at.LEASES, key, data(_Lease(now)), Rev(rev)))
        except Conflict:
            # Unless it was taken, an earlier renewal was written whose answer did not come.
            stored = await self._table.read(at.LEASES, key, _Lease)
            if stored is None:
                return None
        try:
            return await self._put(Put(at.LEASES, key, data(_Lease(now)), Rev(stored.rev)))
        except Conflict:
            return None

    async def end(self, lease: Lease, by: str) -> bool:
        """See ports.leases."""
        over, row = at.OVER + lease.holder, data(_Lease(lease.at, by))
        steps: list[Op] = [Put(at.LEASES, over, row, Rev(lease.rev) if lease.over else ABSENT)]
        if not lease.over:
            steps.append(Delete(at.LEASES, at.HOLDS + lease.holder, Rev(lease.rev)))
        try:
            await self._table.write(*steps)
        except Conflict:
            return False
        return True

    async def leave(self, holder: str) -> None:
        """See ports.leases."""
        await self._table.write(Delete(at.LEASES, at.HOLDS + holder))

    async def lose(self, holder: str, now: float) -> None:
        """See ports.leases."""
        await self._put(Put(at.LEASES, at.OVER + holder, data(_Lease(now))))

    async def held(self, holder: str) -> Sequence[HeldTenant]:
        """See ports.leases."""
        return [
            HeldTenant(row.tenant, item.sk)
            async for item in self._table.items(at.held(holder))
            for row in readable([item], _Held)[0]
        ]

    async def clear(self, holder: str, held: HeldTenant) -> None:
        """See ports.leases."""
        pk = at.tenant(Partition(held.partition))
        steps: list[Op] = [Delete(pk, item.sk) async for item in self._table.items(pk, at.online(holder))]
        steps.append(Delete(at.held(holder), held.partition))  # The last one: a cut in between does it again.
        for start in range(0, len(steps), MAX_OPS):
            await self._table.write(*steps[start : start + MAX_OPS])

    async def forget(self, lease: Lease) -> None:
        """See ports.leases."""
        async for _ in self._table.items(at.held(lease.holder)):
            return
        stored = await self._table.read(at.LEASES, at.OVER + lease.holder, _Lease)
        if stored is not None and stored.record.by == lease.by:
            try:
                await self._table.write(Delete(at.LEASES, at.OVER + lease.holder, Rev(stored.rev)))
            except Conflict:
                return

    async def _put(self, op: Put) -> str:
        with translated():
            return await self._table.store.put(op)
