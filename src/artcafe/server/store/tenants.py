"""Tenants in the store."""

from collections.abc import AsyncIterator, Callable, Sequence

from artcafe.server.domain.audit import AuditEntry
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.legal import Acceptance
from artcafe.server.domain.listing import Page
from artcafe.server.domain.tenant import Member, Tenant, TenantRules, taken
from artcafe.server.ports.answers import Kept
from artcafe.server.store import addresses as at
from artcafe.server.store.addresses import Partition
from artcafe.server.store.answers import kept_in
from artcafe.server.store.audit import logged, noted
from artcafe.server.store.item import (
    MAX_GETS,
    Conflict,
    Item,
    Op,
    Put,
)
from artcafe.server.store.legal import recorded
from artcafe.server.store.made import counted, made_by
from artcafe.server.store.members import both_ways
from artcafe.server.store.partitions import named
from artcafe.server.store.quota import Space, StorageQuota
from artcafe.server.store.records import readable
from artcafe.server.store.split import SplitTable
from artcafe.server.store.table import Stored, Table, data, translated
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

DETAILS = ("description", "logo_url", "metadata", "primary_color", "secondary_color", "website")


class TenantTable:
    """ports.TenantRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._rows = SplitTable(table, Tenant, DETAILS)
        self._quota = StorageQuota(table)

    async def get(self, tenant: TenantId) -> Tenant | None:
        """The tenant, or None; also one that is being deleted."""
        stored = await self._table.find(tenant, self._any)
        return stored.record if stored else None

    async def _any(self, partition: Partition) -> Stored[Tenant] | None:
        pk = at.tenant(partition)
        return await self._rows.read(pk, at.META) or await self._rows.read(pk, at.DELETING)

    async def _stored(self, partition: Partition) -> tuple[Partition, Stored[Tenant]] | None:
        stored = await self._rows.read(at.tenant(partition), at.META)
        return (partition, stored) if stored else None

    async def rules(self, tenant: TenantId) -> TenantRules | None:
        """The part of the tenant that a login reads; None also of one that is being deleted."""
        return await self._table.find(
            tenant, lambda of: self._rows.rules(at.tenant(of), at.META, TenantRules)
        )

    async def space(self, tenant: TenantId) -> int:
        """How many bytes the tenant's agents and channels take."""
        return (await self._quota.used(tenant)).total

    async def create(
        self,
        tenant: Tenant,
        owner: Member,
        entry: AuditEntry,
        accepted: Sequence[Acceptance] = (),
        most: int | None = None,
        kept: Kept | None = None,
    ) -> None:
        """All or nothing. Raises conflict when the id is taken, and quota_exceeded when `most` tenants exist
        that count among those that the same user made."""
        partition = Partition(tenant.account)

        async def attempt() -> tuple[None, list[Op]]:
            return None, [
                *await counted(self._table, tenant, most),
                named(tenant),
                *self._rows.put(at.tenant(partition), at.META, tenant, None),
                Put(at.tenant(partition), at.COUNTED_BYTES, data(Space())),
                *both_ways(partition, owner),
                *recorded(accepted, partition),
                *logged(entry, partition),
                *noted(entry),
                *(kept_in(at.user(kept.user), kept) if kept else ()),
            ]

        try:
            if most is None:
                await self._table.again(attempt, contested=0)
            else:
                await self._table.again(attempt, line=(UserId(tenant.created_by), at.MADE))
        except Conflict:
            raise taken(await self.get(tenant.id)) from None

    async def change(self, tenant: TenantId, edit: Callable[[Tenant], Tenant], entry: AuditEntry) -> Tenant:
        """Apply `edit` to the current record. Raises not_found."""

        async def attempt() -> tuple[Tenant, list[Op]]:
            found = await self._table.find(tenant, self._stored)
            if found is None:
                raise ArtcafeError(Code.not_found)
            partition, stored = found
            changed = edit(stored.record)
            rows = self._rows.put(at.tenant(partition), at.META, changed, stored)
            seen = noted(entry) if entry.operator else ()
            return changed, [*rows, *logged(entry, partition), *seen]

        return await self._table.again(attempt)

    async def made_by(self, user: UserId) -> int:
        """How many tenants exist that count among those that the user made."""
        return await made_by(self._table, user)

    async def list(self, limit: int, cursor: str | None) -> Page[Tenant]:
        """A page of all tenants, by id, without what only describes them."""
        with translated():
            page = await self._table.store.query(at.TENANTS, "", limit, cursor)
        heads = await _heads(self._table, page.items, (at.META, at.DELETING))
        records, unreadable = readable(heads, Tenant)
        return Page(records, page.cursor, tuple(f"{head.data.get('id')}" for head in unreadable))

    async def every(self) -> AsyncIterator[TenantRules | None]:
        """All tenants of the installation, None for each that cannot be read."""
        async for page in self._table.pages(at.TENANTS):
            for head in await _heads(self._table, page.items, (at.META,)):
                records, _ = readable([head], TenantRules)
                yield records[0] if records else None


async def _heads(table: Table, listed: Sequence[Item], rows: Sequence[str]) -> list[Item]:
    """The first rows of the tenants that the index lists; of one that went meanwhile there is none."""
    keys = [(at.tenant(table.partitions.learn(item)), row) for item in listed for row in rows]
    found: list[Item | None] = []
    with translated():
        for start in range(0, len(keys), MAX_GETS):
            found += await table.store.get_many(keys[start : start + MAX_GETS])
    return [item for item in found if item is not None]
