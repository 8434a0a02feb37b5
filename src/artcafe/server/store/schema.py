"""The schema row of a store: which releases may open it, on every backend.

`version` is the newest schema that a server opened the store with, `least` the oldest schema whose releases
still read and write it rightly. A store without the row is of a release before it, which is read as it is.
A file of SQLite has a number of its own besides, which counts the shape of its tables alone.
"""

from typing import Final

from msgspec import Struct

from artcafe.server.store import addresses as at
from artcafe.server.store.item import ABSENT, Conflict, ItemStore, Put, StoreUnusable
from artcafe.server.store.records import record_in
from artcafe.server.store.servers import LEASE_SECONDS, leases
from artcafe.server.store.table import Stored, data
from artcafe.wire.errors import ArtcafeError

VERSION: Final = 3
"""What this release writes: 1 had one row a record, 2 two (split.py), 3 names partitions (partitions.py)."""

LEAST: Final = 3
"""The oldest schema whose releases may run over what this one writes."""


class Schema(Struct, frozen=True):
    """The row."""

    version: int
    least: int


async def require_known(store: ItemStore) -> Stored[Schema] | None:
    """The row, or None. Raises StoreUnusable where a release wrote that this one does not read,
    StoreUnavailable. Nothing is written."""
    item = await store.get(*at.SCHEMA)
    if item is None:
        return None
    try:
        stored = Stored(record_in(item, Schema), item)
    except ArtcafeError as error:
        raise StoreUnusable("The store does not say in a readable way which releases may open it.") from error
    if stored.record.least > VERSION:
        raise StoreUnusable(
            f"The store was written by a newer release (schema {stored.record.version}, this release knows"
            f" {VERSION}). Run that release, or restore a backup made before it."
        )
    return stored


async def enter(store: ItemStore) -> None:
    """Open the store for this release: what the row says is raised to what this release writes.

    Raises StoreUnusable as above, and where servers still run that may not go on after it; StoreUnavailable.
    """
    while True:
        stored = await require_known(store)
        before = stored.record if stored else Schema(0, 0)
        now = Schema(max(before.version, VERSION), max(before.least, LEAST))
        if now == before:
            return
        if stored and now.least > before.least and (running := await leases(store)):
            raise StoreUnusable(
                f"{len(running)} servers of an older release use the store, and may not beside this one:"
                f" stop them first. One that was killed counts for {LEASE_SECONDS} seconds."
            )
        try:
            await store.put(stored.put(now) if stored else Put(*at.SCHEMA, data(now), ABSENT))
        except Conflict:
            continue
        return
