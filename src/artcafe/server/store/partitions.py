"""The partition of a tenant's rows.

A partition is named by something that is never used again: the random part of the tenant's account. So
what is still written for a deleted tenant, by whoever does not know yet, is never seen by a later tenant of
the same id. The tenant's row in TENANTS says which one it is; rows of older releases do not, and there it is
the id.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from cachetools import LRUCache

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tenant import Tenant
from artcafe.server.store import addresses as at
from artcafe.server.store.addresses import Partition
from artcafe.server.store.item import ABSENT, Check, Item, ItemStore, Put

T = TypeVar("T")

MAX_HELD: Final = 50_000
"""Tenants whose partitions a process holds in memory; what was not asked for longest goes first."""

NOWHERE: Final = Partition("")
"""The partition of a tenant that does not exist: nothing stands in it, and whatever depends on a tenant there
conflicts. Who writes without such a condition writes nothing to it."""


def named(tenant: Tenant) -> Put:
    """The operation that takes the id of a new tenant and names its partition; it conflicts when the id is
    taken."""
    return Put(at.TENANTS, tenant.id, {"partition": tenant.account}, ABSENT)


def partition_in(row: Item) -> Partition:
    """The partition that a row of TENANTS names."""
    return Partition(str(row.data.get("partition", row.sk)))


def live(partition: Partition) -> Check:
    """The operation by which a transaction depends on a tenant that exists and is not being deleted."""
    return Check(at.tenant(partition), at.META)


class Partitions:
    """Tenants' partitions, from memory where they are known. Raises what the store raises.

    What is held may be of a tenant that was deleted, and made again through another process. That is
    harmless: nothing is found in the former partition, no write that depends on its tenant succeeds, and
    `find` looks again where it finds nothing.
    """

    def __init__(self, store: ItemStore) -> None:
        self._store = store
        self._held: LRUCache[TenantId, Partition] = LRUCache(MAX_HELD)

    async def of(self, tenant: TenantId) -> Partition:
        """The tenant's partition, or NOWHERE, which is never held."""
        held: Partition | None = self._held.get(tenant)
        return await self._read(tenant) if held is None else held

    async def find(self, tenant: TenantId, read: Callable[[Partition], Awaitable[T | None]]) -> T | None:
        """The result of `read` in the tenant's partition; if nothing, in the one that the tenant has by
        now."""
        held: Partition | None = self._held.get(tenant)
        if held is not None and (found := await read(held)) is not None:
            return found
        current = await self._read(tenant)
        return None if current in {held, NOWHERE} else await read(current)

    def learn(self, row: Item) -> Partition:
        """Hold what was read of TENANTS."""
        partition = self._held[TenantId(row.sk)] = partition_in(row)
        return partition

    def forget(self, tenant: TenantId) -> None:
        """The tenant was changed or deleted."""
        self._held.pop(tenant, None)

    async def _read(self, tenant: TenantId) -> Partition:
        row = await self._store.get(at.TENANTS, tenant)
        if row is not None:
            return self.learn(row)
        self.forget(tenant)
        return NOWHERE
