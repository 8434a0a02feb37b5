"""Counters of usage in the store, on every backend."""

import asyncio
from datetime import UTC, datetime

import pytest

from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.usage import MAX_DAYS
from artcafe.server.store import addresses as at
from artcafe.server.store.item import Backend, Delta, ItemStore, Put
from artcafe.server.store.table import Table
from artcafe.server.store.usage import UsageTable
from artcafe.wire.codes import Code
from tests.kit.contents import contents
from tests.kit.outcomes import refused
from tests.kit.records import ACME, ALIKE
from tests.kit.stores import SetClock
from tests.kit.tenants import take_ids
from tests.kit.unreliable_store import UnreliableStore

ACTIVE = "active_agents"
DAY, NEXT = "2025-12-31", "2026-01-01"


@pytest.fixture
async def usage(table: Table, backend: ItemStore) -> UsageTable:
    await take_ids(backend)
    return UsageTable(table)


async def test_counts_add_up(usage: UsageTable) -> None:
    await usage.add({(ACME, DAY, "messages"): 3, (ACME, DAY, "bytes"): 1})
    await usage.add({(ACME, DAY, "messages"): 4, (ACME, NEXT, "messages"): 1})

    assert await usage.days(ACME, DAY, NEXT) == {
        DAY: {"messages": 7, "bytes": 1},
        NEXT: {"messages": 1},
    }


async def test_counts_that_come_at_once_add_up(usage: UsageTable, backend: ItemStore) -> None:
    """Two tables over one store are two server processes."""
    processes = [usage, UsageTable(Table(backend))]

    await asyncio.gather(*(processes[n % 2].add({(ACME, DAY, "messages"): n}) for n in range(20)))

    assert await usage.days(ACME, DAY, DAY) == {DAY: {"messages": sum(range(20))}}


async def test_days_are_of_one_tenant_and_within_the_span(usage: UsageTable) -> None:
    for tenant in (ACME, *ALIKE):
        for day in ("2025-12-30", DAY, NEXT, "2026-01-02"):
            await usage.add({(tenant, day, "messages"): 1 if tenant == ACME else 100})

    assert await usage.days(ACME, DAY, NEXT) == {DAY: {"messages": 1}, NEXT: {"messages": 1}}


async def test_a_day_without_counts_is_missing(usage: UsageTable) -> None:
    await usage.add({(ACME, DAY, "messages"): 1})

    assert await usage.days(ACME, NEXT, NEXT) == {}
    assert await usage.days(ALIKE[0], DAY, DAY) == {}


async def test_nothing_to_add_writes_nothing(usage: UsageTable, backend: ItemStore) -> None:
    await usage.add({})

    assert {row for row in contents(backend) if row[1] != at.TENANTS} == set()


async def test_a_store_that_is_away_is_unavailable(usage: UsageTable, unreliable: UnreliableStore) -> None:
    unreliable.away = True

    with refused(Code.unavailable):
        await usage.add({(ACME, DAY, "messages"): 1})
    with refused(Code.unavailable):
        await usage.days(ACME, DAY, DAY)
    with refused(Code.unavailable):
        await usage.metrics(ACME, "ever", "sent:")


async def test_the_metrics_under_one_word_are_those_of_the_prefix(
    usage: UsageTable, backend: ItemStore
) -> None:
    await usage.add({(ACME, "ever", "sent:a1"): 2, (ACME, "ever", "sent:a2"): 1, (ACME, "ever", "sen"): 9})
    await usage.add({(ACME, "ever", "sent:a1"): 3})
    await backend.incr([Delta(f"USE#{ACME}", "everything#sent:a1", 9)])
    await usage.add({(ALIKE[0], "ever", "sent:a1"): 100})

    assert await usage.metrics(ACME, "ever", "sent:") == {"sent:a1": 5, "sent:a2": 1}
    assert await usage.metrics(ACME, "ever", "received:") == {}
    # No day is called so: what was counted ever is in no report of days.
    assert await usage.days(ACME, DAY, NEXT) == {}


async def test_what_older_releases_counted_by_subject_is_in_no_report(
    usage: UsageTable, backend: ItemStore
) -> None:
    await backend.incr([Delta(f"USE#{ACME}", f"{DAY}#subject:tasks.{n}", 1) for n in range(3)])
    await backend.incr(
        [Delta(f"USE#{ACME}", f"{DAY}#agent:a1", 2), Delta(f"USE#{ACME}", f"{DAY}#messages", 3)]
    )

    assert await usage.days(ACME, DAY, DAY) == {DAY: {"agent:a1": 2, "messages": 3}}


