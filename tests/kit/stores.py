"""Every backend of the item store, fresh and empty. One more line in BACKENDS, and it is in all suites."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

from artcafe.server.store.item import Backend
from artcafe.server.store.memory import MemoryStore
from artcafe.server.store.sqlite import SqliteStore
from tests.kit import dynoxide


@dataclass
class SetClock:
    """A clock that stands until it is set: seconds since the Unix epoch."""

    now: float = 1_700_000_000.5

    def __call__(self) -> float:
        return self.now


def new_rev() -> str:
    """A revision that was never given before."""
    return uuid4().hex


@asynccontextmanager
async def memory_store(_directory: Path, clock: Callable[[], float]) -> AsyncIterator[Backend]:
    """An open MemoryStore."""
    store = MemoryStore(clock=clock, new_rev=new_rev)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def sqlite_store(directory: Path, clock: Callable[[], float]) -> AsyncIterator[Backend]:
    """An open SqliteStore in a file of its own."""
    store = SqliteStore(directory / f"{uuid4().hex}.db", clock=clock, new_rev=new_rev)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def dynamodb_store(_directory: Path, clock: Callable[[], float]) -> AsyncIterator[Backend]:
    """An open DynamoStore in a table of its own."""
    store = dynoxide.store_in(await dynoxide.new_place(), clock)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


OpenStore: TypeAlias = Callable[[Path, Callable[[], float]], AbstractAsyncContextManager[Backend]]

BACKENDS: dict[str, OpenStore] = {
    "memory": memory_store,
    "sqlite": sqlite_store,
    "dynamodb": dynamodb_store,
}
