"""The store in dictionaries, for trials and tests. Nothing outlives the process."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from artcafe.server.store import rules
from artcafe.server.store.item import (
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
    StoreUnavailable,
)


@dataclass(frozen=True, slots=True)
class _Row:
    rev: str
    expires: int | None
    text: str


@dataclass(frozen=True, slots=True)
class _Counter:
    n: int
    expires: int | None


@dataclass(frozen=True, slots=True)
class _Partition:
    rows: dict[str, _Row] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)  # the keys of `rows`, sorted

    def put(self, sk: str, row: _Row) -> None:
        if sk not in self.rows:
            insort(self.order, sk)
        self.rows[sk] = row

    def remove(self, sk: str) -> None:
        if self.rows.pop(sk, None) is not None:
            del self.order[bisect_left(self.order, sk)]


class MemoryStore:
    """An ItemStore that keeps its items and counters until the object goes.

    No method waits for anything, so every call is one step of the event loop and nothing comes
    between its parts. `clock` gives seconds since the Unix epoch; `new_rev` a text never given again.
    """

    def __init__(self, *, clock: Callable[[], float], new_rev: Callable[[], str]) -> None:
        self._clock = clock
        self._new_rev = new_rev
        self._open = False
        self._partitions: dict[str, _Partition] = {}
        self._counters: dict[str, dict[str, _Counter]] = {}

    async def open(self) -> None:
        """Take calls."""
        self._open = True

    async def close(self) -> None:
        """Take no more calls. Closing twice is allowed."""
        self._open = False

    async def ping(self) -> None:
        """Raises StoreUnavailable when the store is not open."""
        self._now()

    async def get(self, pk: str, sk: str) -> Item | None:
        """See ItemStore."""
        rules.check_keys(pk, sk)
        row = self._live(pk, sk, self._now())
        return None if row is None else rules.item(pk, sk, row.rev, row.expires, row.text)

    async def get_many(self, keys: Sequence[tuple[str, str]]) -> list[Item | None]:
        """See ItemStore. Here all as of one moment."""
        rules.check_gets(keys)
        return [await self.get(pk, sk) for pk, sk in keys]

    async def put(self, op: Put) -> str:
        """See ItemStore."""
        [step] = rules.prepare([op], self._new_rev)
        self._apply([step])
        return step.rev

    async def delete(self, op: Delete) -> None:
        """See ItemStore."""
        self._apply(rules.prepare([op], self._new_rev))

    async def transact(self, ops: Sequence[Op]) -> list[str | None]:
        """See ItemStore."""
        steps = rules.prepare(ops, self._new_rev)
        self._apply(steps)
        return [step.rev or None for step in steps]

    async def query(self, pk: str, prefix: str = "", limit: int = 100, cursor: str | None = None) -> ItemPage:
        """See ItemStore. Python orders text by code point, which is the order of its UTF-8 bytes."""
        rules.check_list(pk, prefix, limit=limit)
        after = rules.decode_cursor(cursor, prefix)
        now = self._now()
        partition = self._partitions.get(pk, _Partition())
        first = max(bisect_left(partition.order, prefix), bisect_right(partition.order, after))
        rows = (
            (sk, row.rev, row.expires, row.text)
            for sk in islice(partition.order, first, first + limit + 1)
            for row in [partition.rows[sk]]
        )
        return rules.page(pk, prefix, limit, now, rows)

    async def incr(self, deltas: Sequence[Delta]) -> None:
        """See ItemStore. Here all deltas of a call are one step, and each counts once."""
        merged = rules.merge(deltas)
        self._now()
        for delta in merged:
            self._add(delta)

    def _add(self, delta: Delta) -> None:
        counters = self._counters.setdefault(delta.pk, {})
        before = counters.get(delta.sk, _Counter(0, None))
        expires = before.expires if delta.expires is None else delta.expires
        counters[delta.sk] = _Counter(before.n + delta.by, expires)

    async def counters(self, pk: str, first: str = "", last: str | None = None) -> dict[str, int]:
        """See ItemStore."""
        rules.check_list(pk, first, last or "")
        now = self._now()
        counters = self._counters.get(pk, {})
        return {
            sk: counters[sk].n
            for sk in sorted(counters)
            if rules.between(sk, first, last) and rules.alive(counters[sk].expires, now)
        }

    async def drop_counters(self, pk: str) -> None:
        """See ItemStore."""
        rules.check_keys(pk)
        self._now()
        self._counters.pop(pk, None)

    async def sweep(self) -> int:
        """Let go of expired items and counters; how many."""
        now = self._now()
        expired = [
            (pk, sk)
            for pk, partition in self._partitions.items()
            for sk, row in partition.rows.items()
            if not rules.alive(row.expires, now)
        ]
        for pk, sk in expired:
            self._remove(pk, sk)
        ended = [
            (pk, sk)
            for pk, counters in self._counters.items()
            for sk, counter in counters.items()
            if not rules.alive(counter.expires, now)
        ]
        for pk, sk in ended:
            del self._counters[pk][sk]
        return len(expired) + len(ended)

    async def rows(self, cursor: str | None = None) -> tuple[list[RawItem], str | None]:
        """See Backend: a page for each partition."""
        self._now()
        spaces = [("items", pk) for pk in sorted(self._partitions)]
        spaces += [("counters", pk) for pk in sorted(self._counters)]
        if cursor:
            here = rules.decode_place(cursor)[:2]
        elif spaces:
            here = spaces[0]
        else:
            return [], None
        if here not in spaces:
            raise InvalidCursor
        space, pk = here
        if space == "items":
            held = self._partitions[pk].rows
            rows = [
                RawItem(pk, sk, rev=row.rev, text=row.text, expires=row.expires) for sk, row in held.items()
            ]
        else:
            counted = self._counters[pk].items()
            rows = [RawItem(pk, sk, n=counter.n, expires=counter.expires) for sk, counter in counted]
        after = spaces[spaces.index(here) + 1 :]
        return rows, rules.encode_place(*after[0], "") if after else None

    async def restore(self, rows: Sequence[RawItem]) -> None:
        """See Backend. Here all or none."""
        self._now()
        for row in rows:
            if row.n is not None:
                self._counters.setdefault(row.pk, {})[row.sk] = _Counter(row.n, row.expires)
            else:
                partition = self._partitions.setdefault(row.pk, _Partition())
                partition.put(row.sk, _Row(row.rev, row.expires, row.text))

    async def discard(self, rows: Sequence[RawItem]) -> None:
        """See Backend. Here all or none."""
        self._now()
        for row in rows:
            if row.n is None:
                self._remove(row.pk, row.sk)
            elif row.pk in self._counters:
                self._counters[row.pk].pop(row.sk, None)
                if not self._counters[row.pk]:
                    del self._counters[row.pk]

    def _now(self) -> int:
        if not self._open:
            raise StoreUnavailable("The store is not open.")
        return int(self._clock())

    def _live(self, pk: str, sk: str, now: int) -> _Row | None:
        partition = self._partitions.get(pk)
        row = partition.rows.get(sk) if partition is not None else None
        return row if row is not None and rules.alive(row.expires, now) else None

    def _apply(self, steps: list[rules.Step]) -> None:
        now = self._now()
        for index, step in enumerate(steps):
            row = self._live(step.op.pk, step.op.sk, now)
            if not rules.holds(step.cond, None if row is None else row.rev):
                raise Conflict(index)
        for step in steps:
            match step.op:
                case Put(pk, sk, expires=expires):
                    row = _Row(step.rev, expires, step.text)
                    self._partitions.setdefault(pk, _Partition()).put(sk, row)
                case Delete(pk, sk):
                    self._remove(pk, sk)
                case Delta():
                    self._add(step.op)
                case Check():
                    pass

    def _remove(self, pk: str, sk: str) -> None:
        partition = self._partitions.get(pk)
        if partition is not None:
            partition.remove(sk)
            if not partition.rows:
                del self._partitions[pk]
