"""Tenants in a store that are only a name, as far as it matters."""

from msgspec.structs import replace

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tenant import Status, Tenant
from artcafe.server.store import addresses as at
from artcafe.server.store.deletions import DeletionTable
from artcafe.server.store.item import ItemStore, Put
from artcafe.server.store.table import Table
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.contents import Row, contents
from tests.kit.records import ACME, ALIKE, AT, an_entry


async def take_ids(store: ItemStore) -> None:
    """The ids of `acme` and those alike are taken, as an older release did: they name their partitions."""
    for tenant in (ACME, *ALIKE):
        await store.put(Put(at.TENANTS, tenant, {}))


def going(tenant: Tenant) -> Tenant:
    """The edit with which a deletion begins."""
    return replace(tenant, status=Status.deleting.value, version=tenant.version + 1)


async def delete_tenant(table: Table, tenant: TenantId = ACME) -> None:
    """Begin the deletion of a tenant where that was not done, and do all of it."""
    deletions = DeletionTable(table)
    try:
        await deletions.begin(tenant, going, an_entry("deleted", tenant))
    except ArtcafeError as error:
        if error.code not in {Code.deleting, Code.not_found}:
            raise
    await do_deletions(table)


async def do_deletions(table: Table) -> None:
    """Do all that is begun."""
    deletions = DeletionTable(table)
    for deletion in await deletions.pending():
        if deletion.freed_at is None and await deletions.sweep(deletion):
            await deletions.free(deletion, AT)
    for deletion in await deletions.pending():
        await deletions.end(deletion)


def kept(store: ItemStore) -> set[Row]:
    """Every row of the store but those of the installation's log."""
    return {row for row in contents(store) if row[1] != at.INSTALLATION_LOG}
