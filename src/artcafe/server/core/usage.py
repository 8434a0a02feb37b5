"""The meter: counts messages, bytes, calls, and active agents and channels.

Usage reports show these numbers, and the monthly quota is what they leave of a plan's messages (core.quotas).
Rates are limited as they occur, by token buckets (domain.rate).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from artcafe.server.domain.ids import ChannelId, TenantId
from artcafe.server.domain.tally import DAY_SECONDS, Tallies, Tally
from artcafe.server.domain.usage import CHANNEL, EVER, MAX_DAYS, RECEIVED, SENT
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.records import SightingRecords, UsageRecords
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.times import rfc3339, utc_day

MESSAGES = "messages"
BYTES = "bytes"
API_CALLS = "api_calls"
ACTIVE_AGENTS = "active_agents"
ACTIVE_CHANNELS = "active_channels"
"""Agents that logged in on a day, and channels that had a message: each counts once."""

LOGINS = "agent:"
"""How often each agent logged in on a day: what older releases counted, and is still told of those days."""

WRITTEN_AT_ONCE = 500
"""Counters in one write of a flush; what was written stays written when a later one fails."""

MAX_SEEN = 100_000
"""Agents and channels of which a process remembers that it counted them as active."""

ENDING_SECONDS = 2 * DAY_SECONDS
"""So long the counters of something that was deleted wait for processes that flush late."""


@dataclass(slots=True)
class MessageTotals:
    """Messages that were published, with their payload bytes, and messages that were delivered to agents."""

    messages: int = 0
    bytes: int = 0
    delivered: int = 0

    def add(self, messages: int, size: int) -> None:
        """Add messages that were published."""
        self.messages += messages
        self.bytes += size


class Meter:
    """Counts in memory; its owner flushes it, as increments that never conflict.

    A tenant has a handful of counters a day, and one for each agent and channel that there is. Agents and
    channels are named by what `counted_as` says of them, which nobody has after them. What is counted between
    two flushes is lost when the process is killed, and nothing else: a
    flush that fails, or is cancelled, keeps what it had not written for the next one.
    """

    def __init__(self, records: UsageRecords, sightings: SightingRecords, clock: Clock) -> None:
        self._records = records
        self._sightings = sightings
        self.clock = clock
        self._pending: Counter[tuple[TenantId, str, str]] = Counter()
        self._flushing: Counter[tuple[TenantId, str, str]] = Counter()
        # Who was active on the day of the key, and is not written yet; whom this process told of lately.
        self._active: dict[tuple[TenantId, str, str], set[str]] = {}
        self._seen: set[tuple[TenantId, str, str, str]] = set()
        # Counters of what was deleted, which are to end.
        self._ended: set[tuple[TenantId, str, str]] = set()
        # Messages that are not in `_pending` yet.
        self._tallies = Tallies(self._add_up)
        # When channels had their last message, as far as that is not written yet: Unix seconds.
        self._spoken: defaultdict[TenantId, dict[ChannelId, float]] = defaultdict(dict)
        self._counted = MessageTotals()

    def tally(self, tenant: TenantId, agent: str, channels: Sequence[str]) -> Tally:
        """What counts messages of one agent, or of humans (empty), in the channels of their subject."""
        return Tally(self._tallies, tenant, agent, channels)

    def _add_up(self) -> None:
        """Add the tallies to `_pending`; call it before reading that."""
        pending, day = self._pending, utc_day(self._tallies.day_ends - DAY_SECONDS)
        for tally in self._tallies.take():
            tenant, agent = tally.tenant, tally.agent
            self._counted.add(tally.messages, tally.bytes)
            pending[tenant, day, MESSAGES] += tally.messages
            pending[tenant, day, BYTES] += tally.bytes
            if agent:
                pending[tenant, EVER, SENT + agent] += tally.messages
            for channel in tally.channels:
                pending[tenant, EVER, CHANNEL + channel] += tally.messages
                self._note(tenant, day, ACTIVE_CHANNELS, channel)
                spoken, name = self._spoken[tenant], ChannelId(channel.partition("#")[0])
                spoken[name] = max(spoken.get(name, 0.0), tally.last)
            tally.messages = tally.bytes = 0

    def _note(self, tenant: TenantId, day: str, metric: str, name: str) -> None:
        if (tenant, day, metric, name) in self._seen:
            return
        if len(self._seen) >= MAX_SEEN:
            self._seen.clear()  # Who is told of again counts once all the same.
        self._seen.add((tenant, day, metric, name))
        self._active.setdefault((tenant, day, metric), set()).add(name)

    def counted(self) -> MessageTotals:
        """What this process counted since it started, of all tenants. What was delivered is in it once its
        owner told of it by `received`."""
        self._add_up()
        return replace(self._counted)

    def active(self, tenant: TenantId, agent: str) -> None:
        """Count an agent among those that were active today."""
        self._note(tenant, utc_day(self.clock.now()), ACTIVE_AGENTS, agent)

    def received(self, tenant: TenantId, agent: str, amount: int) -> None:
        """Count messages that were delivered to an agent."""
        self._counted.delivered += amount
        self._pending[tenant, EVER, RECEIVED + agent] += amount

    def count(self, tenant: TenantId, metric: str, amount: int = 1) -> None:
        """Count anything else."""
        self._pending[tenant, utc_day(self.clock.now()), metric] += amount

    def end(self, tenant: TenantId, metrics: Iterable[str]) -> None:
        """Let counters of something that was deleted end: they go ENDING_SECONDS after the next flush, with
        whatever other processes still add to them."""
        self._ended.update((tenant, EVER, metric) for metric in metrics)

    def forget(self, tenant: TenantId) -> None:
        """Drop what is not written yet of a tenant that was deleted."""
        self._add_up()
        for counts in (self._pending, self._flushing):
            for key in [key for key in counts if key[0] == tenant]:
                del counts[key]
        self._active = {key: names for key, names in self._active.items() if key[0] != tenant}
        self._seen = {key for key in self._seen if key[0] != tenant}
        self._ended = {key for key in self._ended if key[0] != tenant}
        self._spoken.pop(tenant, None)

    async def flush(self, *, ever: bool = True) -> None:
        """Write what was counted; with `ever` False only what is of a day. Raises unavailable; nothing is
        forgotten then.

        A write whose outcome is unknown is written again: of counters usage may be over-counted by
        WRITTEN_AT_ONCE of them after a failure of the store, never under-counted.
        """
        self._add_up()
        await self._flush_spoken()
        await self._flush_active()
        if self._flushing:
            return
        self._flushing, self._pending = self._pending, Counter()
        if not ever:
            for key in [key for key in self._flushing if key[1] == EVER]:
                self._pending[key] = self._flushing.pop(key)
        try:
            waiting = list(self._flushing)
            for start in range(0, len(waiting), WRITTEN_AT_ONCE):
                some = waiting[start : start + WRITTEN_AT_ONCE]
                await self._records.add({key: self._flushing[key] for key in some if key in self._flushing})
                for key in some:
                    self._flushing.pop(key, None)
        finally:
            self._pending.update(self._flushing)
            self._flushing = Counter()
        if ever:
            await self._flush_ended()

    async def _flush_active(self) -> None:
        active = {key: frozenset(names) for key, names in self._active.items()}
        if active:
            await self._records.active(active)
        for key, names in active.items():
            left = self._active.get(key, set())
            left -= names
            if not left:
                self._active.pop(key, None)

    async def _flush_ended(self) -> None:
        ended = frozenset(self._ended)
        if ended:
            await self._records.end(ended, int(self.clock.now()) + ENDING_SECONDS)
            self._ended -= ended

    async def _flush_spoken(self) -> None:
        for tenant in tuple(self._spoken):
            spoken = self._spoken.pop(tenant)
            try:
                await self._sightings.spoken(tenant, {name: rfc3339(at) for name, at in spoken.items()})
            except BaseException:
                self._spoken[tenant] = {**spoken, **self._spoken.get(tenant, {})}
                raise

    async def ever(self, tenant: TenantId, kind: str, only: str = "") -> dict[str, int]:
        """The lifetime counters of one kind (SENT, RECEIVED, CHANNEL), by counted name; with `only`, of names
        that begin so."""
        counts = Counter(await self._records.metrics(tenant, EVER, kind + only))
        self._add_up()
        for waiting in (self._pending, self._flushing):
            for (whose, day, metric), amount in waiting.items():
                if whose == tenant and day == EVER and metric.startswith(kind + only):
                    counts[metric] += amount
        return {metric.removeprefix(kind): amount for metric, amount in counts.items()}

    async def last_spoken(self, tenant: TenantId, channels: Sequence[ChannelId]) -> Mapping[ChannelId, str]:
        """The time of the last message of each of these channels; a channel without one is missing."""
        told = dict(await self._sightings.last_spoken(tenant, channels))
        self._add_up()
        here = self._spoken.get(tenant, {})
        for channel in channels:
            if channel in here:
                told[channel] = max(told.get(channel, ""), rfc3339(here[channel]))
        return told

    async def messages(self, tenant: TenantId, first: date, last: date) -> int:
        """How many messages were counted from first to last; as `days`."""
        days = await self.days(tenant, first, last)
        return sum(counts.get(MESSAGES, 0) for counts in days.values())

    async def days(self, tenant: TenantId, first: date, last: date) -> dict[str, dict[str, int]]:
        """Every day from first to last with its counts, what is not flushed yet included. Who was active on
        two processes since their last flush may be counted twice until the next.

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
        for (whose, day, metric), names in self._active.items():
            if whose == tenant and day in report:
                report[day][metric] = report[day].get(metric, 0) + len(names)
        return report
