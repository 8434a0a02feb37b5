"""Channels in the store."""

from collections.abc import Callable

from artcafe.server.domain.channel import Channel
from artcafe.server.domain.ids import ChannelId, TenantId
from artcafe.server.ports import Page
from artcafe.server.store import addresses as at
from artcafe.server.store.item import ABSENT, EXISTS, Check, Conflict, Delete, Op, Put, Rev
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

    async def create(self, channel: Channel) -> None:
        """Raises conflict when the id is taken, not_found without the tenant."""
        pk = at.tenant(channel.tenant)
        try:
            await self._table.write(
                Check(pk, at.META), Put(pk, at.channel(channel.id), data(channel), ABSENT)
            )
        except Conflict as conflict:
            if conflict.index == 0:
                raise ArtcafeError(Code.not_found, "There is no such tenant.") from None
            raise ArtcafeError(Code.conflict, "There is a channel of this id.") from None

    async def change(
        self, tenant: TenantId, channel: ChannelId, edit: Callable[[Channel], Channel]
    ) -> Channel:
        """Apply `edit` to the current record. Raises not_found."""
        pk, sk = at.tenant(tenant), at.channel(channel)

        def steps(stored: Stored[Channel]) -> tuple[Channel, list[Op]]:
            changed = edit(stored.record)
            return changed, [Put(pk, sk, data(changed), Rev(stored.rev))]

        return await self._table.change(pk, sk, Channel, steps)

    async def delete(self, tenant: TenantId, channel: ChannelId) -> None:
        """Remove the channel. Raises not_found."""
        try:
            await self._table.write(Delete(at.tenant(tenant), at.channel(channel), EXISTS))
        except Conflict:
            raise ArtcafeError(Code.not_found) from None

    async def list(self, tenant: TenantId, limit: int, cursor: str | None) -> Page[Channel]:
        """A page of channels. Raises bad_request for a cursor that no earlier page gave."""
        return await self._table.page(at.tenant(tenant), at.CHANNELS, Channel, limit, cursor)

    async def count(self, tenant: TenantId) -> int:
        """How many channels the tenant has."""
        return sum([1 async for _ in self._table.items(at.tenant(tenant), at.CHANNELS)])