async def test_a_day_is_kept_so_long_and_what_is_of_no_day_for_ever(
    usage: UsageTable, clock: SetClock
) -> None:
    await usage.add({(ACME, DAY, "messages"): 3, (ACME, "ever", "sent:a1"): 1})
    await usage.active({(ACME, DAY, ACTIVE): {"a1"}})
    over = datetime(2026, 1, 1, tzinfo=UTC).timestamp() + MAX_DAYS * 86_400
    clock.now = over - 1
    assert await usage.days(ACME, DAY, DAY) == {DAY: {"messages": 3, ACTIVE: 1}}

    clock.now = over
    assert await usage.days(ACME, DAY, DAY) == {}
    assert await usage.metrics(ACME, "ever", "") == {"sent:a1": 1}


class TestActive:
    async def test_everybody_counts_once_a_day_whoever_tells_of_them(
        self, usage: UsageTable, backend: ItemStore
    ) -> None:
        other = UsageTable(Table(backend))
        agents = {f"a{n}" for n in range(60)}
        await asyncio.gather(
            usage.active({(ACME, DAY, ACTIVE): agents, (ALIKE[0], DAY, ACTIVE): {"a1"}}),
            other.active({(ACME, DAY, ACTIVE): agents | {"b"}, (ACME, DAY, "active_channels"): {"a1"}}),
        )
        await usage.active({(ACME, DAY, ACTIVE): {"a1", "c"}, (ACME, NEXT, ACTIVE): {"a1"}})

        assert await usage.days(ACME, DAY, NEXT) == {
            DAY: {ACTIVE: 62, "active_channels": 1},
            NEXT: {ACTIVE: 1},
        }
        assert await usage.days(ALIKE[0], DAY, DAY) == {DAY: {ACTIVE: 1}}

    @pytest.mark.parametrize("lies", [False, True])
    async def test_told_again_after_a_failure_they_count_once(
        self, usage: UsageTable, unreliable: UnreliableStore, lies: bool
    ) -> None:
        agents = {f"a{n}" for n in range(100)}
        for writes_left in range(1 if lies else 3):
            unreliable.writes_left, unreliable.lies = writes_left, lies
            with refused(Code.unavailable):
                await usage.active({(ACME, DAY, ACTIVE): agents})
            unreliable.heal()
        await usage.active({(ACME, DAY, ACTIVE): agents})

        assert await usage.days(ACME, DAY, DAY) == {DAY: {ACTIVE: 100}}

    async def test_what_says_so_goes_some_days_after(
        self, usage: UsageTable, backend: Backend, clock: SetClock
    ) -> None:
        await usage.active({(ACME, DAY, ACTIVE): {"a1"}})
        clock.now = datetime(2026, 1, 3, tzinfo=UTC).timestamp()

        assert (await backend.query(f"USE#{ACME}")).items == []
        assert await usage.days(ACME, DAY, DAY) == {DAY: {ACTIVE: 1}}


async def test_counters_that_end_take_late_writes_with_them(
    usage: UsageTable, backend: Backend, clock: SetClock
) -> None:
    later = int(clock.now) + 100
    await usage.add({(ACME, "ever", "sent:a1#x"): 3, (ACME, "ever", "sent:a10"): 1})
    await usage.end([(ACME, "ever", "sent:a1#x"), (ACME, "ever", "received:a1#x")], later)
    await usage.add({(ACME, "ever", "sent:a1#x"): 4, (ACME, "ever", "received:a1#x"): 1})
    assert await usage.metrics(ACME, "ever", "") == {"received:a1#x": 1, "sent:a1#x": 7, "sent:a10": 1}

    clock.now = later
    assert await usage.metrics(ACME, "ever", "") == {"sent:a10": 1}
    await backend.sweep()


async def test_of_a_tenant_that_does_not_exist_nothing_is_written(
    usage: UsageTable, backend: ItemStore
) -> None:
    nobody = TenantId("nobody")
    await usage.add({(nobody, DAY, "messages"): 3})
    await usage.active({(nobody, DAY, ACTIVE): {"a1"}})
    await usage.end([(nobody, "ever", "sent:a1")], 2**40)

    assert {row for row in contents(backend) if row[1] != at.TENANTS} == set()


async def test_what_is_written_late_is_not_counted_for_a_later_tenant_of_the_id(backend: ItemStore) -> None:
    again = TenantId("again")
    await backend.put(Put(at.TENANTS, again, {"partition": "first"}))
    late = UsageTable(Table(backend))
    await late.add({(again, DAY, "messages"): 1})
    await backend.put(Put(at.TENANTS, again, {"partition": "second"}))

    await late.add({(again, DAY, "messages"): 2, (again, "ever", "sent:a1"): 2})
    await late.active({(again, DAY, ACTIVE): {"a1"}})

    usage = UsageTable(Table(backend))
    assert await usage.days(again, DAY, DAY) == {}
    assert await usage.metrics(again, "ever", "") == {}
