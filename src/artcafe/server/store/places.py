"""Parses a store's location: `sqlite` in a folder, `sqlite:FILE`, or `dynamodb:TABLE`."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from artcafe.server.store.item import Backend
from artcafe.server.store.sqlite import SqliteStore

FILE = "store.sqlite"
TABLE = "artcafe"


def sqlite_file(name: str, folder: Path) -> Path:
    """The file of a store in SQLite."""
    where = name.partition(":")[2]
    return Path(where) if where else folder / FILE


def store_at(
    name: str,
    *,
    folder: Path,
    region: str | None,
    clock: Callable[[], float],
    new_rev: Callable[[], str],
    jitter: Callable[[], float],
) -> Backend:
    """The store, not opened yet. Raises ValueError for another name, or without what it stands on."""
    if name.partition(":")[0] == "sqlite":
        return SqliteStore(sqlite_file(name, folder), clock=clock, new_rev=new_rev)
    place, _ = dynamodb_at(name, region)
    store: Backend = import_module("artcafe.server.store.dynamodb").DynamoStore(
        place, clock=clock, new_rev=new_rev, jitter=jitter
    )
    return store


def dynamodb_at(name: str, region: str | None) -> tuple[Any, Any]:
    """The Place of a table, and the module `dynamodb_table`, which makes it. Raises ValueError."""
    kind, _, table = name.partition(":")
    if kind != "dynamodb":
        raise ValueError("A store is `sqlite`, `sqlite:FILE` or `dynamodb:TABLE`.")
    try:  # What it stands on is the extra `aws`: whoever keeps everything in a file needs none of it.
        calls = import_module("artcafe.server.store.dynamodb_calls")
        tables = import_module("artcafe.server.store.dynamodb_table")
    except ImportError as error:
        raise ValueError("ARTCAFE_STORE: DynamoDB needs the extra `aws` of artcafe-pubsub.") from error
    return calls.TableLocation(table or TABLE, region), tables
