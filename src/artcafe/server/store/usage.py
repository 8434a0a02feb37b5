"""Counters of usage in the store."""

from collections.abc import Mapping
from datetime import date, timedelta

from artcafe.server.domain.ids import TenantId
from artcafe.server.store import addresses as at
from artcafe.server.store.item import Delta
from artcafe.server.store.partitions import NOWHERE
from artcafe.server.store.table import Table, translated


class UsageTable:
    """ports.UsageRecords."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def add(self, counts: Mapping[tuple[TenantId, str, str], int]) -> None:
        """Add `{(tenant, day, metric): n}`; nothing of a tenant that does not exist."""
        partitions = {tenant: await self._table.partition(tenant) for tenant, _, _ in counts}
        deltas = [
            Delta(at.usage(partitions[tenant]), f"{day}#{metric}", amount)
            for (tenant, day, metric), amount in counts.items()
            if partitions[tenant] != NOWHERE
        ]
        with translated():
            await self._table.store.incr(deltas)

    async def days(self, tenant: TenantId, first: str, last: str) -> Mapping[str, Mapping[str, int]]:
        """Metrics of each day from first to last, both included."""
        partition = await self._table.partition(tenant)
        found: dict[str, dict[str, int]] = {}
        for day in _days(date.fromisoformat(first), date.fromisoformat(last)):
            with translated():
                counters = await self._table.store.counters(at.usage(partition), f"{day}#")
            if counters:
                found[day] = {name.removeprefix(f"{day}#"): amount for name, amount in counters.items()}
        return found

    async def metrics(self, tenant: TenantId, day: str, prefix: str) -> Mapping[str, int]:
        """The metrics of one day, or of another word, whose names begin with the prefix."""
        partition = await self._table.partition(tenant)
        with translated():
            counters = await self._table.store.counters(at.usage(partition), f"{day}#{prefix}")
        return {name.removeprefix(f"{day}#"): amount for name, amount in counters.items()}


def _days(first: date, last: date) -> list[str]:
    return [f"{first + timedelta(days=offset)}" for offset in range((last - first).days + 1)]
