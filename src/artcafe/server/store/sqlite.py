"""The store in one SQLite file: the embedded default, for one machine and a few processes on it."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from artcafe.server.store import rules
from artcafe.server.store.item import (
    ANY,
    Check,
    Conflict,
    Delete,
    Delta,
    InvalidCursor,
    Item,
    ItemPage,
    Op,
    Put,
    RawItem,
)
from artcafe.server.store.sqlite_thread import SqliteThread

SWEEP_ROWS: Final = 500
COUNTED_ROWS: Final = 1000
"""Counters that are read in one turn of the reading thread."""
MOVED_ROWS: Final = 500

_ROWS: Final = {
    "items": "SELECT pk, sk, rev, expires, data FROM items WHERE (pk, sk) > (?, ?) ORDER BY pk, sk LIMIT ?",
    "counters": "SELECT pk, sk, n, expires FROM counters WHERE (pk, sk) > (?, ?) ORDER BY pk, sk LIMIT ?",
}

_PAGES = "x" * 16_384

# Not `(pk, sk) IN (VALUES …)`, for which SQLite goes through the whole table.
_MANY = (
    "WITH wanted (pk, sk) AS (VALUES {})"
    " SELECT pk, sk, rev, expires, data FROM wanted CROSS JOIN items USING (pk, sk)"
)
_FROM = "SELECT sk, rev, expires, data FROM items WHERE pk = ? AND sk >= ? ORDER BY sk LIMIT ?"
_AFTER = "SELECT sk, rev, expires, data FROM items WHERE pk = ? AND sk > ? ORDER BY sk LIMIT ?"

_COUNTERS_FROM = "SELECT sk, n, expires FROM counters WHERE pk = ? AND sk >= ? ORDER BY sk LIMIT ?"
_COUNTERS_AFTER = "SELECT sk, n, expires FROM counters WHERE pk = ? AND sk > ? ORDER BY sk LIMIT ?"

_DROP: Final = (
    "DELETE FROM counters WHERE (pk, sk) IN (SELECT pk, sk FROM counters WHERE pk = ? ORDER BY sk LIMIT ?)"
)
_SWEEPS: Final = (
    "DELETE FROM items WHERE (pk, sk) IN (SELECT pk, sk FROM items WHERE expires <= ? LIMIT ?)",
    "DELETE FROM counters WHERE (pk, sk) IN (SELECT pk, sk FROM counters WHERE expires <= ? LIMIT ?)",
)


class SqliteStore:
    """An ItemStore in the file `path`. What returned is on the disk, past the operating system's cache.

    `clock` gives seconds since the Unix epoch and is called in the store's thread; `new_rev` gives a
    text that no process ever gives again. `busy_timeout` is how many seconds to wait for another
    process that writes. Not for network file systems, whose locks SQLite cannot trust.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float],
        new_rev: Callable[[], str],
        busy_timeout: float = 10.0,
    ) -> None:
        self._new_rev = new_rev
        self._thread = SqliteThread(path, clock, busy_timeout)

    async def open(self) -> None:
        """Open the file, or make it, readable by its owner alone.

        Raises StoreUnavailable when another process keeps it locked, and StoreUnusable with the
        reason when it cannot be used: no right to, damaged, of a newer release, something else.
        """
        await self._thread.open()

    async def close(self) -> None:
        """Take no more calls, finish those taken, close the file. Closing twice is allowed."""
        await self._thread.close()

    async def ping(self) -> None:
        """Raises StoreUnavailable when the file cannot be read, or is no longer where it was opened, and when
        nothing can be written to it: StoreUnwritable on a full disk."""
        await self._thread.read(_ping)
        if await self._thread.may_not_write():
            await self._thread.write(_try_to_write)

    async def get(self, pk: str, sk: str) -> Item | None:
        """See ItemStore."""
        rules.check_keys(pk, sk)
        return await self._thread.read(partial(_get, pk, sk))

    async def get_many(self, keys: Sequence[tuple[str, str]]) -> list[Item | None]:
        """See ItemStore. Here all as of one moment."""
        rules.check_gets(keys)
        return await self._thread.read(partial(_get_many, list(keys)))

    async def put(self, op: Put) -> str:
        """See ItemStore."""
        [step] = rules.prepare([op], self._new_rev)
        await self._thread.write(partial(_apply, [step]))
        return step.rev

    async def delete(self, op: Delete) -> None:
        """See ItemStore."""
        await self._thread.write(partial(_apply, rules.prepare([op], self._new_rev)))

    async def transact(self, ops: Sequence[Op]) -> list[str | None]:
        """See ItemStore."""
        steps = rules.prepare(ops, self._new_rev)
        if steps:
            await self._thread.write(partial(_apply, steps))
        return [step.rev or None for step in steps]

    async def query(self, pk: str, prefix: str = "", limit: int = 100, cursor: str | None = None) -> ItemPage:
        """See ItemStore."""
        rules.check_list(pk, prefix, limit=limit)
        after = rules.decode_cursor(cursor, prefix)
        return await self._thread.read(partial(_query, pk, prefix, limit, after))

    async def incr(self, deltas: Sequence[Delta]) -> None:
        """See ItemStore. Here all deltas of a call are one transaction, and each counts once."""
        await self._thread.write(partial(_incr, rules.merge(deltas)))

    async def counters(self, pk: str, first: str = "", last: str | None = None) -> dict[str, int]:
        """See ItemStore. Read some at a time, so that other reads get between."""
        rules.check_list(pk, first, last or "")
        found: dict[str, int] = {}
        read = partial(_counters, pk, first, last, _COUNTERS_FROM, first)
        while (after := await self._thread.read(partial(read, found))) is not None:
            read = partial(_counters, pk, first, last, _COUNTERS_AFTER, after)
        return found

    async def drop_counters(self, pk: str) -> None:
        """See ItemStore. Works in small steps, so that others get between."""
        rules.check_keys(pk)
        while await self._thread.write(partial(_drop_counters, pk)) == SWEEP_ROWS:
            pass

    async def sweep(self) -> int:
        """Remove expired items and counters from the file; how many. Works in small steps, so that others get
        between."""
        removed = 0
        for sweep in _SWEEPS:
            step = SWEEP_ROWS
            while step == SWEEP_ROWS:
                step = await self._thread.write(partial(_sweep, sweep))
                removed += step
        return removed

    async def rows(self, cursor: str | None = None) -> tuple[list[RawItem], str | None]:
        """See Backend: items by their keys, then counters."""
        space, pk, sk = rules.decode_place(cursor) if cursor else ("items", "", "")
        if space not in _ROWS:
            raise InvalidCursor
        return await self._thread.read(partial(_rows, space, pk, sk))

    async def restore(self, rows: Sequence[RawItem]) -> None:
        """See Backend. Here all or none."""
        await self._thread.write(partial(_restore, list(rows)))

    async def discard(self, rows: Sequence[RawItem]) -> None:
        """See Backend. Here all or none."""
        await self._thread.write(partial(_discard, list(rows)))


