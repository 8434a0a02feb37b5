"""One counter: the number that limits is the number that is billed and graphed."""

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta

from artcafe.server.domain.ids import TenantId
from artcafe.server.ports import Clock, UsageRecords
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.times import utc_day

MESSAGES = "messages"
BYTES = "bytes"
API_CALLS = "api_calls"
SUBJECT = "subject:"
AGENT = "agent:"

MAX_SUBJECTS = 10_000
"""Subjects counted by name between two flushes; what comes on top is counted as `subject:*`. A flush
that fails gives its names back, so that twice as many may wait for the next one, and no more."""

MAX_DAYS = 400
"""The longest span of days one report covers."""


class Meter:
    """Counts in memory, flushed by whoever owns it as increments that never conflict.

    What is counted between two flushes is lost when the process is killed, and nothing else: a
    flush that fails keeps its counts for the next one.
    """

    def __init__(self, records: UsageRecords, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._pending: Counter[tuple[TenantId, str, str]] = Counter()
        self._flushing: Counter[tuple[TenantId, str, str]] = Counter()
        self._subjects = 0

    def message(self, tenant: TenantId, subject: str, size: int) -> None:
        """Count one published message of `size` payload bytes."""
        day = utc_day(self._clock.now())
        pending = self._pending
        pending[tenant, day, MESSAGES] += 1
        pending[tenant, day, BYTES] += size
        key = (tenant, day, SUBJECT + subject)
        if key not in pending:
            if self._subjects >= MAX_SUBJECTS:
                key = (tenant, day, SUBJECT + "*")
            self._subjects += 1
        pending[key] += 1

    def count(self, tenant: TenantId, metric: str, amount: int = 1) -> None:
        """Count anything else."""
        self._pending[tenant, utc_day(self._clock.now()), metric] += amount

    def forget(self, tenant: TenantId) -> None:
        """Drop what is not written yet of a tenant that was deleted."""
        for counts in (self._pending, self._flushing):
            for key in [key for key in counts if key[0] == tenant]:
                del counts[key]

    async def flush(self) -> None:
        """Write what was counted. Raises unavailable; nothing is forgotten then.

        A write whose outcome is unknown is written again: usage may be over-counted by one flush
        after a failure of the store, never under-counted.
        """
        if self._flushing or not self._pending:
            return
        self._flushing, self._pending = self._pending, Counter()
        self._subjects = 0
        try:
            await self._records.add(self._flushing)
        except BaseException:
            self._pending.update(self._flushing)
            self._subjects = sum(metric.startswith(SUBJECT) for _, _, metric in self._pending)
            raise
        finally:
            self._flushing = Counter()

    async def days(self, tenant: TenantId, first: date, last: date) -> dict[str, dict[str, int]]:
        """Every day from first to last with its counts, what is not flushed yet included.

        Raises validation_failed for a span that is negative or longer than MAX_DAYS.
        """
        if not 0 <= (last - first).days < MAX_DAYS:
            raise ArtcafeError(
                Code.validation_failed,
                f"start_date comes before end_date, {MAX_DAYS} days apart at most.",
            )
        stored: Mapping[str, Mapping[str, int]] = await self._records.days(tenant, f"{first}", f"{last}")
        report: dict[str, dict[str, int]] = {}
        for offset in range((last - first).days + 1):
            day = f"{first + timedelta(days=offset)}"
            report[day] = dict(stored.get(day, {}))
        for counts in (self._pending, self._flushing):
            for (whose, day, metric), amount in counts.items():
                if whose == tenant and day in report:
                    report[day][metric] = report[day].get(metric, 0) + amount
        return report
