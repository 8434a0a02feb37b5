"""What was counted is written now and then, and once, whenever the end comes."""

import asyncio

import pytest

from artcafe.server.core.usage import API_CALLS, Meter
from artcafe.server.domain.usage import EVER, RECEIVED
from artcafe.server.flushing import EVER_SECONDS, finish, flushing
from artcafe.server.installed import every
from artcafe.server.store.memory import MemoryStore
from artcafe.server.store.presence import PresenceTable
from artcafe.server.store.table import Table
from artcafe.wire.codes import Code
from tests.kit.installation import ACME
from tests.kit.issuers import StoppedClock
from tests.kit.outcomes import refused
from tests.kit.stores import new_rev
from tests.kit.usage import KeptRecords, SlowRecords


class TestStopping:
    """What was counted is written once, whenever the stop comes."""

    @pytest.mark.parametrize("cancelled_again", [False, True])
    async def test_a_flush_that_the_store_has_is_waited_for(self, cancelled_again: bool) -> None:
        clock = StoppedClock()
        memory = MemoryStore(clock=clock.now, new_rev=new_rev)
        await memory.open()
        kept, sightings = KeptRecords(), PresenceTable(Table(memory))
        slow = SlowRecords(kept)
        meter = Meter(slow, sightings, clock)
        meter.count(ACME, API_CALLS, 1000)
        chore = asyncio.create_task(every(0.0, sightings.flush, meter.flush))
        await slow.asked.wait()
        meter.count(ACME, API_CALLS, 10)
        for _ in range(2 if cancelled_again else 1):
            chore.cancel()
            for _ in range(5):
                await asyncio.sleep(0)
        assert chore.done() == cancelled_again
        slow.go_on.set()
        await asyncio.gather(chore, return_exceptions=True)
        await finish(sightings, meter)

        assert kept.counts == {(ACME, "2025-11-24", API_CALLS): 1010}
        assert kept.writes == (1 if cancelled_again else 2)


async def test_what_is_counted_of_each_agent_is_written_once_a_minute() -> None:
    clock = StoppedClock()
    memory = MemoryStore(clock=clock.now, new_rev=new_rev)
    await memory.open()
    kept, sightings = KeptRecords(), PresenceTable(Table(memory))
    meter = Meter(kept, sightings, clock)
    flush = flushing(lambda: meter.received(ACME, "a1", 1), sightings, meter, clock, EVER_SECONDS)
    of_agent = (ACME, EVER, f"{RECEIVED}a1")
    kept.failures = 1
    with refused(Code.unavailable):
        await flush()
    for _ in range(3):
        meter.count(ACME, API_CALLS)
        await flush()
        assert kept.counts[of_agent] == 2
    assert kept.counts[ACME, "2025-11-24", API_CALLS] == 3

    clock.advance(EVER_SECONDS)
    await flush()
    assert kept.counts[of_agent] == 5


async def test_what_is_asked_for_is_written_whole_each_time() -> None:
    clock = StoppedClock()
    memory = MemoryStore(clock=clock.now, new_rev=new_rev)
    await memory.open()
    kept, sightings = KeptRecords(), PresenceTable(Table(memory))
    meter = Meter(kept, sightings, clock)
    flush = flushing(lambda: meter.received(ACME, "a1", 1), sightings, meter, clock)

    for times in (1, 2, 3):
        await flush()
        assert kept.counts[ACME, EVER, f"{RECEIVED}a1"] == times
