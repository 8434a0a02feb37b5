"""Tenants in the store."""

from collections.abc import AsyncIterator, Callable, Sequence

from msgspec import Struct

from artcafe.server.domain.audit import Entry
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.legal import Acceptance
from artcafe.server.domain.listing import Page
from artcafe.server.domain.tenant import Member, Role, Tenant, TenantRules
from artcafe.server.ports.answers import Kept
from artcafe.server.store import addresses as at
from artcafe.server.store.addresses import Partition
from artcafe.server.store.answers import kept_in
from artcafe.server.store.audit import logged
from artcafe.server.store.item import (
    ABSENT,
    MAX_GETS,
    MAX_PAGE_ITEMS,
    Conflict,
    Delete,
    Item,
    Op,
    Put,
    Rev,
    purge,
)
from artcafe.server.store.legal import recorded
from artcafe.server.store.members import both_ways, neither_way
from artcafe.server.store.partitions import NOWHERE, named
from artcafe.server.store.quota import Space, StorageQuota
from artcafe.server.store.records import readable, record_in
from artcafe.server.store.split import SplitTable
from artcafe.server.store.table import Stored, Table, data, translated
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

DETAILS = ("description", "logo_url", "metadata", "primary_color", "secondary_color", "website")

LAST_OWNERS = 10
"""Owners that go together with their tenant, in one transaction."""


class _Made(Struct):
    """The tenants that count against how many their creator may make; no row where there is none."""

    tenants: list[str]


