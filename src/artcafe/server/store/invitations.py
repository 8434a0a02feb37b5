"""Invitations in the store."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from artcafe.server.domain.audit import AuditEntry
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.invitation import MAX_OPEN, Invitation
from artcafe.server.domain.listing import Page
from artcafe.server.domain.tenant import Member
from artcafe.server.ports.answers import Kept
from artcafe.server.store import addresses as at
from artcafe.server.store.addresses import Partition
from artcafe.server.store.answers import kept_in
from artcafe.server.store.audit import logged
from artcafe.server.store.item import ABSENT, EXISTS, MAX_OPS, Check, Conflict, Delete, Op, Put, Rev
from artcafe.server.store.members import existing, joined, known
from artcafe.server.store.partitions import live
from artcafe.server.store.table import Stored, Table, data
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe.store")

Join = Callable[[Invitation, Member | None, Member | None], Member]
"""Makes a member of an invitation, of what the user was before, and of what its maker is."""


Lost = Callable[[Invitation, Member | None], AuditEntry | None]
"""The audit entry for an invitation that its maker, as it is stored now, may not make any more; else None."""


class InvitationTable:
    """ports.InvitationRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def create(self, invitation: Invitation, entry: AuditEntry, kept: Kept | None = None) -> None:
        """Raises not_found when the tenant does not exist, quota_exceeded when MAX_OPEN stand open."""
        open_ones = await self.list(invitation.tenant, MAX_OPEN, None)
        if len(open_ones.items) == MAX_OPEN or open_ones.cursor is not None:
            raise ArtcafeError(Code.quota_exceeded, f"{MAX_OPEN} invitations stand open at most.")
        expires = int(datetime.fromisoformat(invitation.expires_at).timestamp())
        row = at.invitation(invitation.id)

        async def attempt() -> tuple[None, list[Op]]:
            partition = await existing(self._table, invitation.tenant)
            pk = at.tenant(partition)
            return None, [
                live(partition),
                Put(pk, row, data(invitation), expires=expires),
                *logged(entry, partition),
                *kept_in(pk, kept),
            ]

        await self._table.again(attempt)

    async def list(self, tenant: TenantId, limit: int, cursor: str | None) -> Page[Invitation]:
        """A page of invitations. Raises bad_request for a cursor that no earlier page gave."""
        pk = at.tenant(await self._table.partition(tenant))
        return await self._table.page(pk, at.INVITATIONS, Invitation, limit, cursor)

    async def delete(self, tenant: TenantId, invitation: str, entry: AuditEntry) -> None:
        """Withdraw an invitation. Raises not_found."""
        partition = await self._table.partition(tenant)
        row = Delete(at.tenant(partition), at.invitation(invitation), EXISTS)
        try:
            await self._table.write(row, live(partition), *logged(entry, partition))
        except Conflict:
            raise ArtcafeError(Code.not_found) from None

    async def withdraw(self, tenant: TenantId, maker: UserId, lost: Lost) -> None:
        """Withdraw each for which `lost` gives an entry. What cannot be is logged, and left."""
        try:
            partition = await self._table.partition(tenant)
            pk = at.tenant(partition)
            stored = await self._table.read(pk, at.member(maker), Member)
            # Whoever changes the member meanwhile withdraws by what it is then.
            as_read = Check(pk, at.member(maker), Rev(stored.rev) if stored else ABSENT)
            for invitation in await self._table.all(pk, at.INVITATIONS, Invitation):
                entry = lost(invitation, stored.record if stored else None)
                if entry is None:
                    continue
                row = Delete(pk, at.invitation(invitation.id), EXISTS)
                try:
                    await self._table.write(row, as_read, live(partition), *logged(entry, partition))
                except Conflict as conflict:
                    if conflict.index != 0:  # Else somebody was faster with this one.
                        return
        except ArtcafeError as error:
            LOG.warning("invitations whose maker may not invite any more stay listed: %s", error)

    async def accept(
        self,
        tenant: TenantId,
        invitation: str,
        user: UserId,
        join: Join,
        entry: AuditEntry,
    ) -> Member:
        """The invitation goes and the member comes. Raises not_found, and what `join` raises."""

        async def attempt() -> tuple[Member, list[Op]]:
            coming = await self._coming(tenant, invitation, user, join)
            partition = coming.partition
            return coming.member, [
                Delete(at.tenant(partition), at.invitation(invitation), Rev(coming.invitation.rev)),
                live(partition),
                *coming.unchanged(),
                *await joined(self._table, partition, coming.before, coming.member),
                *logged(entry, partition),
            ]

        await self._coming(tenant, invitation, user, join)  # Only who may join waits in the tenant's line.
        return await self._table.again(attempt, contested=MAX_OPS, line=(tenant, at.MEMBERS))

    async def _coming(self, tenant: TenantId, invitation: str, user: UserId, join: Join) -> "_Coming":
        """The membership that an invitation gives its bearer, and the rows it depends on. Raises not_found,
        and what `join` raises."""
        row = at.invitation(invitation)
        stored = await self._table.find(tenant, lambda of: self._table.read(at.tenant(of), row, Invitation))
        if stored is None:
            raise ArtcafeError(Code.not_found)
        partition = await existing(self._table, tenant)
        before = await known(self._table, tenant, user)
        maker = await known(self._table, tenant, UserId(stored.record.created_by))
        member = join(stored.record, before.record if before else None, maker.record if maker else None)
        return _Coming(stored, partition, before, maker, member)


@dataclass(frozen=True, slots=True)
class _Coming:
    """An invitation, what its user and its maker were in the tenant, and what the user becomes."""

    invitation: Stored[Invitation]
    partition: Partition
    before: Stored[Member] | None
    maker: Stored[Member] | None
    member: Member

    def unchanged(self) -> tuple[Op, ...]:
        """The operation that depends on what the maker was; none for whom `before` is written anew, or where
        no stored membership decides."""
        if self.maker is None or self.maker.record.user == self.member.user:
            return ()
        row = at.member(self.maker.record.user)
        return (Check(at.tenant(self.partition), row, Rev(self.maker.rev)),)
