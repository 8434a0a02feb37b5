"""A store that goes away when told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from artcafe.server.store.item import Delete, Delta, Item, ItemPage, ItemStore, Op, Put, StoreUnavailable


class UnreliableStore:
    """An ItemStore in front of another.

    While `writes_left` is a number, that many writes succeed and all later ones fail. With `lies`, a
    write that fails is done all the same, as when the answer is lost on the way. While `away`, reads
    fail too. Each call lets others go first, as a store at the other end of a wire does.
    """

    def __init__(self, store: ItemStore) -> None:
        self.store = store
        self.writes_left: int | None = None
        self.lies = False
        self.away = False

    def heal(self) -> None:
        """Be reliable again."""
        self.writes_left, self.lies, self.away = None, False, False

    async def get(self, pk: str, sk: str) -> Item | None:
        """See ItemStore."""
        await self._read()
        return await self.store.get(pk, sk)

    async def get_many(self, keys: Sequence[tuple[str, str]]) -> list[Item | None]:
        """See ItemStore."""
        await self._read()
        return await self.store.get_many(keys)

    async def put(self, op: Put) -> str:
        """See ItemStore."""
        async with self._write():
            return await self.store.put(op)

    async def delete(self, op: Delete) -> None:
        """See ItemStore."""
        async with self._write():
            await self.store.delete(op)

    async def transact(self, ops: Sequence[Op]) -> list[str | None]:
        """See ItemStore."""
        async with self._write():
            return await self.store.transact(ops)

    async def query(self, pk: str, prefix: str = "", limit: int = 100, cursor: str | None = None) -> ItemPage:
        """See ItemStore."""
        await self._read()
        return await self.store.query(pk, prefix, limit, cursor)

    async def incr(self, deltas: Sequence[Delta]) -> None:
        """See ItemStore."""
        async with self._write():
            await self.store.incr(deltas)

    async def counters(self, pk: str, first: str = "", last: str | None = None) -> dict[str, int]:
        """See ItemStore."""
        await self._read()
        return await self.store.counters(pk, first, last)

    async def drop_counters(self, pk: str) -> None:
        """See ItemStore."""
        async with self._write():
            await self.store.drop_counters(pk)

    async def _read(self) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise _away()

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[None]:
        await asyncio.sleep(0)
        fails = self.away
        if self.writes_left is not None:
            fails = fails or self.writes_left == 0
            self.writes_left = max(0, self.writes_left - 1)
        if fails and not self.lies:
            raise _away()
        yield
        if fails:
            raise _away()


def _away() -> StoreUnavailable:
    return StoreUnavailable("The store does not answer, as the test wants it.")