class TenantTable:
    """ports.TenantRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._rows = SplitTable(table, Tenant, DETAILS)
        self._quota = StorageQuota(table)

    async def get(self, tenant: TenantId) -> Tenant | None:
        """The tenant, or None."""
        found = await self._table.find(tenant, self._stored)
        return found[1].record if found else None

    async def _stored(self, partition: Partition) -> tuple[Partition, Stored[Tenant]] | None:
        stored = await self._rows.read(at.tenant(partition), at.META)
        return (partition, stored) if stored else None

    async def rules(self, tenant: TenantId) -> TenantRules | None:
        """What a login reads of the tenant, or None."""
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
        entry: Entry,
        accepted: Sequence[Acceptance] = (),
        most: int | None = None,
        kept: Kept | None = None,
    ) -> None:
        """All or nothing. Raises conflict when the id is taken, and quota_exceeded when `most` tenants exist
        that count among those that the same user made."""
        partition = Partition(tenant.account)

        async def attempt() -> tuple[None, list[Op]]:
            return None, [
                *await self._counted(tenant, most),
                named(tenant),
                *self._rows.put(at.tenant(partition), at.META, tenant, None),
                Put(at.tenant(partition), at.COUNTED_BYTES, data(Space())),
                *both_ways(partition, owner),
                *recorded(accepted, partition),
                *logged(entry, partition),
                *(kept_in(at.user(kept.user), kept) if kept else ()),
            ]

        try:
            if most is None:
                await self._table.again(attempt, contested=0)
            else:
                await self._table.again(attempt, line=(UserId(tenant.created_by), at.MADE))
        except Conflict:
            raise ArtcafeError(Code.conflict, "There is a tenant of this id.") from None
        await self._changed(tenant.id)

    async def change(self, tenant: TenantId, edit: Callable[[Tenant], Tenant], entry: Entry) -> Tenant:
        """Apply `edit` to the current record. Raises not_found."""

        async def attempt() -> tuple[Tenant, list[Op]]:
            found = await self._table.find(tenant, self._stored)
            if found is None:
                raise ArtcafeError(Code.not_found)
            partition, stored = found
            changed = edit(stored.record)
            rows = self._rows.put(at.tenant(partition), at.META, changed, stored)
            return changed, [*rows, *logged(entry, partition)]

        changed = await self._table.again(attempt)
        await self._changed(tenant)
        return changed

    async def made_by(self, user: UserId) -> int:
        """How many tenants exist that count among those that the user made."""
        stored = await self._made(user)
        return len(stored.record.tenants) if stored else 0

    async def delete(self, tenant: TenantId) -> None:
        """Remove everything of the tenant; the tenant itself and its last owners in one step at the end,
        so that a deletion that was cut off can be done again, and by somebody."""
        of = await self._table.partition(tenant)
        if of == NOWHERE:
            return
        pk = at.tenant(of)
        with translated():
            for partition in _beside(of):
                await purge(self._table.store, partition)
            await self._table.store.drop_counters(pk)
        async for item in self._table.items(pk):
            if item.sk not in {at.META, at.OWNERS} and not item.sk.startswith(at.MEMBERS):
                await self._table.write(Delete(pk, item.sk))
        members = await self._table.all(pk, at.MEMBERS, Member)
        members.sort(key=lambda member: member.role is Role.owner)
        for member in members[:-LAST_OWNERS]:
            await self._table.write(*neither_way(of, member))
        last = [op for member in members[-LAST_OWNERS:] for op in neither_way(of, member)]
        ends = [Delete(at.TENANTS, tenant), Delete(pk, at.META), Delete(pk, at.OWNERS)]

        async def attempt() -> tuple[None, list[Op]]:
            return None, [*await self._uncounted(tenant), *ends, *last]

        await self._table.again(attempt)
        # What was written while this ran, before the tenant was gone.
        for member in await self._table.all(pk, at.MEMBERS, Member):
            await self._table.write(*neither_way(of, member))
        with translated():
            for partition in (pk, *_beside(of)):
                await purge(self._table.store, partition)
        self._table.partitions.forget(tenant)
        await self._changed(tenant)

    async def _made(self, user: UserId) -> Stored[_Made] | None:
        return await self._table.read(at.user(user), at.MADE, _Made)

    async def _counted(self, tenant: Tenant, most: int | None) -> list[Op]:
        """The operation that counts a new tenant among those that its creator made; none where there is no
        limit. Raises quota_exceeded when there are `most` of them.
        """
        if most is None:
            return []
        user = UserId(tenant.created_by)
        stored = await self._made(user)
        before = stored.record.tenants if stored else []
        if len(before) >= most:
            raise ArtcafeError(Code.quota_exceeded, f"One user may make {most} tenants; you did.")
        made = _Made([*before, tenant.id])
        return [stored.put(made) if stored else Put(at.user(user), at.MADE, data(made), ABSENT)]

    async def _uncounted(self, tenant: TenantId) -> list[Op]:
        """The operation after which a tenant is not counted among those that its creator made; none where it
        is not."""
        record = await self.get(tenant)
        stored = await self._made(UserId(record.created_by)) if record and record.created_by else None
        if record is None or stored is None or tenant not in stored.record.tenants:
            return []
        pk, left = (
            at.user(UserId(record.created_by)),
            [each for each in stored.record.tenants if each != tenant],
        )
        if not left:
            return [Delete(pk, at.MADE, Rev(stored.rev))]
        return [stored.put(_Made(left))]

    async def list(self, limit: int, cursor: str | None) -> Page[Tenant]:
        """A page of all tenants, by id, without what only describes them."""
        with translated():
            page = await self._table.store.query(at.TENANTS, "", limit, cursor)
        records, unreadable = readable(await _heads(self._table, page.items), Tenant)
        return Page(records, page.cursor, tuple(f"{head.data.get('id')}" for head in unreadable))

    async def _changed(self, tenant: TenantId) -> None:
        await self._table.announce(Change(tenant, Kind.tenant, tenant))

    async def every(self) -> AsyncIterator[TenantRules]:
        """All tenants of the installation. Raises unreadable_record: what is left out here counts as gone."""
        cursor = None
        while True:
            with translated():
                page = await self._table.store.query(at.TENANTS, "", MAX_PAGE_ITEMS, cursor)
            for head in await _heads(self._table, page.items):
                yield record_in(head, TenantRules)
            cursor = page.cursor
            if cursor is None:
                return


async def _heads(table: Table, listed: Sequence[Item]) -> list[Item]:
    """The first rows of the tenants that the index lists; of one that went meanwhile there is none."""
    keys = [(at.tenant(table.partitions.learn(item)), at.META) for item in listed]
    found: list[Item | None] = []
    with translated():
        for start in range(0, len(keys), MAX_GETS):
            found += await table.store.get_many(keys[start : start + MAX_GETS])
    return [item for item in found if item is not None]


def _beside(of: Partition) -> tuple[str, ...]:
    """What a tenant has besides its records."""
    return at.challenges(of), at.usage(of), at.sizes(of), at.log(of)
