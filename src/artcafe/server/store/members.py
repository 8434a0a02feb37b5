"""Memberships in the store."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from msgspec import Struct

from artcafe.server.domain.audit import AuditEntry
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.tenant import MAX_MEMBERS, Member, Role, TenantRules
from artcafe.server.ports.answers import Keep, keep_nothing
from artcafe.server.store import addresses as at
from artcafe.server.store.addresses import Partition
from artcafe.server.store.answers import kept_in
from artcafe.server.store.audit import logged
from artcafe.server.store.item import (
    ABSENT,
    ANY,
    MAX_GETS,
    MAX_OPS,
    Check,
    Cond,
    Conflict,
    Delete,
    Item,
    Op,
    Put,
    Rev,
)
from artcafe.server.store.partitions import live
from artcafe.server.store.records import record_in
from artcafe.server.store.table import Stored, Table, data, translated
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
        partition = await self._table.partition(tenant)
        return await self._table.all(at.tenant(partition), at.MEMBERS, Member)

    async def of_user(self, user: UserId) -> list[Member]:
        """All memberships of a user, each as its tenant has it."""
        rows = [row async for row in self._table.items(at.user(user), at.MEMBERSHIPS)]
        found: list[Member] = []
        for start in range(0, len(rows), MAX_GETS):
            found += await self._confirmed(user, rows[start : start + MAX_GETS])
        return found

    async def _confirmed(self, user: UserId, rows: Sequence[Item]) -> list[Member]:
        """The memberships that these rows of the index point to; rows that point to none are removed."""
        tenants = [TenantId(row.sk.removeprefix(at.MEMBERSHIPS)) for row in rows]
        places = await asyncio.gather(*(self._table.partition(tenant) for tenant in tenants))
        with translated():
            items = await self._table.store.get_many([(at.tenant(of), at.member(user)) for of in places])
        found: list[Member] = []
        for row, tenant, item in zip(rows, tenants, items, strict=True):
            if item is not None:
                found.append(record_in(item, Member))
            elif (stored := await known(self._table, tenant, user)) is not None:
                found.append(stored.record)
            else:
                await self._remove(row, tenant, user)
        return found

    async def _remove(self, row: Item, tenant: TenantId, user: UserId) -> None:
        pk = at.tenant(await self._table.partition(tenant))
        with suppress(Conflict, ArtcafeError):  # It grants nothing; who is asked next removes it.
            await self._table.write(Delete(row.pk, row.sk, Rev(row.rev)), Check(pk, at.member(user), ABSENT))

    async def put(
        self,
        tenant: TenantId,
        user: UserId,
        edit: Callable[[Member | None], Member],
        entry: AuditEntry,
        keep: Keep[Member] = keep_nothing,
    ) -> Member:
        """Write what `edit` makes of the membership, or of None. Raises not_found, conflict."""

        async def attempt() -> tuple[Member, list[Op]]:
            partition = await existing(self._table, tenant)
            before = await known(self._table, tenant, user)
            member = edit(before.record if before else None)
            steps = await joined(self._table, partition, before, member)
            kept = kept_in(at.tenant(partition), await keep(member))
            return member, [live(partition), *steps, *logged(entry, partition), *kept]

        return await self._table.again(attempt, contested=MAX_OPS, line=(tenant, at.MEMBERS))

    async def delete(
        self, tenant: TenantId, user: UserId, check: Callable[[Member], None], entry: AuditEntry
    ) -> None:
        """Remove a member, unless `check` raises. Raises not_found, conflict."""

        async def attempt() -> tuple[None, list[Op]]:
            before = await known(self._table, tenant, user)
            if before is None:
                raise ArtcafeError(Code.not_found)
            check(before.record)
            partition = await self._table.partition(tenant)
            leaving = await _leaving(self._table, partition, before, None)
            return None, [
                *neither_way(partition, before.record, Rev(before.rev)),
                await self._table.count(at.tenant(partition), at.MEMBERS, -1),
                *leaving,
                live(partition),
                *logged(entry, partition),
            ]

        await self._table.again(attempt, contested=MAX_OPS)


async def known(table: Table, tenant: TenantId, user: UserId) -> Stored[Member] | None:
    """A membership as it is now, or None."""
    return await table.find(tenant, lambda of: table.read(at.tenant(of), at.member(user), Member))


async def existing(table: Table, tenant: TenantId) -> Partition:
    """The partition of a tenant that exists. Raises not_found without it."""

    async def meta(of: Partition) -> Partition | None:
        return of if await table.read(at.tenant(of), at.META, TenantRules) else None

    partition = await table.find(tenant, meta)
    if partition is None:
        raise ArtcafeError(Code.not_found, "There is no such tenant.")
    return partition


async def joined(
    table: Table, partition: Partition, before: Stored[Member] | None, member: Member
) -> list[Op]:
    """The operations that make a membership another one, or a new one.

    Raises conflict when the last owner would go, quota_exceeded for more than MAX_MEMBERS.
    """
    new = before is None
    counted = [await table.count(at.tenant(partition), at.MEMBERS, 1, MAX_MEMBERS)] if new else []
    leaving = await _leaving(table, partition, before, member)
    return [*both_ways(partition, member, before), *counted, *leaving]


def both_ways(partition: Partition, member: Member, before: Stored[Member] | None = None) -> tuple[Op, Op]:
    """The operations that write a membership in both directions, where nothing changed since `before`."""
    stored = Put(at.tenant(partition), at.member(member.user), data(member), ABSENT)
    if before is not None:
        stored = before.put(member)
    return stored, Put(at.user(member.user), at.membership(member.tenant), stored.data)


def neither_way(partition: Partition, member: Member, cond: Cond = ANY) -> tuple[Op, Op]:
    """The operations that remove a membership in both directions."""
    return (
        Delete(at.tenant(partition), at.member(member.user), cond),
        Delete(at.user(member.user), at.membership(member.tenant)),
    )


async def _leaving(
    table: Table, partition: Partition, before: Stored[Member] | None, after: Member | None
) -> tuple[Op, ...]:
    """The further operations when an owner leaves. Raises conflict for the last one."""
    if before is None or before.record.role is not Role.owner or (after and after.role is Role.owner):
        return ()
    member = before.record
    pk = at.tenant(partition)
    seen = await table.read(pk, at.OWNERS, _Owners)  # Before the others are read: who goes meanwhile shows.
    others = await table.all(pk, at.MEMBERS, Member)
    if not any(other.role is Role.owner and other.user != member.user for other in others):
        raise ArtcafeError(Code.conflict, "A tenant keeps at least one owner.")
    return (seen.put(_Owners()) if seen else Put(pk, at.OWNERS, data(_Owners()), ABSENT),)
