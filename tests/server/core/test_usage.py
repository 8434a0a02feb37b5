"""The meter: exact whatever fails, bounded whoever counts."""

import asyncio
from datetime import date, timedelta

import pytest

from artcafe.server.core.usage import (
    API_CALLS,
    MESSAGES,
    MessageTotals,
    Meter,
)
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.principal import Human
from artcafe.server.domain.usage import MAX_DAYS, RECEIVED
from artcafe.server.store.presence import PresenceTable
from artcafe.wire.codes import Code
from tests.kit.installation import ACME, OTHER, Installation
from tests.kit.issuers import StoppedClock
from tests.kit.outcomes import refused
from tests.kit.usage import KeptRecords, SlowRecords, count_message

TODAY = date(2025, 11, 24)


@pytest.fixture
async def meter(installation: Installation, olivia: Human) -> Meter:
    """Of an installation in which two tenants exist."""
    await installation.make_tenant(OTHER, "zoe")
    return installation.process.meter


async def written(installation: Installation, tenant: TenantId = ACME) -> dict[str, int]:
    """What the store has, as `{day#metric: n}`."""
    return await installation.memory.counters(f"USE#{await installation.partition(tenant)}")


class TestTotals:
    async def test_a_process_tells_what_it_counted_since_it_started_whatever_was_written(
        self, meter: Meter
    ) -> None:
        count_message(meter, ACME, "a1", (), 10)
        count_message(meter, OTHER, "a1", (), 5)
        assert meter.counted() == MessageTotals(messages=2, bytes=15)
        await meter.flush()
        meter.forget(OTHER)
        count_message(meter, ACME, "a1", (), 1)
        meter.received(ACME, "a1", 7)
        assert meter.counted() == MessageTotals(messages=3, bytes=16, delivered=7)


class TestCounting:
    async def test_a_message_counts_itself_and_its_bytes(
        self, installation: Installation, meter: Meter
    ) -> None:
        count_message(meter, ACME, "a1", (), 10)
        count_message(meter, ACME, "a1", (), 5)
        count_message(meter, ACME, "a1", (), 0)
        count_message(meter, OTHER, "a1", (), 1)
        meter.count(ACME, API_CALLS)
        meter.count(ACME, API_CALLS, 4)
        assert await written(installation) == {}

        await meter.flush()

        assert await written(installation) == {
            "2025-11-24#api_calls": 5,
            "2025-11-24#bytes": 15,
            "2025-11-24#messages": 3,
            "ever#sent:a1": 3,
        }
        assert (await written(installation, OTHER))["2025-11-24#messages"] == 1

    async def test_the_day_is_the_utc_day_on_which_it_was_counted(
        self, installation: Installation, meter: Meter
    ) -> None:
        installation.clock.advance(8 * 3600 - 1)
        meter.count(ACME, MESSAGES)
        installation.clock.advance(1)
        meter.count(ACME, MESSAGES)

        await meter.flush()

        assert await written(installation) == {"2025-11-24#messages": 1, "2025-11-25#messages": 1}

    async def test_several_processes_add_up(self, installation: Installation, meter: Meter) -> None:
        other = installation.start("p2").meter
        for _ in range(3):
            meter.count(ACME, MESSAGES)
            other.count(ACME, MESSAGES)
            await asyncio.gather(meter.flush(), other.flush())

        assert await written(installation) == {"2025-11-24#messages": 6}


