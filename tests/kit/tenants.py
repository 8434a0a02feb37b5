"""Tenants in a store that are only a name, as far as it matters."""

from artcafe.server.store import addresses as at
from artcafe.server.store.item import ItemStore, Put
from tests.kit.records import ACME, ALIKE


async def take_ids(store: ItemStore) -> None:
    """The ids of `acme` and those alike are taken, as an older release did: they name their partitions."""
    for tenant in (ACME, *ALIKE):
        await store.put(Put(at.TENANTS, tenant, {}))