# What runs in one of the store's threads, on its connection, at `now` in whole Unix seconds.


def _ping(db: sqlite3.Connection, _now: int) -> None:
    db.execute("SELECT version FROM artcafe_schema").fetchone()


def _try_to_write(db: sqlite3.Connection, _now: int) -> None:
    """Nothing stays of it, but it needs pages of the file and of its log, as any write does."""
    db.execute("INSERT INTO items (pk, sk, rev, data) VALUES ('PROBE', '', '', ?)", (_PAGES,))
    db.execute("DELETE FROM items WHERE pk = 'PROBE'")


def _get(pk: str, sk: str, db: sqlite3.Connection, now: int) -> Item | None:
    row = db.execute("SELECT rev, expires, data FROM items WHERE pk = ? AND sk = ?", (pk, sk)).fetchone()
    if row is None or not rules.alive(row[1], now):
        return None
    return rules.item(pk, sk, *row)


def _get_many(keys: list[tuple[str, str]], db: sqlite3.Connection, now: int) -> list[Item | None]:
    places = ", ".join(["(?, ?)"] * len(keys))
    found = db.execute(_MANY.format(places), [part for key in keys for part in key]) if keys else ()
    rows = {(row[0], row[1]): row for row in found if rules.alive(row[3], now)}
    return [rules.item(*rows[key]) if key in rows else None for key in keys]


def _query(pk: str, prefix: str, limit: int, after: str, db: sqlite3.Connection, now: int) -> ItemPage:
    # BINARY collation compares UTF-8 bytes. An unfinished statement would keep its snapshot: close it.
    select, start = (_AFTER, after) if after else (_FROM, prefix)
    with closing(db.execute(select, (pk, start, limit + 1))) as rows:
        return rules.page(pk, prefix, limit, now, rows)


