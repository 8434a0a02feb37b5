"""Who belongs where, in the store."""

from collections.abc import Callable

from msgspec import Struct

from artcafe.server.domain.audit import Entry
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.tenant import MAX_MEMBERS, Member, Role, TenantRules
from artcafe.server.ports.answers import Keep, keep_nothing
from artcafe.server.store import addresses as at
from artcafe.server.store.answers import kept_in
from artcafe.server.store.audit import logged
from artcafe.server.store.item import ABSENT, ANY, MAX_OPS, Check, Cond, Delete, Op, Put, Rev
from artcafe.server.store.table import Stored, Table, data
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


class _Owners(Struct):
    """The row that every owner's leaving rewrites, so that of two at once one is told to look again."""


class MemberTable:
    """ports.MemberRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: TenantId, user: UserId) -> Member | None:
        """The membership, or None."""
        stored = await known(self._table, tenant, user)
        return stored.record if stored else None

    async def of_tenant(self, tenant: TenantId) -> list[Member]:
        """All members of a tenant."""
        return await self._table.all(at.tenant(tenant), at.MEMBERS, Member)

    async def of_user(self, user: UserId) -> list[Member]:
        """All memberships of a user."""
        return await self._table.all(at.user(user), at.MEMBERSHIPS, Member)

    async def put(
        self,
        tenant: TenantId,
        user: UserId,
        edit: Callable[[Member | None], Member],
        entry: Entry,
        keep: Keep[Member] = keep_nothing,
    ) -> Member:
        """Write what `edit` makes of the membership, or of None. Raises not_found, conflict."""

        async def attempt() -> tuple[Member, list[Op]]:
            tenant_there = await existing(self._table, tenant)
            before = await known(self._table, tenant, user)
            member = edit(before.record if before else None)
            kept = kept_in(at.tenant(tenant), await keep(member))
            return member, [tenant_there, *await joined(self._table, before, member), *logged(entry), *kept]

        member = await self._table.again(attempt, contested=MAX_OPS)
        await self._table.announce(Change(tenant, Kind.member, user))
        return member

    async def delete(
        self, tenant: TenantId, user: UserId, check: Callable[[Member], None], entry: Entry
    ) -> None:
        """Remove a member, unless `check` raises. Raises not_found, conflict."""

        async def attempt() -> tuple[None, list[Op]]:
            before = await known(self._table, tenant, user)
            if before is None:
                raise ArtcafeError(Code.not_found)
            check(before.record)
            leaving = await _leaving(self._table, before, None)
            counted = await self._table.count(at.tenant(tenant), at.MEMBERS, -1)
            return None, [*neither_way(tenant, user, Rev(before.rev)), counted, *leaving, *logged(entry)]

        await self._table.again(attempt, contested=MAX_OPS)
        await self._table.announce(Change(tenant, Kind.member, user))


async def known(table: Table, tenant: TenantId, user: UserId) -> Stored[Member] | None:
    """A membership as it is now, or None."""
    return await table.read(at.tenant(tenant), at.member(user), Member)


async def existing(table: Table, tenant: TenantId) -> Op:
    """The operation that lets a transaction depend on the tenant. Raises not_found without it."""
    if await table.read(at.tenant(tenant), at.META, TenantRules) is None:
        raise ArtcafeError(Code.not_found, "There is no such tenant.")
    return Check(at.tenant(tenant), at.META)


async def joined(table: Table, before: Stored[Member] | None, member: Member) -> list[Op]:
    """The operations that make a membership another one, or a new one.

    Raises conflict when the last owner would go, quota_exceeded for more than MAX_MEMBERS.
    """
    new = before is None
    counted = [await table.count(at.tenant(member.tenant), at.MEMBERS, 1, MAX_MEMBERS)] if new else []
    return [*both_ways(member, before), *counted, *await _leaving(table, before, member)]


def both_ways(member: Member, before: Stored[Member] | None = None) -> tuple[Op, Op]:
    """The operations that write a membership in both directions, where nothing changed since `before`."""
    cond = Rev(before.rev) if before else ABSENT
    return (
        Put(at.tenant(member.tenant), at.member(member.user), data(member), cond),
        Put(at.user(member.user), at.membership(member.tenant), data(member)),
    )


def neither_way(tenant: TenantId, user: UserId, cond: Cond = ANY) -> tuple[Op, Op]:
    """The operations that remove a membership in both directions."""
    return Delete(at.tenant(tenant), at.member(user), cond), Delete(at.user(user), at.membership(tenant))


async def _leaving(table: Table, before: Stored[Member] | None, after: Member | None) -> tuple[Op, ...]:
    """What is written besides when an owner goes. Raises conflict for the last one."""
    if before is None or before.record.role is not Role.owner or (after and after.role is Role.owner):
        return ()
    member = before.record
    pk = at.tenant(member.tenant)
    seen = await table.read(pk, at.OWNERS, _Owners)  # Before the others are read: who goes meanwhile shows.
    others = await table.all(pk, at.MEMBERS, Member)
    if not any(other.role is Role.owner and other.user != member.user for other in others):
        raise ArtcafeError(Code.conflict, "A tenant keeps at least one owner.")
    return (Put(pk, at.OWNERS, data(_Owners()), Rev(seen.rev) if seen else ABSENT),)
