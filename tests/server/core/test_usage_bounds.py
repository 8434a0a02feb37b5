"""The meter: however many subjects, agents and channels there are, few counters, each told of once."""

from datetime import date

from artcafe.server.core.usage import (
    ACTIVE_AGENTS,
    ACTIVE_CHANNELS,
    BYTES,
    ENDING_SECONDS,
    MAX_SEEN,
    MESSAGES,
    WRITTEN_AT_ONCE,
    Meter,
)
from artcafe.server.domain.tally import DAY_SECONDS, MAX_TALLIES
from artcafe.server.domain.usage import CHANNEL, EVER, RECEIVED, SENT
from artcafe.server.store.presence import PresenceTable
from artcafe.wire.codes import Code
from tests.kit.installation import ACME, OTHER
from tests.kit.issuers import StoppedClock
from tests.kit.outcomes import refused
from tests.kit.usage import KeptRecords, count_message

TODAY = date(2025, 11, 24)


class TestBounds:
    async def test_subjects_and_humans_make_no_counters(
        self, clock: StoppedClock, sightings: PresenceTable
    ) -> None:
        kept = KeptRecords()
        meter = Meter(kept, sightings, clock)
        for number in range(3 * MAX_TALLIES):
            count_message(meter, ACME, "" if number % 2 else "a1", ["all"], 1)
            assert len(meter._tallies) <= MAX_TALLIES

        await meter.flush()

        assert kept.counts == {
            (ACME, "2025-11-24", MESSAGES): 3 * MAX_TALLIES,
            (ACME, "2025-11-24", BYTES): 3 * MAX_TALLIES,
            (ACME, EVER, SENT + "a1"): 3 * MAX_TALLIES / 2,
            (ACME, EVER, CHANNEL + "all"): 3 * MAX_TALLIES,
        }
        assert kept.told == [{(ACME, "2025-11-24", ACTIVE_CHANNELS): {"all"}}]

    async def test_many_agents_are_counted_each(self, clock: StoppedClock, sightings: PresenceTable) -> None:
        kept = KeptRecords()
        meter = Meter(kept, sightings, clock)
        for number in range(MAX_TALLIES + 10):
            count_message(meter, ACME, f"a{number}", (), 2)

        await meter.flush()

        assert kept.counts[ACME, "2025-11-24", MESSAGES] == MAX_TALLIES + 10
        assert sum(metric.startswith(SENT) for _, _, metric in kept.counts) == MAX_TALLIES + 10

    async def test_a_big_flush_is_written_in_parts_and_keeps_what_was_not_written(
        self, clock: StoppedClock, sightings: PresenceTable
    ) -> None:
        kept = KeptRecords()
        meter = Meter(kept, sightings, clock)
        for number in range(3 * WRITTEN_AT_ONCE):
            meter.received(ACME, f"a{number:04}", 1)
        kept.failures_after = 2
        with refused(Code.unavailable):
            await meter.flush()
        assert (kept.writes, len(kept.counts)) == (2, 2 * WRITTEN_AT_ONCE)
        assert sum((await meter.ever(ACME, RECEIVED)).values()) == WRITTEN_AT_ONCE, "the rest waits here"
        meter.received(ACME, "a0000", 1)
        kept.failures_after = None

        await meter.flush()

        assert len(kept.counts) == 3 * WRITTEN_AT_ONCE
        assert kept.counts.pop((ACME, EVER, RECEIVED + "a0000")) == 2
        assert set(kept.counts.values()) == {1}
        assert kept.largest == WRITTEN_AT_ONCE

    async def test_what_is_of_no_day_can_wait_for_another_flush(
        self, clock: StoppedClock, sightings: PresenceTable
    ) -> None:
        kept = KeptRecords()
        meter = Meter(kept, sightings, clock)
        for _ in range(3):
            count_message(meter, ACME, "a1", ["tasks"], 1)
            await meter.flush(ever=False)
        assert kept.counts == {(ACME, "2025-11-24", MESSAGES): 3, (ACME, "2025-11-24", BYTES): 3}
        assert await meter.ever(ACME, SENT) == {"a1": 3}

        await meter.flush()

        assert kept.counts[ACME, EVER, SENT + "a1"] == kept.counts[ACME, EVER, CHANNEL + "tasks"] == 3