def _apply(steps: list[rules.Step], db: sqlite3.Connection, now: int) -> None:
    """No key comes twice, so that all conditions can be judged before the first change."""
    for index, step in enumerate(steps):
        if step.cond is not ANY and not rules.holds(step.cond, _rev(db, step.op, now)):
            raise Conflict(index)
    for step in steps:
        match step.op:
            case Put(pk, sk, expires=expires):
                db.execute(
                    "INSERT OR REPLACE INTO items (pk, sk, rev, expires, data) VALUES (?, ?, ?, ?, ?)",
                    (pk, sk, step.rev, expires, step.text),
                )
            case Delete(pk, sk):
                db.execute("DELETE FROM items WHERE pk = ? AND sk = ?", (pk, sk))
            case Delta():
                _incr([step.op], db, now)
            case Check():
                pass


def _rev(db: sqlite3.Connection, op: Op, now: int) -> str | None:
    row = db.execute("SELECT rev, expires FROM items WHERE pk = ? AND sk = ?", (op.pk, op.sk)).fetchone()
    return row[0] if row is not None and rules.alive(row[1], now) else None


def _incr(deltas: list[Delta], db: sqlite3.Connection, _now: int) -> None:
    db.executemany(
        "INSERT INTO counters (pk, sk, n, expires) VALUES (?, ?, ?, ?) ON CONFLICT (pk, sk)"
        " DO UPDATE SET n = n + excluded.n, expires = coalesce(excluded.expires, expires)",
        [(delta.pk, delta.sk, delta.by, delta.expires) for delta in deltas],
    )


def _counters(
    pk: str,
    first: str,
    last: str | None,
    select: str,
    start: str,
    found: dict[str, int],
    db: sqlite3.Connection,
    now: int,
) -> str | None:
    """Add some counters to those that were found; the sk after which there may be more, None at the end."""
    sk, seen = "", 0
    with closing(db.execute(select, (pk, start, COUNTED_ROWS))) as rows:
        for sk, n, expires in rows:
            if not rules.between(sk, first, last):
                return None
            seen += 1
            if rules.alive(expires, now):
                found[sk] = n
    return sk if seen == COUNTED_ROWS else None


def _drop_counters(pk: str, db: sqlite3.Connection, _now: int) -> int:
    return db.execute(_DROP, (pk, SWEEP_ROWS)).rowcount


def _rows(
    space: str, pk: str, sk: str, db: sqlite3.Connection, _now: int
) -> tuple[list[RawItem], str | None]:
    found = db.execute(_ROWS[space], (pk, sk, MOVED_ROWS)).fetchall()
    if space == "items":
        rows = [RawItem(row[0], row[1], rev=row[2], expires=row[3], text=row[4]) for row in found]
    else:
        rows = [RawItem(row[0], row[1], n=row[2], expires=row[3]) for row in found]
    if len(found) == MOVED_ROWS:
        return rows, rules.encode_place(space, rows[-1].pk, rows[-1].sk)
    return rows, rules.encode_place("counters", "", "") if space == "items" else None


def _restore(rows: list[RawItem], db: sqlite3.Connection, _now: int) -> None:
    db.executemany(
        "INSERT OR REPLACE INTO items (pk, sk, rev, expires, data) VALUES (?, ?, ?, ?, ?)",
        [(row.pk, row.sk, row.rev, row.expires, row.text) for row in rows if row.n is None],
    )
    db.executemany(
        "INSERT OR REPLACE INTO counters (pk, sk, n, expires) VALUES (?, ?, ?, ?)",
        [(row.pk, row.sk, row.n, row.expires) for row in rows if row.n is not None],
    )


def _discard(rows: list[RawItem], db: sqlite3.Connection, _now: int) -> None:
    items = [(row.pk, row.sk) for row in rows if row.n is None]
    counters = [(row.pk, row.sk) for row in rows if row.n is not None]
    db.executemany("DELETE FROM items WHERE pk = ? AND sk = ?", items)
    db.executemany("DELETE FROM counters WHERE pk = ? AND sk = ?", counters)


def _sweep(delete: str, db: sqlite3.Connection, now: int) -> int:
    return db.execute(delete, (now, SWEEP_ROWS)).rowcount
