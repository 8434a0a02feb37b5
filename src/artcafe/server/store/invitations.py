"""Invitations in the store."""

from collections.abc import Callable
from datetime import datetime

from artcafe.server.domain.audit import Entry
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.invitation import MAX_OPEN, Invitation
from artcafe.server.domain.listing import Page
from artcafe.server.domain.tenant import Member
from artcafe.server.ports.answers import Kept
from artcafe.server.store import addresses as at
from artcafe.server.store.addresses import Partition
from artcafe.server.store.answers import kept_in
from artcafe.server.store.audit import logged
from artcafe.server.store.item import EXISTS, MAX_OPS, Conflict, Delete, Op, Put, Rev
from artcafe.server.store.members import existing, joined, known
from artcafe.server.store.partitions import live
from artcafe.server.store.table import Stored, Table, data
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


class InvitationTable:
    """ports.InvitationRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def create(self, invitation: Invitation, entry: Entry, kept: Kept | None = None) -> None:
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

    async def delete(self, tenant: TenantId, invitation: str, entry: Entry) -> None:
        """Withdraw an invitation. Raises not_found."""
        partition = await self._table.partition(tenant)
        row = Delete(at.tenant(partition), at.invitation(invitation), EXISTS)
        try:
            await self._table.write(row, *logged(entry, partition))
        except Conflict:
            raise ArtcafeError(Code.not_found) from None

    async def accept(
        self,
        tenant: TenantId,
        invitation: str,
        user: UserId,
        join: Callable[[Invitation, Member | None], Member],
        entry: Entry,
    ) -> Member:
        """The invitation goes and the member comes. Raises not_found, and what `join` raises."""
        sk = at.invitation(invitation)

        async def joining() -> tuple[Stored[Invitation], Partition, Stored[Member] | None, Member]:
            stored = await self._table.find(
                tenant, lambda of: self._table.read(at.tenant(of), sk, Invitation)
            )
            if stored is None:
                raise ArtcafeError(Code.not_found)
            partition = await existing(self._table, tenant)
            before = await known(self._table, tenant, user)
            return stored, partition, before, join(stored.record, before.record if before else None)

        async def attempt() -> tuple[Member, list[Op]]:
            stored, partition, before, member = await joining()
            return member, [
                Delete(at.tenant(partition), sk, Rev(stored.rev)),
                live(partition),
                *await joined(self._table, partition, before, member),
                *logged(entry, partition),
            ]

        await joining()  # Only who may join waits in the tenant's line.
        member = await self._table.again(attempt, contested=MAX_OPS, line=(tenant, at.MEMBERS))
        await self._table.announce(Change(tenant, Kind.member, user))
        return member