class TestActive:
    async def test_each_is_told_of_once_a_day(self, clock: StoppedClock, sightings: PresenceTable) -> None:
        kept = KeptRecords()
        meter = Meter(kept, sightings, clock)
        for agent in ("a1", "a2", "a1"):
            meter.active(ACME, agent)
            count_message(meter, ACME, agent, ["tasks", "jobs"], 1)
        meter.active(OTHER, "a1")
        await meter.flush()
        meter.active(ACME, "a1")
        await meter.flush()
        clock.advance(DAY_SECONDS)
        meter.active(ACME, "a1")
        await meter.flush()

        assert kept.told == [
            {
                (ACME, "2025-11-24", ACTIVE_AGENTS): {"a1", "a2"},
                (OTHER, "2025-11-24", ACTIVE_AGENTS): {"a1"},
                (ACME, "2025-11-24", ACTIVE_CHANNELS): {"tasks", "jobs"},
            },
            {(ACME, "2025-11-25", ACTIVE_AGENTS): {"a1"}},
        ]

    async def test_what_was_not_written_is_told_of_again(
        self, clock: StoppedClock, sightings: PresenceTable
    ) -> None:
        kept = KeptRecords(failures=1)
        meter = Meter(kept, sightings, clock)
        meter.active(ACME, "a1")
        with refused(Code.unavailable):
            await meter.flush()
        assert await meter.days(ACME, TODAY, TODAY) == {"2025-11-24": {ACTIVE_AGENTS: 1}}

        await meter.flush()
        await meter.flush()

        assert kept.told == [{(ACME, "2025-11-24", ACTIVE_AGENTS): {"a1"}}]
        assert await meter.days(ACME, TODAY, TODAY) == {"2025-11-24": {}}, "these records keep nothing"

    async def test_who_is_remembered_is_bounded(self, clock: StoppedClock, sightings: PresenceTable) -> None:
        kept = KeptRecords()
        meter = Meter(kept, sightings, clock)
        for number in range(MAX_SEEN + 1):
            meter.active(ACME, f"a{number}")
        await meter.flush()
        meter.active(ACME, "a0")
        await meter.flush()

        assert len(meter._seen) == 2
        assert len(kept.told[0][ACME, "2025-11-24", ACTIVE_AGENTS]) == MAX_SEEN + 1
        assert kept.told[1:] == [{(ACME, "2025-11-24", ACTIVE_AGENTS): {"a0"}}]

    async def test_a_deleted_tenants_are_forgotten(
        self, clock: StoppedClock, sightings: PresenceTable
    ) -> None:
        kept = KeptRecords()
        meter = Meter(kept, sightings, clock)
        meter.active(ACME, "a1")
        meter.end(ACME, [SENT + "a1"])
        meter.forget(ACME)
        await meter.flush()
        assert (kept.told, kept.ended) == ([], {})

        meter.active(ACME, "a1")
        await meter.flush()
        assert len(kept.told) == 1

    async def test_of_what_was_deleted_counters_end_once_it_is_told(
        self, clock: StoppedClock, sightings: PresenceTable
    ) -> None:
        kept = KeptRecords(failures=1)
        meter = Meter(kept, sightings, clock)
        meter.end(ACME, [SENT + "a1", RECEIVED + "a1"])
        with refused(Code.unavailable):
            await meter.flush()
        await meter.flush()
        later = int(clock.now()) + ENDING_SECONDS
        assert kept.ended == {(ACME, EVER, SENT + "a1"): later, (ACME, EVER, RECEIVED + "a1"): later}
        kept.ended.clear()
        await meter.flush()
        assert kept.ended == {}
