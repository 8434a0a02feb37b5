"""Copies a store into another one, row by row, and verifies the copy.

The target has a mark while it is half a copy: servers do not open it then, and a copy that was cut off goes
on from there. However often it is cut off and begun again, it ends with two stores that were compared.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from artcafe.server.store import addresses as at
from artcafe.server.store.item import (
    MAX_GETS,
    Backend,
    Delete,
    InvalidCursor,
    ItemStore,
    Put,
    RawItem,
    StoreError,
    StoreUnusable,
)
from artcafe.server.store.rules import alive
from artcafe.server.store.servers import LEASE_SECONDS, leases

ROUNDS = 3
"""How often the target is filled before a source that keeps changing is given up."""

_MARK = ("COPY", "STATE")


class CopyError(StoreError):
    """The copy cannot begin, or is not one; the message is for people."""


@dataclass(frozen=True, slots=True)
class Sum:
    """A checksum of a store, independent of the order: the number of items and counters, and a digest of all
    of them."""

    items: int
    counters: int
    digest: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it came: `doing` is "copying", "counting the source", "counting the target" or "removing"."""

    doing: str
    rows: int


Tell = Callable[[Progress], None]


async def require_whole(store: ItemStore) -> None:
    """Raises StoreUnusable for a store that is half a copy, StoreUnavailable."""
    mark = await store.get(*_MARK)
    if mark is not None:
        raise StoreUnusable(
            f"The store is half a copy of {mark.data.get('source')}: end it with `artcafe store copy`."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A copy of one store, which `name` stands for, into another; both are open.

    Only what has not expired counts, and leases of servers do not. `over` lets it begin on a target that
    holds something: at the end the target is equal to the source, and what only the target had is gone.
    Unless `ignore_servers`, it refuses while a server has a lease in either. `now` gives Unix seconds.
    """

    source: Backend
    target: Backend
    name: str
    over: bool
    ignore_servers: bool
    now: Callable[[], float]
    tell: Tell

    async def run(self) -> Sum:
        """Copy, compare, and copy again what differs; what both hold in the end.

        Raises CopyError, StoreUnavailable: then it can be begun again, whatever was done so far.
        """
        await self._require_no_servers()
        mark = await self.target.get(*_MARK)
        if mark is not None and mark.data.get("source") != self.name and not self.over:
            raise CopyError(
                f"The target is half a copy of {mark.data.get('source')}; --over makes it one of this source."
            )
        if mark is None and not self.over and not await self._is_empty():
            if (sums := await self._sums())[0] == sums[1]:
                return sums[0]  # Perhaps a copy whose last answer was lost.
            raise CopyError("The target holds something else; --over makes it equal to the source.")
        cursor, done = None, 0
        if mark is None or mark.data.get("source") != self.name:
            await self._note(None, 0)
        else:
            cursor, done = _place(mark.data)
        for _ in range(ROUNDS):
            await self._fill(cursor, done)
            one, other = await self._sums()
            if one == other:
                await self._require_no_servers()
                await self.target.delete(Delete(*_MARK))
                return one
            cursor, done = None, 0
            await self._note(cursor, done)
            await self._remove()
        raise CopyError(
            "The two sides differ: the source is being written to. Stop what does, and copy again."
        )

    async def _require_no_servers(self) -> None:
        if self.ignore_servers:
            return
        for store, side in ((self.source, "source"), (self.target, "target")):
            if running := await leases(store):
                raise CopyError(
                    f"{len(running)} servers use the {side}; stop them. One that was killed counts for"
                    f" {LEASE_SECONDS} seconds; --ignore-servers does not look."
                )

    async def _is_empty(self) -> bool:
        async for rows in self._pages(self.target):
            if rows:
                return False
        return True

    async def _note(self, cursor: str | None, rows: int) -> None:
        await self.target.put(Put(*_MARK, {"source": self.name, "cursor": cursor, "rows": rows}))

    async def _fill(self, cursor: str | None, done: int) -> None:
        """Put everything of the source into the target, from the cursor on."""
        while True:
            try:
                rows, cursor = await self.source.rows(cursor)
            except InvalidCursor:  # Of an earlier run, and what stood there is gone.
                cursor, done = None, 0
                continue
            now = int(self.now())
            await self.target.restore([row for row in rows if _counts(row, now)])
            done += len(rows)
            self.tell(Progress("copying", done))
            if cursor is None:
                return
            await self._note(cursor, done)

    async def _remove(self) -> None:
        """Remove from the target what the source does not have."""
        done = 0
        counters: tuple[str, Mapping[str, int]] = ("", {})
        async for rows in self._pages(self.target):
            items = [(row.pk, row.sk) for row in rows if row.n is None]
            held: set[tuple[str, str]] = set()
            for start in range(0, len(items), MAX_GETS):
                found = await self.source.get_many(items[start : start + MAX_GETS])
                held |= {(item.pk, item.sk) for item in found if item is not None}
            gone = [row for row in rows if row.n is None and (row.pk, row.sk) not in held]
            for row in rows:
                if row.n is None:
                    continue
                if row.pk != counters[0]:  # Backends give those of a partition together.
                    counters = (row.pk, await self.source.counters(row.pk))
                if row.sk not in counters[1]:
                    gone.append(row)
            await self.target.discard(gone)
            done += len(gone)
            self.tell(Progress("removing", done))

    async def _sums(self) -> tuple[Sum, Sum]:
        """Of the source and of the target, as of one moment where what expires is concerned."""
        now = int(self.now())
        return (
            await self._sum(self.source, now, "counting the source"),
            await self._sum(self.target, now, "counting the target"),
        )

    async def _sum(self, store: Backend, now: int, doing: str) -> Sum:
        items = counters = digest = 0
        async for rows in self._pages(store, now):
            for row in rows:
                items += row.n is None
                counters += row.n is not None
                # A sum, because each backend has an order of its own; of all bits, so that none cancel.
                text = repr((row.pk, row.sk, row.rev, row.text, row.expires, row.n)).encode()
                digest = (digest + int.from_bytes(hashlib.sha256(text).digest())) % 2**256
            self.tell(Progress(doing, items + counters))
        return Sum(items, counters, digest)

    async def _pages(self, store: Backend, now: int | None = None) -> AsyncIterator[list[RawItem]]:
        """All rows that count, in the backend's order; `now` is the present unless given."""
        cursor = None
        while True:
            rows, cursor = await store.rows(cursor)
            moment = int(self.now()) if now is None else now
            yield [row for row in rows if _counts(row, moment)]
            if cursor is None:
                return


def _place(mark: Mapping[str, object]) -> tuple[str | None, int]:
    """The place at which an earlier run stopped, and the number of rows it had seen."""
    cursor, rows = mark.get("cursor"), mark.get("rows")
    return (cursor, rows) if isinstance(cursor, str) and isinstance(rows, int) else (None, 0)


def _counts(row: RawItem, now: int) -> bool:
    return (row.pk, row.sk) != _MARK and row.pk != at.SERVERS and alive(row.expires, now)
