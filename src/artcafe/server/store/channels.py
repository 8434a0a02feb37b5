"""Channels in the store."""

from collections.abc import Callable
from functools import partial

from msgspec import Struct

from artcafe.server.domain.audit import AuditEntry
from artcafe.server.domain.channel import Channel, ChannelRule
from artcafe.server.domain.durable_channels import DurableChannels, check_durable
from artcafe.server.domain.ids import ChannelId, TenantId
from artcafe.server.domain.listing import Page, Source
from artcafe.server.ports.answers import Kept
from artcafe.server.store import addresses as at
from artcafe.server.store.answers import kept_in
from artcafe.server.store.audit import logged
from artcafe.server.store.item import ABSENT, Conflict, Delete, Item, Op, Put, Rev
from artcafe.server.store.partitions import live
from artcafe.server.store.quota import Space, StorageQuota
from artcafe.server.store.split import SplitTable
from artcafe.server.store.table import Table, data
from artcafe.server.store.walk import pages
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import parse_pattern

DETAILS = ("description", "metadata")

_PAGE = 1000


class _Durable(Struct):
    """The row on which every write depends that makes a channel durable, or changes how it is. It says only
    that there was such a write."""


class ChannelTable:
    """ports.ChannelRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._rows = SplitTable(table, Channel, DETAILS, ruling=True)
        self._quota = StorageQuota(table)

    async def get(self, tenant: TenantId, channel: ChannelId) -> Channel | None:
        """The channel, or None."""
        pk = at.tenant(await self._table.partition(tenant))
        stored = await self._rows.read(pk, at.channel(channel))
        return stored.record if stored else None

    async def create(
        self,
        channel: Channel,
        limit: int | None,
        entry: AuditEntry,
        space: int | None = None,
        kept: Kept | None = None,
        durable_bytes: int | None = None,
    ) -> None:
        """Raises conflict when the id is taken, not_found without the tenant, quota_exceeded, and what
        check_durable raises."""
        partition = await self._table.partition(channel.tenant)
        pk = at.tenant(partition)

        async def attempt() -> tuple[None, list[Op]]:
            counted = await self._table.count(pk, at.CHANNELS, 1, limit)
            grown = await self._quota.move(channel.tenant, self._rows.space(channel, None), space)
            admitted = await self._admitted(pk, channel, durable_bytes)
            rows = self._rows.put(pk, at.channel(channel.id), channel, None)
            answers = kept_in(pk, kept)
            rest = (live(partition), *rows, *grown, *logged(entry, partition), *answers)
            return None, [counted, *admitted, *rest]

        contested = 1 if channel.durability is None else 2
        try:
            await self._table.again(attempt, contested, line=(channel.tenant, at.CHANNELS))
        except Conflict:
            raise ArtcafeError(Code.conflict, "There is a channel of this id.") from None

    async def change(
        self,
        tenant: TenantId,
        channel: ChannelId,
        edit: Callable[[Channel], Channel],
        entry: AuditEntry,
        space: int | None = None,
        durable_bytes: int | None = None,
    ) -> Channel:
        """Apply `edit` to the current record. Raises not_found, quota_exceeded, and what check_durable
        raises."""
        partition = await self._table.partition(tenant)
        pk, sk = at.tenant(partition), at.channel(channel)

        async def attempt() -> tuple[Channel, list[Op]]:
            stored = await self._rows.read(pk, sk)
            if stored is None:
                raise ArtcafeError(Code.not_found)
            changed = edit(stored.record)
            growth = self._rows.space(changed, stored) - self._rows.taken(stored)
            moved = await self._quota.move(tenant, growth, space)
            renewed = changed.durability != stored.record.durability
            admitted = await self._admitted(pk, changed, durable_bytes) if renewed else []
            row, described = self._rows.put(pk, sk, changed, stored)
            rest = (described, *moved, live(partition), *logged(entry, partition))
            return changed, [row, *admitted, *rest]

        return await self._table.again(attempt, contested=2)

    async def delete(
        self, tenant: TenantId, channel: ChannelId, check: Callable[[Channel], None], entry: AuditEntry
    ) -> Channel:
        """Remove the channel, unless `check` raises; the channel as it was. Raises not_found."""
        partition = await self._table.partition(tenant)
        pk, sk = at.tenant(partition), at.channel(channel)

        async def attempt() -> tuple[Channel, list[Op]]:
            stored = await self._rows.read(pk, sk)
            if stored is None:
                raise ArtcafeError(Code.not_found)
            check(stored.record)
            return stored.record, [
                await self._table.count(pk, at.CHANNELS, -1),
                *self._rows.delete(pk, sk, Rev(stored.rev)),
                Delete(pk, at.spoken(channel)),
                *await self._quota.move(tenant, Space() - self._rows.taken(stored), None),
                live(partition),
                *logged(entry, partition),
            ]

        return await self._table.again(attempt, contested=2)

    def listed(self, tenant: TenantId) -> Source[Channel]:
        """The tenant's channels, by id."""
        return self._rows.source(tenant, at.CHANNELS)

    async def rules(self, tenant: TenantId, limit: int, cursor: str | None) -> Page[ChannelRule]:
        """The rules that a login reads; a channel that cannot be read allows nobody. Raises bad_request."""
        pk, closed = at.tenant(await self._table.partition(tenant)), partial(_closed, tenant)
        return await self._rows.page_of_rules(pk, at.CHANNELS, ChannelRule, limit, cursor, closed)

    async def durable(self, tenant: TenantId) -> DurableChannels | None:
        """The durable channels of this moment; None where the tenant never had any."""
        pk = at.tenant(await self._table.partition(tenant))
        if await self._table.read(pk, at.DURABLE, _Durable) is None:
            return None
        return await self._all_durable(pk)

    async def _all_durable(self, pk: str) -> DurableChannels:
        found: list[ChannelRule] = []
        whole = True

        async def page(cursor: str | None) -> Page[ChannelRule]:
            return await self._rows.page_of_rules(pk, at.CHANNELS, ChannelRule, _PAGE, cursor)

        async for each in pages(page):
            found += [channel for channel in each.items if channel.durability is not None]
            whole = whole and not each.unreadable
        return DurableChannels(tuple(found), whole)

    async def _admitted(self, pk: str, channel: Channel, most_bytes: int | None) -> list[Op]:
        """The operation by which a channel is admitted among the durable ones; none for one that is not
        durable. Raises what check_durable raises."""
        if channel.durability is None:
            return []
        seen = await self._table.read(pk, at.DURABLE, _Durable)  # Before the others are read.
        check_durable(channel, await self._all_durable(pk), most_bytes)
        return [seen.put(_Durable()) if seen else Put(pk, at.DURABLE, data(_Durable()), ABSENT)]

    async def count(self, tenant: TenantId) -> int:
        """How many channels the tenant has."""
        return await self._table.counted(at.tenant(await self._table.partition(tenant)), at.CHANNELS)


def _closed(tenant: TenantId, item: Item) -> ChannelRule:
    """The rule in place of a channel that cannot be read: it allows nobody. Where its subjects are not known
    either, it covers every subject."""
    channel = ChannelId(item.sk.removeprefix(at.CHANNELS))
    subject = item.data.get("subject") or channel
    try:
        pattern = parse_pattern(subject, tenant).subject if isinstance(subject, str) else ">"
    except ArtcafeError:
        pattern = ">"
    return ChannelRule(id=channel, tenant=tenant, subject=pattern, publishers=[], subscribers=[])
