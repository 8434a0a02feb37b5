"""Tenants and their members in the store."""

from collections.abc import AsyncIterator, Callable

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.tenant import Member, Role, Tenant
from artcafe.server.store import addresses as at
from artcafe.server.store.item import ABSENT, EXISTS, Check, Conflict, Delete, Op, Put, Rev, purge
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

    async def create(self, tenant: Tenant, owner: Member) -> None:
        """Both or neither. Raises conflict when the id is taken."""
        try:
            await self._table.write(
                Put(at.tenant(tenant.id), at.META, data(tenant), ABSENT),
                Put(at.TENANTS, tenant.id, {}),
                *_both_ways(owner),
            )
        except Conflict:
            raise ArtcafeError(Code.conflict, "There is a tenant of this id.") from None

    async def change(self, tenant: TenantId, edit: Callable[[Tenant], Tenant]) -> Tenant:
        """Apply `edit` to the current record. Raises not_found."""

        def steps(stored: Stored[Tenant]) -> tuple[Tenant, list[Op]]:
            changed = edit(stored.record)
            return changed, [Put(at.tenant(tenant), at.META, data(changed), Rev(stored.rev))]

        return await self._table.change(at.tenant(tenant), at.META, Tenant, steps)

    async def delete(self, tenant: TenantId) -> None:
        """Remove everything of the tenant; the tenant itself and its last owners in one step at the end,
        so that a deletion that was cut off can be done again, and by somebody."""
        pk = at.tenant(tenant)
        with translated():
            for partition in (at.challenges(tenant), at.usage(tenant)):
                await purge(self._table.store, partition)
        async for item in self._table.items(pk):
            if item.sk != at.META and not item.sk.startswith(at.MEMBERS):
                await self._table.write(Delete(pk, item.sk))
        members = await self._table.all(pk, at.MEMBERS, Member)
        members.sort(key=lambda member: member.role is Role.owner)
        for member in members[:-LAST_OWNERS]:
            await self._table.write(*_neither_way(tenant, member.user))
        last = [op for member in members[-LAST_OWNERS:] for op in _neither_way(tenant, member.user)]
        await self._table.write(Delete(at.TENANTS, tenant), Delete(pk, at.META), *last)
        # What was written while this ran, before the tenant was gone.
        async for item in self._table.items(pk, at.MEMBERS):
            await self._table.write(*_neither_way(tenant, UserId(item.sk.removeprefix(at.MEMBERS))))
        with translated():
            for partition in (pk, at.challenges(tenant), at.usage(tenant)):
                await purge(self._table.store, partition)

    async def every(self) -> AsyncIterator[Tenant]:
        """All tenants of the installation."""
        async for item in self._table.items(at.TENANTS):
            tenant = await self.get(TenantId(item.sk))
            if tenant is not None:
                yield tenant


class MemberTable:
    """ports.MemberRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: TenantId, user: UserId) -> Member | None:
        """The membership, or None."""
        stored = await self._table.read(at.tenant(tenant), at.member(user), Member)
        return stored.record if stored else None

    async def of_tenant(self, tenant: TenantId) -> list[Member]:
        """All members of a tenant."""
        return await self._table.all(at.tenant(tenant), at.MEMBERS, Member)

    async def of_user(self, user: UserId) -> list[Member]:
        """All memberships of a user."""
        return await self._table.all(at.user(user), at.MEMBERSHIPS, Member)

    async def put(self, member: Member) -> None:
        """Add a member or change its role. Raises not_found when the tenant does not exist."""
        try:
            await self._table.write(Check(at.tenant(member.tenant), at.META), *_both_ways(member))
        except Conflict:
            raise ArtcafeError(Code.not_found, "There is no such tenant.") from None

    async def delete(self, tenant: TenantId, user: UserId) -> None:
        """Remove a member. Raises not_found."""
        try:
            await self._table.write(
                Delete(at.tenant(tenant), at.member(user), EXISTS),
                Delete(at.user(user), at.membership(tenant)),
            )
        except Conflict:
            raise ArtcafeError(Code.not_found) from None


def _both_ways(member: Member) -> tuple[Op, Op]:
    return (
        Put(at.tenant(member.tenant), at.member(member.user), data(member)),
        Put(at.user(member.user), at.membership(member.tenant), data(member)),
    )


def _neither_way(tenant: TenantId, user: UserId) -> tuple[Op, Op]:
    return Delete(at.tenant(tenant), at.member(user)), Delete(at.user(user), at.membership(tenant))
