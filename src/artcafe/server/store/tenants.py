"""Tenants in the store."""

from collections.abc import AsyncIterator, Callable, Sequence

from artcafe.server.domain.audit import Entry
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.legal import Acceptance
from artcafe.server.domain.tenant import Member, Role, Tenant
from artcafe.server.store import addresses as at
from artcafe.server.store.audit import logged
from artcafe.server.store.item import ABSENT, Conflict, Delete, Op, Put, Rev, purge
from artcafe.server.store.legal import recorded
from artcafe.server.store.members import both_ways, neither_way
from artcafe.server.store.table import Stored, Table, data, translated
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

LAST_OWNERS = 10
"""Owners that go together with their tenant, in one transaction."""


class TenantTable:
    """ports.TenantRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: TenantId) -> Tenant | None:
        """The tenant, or None."""
        stored = await self._table.read(at.tenant(tenant), at.META, Tenant)
        return stored.record if stored else None

    async def create(
        self, tenant: Tenant, owner: Member, entry: Entry, accepted: Sequence[Acceptance] = ()
    ) -> None:
        """All or nothing. Raises conflict when the id is taken."""
        try:
            await self._table.write(
                Put(at.tenant(tenant.id), at.META, data(tenant), ABSENT),
                Put(at.TENANTS, tenant.id, {}),
                *both_ways(owner),
                *recorded(accepted),
                *logged(entry),
            )
        except Conflict:
            raise ArtcafeError(Code.conflict, "There is a tenant of this id.") from None
        await self._changed(tenant.id)

    async def change(self, tenant: TenantId, edit: Callable[[Tenant], Tenant], entry: Entry) -> Tenant:
        """Apply `edit` to the current record. Raises not_found."""

        def steps(stored: Stored[Tenant]) -> tuple[Tenant, list[Op]]:
            changed = edit(stored.record)
            return changed, [
                Put(at.tenant(tenant), at.META, data(changed), Rev(stored.rev)),
                *logged(entry),
            ]

        changed = await self._table.change(at.tenant(tenant), at.META, Tenant, steps)
        await self._changed(tenant)
        return changed

    async def delete(self, tenant: TenantId) -> None:
        """Remove everything of the tenant; the tenant itself and its last owners in one step at the end,
        so that a deletion that was cut off can be done again, and by somebody."""
        pk = at.tenant(tenant)
        with translated():
            for partition in (at.challenges(tenant), at.usage(tenant), at.log(tenant)):
                await purge(self._table.store, partition)
        async for item in self._table.items(pk):
            if item.sk not in {at.META, at.OWNERS} and not item.sk.startswith(at.MEMBERS):
                await self._table.write(Delete(pk, item.sk))
        members = await self._table.all(pk, at.MEMBERS, Member)
        members.sort(key=lambda member: member.role is Role.owner)
        for member in members[:-LAST_OWNERS]:
            await self._table.write(*neither_way(tenant, member.user))
        last = [op for member in members[-LAST_OWNERS:] for op in neither_way(tenant, member.user)]
        ends = [Delete(at.TENANTS, tenant), Delete(pk, at.META), Delete(pk, at.OWNERS)]
        await self._table.write(*ends, *last)
        # What was written while this ran, before the tenant was gone.
        async for item in self._table.items(pk, at.MEMBERS):
            await self._table.write(*neither_way(tenant, UserId(item.sk.removeprefix(at.MEMBERS))))
        with translated():
            for partition in (pk, at.challenges(tenant), at.usage(tenant), at.log(tenant)):
                await purge(self._table.store, partition)
        await self._changed(tenant)

    async def _changed(self, tenant: TenantId) -> None:
        await self._table.announce(Change(tenant, Kind.tenant, tenant))

    async def every(self) -> AsyncIterator[Tenant]:
        """All tenants of the installation."""
        async for item in self._table.items(at.TENANTS):
            tenant = await self.get(TenantId(item.sk))
            if tenant is not None:
                yield tenant
