"""The storage quota: bytes of a tenant's agents and channels, counted and limited.

Two numbers move in the transactions that change its records: all bytes, and those of the channels' rules,
which every login reads together. Each is the sum of several counters, so that those transactions seldom meet
in one (store.contention). What was there before there were counters is counted once, before anybody adds to
them, and kept in an item beside them.
"""

from typing import Final

from msgspec import Struct, json

from artcafe.server.domain.ids import TenantId
from artcafe.server.store import addresses as at
from artcafe.server.store.addresses import Partition
from artcafe.server.store.contention import shard, total
from artcafe.server.store.item import ABSENT, Conflict, Delta, Put
from artcafe.server.store.partitions import live
from artcafe.server.store.table import Table, data, translated
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

MAX_RULES_BYTES: Final = 4 * 1024 * 1024
"""Rules of all channels of a tenant, as JSON."""


class Space(Struct, frozen=True):
    """Bytes of JSON: `rules` of channels, and `total` of agents and channels with everything."""

    total: int = 0
    rules: int = 0

    def __sub__(self, other: "Space") -> "Space":
        return Space(self.total - other.total, self.rules - other.rules)

    def __add__(self, other: "Space") -> "Space":
        return Space(self.total + other.total, self.rules + other.rules)


class StorageQuota:
    """Counts and bounds. Whoever changes a record takes the operations of `move` into its transaction."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def move(self, tenant: TenantId, by: Space, limit: int | None) -> list[Delta]:
        """The operations that count a change of so many bytes.

        Raises quota_exceeded for growth beyond `limit`, or of rules beyond MAX_RULES_BYTES. Who grows at the
        same moment is not seen: the limit is passed by as much as is written at once.
        """
        if by.total > 0 or by.rules > 0:
            used = await self.used(tenant) + by
            if by.total > 0 and limit is not None and used.total > limit:
                raise ArtcafeError(
                    Code.quota_exceeded, f"The plan has {limit} bytes for agents and channels."
                )
            if by.rules > 0 and used.rules > MAX_RULES_BYTES:
                raise ArtcafeError(
                    Code.quota_exceeded,
                    f"The subjects and audiences of all channels take {MAX_RULES_BYTES} bytes at most.",
                )
        elif by.total or by.rules:
            await self.used(tenant)  # What was there is counted before what goes.
        chance = self._table.chance()
        moves = ((at.ALL_BYTES, by.total), (at.RULE_BYTES, by.rules))
        sizes = at.sizes(await self._table.partition(tenant))
        return [Delta(sizes, shard(name, chance), amount) for name, amount in moves if amount]

    async def used(self, tenant: TenantId) -> Space:
        """How much is used."""
        partition = await self._table.partition(tenant)
        with translated():
            counters = await self._table.store.counters(at.sizes(partition))
        counted = Space(total(counters, at.ALL_BYTES), total(counters, at.RULE_BYTES))
        before = await self._table.read(at.tenant(partition), at.COUNTED_BYTES, Space)
        if before is not None:
            return before.record + counted
        return await self._count_once(tenant, partition, counted)

    async def _count_once(self, tenant: TenantId, partition: Partition, counted: Space) -> Space:
        pk, there = at.tenant(partition), Space()
        for prefix in (at.AGENTS, at.CHANNELS, at.detail(at.AGENTS), at.detail(at.CHANNELS)):
            async for item in self._table.items(pk, prefix):
                size = len(json.encode(item.data))
                there += Space(size, size if prefix == at.CHANNELS else 0)
        try:
            await self._table.write(Put(pk, at.COUNTED_BYTES, data(there - counted), ABSENT), live(partition))
        except Conflict as conflict:
            if conflict.index == 0:  # Somebody counted at the same moment.
                return await self.used(tenant)
        return there  # Of a tenant that is not there nothing is kept.
