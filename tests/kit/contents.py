"""Everything a store holds, whichever backend: for tests that look for what should not be there."""

import sqlite3
from contextlib import closing

from artcafe.server.store.dynamodb import DynamoStore
from artcafe.server.store.item import ItemStore
from artcafe.server.store.memory import MemoryStore
from artcafe.server.store.sqlite import SqliteStore
from tests.kit import dynoxide

Row = tuple[str, str, str]
"""`item` or `counter`, the partition, the sort key."""


def contents(store: ItemStore) -> set[Row]:
    """Every row of the store, expired ones included, read past its interface."""
    match store:
        case MemoryStore():
            items = {("item", pk, sk) for pk, rows in store._partitions.items() for sk in rows.rows}
            return items | {("counter", pk, sk) for pk, sums in store._counters.items() for sk in sums}
        case SqliteStore():
            with closing(sqlite3.connect(store._thread._path)) as db:
                return {
                    *db.execute("SELECT 'item', pk, sk FROM items"),
                    *db.execute("SELECT 'counter', pk, sk FROM counters"),
                }
        case DynamoStore():
            kinds = {"I#": "item", "C#": "counter"}
            return {(kinds[pk[:2]], pk[2:], sk) for pk, sk in dynoxide.keys(store._calls.table)}
        case _:
            raise TypeError("no such backend")
