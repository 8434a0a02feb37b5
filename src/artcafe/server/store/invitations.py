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
from artcafe.server.store.answers import kept_in
from artcafe.server.store.audit import logged
from artcafe.server.store.item import EXISTS, MAX_OPS, Conflict, Delete, Op, Put, Rev
from artcafe.server.store.members import existing, joined, known
from artcafe.server.store.table import Table, data
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
        pk, row = at.tenant(invitation.tenant), at.invitation(invitation.id)

        async def attempt() -> tuple[None, list[Op]]:
            return None, [
                await existing(self._table, invitation.tenant),
                Put(pk, row, data(invitation), expires=expires),
                *logged(entry),
                *kept_in(pk, kept),
            ]

        await self._table.again(attempt)

    async def list(self, tenant: TenantId, limit: int, cursor: str | None) -> Page[Invitation]:
        """A page of invitations. Raises bad_request for a cursor that no earlier page gave."""
        return await self._table.page(at.tenant(tenant), at.INVITATIONS, Invitation, limit, cursor)

    async def delete(self, tenant: TenantId, invitation: str, entry: Entry) -> None:
        """Withdraw an invitation. Raises not_found."""
        try:
            await self._table.write(
                Delete(at.tenant(tenant), at.invitation(invitation), EXISTS), *logged(entry)
            )
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
        pk, sk = at.tenant(tenant), at.invitation(invitation)

        async def attempt() -> tuple[Member, list[Op]]:
            stored = await self._table.read(pk, sk, Invitation)
            if stored is None:
                raise ArtcafeError(Code.not_found)
            before = await known(self._table, tenant, user)
            member = join(stored.record, before.record if before else None)
            return member, [
                Delete(pk, sk, Rev(stored.rev)),
                await existing(self._table, tenant),
                *await joined(self._table, before, member),
                *logged(entry),
            ]

        member = await self._table.again(attempt, contested=MAX_OPS)
        await self._table.announce(Change(tenant, Kind.member, user))
        return member
