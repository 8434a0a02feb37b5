"""Channels in the store."""

from collections.abc import Callable

from artcafe.server.domain.audit import Entry
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.channel import Channel
from artcafe.server.domain.ids import ChannelId, TenantId
from artcafe.server.domain.listing import Page
from artcafe.server.store import addresses as at
from artcafe.server.store.audit import logged
from artcafe.server.store.item import ABSENT, Check, Conflict, Delete, Op, Put, Rev
from artcafe.server.store.table import Stored, Table, data
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


class ChannelTable:
    """ports.ChannelRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get(self, tenant: TenantId, channel: ChannelId) -> Channel | None:
        """The channel, or None."""
        stored = await self._table.read(at.tenant(tenant), at.channel(channel), Channel)
        return stored.record if stored else None

    async def create(self, channel: Channel, limit: int | None, entry: Entry) -> None:
        """Raises conflict when the id is taken, not_found without the tenant, quota_exceeded."""
        pk = at.tenant(channel.tenant)

        async def attempt() -> tuple[None, list[Op]]:
            return None, [
                await self._table.count(pk, at.CHANNELS, 1, limit),
                Check(pk, at.META),
                Put(pk, at.channel(channel.id), data(channel), ABSENT),
                *logged(entry),
            ]

        try:
            await self._table.again(attempt)
        except Conflict as conflict:
            if conflict.index == 1:
                raise ArtcafeError(Code.not_found, "There is no such tenant.") from None
            raise ArtcafeError(Code.conflict, "There is a channel of this id.") from None
        await self._changed(channel.tenant, channel.id)

    async def change(
        self, tenant: TenantId, channel: ChannelId, edit: Callable[[Channel], Channel], entry: Entry
    ) -> Channel:
        """Apply `edit` to the current record. Raises not_found."""
        pk, sk = at.tenant(tenant), at.channel(channel)

        def steps(stored: Stored[Channel]) -> tuple[Channel, list[Op]]:
            changed = edit(stored.record)
            return changed, [Put(pk, sk, data(changed), Rev(stored.rev)), *logged(entry)]

        changed = await self._table.change(pk, sk, Channel, steps)
        await self._changed(tenant, channel)
        return changed

    async def delete(
        self, tenant: TenantId, channel: ChannelId, check: Callable[[Channel], None], entry: Entry
    ) -> None:
        """Remove the channel, unless `check` raises. Raises not_found."""
        pk, sk = at.tenant(tenant), at.channel(channel)

        async def attempt() -> tuple[None, list[Op]]:
            stored = await self._table.read(pk, sk, Channel)
            if stored is None:
                raise ArtcafeError(Code.not_found)
            check(stored.record)
            return None, [
                await self._table.count(pk, at.CHANNELS, -1),
                Delete(pk, sk, Rev(stored.rev)),
                *logged(entry),
            ]

        await self._table.again(attempt, contested=2)
        try:
            await self._changed(tenant, channel)
        finally:  # Nobody deletes it again: what is left now, its next namesake would inherit.
            await self._table.write(Delete(pk, at.spoken(channel)))

    async def _changed(self, tenant: TenantId, channel: ChannelId) -> None:
        await self._table.announce(Change(tenant, Kind.channel, channel))

    async def list(self, tenant: TenantId, limit: int, cursor: str | None) -> Page[Channel]:
        """A page of channels. Raises bad_request for a cursor that no earlier page gave."""
        return await self._table.page(at.tenant(tenant), at.CHANNELS, Channel, limit, cursor)

    async def count(self, tenant: TenantId) -> int:
        """How many channels the tenant has."""
        return await self._table.counted(at.tenant(tenant), at.CHANNELS)
