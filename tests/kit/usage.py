"""Records of usage that fail or wait when told, and what a meter counted, by the ids that clients know."""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from artcafe.server.core.usage import Meter
from artcafe.server.domain.ids import TenantId
from artcafe.server.ports.records import UsageRecords
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

Key = tuple[TenantId, str, str]
Counts = dict[Key, int]


class SlowRecords:
    """ports.UsageRecords that write when told, and not before."""

    def __init__(self, records: UsageRecords) -> None:
        self._records = records
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def add(self, counts: Mapping[tuple[TenantId, str, str], int]) -> None:
        """Wait, then write what there was at the time of the call."""
        taken = dict(counts)
        self.asked.set()
        await self.go_on.wait()
        await self._records.add(taken)

    async def active(self, names: Mapping[Key, Collection[str]]) -> None:
        """At once."""
        await self._records.active(names)

    async def end(self, metrics: Collection[Key], expires: int) -> None:
        """At once."""
        await self._records.end(metrics, expires)

    async def days(self, tenant: TenantId, first: str, last: str) -> Mapping[str, Mapping[str, int]]:
        """As there are."""
        return await self._records.days(tenant, first, last)

    async def metrics(self, tenant: TenantId, day: str, prefix: str) -> Mapping[str, int]:
        """As there are."""
        return await self._records.metrics(tenant, day, prefix)


class KeptRecords:
    """ports.UsageRecords in a dictionary; they fail as often as told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.failures_after: int | None = None
        self.writes = self.largest = 0
        self.counts: Counts = {}
        self.told: list[dict[Key, set[str]]] = []
        self.ended: dict[Key, int] = {}

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise ArtcafeError(Code.unavailable)

    async def add(self, counts: Mapping[tuple[TenantId, str, str], int]) -> None:
        """Add, or fail."""
        self._fail()
        if self.failures_after is not None and self.writes >= self.failures_after:
            raise ArtcafeError(Code.unavailable)
        self.writes += 1
        self.largest = max(self.largest, len(counts))
        for key, amount in counts.items():
            self.counts[key] = self.counts.get(key, 0) + amount

    async def active(self, names: Mapping[Key, Collection[str]]) -> None:
        """Remember, or fail."""
        self._fail()
        self.told.append({key: set(told) for key, told in names.items()})

    async def end(self, metrics: Collection[Key], expires: int) -> None:
        """Remember, or fail."""
        self._fail()
        self.ended |= dict.fromkeys(metrics, expires)

    async def days(self, tenant: TenantId, first: str, last: str) -> Mapping[str, Mapping[str, int]]:
        """Nothing: these tests read `counts`."""
        return {}

    async def metrics(self, tenant: TenantId, day: str, prefix: str) -> Mapping[str, int]:
        """Nothing: these tests read `counts`."""
        return {}


def count_message(meter: Meter, tenant: TenantId, agent: str, channels: Sequence[str], size: int) -> None:
    """Count one message of so many bytes as a publisher does, now."""
    meter.tally(tenant, agent, channels).count(size, meter.clock.now())


async def counted_ever(meter: Meter, tenant: TenantId, kind: str) -> dict[str, int]:
    """What was counted ever of one kind, all incarnations of an id together."""
    counts: Counter[str] = Counter()
    for name, amount in (await meter.ever(tenant, kind)).items():
        counts[name.partition("#")[0]] += amount
    return dict(counts)
