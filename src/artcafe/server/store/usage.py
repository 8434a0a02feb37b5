"""Counters of usage in the store, and the agents and channels active on a day.

A day has a handful of counters for each tenant, so that a report of many days is one short list. Who was
active leaves an item that says so, made in the transaction that counts; it goes when nobody tells of that day
any more.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.usage import ends
from artcafe.server.store import addresses as at
from artcafe.server.store.item import ABSENT, MAX_OPS, Delta, Op, Put
from artcafe.server.store.partitions import NOWHERE
from artcafe.server.store.table import Table, translated
from artcafe.server.store.together import together

TOGETHER: Final = 16
"""Calls of the store under way at once."""

_BEFORE_SUBJECTS: Final = "messages"
"""The last of a day's counters before those that are named by SUBJECT."""

TOLD_DAYS: Final = 2
"""So long after a day a flush may still tell who was active on it, and no name counts twice."""


class UsageTable:
    """ports.UsageRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._cleaned = False

    async def add(self, counts: Mapping[tuple[TenantId, str, str], int]) -> None:
        """Add `{(tenant, day, metric): n}`; nothing of a tenant that does not exist."""
        until = {day: ends(day) for day in {day for _, day, _ in counts}}
        places = await self._places({tenant for tenant, _, _ in counts})
        deltas = [
            Delta(places[tenant], f"{day}#{metric}", amount, until[day])
            for (tenant, day, metric), amount in counts.items()
            if tenant in places
        ]
        with translated():
            await self._table.store.incr(deltas)

    async def _places(self, tenants: Collection[TenantId]) -> dict[TenantId, str]:
        """The partitions of the counters of those tenants that exist."""
        partitions = {tenant: await self._table.partition(tenant) for tenant in tenants}
        return {tenant: at.usage(place) for tenant, place in partitions.items() if place != NOWHERE}

    async def active(self, names: Mapping[tuple[TenantId, str, str], Collection[str]]) -> None:
        """Count in each (tenant, day, metric) the names that nobody, in any process, told of it before."""
        places = await self._places({tenant for tenant, _, _ in names})
        waiting = [
            (places[tenant], f"{day}#{metric}", day, some[start : start + MAX_OPS - 1])
            for (tenant, day, metric), told in names.items()
            if tenant in places
            for some in [sorted(told)]
            for start in range(0, len(some), MAX_OPS - 1)
        ]
        await together(self._count_new, waiting, TOGETHER)

    async def _count_new(self, told: tuple[str, str, str, Sequence[str]]) -> None:
        pk, counter, day, names = told
        keys = [(pk, f"{counter}#{name}") for name in names]

        async def attempt() -> tuple[None, Sequence[Op]]:
            with translated():
                known = await self._table.store.get_many(keys)
            new = [key for key, item in zip(keys, known, strict=True) if item is None]
            if not new:
                return None, []
            marks = [Put(*key, {}, ABSENT, ends(day, TOLD_DAYS)) for key in new]
            return None, [*marks, Delta(pk, counter, len(new), ends(day))]

        # Another process may tell of one of them in the same moment.
        await self._table.again(attempt, contested=MAX_OPS)

    async def end(self, metrics: Collection[tuple[TenantId, str, str]], expires: int) -> None:
        """Let counters go at that time, in Unix seconds, with what is added to them until then."""
        places = await self._places({tenant for tenant, _, _ in metrics})
        deltas = [
            Delta(places[tenant], f"{day}#{metric}", 0, expires)
            for tenant, day, metric in metrics
            if tenant in places
        ]
        with translated():
            await self._table.store.incr(deltas)

    async def days(self, tenant: TenantId, first: str, last: str) -> Mapping[str, Mapping[str, int]]:
        """Metrics of each day from first to last, both included."""
        partition = await self._table.partition(tenant)
        with translated():
            if str(partition) != str(tenant) or await self._is_clean():
                spans = [(f"{first}#", f"{last}#")]
            else:  # Behind `subject:` stands what older releases left, however much: none of it is read.
                spans = [(f"{day}#", f"{day}#{_BEFORE_SUBJECTS}") for day in _days(first, last)]
            found: dict[str, dict[str, int]] = {}

            async def read(span: tuple[str, str]) -> None:
                for name, amount in (await self._table.store.counters(at.usage(partition), *span)).items():
                    day, _, metric = name.partition("#")
                    found.setdefault(day, {})[metric] = amount

            await together(read, spans, TOGETHER)
        return found

    async def _is_clean(self) -> bool:
        """Whether nothing is left of what older releases counted by subject (usage_cleaning)."""
        if not self._cleaned:
            item = await self._table.store.get(*at.USAGE_CLEANED)
            self._cleaned = item is not None and item.data.get("done") is True
        return self._cleaned

    async def metrics(self, tenant: TenantId, day: str, prefix: str) -> Mapping[str, int]:
        """The metrics of one day, or of another word, whose names begin with the prefix."""
        partition = await self._table.partition(tenant)
        with translated():
            counters = await self._table.store.counters(at.usage(partition), f"{day}#{prefix}")
        return {name.removeprefix(f"{day}#"): amount for name, amount in counters.items()}


def _days(first: str, last: str) -> list[str]:
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [f"{start + timedelta(offset)}" for offset in range((end - start).days + 1)]