class TestFlush:
    async def test_nothing_counted_is_nothing_written(self, installation: Installation, meter: Meter) -> None:
        installation.store.away = True

        await meter.flush()

    async def test_what_was_written_is_not_written_again(
        self, installation: Installation, meter: Meter
    ) -> None:
        meter.count(ACME, MESSAGES)

        await meter.flush()
        await meter.flush()

        assert await written(installation) == {"2025-11-24#messages": 1}

    async def test_one_that_fails_loses_nothing(self, installation: Installation, meter: Meter) -> None:
        count_message(meter, ACME, "a1", (), 1)
        for _ in range(3):
            installation.store.away = True
            with refused(Code.unavailable):
                await meter.flush()
            installation.store.heal()
            count_message(meter, ACME, "a1", (), 1)

        await meter.flush()

        assert await written(installation) == {
            "2025-11-24#bytes": 4,
            "2025-11-24#messages": 4,
            "ever#sent:a1": 4,
        }

    async def test_one_that_fails_unknowingly_counts_again_and_never_less(
        self, installation: Installation, meter: Meter
    ) -> None:
        meter.count(ACME, MESSAGES)
        installation.store.writes_left, installation.store.lies = 0, True
        with refused(Code.unavailable):
            await meter.flush()
        installation.store.heal()

        await meter.flush()

        assert await written(installation) == {"2025-11-24#messages": 2}

    async def test_one_that_is_cancelled_before_it_wrote_loses_nothing(
        self, installation: Installation, meter: Meter
    ) -> None:
        meter.count(ACME, MESSAGES, 3)
        flush = asyncio.create_task(meter.flush())
        await asyncio.sleep(0)
        meter.count(ACME, MESSAGES)
        flush.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flush
        assert await written(installation) == {}

        await meter.flush()

        assert await written(installation) == {"2025-11-24#messages": 4}

    async def test_what_is_counted_meanwhile_goes_with_the_next(
        self, clock: StoppedClock, sightings: PresenceTable
    ) -> None:
        kept = KeptRecords()
        slow = SlowRecords(kept)
        meter = Meter(slow, sightings, clock)
        meter.count(ACME, MESSAGES)
        flush = asyncio.create_task(meter.flush())
        await slow.asked.wait()
        meter.count(ACME, MESSAGES, 10)
        # A second flush at the same time leaves everything to the next one.
        await meter.flush()
        assert kept.counts == {}
        slow.go_on.set()
        await flush
        assert kept.counts == {(ACME, "2025-11-24", MESSAGES): 1}

        await meter.flush()

        assert kept.counts == {(ACME, "2025-11-24", MESSAGES): 11}

    async def test_a_deleted_tenants_counts_are_forgotten_also_those_on_their_way(
        self, clock: StoppedClock, sightings: PresenceTable
    ) -> None:
        kept = KeptRecords(failures=1)
        slow = SlowRecords(kept)
        meter = Meter(slow, sightings, clock)
        for tenant in (ACME, OTHER):
            meter.count(tenant, MESSAGES)
        flush = asyncio.create_task(meter.flush())
        await slow.asked.wait()
        meter.count(ACME, MESSAGES)
        meter.forget(ACME)
        slow.go_on.set()
        with refused(Code.unavailable):
            await flush

        await meter.flush()

        assert kept.counts == {(OTHER, "2025-11-24", MESSAGES): 1}


class TestDays:
    async def test_every_day_is_there_with_what_is_not_written_yet(
        self, installation: Installation, meter: Meter
    ) -> None:
        meter.count(ACME, MESSAGES, 2)
        await meter.flush()
        meter.count(ACME, MESSAGES, 3)
        meter.count(OTHER, MESSAGES, 100)
        installation.clock.advance(86_400)
        meter.count(ACME, MESSAGES, 5)

        assert await meter.days(ACME, TODAY - timedelta(1), TODAY + timedelta(1)) == {
            "2025-11-23": {},
            "2025-11-24": {MESSAGES: 5},
            "2025-11-25": {MESSAGES: 5},
        }
        assert await meter.days(ACME, TODAY, TODAY) == {"2025-11-24": {MESSAGES: 5}}

    async def test_what_is_on_its_way_is_counted_too(
        self, clock: StoppedClock, sightings: PresenceTable
    ) -> None:
        slow = SlowRecords(KeptRecords())
        meter = Meter(slow, sightings, clock)
        meter.count(ACME, MESSAGES)
        meter.received(ACME, "a1", 2)
        flush = asyncio.create_task(meter.flush())
        await slow.asked.wait()
        meter.count(ACME, MESSAGES, 10)
        meter.received(ACME, "a1", 3)

        assert await meter.days(ACME, TODAY, TODAY) == {"2025-11-24": {MESSAGES: 11}}
        assert await meter.ever(ACME, RECEIVED) == {"a1": 5}
        slow.go_on.set()
        await flush

    async def test_a_span_that_ends_before_it_begins_or_is_too_long_is_refused(self, meter: Meter) -> None:
        with refused(Code.validation_failed):
            await meter.days(ACME, TODAY, TODAY - timedelta(1))
        with refused(Code.validation_failed):
            await meter.days(ACME, TODAY - timedelta(MAX_DAYS), TODAY)

        assert len(await meter.days(ACME, TODAY - timedelta(MAX_DAYS - 1), TODAY)) == MAX_DAYS

    async def test_a_report_changes_nothing(self, installation: Installation, meter: Meter) -> None:
        meter.count(ACME, MESSAGES)
        report = await meter.days(ACME, TODAY, TODAY)
        report["2025-11-24"][MESSAGES] = 99

        await meter.flush()

        assert await written(installation) == {"2025-11-24#messages": 1}


async def test_counters_are_written_once_in_a_while_and_not_once_per_message(
    clock: StoppedClock, sightings: PresenceTable
) -> None:
    """Bug 7 of the original: every message was a write to the database."""
    records = KeptRecords()
    meter = Meter(records, sightings, clock)

    for _ in range(10_000):
        count_message(meter, ACME, "a1", (), 10)

    assert records.writes == 0
    await meter.flush()
    assert (records.writes, len(records.counts)) == (1, 3)
    await meter.flush()
    assert records.writes == 1, "nothing was counted since"
    assert records.counts[ACME, f"{TODAY}", MESSAGES] == 10_000
