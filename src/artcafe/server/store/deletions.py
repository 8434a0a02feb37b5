"""Deletions of tenants in the store.

The tenant's row META is gone in the transaction that begins one, so that nothing that depends on the tenant
(partitions.live) is written any more; what it was stands under DELETING until the end. A row in DELETIONS
says what is to be done, and another one, in its place, what is to be done when the id is free.
"""

from collections.abc import Callable, Sequence

import msgspec

from artcafe.server.domain.audit import AuditEntry
from artcafe.server.domain.deletion import Deletion
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.tenant import Role, Tenant, TenantRules
from artcafe.server.store import addresses as at
from artcafe.server.store.addresses import Partition
from artcafe.server.store.audit import logged, noted
from artcafe.server.store.item import (
    ABSENT,
    EXISTS,
    MAX_OPS,
    Check,
    Conflict,
    Delete,
    Item,
    Op,
    Put,
    Rev,
    purge,
)
from artcafe.server.store.made import uncounted
from artcafe.server.store.records import readable
from artcafe.server.store.split import SplitTable
from artcafe.server.store.table import Stored, Table, data, translated
from artcafe.server.store.tenants import DETAILS
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

MANY = 100
"""Deletions that are looked at together."""


class DeletionTable:
    """ports.DeletionRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._rows = SplitTable(table, Tenant, DETAILS)

    async def begin(self, tenant: TenantId, edit: Callable[[Tenant], Tenant], entry: AuditEntry) -> None:
        """One transaction. Raises not_found, deleting, and what `edit` raises."""

        async def live(of: Partition) -> tuple[Partition, Stored[Tenant]] | None:
            stored = await self._rows.read(at.tenant(of), at.META)
            return (of, stored) if stored else None

        async def attempt() -> tuple[None, list[Op]]:
            found = await self._table.find(tenant, live)
            if found is None:
                raise await self._refused(tenant)
            partition, stored = found
            pk, record = at.tenant(partition), edit(stored.record)
            deletion = Deletion(
                tenant=tenant,
                rules=msgspec.convert(data(record), TenantRules),
                partition=partition,
                created_by=record.created_by,
            )
            return None, [
                *self._rows.delete(pk, at.META, Rev(stored.rev)),
                *self._rows.put(pk, at.DELETING, record, None),
                Put(at.DELETIONS, at.to_sweep(partition), data(deletion), ABSENT),
                *logged(entry, partition),
                *noted(entry),
            ]

        await self._table.again(attempt)

    async def _refused(self, tenant: TenantId) -> ArtcafeError:
        partition = await self._table.partition(tenant)
        going = await self._table.read(at.tenant(partition), at.DELETING, TenantRules)
        return ArtcafeError(Code.not_found if going is None else Code.deleting)

    async def pending(self) -> Sequence[Deletion]:
        """At most MANY, those with a tenant's id first."""
        found: list[Deletion] = []
        for stage in at.STAGES:
            with translated():
                page = await self._table.store.query(at.DELETIONS, stage, MANY)
            found += readable(page.items, Deletion)[0]
        return found

    async def sweep(self, deletion: Deletion) -> bool:
        """In transactions of MAX_OPS operations. False when the id is free already."""
        partition = Partition(deletion.partition)
        with translated():
            for beside in _beside(partition):
                await purge(self._table.store, beside)
        # Until there is nothing: what began before the tenant's end may have been written behind this.
        pk = at.tenant(partition)
        while await self._remove_rows(partition):
            pass
        with translated():
            await self._table.store.drop_counters(pk)
        members = [row async for row in self._table.items(pk, at.MEMBERS)]
        members.sort(key=lambda row: row.data.get("role") == Role.owner)
        size = (MAX_OPS - 1) // 2
        for start in range(0, len(members), size):
            some = members[start : start + size]
            try:
                # Once the id is free, the same users may be members of another tenant of this id.
                await self._table.write(
                    Check(at.DELETIONS, at.to_sweep(partition)),
                    *(Delete(row.pk, row.sk) for row in some),
                    *(Delete(_index(row), at.membership(deletion.tenant)) for row in some),
                )
            except Conflict:
                return False
        return True

    async def _remove_rows(self, partition: Partition) -> int:
        """Remove what stands in a tenant's partition, but itself and its members, and that processes have
        agents there; how many rows it was."""
        pk = at.tenant(partition)
        staying = (at.DELETING, at.detail(at.DELETING))
        rows = [
            item.sk
            async for item in self._table.items(pk)
            if item.sk not in staying and not item.sk.startswith(at.MEMBERS)
        ]
        processes = sorted({at.process(sk) for sk in rows if sk.startswith(at.ONLINE)})
        steps = [Delete(pk, sk) for sk in rows]
        steps += [Delete(at.held(process), partition) for process in processes]
        for start in range(0, len(steps), MAX_OPS):
            await self._table.write(*steps[start : start + MAX_OPS])
        return len(rows)

    async def free(self, deletion: Deletion, at_time: str) -> None:
        """One transaction: the id, whom it counted for, and the row that says what is to be done."""
        partition = Partition(deletion.partition)
        swept = msgspec.structs.replace(deletion, freed_at=at_time)

        async def attempt() -> tuple[None, list[Op]]:
            if await self._table.read(at.DELETIONS, at.to_sweep(partition), Deletion) is None:
                return None, []  # Somebody was faster.
            return None, [
                *await uncounted(self._table, deletion),
                Delete(at.DELETIONS, at.to_sweep(partition), EXISTS),
                Put(at.DELETIONS, at.to_end(partition), data(swept)),
                Delete(at.TENANTS, deletion.tenant),
                *self._rows.delete(at.tenant(partition), at.DELETING),
            ]

        await self._table.again(attempt, contested=MAX_OPS)
        self._table.partitions.forget(deletion.tenant)

    async def end(self, deletion: Deletion) -> None:
        """Counters and challenges have no condition: somebody may have written some behind the sweep."""
        partition = Partition(deletion.partition)
        with translated():
            for beside in _beside(partition):
                await purge(self._table.store, beside)
        await self._table.write(Delete(at.DELETIONS, at.to_end(partition)))


def _index(member: Item) -> str:
    """The partition in which this membership is looked for."""
    return at.user(UserId(member.sk.removeprefix(at.MEMBERS)))


def _beside(of: Partition) -> tuple[str, ...]:
    """The rows of a tenant besides its records."""
    return at.challenges(of), at.usage(of), at.sizes(of), at.log(of)
