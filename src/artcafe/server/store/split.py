"""A record in two rows: its rules and sort fields, and its descriptive details.

The second row has those fields of `details` that differ from their defaults, under the first row's sort key
with `DETAIL#` in front; there is none when none does. Records of older releases have everything in the first
row: they are read as they are, and split when they are written next, or when their rules are read.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from artcafe.server.domain.agent import Agent
from artcafe.server.domain.channel import Channel
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.listing import Page, Source
from artcafe.server.domain.tenant import Tenant
from artcafe.server.store import addresses as at
from artcafe.server.store.item import ABSENT, ANY, Cond, Conflict, Delete, Item, Json, Op, Put, Rev
from artcafe.server.store.quota import Space
from artcafe.server.store.records import readable, record_in
from artcafe.server.store.rules import decode_cursor, encode_cursor
from artcafe.server.store.table import Stored, Table, data, translated
from artcafe.server.store.unknown import beside, inside
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

TOGETHER = 16
"""Records that are read at once, of some that are asked for by their ids."""

R = TypeVar("R", bound=Agent | Channel | Tenant)
B = TypeVar("B", bound=msgspec.Struct)

_Rows: TypeAlias = tuple[dict[str, Any], dict[str, Any]]
"""What stands in either row."""


@dataclass(frozen=True, slots=True)
class SplitTable(Generic[R]):
    """Records of one kind. Every change of a record writes its first row: who read both, the first one first,
    and writes under the first one's revision, has missed nothing."""

    table: Table
    kind: type[R]
    details: Collection[str]
    ruling: bool = False
    """Whether the first rows are rules that logins read all together."""

    def put(self, pk: str, sk: str, record: R, before: Stored[R] | None) -> tuple[Put, Op]:
        """The operations that write a record in place of the one that was read, or where there is none; the
        first depends on that. What this release does not know stays in the row where it was."""
        cond = Rev(before.rev) if before else ABSENT
        return self._put(pk, sk, self._rows(record, before), cond)

    def _put(self, pk: str, sk: str, rows: _Rows, cond: Cond) -> tuple[Put, Op]:
        first, second = rows
        described: Op = Put(pk, at.detail(sk), second) if second else Delete(pk, at.detail(sk))
        return Put(pk, sk, first, cond), described

    def _rows(self, record: R, before: Stored[R] | None) -> _Rows:
        if before is None:
            return self._parts(data(record))
        held, apart = before.item.data, before.second.data if before.second else {}
        first, second = self._parts(inside(self.kind, {**apart, **held}, data(record)))
        return {**first, **beside(self.kind, held)}, {**second, **beside(self.kind, apart)}

    def _parts(self, whole: dict[str, Any]) -> _Rows:
        """The contents of the two rows."""
        defaults = self._defaults()
        first = {name: value for name, value in whole.items() if name not in self.details}
        return first, {
            name: whole[name] for name in self.details if name in whole and whole[name] != defaults[name]
        }

    def space(self, record: R, before: Stored[R] | None) -> Space:
        """How much a record takes that is written in place of another one, or where there is none."""
        return self._space(*self._rows(record, before))

    def taken(self, stored: Stored[R]) -> Space:
        """How much a record takes as it stands, whichever release wrote it."""
        return self._space(stored.item.data, stored.second.data if stored.second else {})

    def _space(self, first: Mapping[str, Json], second: Mapping[str, Json]) -> Space:
        rules = len(msgspec.json.encode(first))
        return Space(rules + (len(msgspec.json.encode(second)) if second else 0), rules if self.ruling else 0)

    def _defaults(self) -> dict[str, Any]:
        return {
            field.name: (
                field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
            )
            for field in msgspec.structs.fields(self.kind)
            if field.name in self.details
        }

    def delete(self, pk: str, sk: str, cond: Cond = ANY) -> tuple[Delete, Delete]:
        """The operations that remove a record; the first has the condition."""
        return Delete(pk, sk, cond), Delete(pk, at.detail(sk))

    async def read(self, pk: str, sk: str) -> Stored[R] | None:
        """One record, or None. Raises unreadable_record."""
        with translated():
            first = await self.table.store.get(pk, sk)
            if first is None:
                return None
            second = None if self._whole(first) else await self.table.store.get(pk, at.detail(sk))
        return Stored(self._joined(first, second), first, second)

    async def rules(self, pk: str, sk: str, kind: type[B]) -> B | None:
        """Of one record what `kind` has, all of it in the first row; None without the record.

        Raises unreadable_record.
        """
        with translated():
            first = await self.table.store.get(pk, sk)
        if first is None:
            return None
        await self._split([first])
        return record_in(first, kind)

    async def page_of_rules(
        self,
        pk: str,
        prefix: str,
        kind: type[B],
        limit: int,
        cursor: str | None,
        instead: Callable[[Item], B] | None = None,
    ) -> Page[B]:
        """The same of a page of records. In place of one that cannot be read is what `instead` makes of it.

        Raises bad_request for a cursor that no earlier page gave.
        """
        with translated():
            page = await self.table.store.query(pk, prefix, limit, cursor)
        await self._split(page.items)
        records, unreadable = readable(page.items, kind)
        if instead is not None:
            records += [instead(item) for item in unreadable]
        return Page(records, page.cursor, _ids(unreadable, prefix))

    async def page(self, pk: str, prefix: str, limit: int, cursor: str | None) -> Page[R]:
        """A page of records, which ends where a page of either row ends (item.MAX_PAGE_BYTES).

        Raises bad_request for a cursor that no earlier page gave.
        """
        with translated():
            firsts = await self.table.store.query(pk, prefix, limit, cursor)
            if all(self._whole(item) for item in firsts.items):
                return self._page(firsts.items, {}, prefix, firsts.cursor)
            after = encode_cursor(at.detail(decode_cursor(cursor, prefix))) if cursor else None
            seconds = await self.table.store.query(pk, at.detail(prefix), limit, after)
        known = {item.sk: item for item in seconds.items}
        items, ends = firsts.items, firsts.cursor
        last = max(known, default="").removeprefix(at.DETAILS)
        if seconds.cursor is not None and last and last < items[-1].sk:
            items, ends = [item for item in items if item.sk <= last], encode_cursor(last)
        return self._page(items, known, prefix, ends)

    def _page(
        self, firsts: Sequence[Item], seconds: Mapping[str, Item], prefix: str, ends: str | None
    ) -> Page[R]:
        found: list[R] = []
        unreadable: list[Item] = []
        for first in firsts:
            try:
                found.append(self._joined(first, seconds.get(at.detail(first.sk))))
            except ArtcafeError:
                unreadable.append(first)
        return Page(found, ends, _ids(unreadable, prefix))

    def source(self, tenant: TenantId, prefix: str) -> Source[R]:
        """A tenant's records whose sort keys begin with the prefix, which their ids follow."""

        async def place() -> str:
            return at.tenant(await self.table.partition(tenant))

        async def page(limit: int, cursor: str | None) -> Page[R]:
            return await self.page(await place(), prefix, limit, cursor)

        async def heads(limit: int, cursor: str | None) -> Page[R]:
            return await self.page_of_rules(await place(), prefix, self.kind, limit, cursor)

        async def some(ids: Sequence[str]) -> Page[R]:
            pk, found = await place(), list[R]()
            unreadable: list[str] = []
            for start in range(0, len(ids), TOGETHER):
                together = ids[start : start + TOGETHER]
                reading = (self.read(pk, prefix + which) for which in together)
                outcomes = await asyncio.gather(*reading, return_exceptions=True)
                for which, read in zip(together, outcomes, strict=True):
                    if isinstance(read, ArtcafeError) and read.code is Code.unreadable_record:
                        unreadable.append(which)
                    elif isinstance(read, BaseException):
                        raise read
                    elif read is not None:
                        found.append(read.record)
            return Page(found, None, tuple(unreadable))

        return Source(page=page, heads=heads, some=some)

    def _whole(self, first: Item) -> bool:
        return not first.data.keys().isdisjoint(self.details)

    def _joined(self, first: Item, second: Item | None) -> R:
        return record_in(first, self.kind, {**(second.data if second else {}), **first.data})

    async def _split(self, firsts: Sequence[Item]) -> None:
        """Write those anew that have everything in the first row. Who was faster has done as much."""
        for first in firsts:
            if self._whole(first):
                try:
                    rows = self._parts(first.data)
                    await self.table.write(*self._put(first.pk, first.sk, rows, Rev(first.rev)))
                except Conflict:
                    continue


def _ids(items: Sequence[Item], prefix: str) -> tuple[str, ...]:
    return tuple(item.sk.removeprefix(prefix) for item in items)
