"""A store as a whole: made, and moved to another place."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from artcafe.server.app import store_at
from artcafe.server.process import SystemClock
from artcafe.server.settings import Settings
from artcafe.server.store.item import ABSENT, EXISTS, Backend, Delete, Put, Row, StoreError
from artcafe.server.store.places import dynamodb_at, sqlite_file
from artcafe.server.store.rules import alive

FAILURES = (StoreError, ValueError, OSError)
"""What may go wrong without a fault of ours: the message is for people."""

_MARK = ("COPY", "STATE")
"""Where the target of a copy that is not done yet holds how far it came."""


class CopyError(StoreError):
    """The copy cannot begin, or is not one; the message is for people."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What a store holds, whatever the order: how many items and counters, and a digest of all of them."""

    items: int
    counters: int
    digest: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it came: `doing` is "copying", "counting the source" or "counting the target"."""

    doing: str
    rows: int


def create(settings: Settings) -> list[str]:
    """Make the table that the settings name; what could not be done, in sentences. Raises FAILURES."""
    place, table = dynamodb_at(settings.store, settings.aws_region)
    warnings: list[str] = asyncio.run(table.create(place))
    return warnings


def template(settings: Settings) -> str:
    """The same as a template of CloudFormation, JSON. Raises ValueError."""
    place, table = dynamodb_at(settings.store, settings.aws_region)
    return json.dumps(table.template(place.table), indent=2)


def copy(
    settings: Settings, source: str, target: str, *, over: bool, tell: Callable[[Progress], None]
) -> Sum:
    """Copy everything that has not expired, with revisions and expiry, and compare both sides.

    A place is `sqlite` (in the data directory), `sqlite:FILE` or `dynamodb:TABLE`. No server may use
    either side meanwhile. A copy that was interrupted goes on where it was, when it is begun again.
    With `over`, rows of the target that have the same keys are replaced, and others stay; without,
    the target has to be empty. Raises FAILURES; CopyError when the two sides differ in the end.
    """
    return asyncio.run(_copy(settings, source, target, over=over, tell=tell))


async def _copy(
    settings: Settings, source: str, target: str, *, over: bool, tell: Callable[[Progress], None]
) -> Sum:
    if source == target:
        raise CopyError("The source and the target are the same place.")
    clock = SystemClock()
    if source.startswith("sqlite") and not (file := sqlite_file(source, settings.data_dir)).exists():
        raise CopyError(f"There is no store in {file}.")
    one, other = store_at(settings, source, clock), store_at(settings, target, clock)
    await one.open()
    try:
        await other.open()
        try:
            now = int(clock.now())
            await _move(one, other, source, over=over, now=now, tell=tell)
            sums = [await _sum(each, now, name, tell) for each, name in ((one, "source"), (other, "target"))]
            if sums[0] != sums[1] and not over:
                raise CopyError("The two sides differ: was the source written to meanwhile? Copy again.")
            await other.delete(Delete(*_MARK))
            return sums[0]
        finally:
            await other.close()
    finally:
        await one.close()


async def _move(
    one: Backend, other: Backend, source: str, *, over: bool, now: int, tell: Callable[[Progress], None]
) -> None:
    mark = await other.get(*_MARK)
    cursor, done = None, 0
    if mark is None:
        if not over and (await other.rows())[0]:
            raise CopyError("The target holds something already; --over replaces what has the same keys.")
        await other.put(Put(*_MARK, {"source": source, "cursor": None, "rows": 0}, cond=ABSENT))
    elif mark.data.get("source") != source:
        raise CopyError(f"The target holds half a copy of {mark.data.get('source')}.")
    else:
        cursor, done = _place(mark.data.get("cursor")), _count(mark.data.get("rows"))
    while True:
        rows, cursor = await one.rows(cursor)
        await other.restore([row for row in rows if _counts(row, now)])
        done += len(rows)
        tell(Progress("copying", done))
        if cursor is None:
            return
        await other.put(Put(*_MARK, {"source": source, "cursor": cursor, "rows": done}, cond=EXISTS))


def _place(cursor: object) -> str | None:
    return cursor if isinstance(cursor, str) else None


def _count(rows: object) -> int:
    return rows if isinstance(rows, int) else 0


async def _sum(store: Backend, now: int, name: str, tell: Callable[[Progress], None]) -> Sum:
    items = counters = digest = seen = 0
    cursor = None
    while True:
        rows, cursor = await store.rows(cursor)
        for row in rows:
            if not _counts(row, now):
                continue
            items += row.n is None
            counters += row.n is not None
            # A sum, because each backend has an order of its own; of all bits, so that no two rows cancel.
            text = repr((row.pk, row.sk, row.rev, row.text, row.expires, row.n)).encode()
            digest = (digest + int.from_bytes(hashlib.sha256(text).digest())) % 2**256
        seen += len(rows)
        tell(Progress(f"counting the {name}", seen))
        if cursor is None:
            return Sum(items, counters, digest)


def _counts(row: Row, now: int) -> bool:
    return (row.pk, row.sk) != _MARK and alive(row.expires, now)
