"""One counter: the number that limits is the number that is billed and graphed."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from artcafe.server.domain.ids import AgentId, ChannelId, TenantId
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.records import SightingRecords, UsageRecords
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.times import rfc3339, utc_day

MESSAGES = "messages"
BYTES = "bytes"
API_CALLS = "api_calls"
SUBJECT = "subject:"
AGENT = "agent:"
SENT = "sent:"
RECEIVED = "received:"
CHANNEL = "channel:"

EVER = "ever"
"""Where counts stand that are of no single day: messages sent and received by agents, and in channels."""

MAX_SUBJECTS = 10_000
"""Subjects counted by name between two flushes; what comes on top is counted as `subject:*`. A flush
that fails gives its names back, so that twice as many may wait for the next one, and no more."""

DAY_SECONDS = 86_400

MAX_DAYS = 400
"""The longest span of days one report covers."""


class _Tally:
    """Messages of one sender on one subject."""

    __slots__ = ("bytes", "last", "messages")

    def __init__(self) -> None:
        self.messages = self.bytes = 0
        self.last = 0.0


class Meter:
    """Counts in memory, flushed by whoever owns it as increments that never conflict.

    What is counted between two flushes is lost when the process is killed, and nothing else: a
    flush that fails keeps its counts for the next one.
    """

    def __init__(self, records: UsageRecords, sightings: SightingRecords, clock: Clock) -> None:
        self._records = records
        self._sightings = sightings
        self._clock = clock
        self._pending: Counter[tuple[TenantId, str, str]] = Counter()
        self._flushing: Counter[tuple[TenantId, str, str]] = Counter()
        self._subjects = 0
        # Messages that are not in `_pending` yet, all of one day: most are like the one before.
        self._tallies: dict[tuple[TenantId, str, str, tuple[ChannelId, ...]], _Tally] = {}
        self._day_begins = self._day_ends = 0.0
        # When channels had their last message, as far as that is not written yet: Unix seconds.
        self._spoken: defaultdict[TenantId, dict[ChannelId, float]] = defaultdict(dict)

    def message(
        self, tenant: TenantId, sender: str, subject: str, channels: Sequence[ChannelId], size: int
    ) -> None:
        """Count one published message of `size` payload bytes, in the channels its subject belongs to."""
        now = self._clock.now()
        if not self._day_begins <= now < self._day_ends:
            self._add_up()
            self._day_begins = now // DAY_SECONDS * DAY_SECONDS
            self._day_ends = self._day_begins + DAY_SECONDS
        key = (tenant, sender, subject, tuple(channels))
        tally = self._tallies.get(key)
        if tally is None:
            if len(self._tallies) >= MAX_SUBJECTS:
                self._add_up()
            tally = self._tallies[key] = _Tally()
        tally.messages += 1
        tally.bytes += size
        tally.last = now

    def _add_up(self) -> None:
        """Put the tallies into `_pending`; whoever reads that does this first."""
        tallies, self._tallies = self._tallies, {}
        pending, day = self._pending, utc_day(self._day_begins)
        for (tenant, sender, subject, channels), tally in tallies.items():
            pending[tenant, day, MESSAGES] += tally.messages
            pending[tenant, day, BYTES] += tally.bytes
            key = (tenant, day, SUBJECT + subject)
            if key not in pending:
                if self._subjects >= MAX_SUBJECTS:
                    key = (tenant, day, SUBJECT + "*")
                self._subjects += 1
            pending[key] += tally.messages
            pending[tenant, EVER, SENT + sender] += tally.messages
            for channel in channels:
                pending[tenant, EVER, CHANNEL + channel] += tally.messages
                spoken = self._spoken[tenant]
                spoken[channel] = max(spoken.get(channel, 0.0), tally.last)

    def received(self, tenant: TenantId, agent: AgentId, amount: int) -> None:
        """Count messages that were delivered to an agent."""
        self._pending[tenant, EVER, RECEIVED + agent] += amount

    def count(self, tenant: TenantId, metric: str, amount: int = 1) -> None:
        """Count anything else."""
        self._pending[tenant, utc_day(self._clock.now()), metric] += amount

    def forget(self, tenant: TenantId) -> None:
        """Drop what is not written yet of a tenant that was deleted."""
        self._add_up()
        for counts in (self._pending, self._flushing):
            for key in [key for key in counts if key[0] == tenant]:
                del counts[key]
        self._spoken.pop(tenant, None)

    async def flush(self) -> None:
        """Write what was counted. Raises unavailable; nothing is forgotten then.

        A write whose outcome is unknown is written again: usage may be over-counted by one flush
        after a failure of the store, never under-counted.
        """
        self._add_up()
        await self._flush_spoken()
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

    async def _flush_spoken(self) -> None:
        for tenant in tuple(self._spoken):
            spoken = self._spoken.pop(tenant)
            try:
                await self._sightings.spoken(tenant, {name: rfc3339(at) for name, at in spoken.items()})
            except BaseException:
                self._spoken[tenant] = {**spoken, **self._spoken.get(tenant, {})}
                raise

    async def ever(self, tenant: TenantId, kind: str) -> dict[str, int]:
        """What was counted ever of one kind (SENT, RECEIVED, CHANNEL), by name."""
        counts = Counter(await self._records.metrics(tenant, EVER, kind))
        self._add_up()
        for waiting in (self._pending, self._flushing):
            for (whose, day, metric), amount in waiting.items():
                if whose == tenant and day == EVER and metric.startswith(kind):
                    counts[metric] += amount
        return {metric.removeprefix(kind): amount for metric, amount in counts.items()}

    async def start_over(self, tenant: TenantId, *metrics: str) -> None:
        """Count from nothing what belongs to no single day: what it is of is gone, and may come again."""
        for metric in metrics:
            stored = await self._records.metrics(tenant, EVER, metric)
            self._add_up()
            waiting = self._pending[tenant, EVER, metric] + self._flushing[tenant, EVER, metric]
            self._pending[tenant, EVER, metric] -= stored.get(metric, 0) + waiting

    async def last_spoken(self, tenant: TenantId, channels: Sequence[ChannelId]) -> Mapping[ChannelId, str]:
        """When these channels had their last message; a channel that had none is missing."""
        told = dict(await self._sightings.last_spoken(tenant, channels))
        self._add_up()
        here = self._spoken.get(tenant, {})
        for channel in channels:
            if channel in here:
                told[channel] = max(told.get(channel, ""), rfc3339(here[channel]))
        return told

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
        self._add_up()
        for counts in (self._pending, self._flushing):
            for (whose, day, metric), amount in counts.items():
                if whose == tenant and day in report:
                    report[day][metric] = report[day].get(metric, 0) + amount
        return report
