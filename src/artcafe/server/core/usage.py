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

MAX_TALLIES = 10_000
"""Tallies that wait to be added up."""

MAX_SUBJECTS = 1_000
"""Subjects of one tenant that a process counts by name a day; the rest is counted as `subject:*`."""

DAY_SECONDS = 86_400

MAX_DAYS = 400
"""The longest span of days one report covers."""


class Tally:
    """Messages of one sender on one subject, all of one day, that the meter has not added up yet."""

    __slots__ = ("_meter", "bytes", "channels", "last", "messages", "sender", "subject", "tenant")

    def __init__(
        self, meter: "Meter", tenant: TenantId, sender: str, subject: str, channels: Sequence[ChannelId]
    ) -> None:
        self.tenant = tenant
        self.sender = sender
        self.subject = subject
        self.channels = channels
        self.messages = self.bytes = 0
        self.last = 0.0
        self._meter = meter

    def count(self, size: int, now: float) -> None:
        """Count one message of `size` payload bytes, at `now`, in Unix seconds."""
        if not self.messages or now >= self._meter.day_ends:
            self._meter.begin(self, now)
        self.messages += 1
        self.bytes += size
        self.last = now


class Meter:
    """Counts in memory, flushed by whoever owns it as increments that never conflict.

    What is counted between two flushes is lost when the process is killed, and nothing else: a
    flush that fails keeps its counts for the next one.
    """

    def __init__(self, records: UsageRecords, sightings: SightingRecords, clock: Clock) -> None:
        self._records = records
        self._sightings = sightings
        self.clock = clock
        self._pending: Counter[tuple[TenantId, str, str]] = Counter()
        self._flushing: Counter[tuple[TenantId, str, str]] = Counter()
        # The subjects that are counted by name today.
        self._named: defaultdict[TenantId, set[str]] = defaultdict(set)
        self._named_day = ""
        # Messages that are not in `_pending` yet, all of the day that ends then.
        self._tallies: list[Tally] = []
        self.day_ends = 0.0
        # When channels had their last message, as far as that is not written yet: Unix seconds.
        self._spoken: defaultdict[TenantId, dict[ChannelId, float]] = defaultdict(dict)

    def message(
        self, tenant: TenantId, sender: str, subject: str, channels: Sequence[ChannelId], size: int
    ) -> None:
        """Count one published message of `size` payload bytes, in the channels its subject belongs to."""
        self.tally(tenant, sender, subject, channels).count(size, self.clock.now())

    def tally(self, tenant: TenantId, sender: str, subject: str, channels: Sequence[ChannelId]) -> Tally:
        """`message` for many messages that are alike: to count each."""
        return Tally(self, tenant, sender, subject, channels)

    def begin(self, tally: Tally, now: float) -> None:
        """Add up a tally later that counts from now on; at the latest when the day is over."""
        if now >= self.day_ends or now < self.day_ends - DAY_SECONDS or len(self._tallies) >= MAX_TALLIES:
            self._add_up()
            self.day_ends = (now // DAY_SECONDS + 1) * DAY_SECONDS
        self._tallies.append(tally)

    def _add_up(self) -> None:
        """Put the tallies into `_pending`; whoever reads that does this first."""
        tallies, self._tallies = self._tallies, []
        pending, day = self._pending, utc_day(self.day_ends - DAY_SECONDS)
        if day != self._named_day:
            self._named.clear()
            self._named_day = day
        for tally in tallies:
            tenant, sender, subject, channels = tally.tenant, tally.sender, tally.subject, tally.channels
            pending[tenant, day, MESSAGES] += tally.messages
            pending[tenant, day, BYTES] += tally.bytes
            named = self._named[tenant]
            if subject not in named:
                if len(named) < MAX_SUBJECTS:
                    named.add(subject)
                else:
                    subject = "*"
            pending[tenant, day, SUBJECT + subject] += tally.messages
            pending[tenant, EVER, SENT + sender] += tally.messages
            for channel in channels:
                pending[tenant, EVER, CHANNEL + channel] += tally.messages
                spoken = self._spoken[tenant]
                spoken[channel] = max(spoken.get(channel, 0.0), tally.last)
            tally.messages = tally.bytes = 0

    def received(self, tenant: TenantId, agent: AgentId, amount: int) -> None:
        """Count messages that were delivered to an agent."""
        self._pending[tenant, EVER, RECEIVED + agent] += amount

    def count(self, tenant: TenantId, metric: str, amount: int = 1) -> None:
        """Count anything else."""
        self._pending[tenant, utc_day(self.clock.now()), metric] += amount

    def forget(self, tenant: TenantId) -> None:
        """Drop what is not written yet of a tenant that was deleted."""
        self._add_up()
        for counts in (self._pending, self._flushing):
            for key in [key for key in counts if key[0] == tenant]:
                del counts[key]
        self._spoken.pop(tenant, None)
        self._named.pop(tenant, None)

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
        try:
            await self._records.add(self._flushing)
        except BaseException:
            self._pending.update(self._flushing)
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
