"""Counters of usage in the store, on every backend."""

import asyncio

import pytest

from artcafe.server.store import addresses as at
from artcafe.server.store.item import ItemStore
from artcafe.server.store.table import Table
from artcafe.server.store.usage import UsageTable
from artcafe.wire.codes import Code
from tests.kit.contents import contents
from tests.kit.outcomes import refused
from tests.kit.records import ACME, ALIKE
from tests.kit.tenants import take_ids
from tests.kit.unreliable_store import UnreliableStore

DAY, NEXT = "2025-12-31", "2026-01-01"


@pytest.fixture
async def usage(table: Table, backend: ItemStore) -> UsageTable:
    await take_ids(backend)
    return UsageTable(table)


async def test_counts_add_up(usage: UsageTable) -> None:
    await usage.add({(ACME, DAY, "messages"): 3, (ACME, DAY, "subject:a.b"): 1})
    await usage.add({(ACME, DAY, "messages"): 4, (ACME, NEXT, "messages"): 1})

    assert await usage.days(ACME, DAY, NEXT) == {
        DAY: {"messages": 7, "subject:a.b": 1},
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


async def test_the_metrics_under_one_word_are_those_of_the_prefix(usage: UsageTable) -> None:
    await usage.add({(ACME, "ever", "sent:a1"): 2, (ACME, "ever", "sent:a2"): 1, (ACME, "ever", "sen"): 9})
    await usage.add({(ACME, "ever", "sent:a1"): 3, (ACME, "everything", "sent:a1"): 9})
    await usage.add({(ALIKE[0], "ever", "sent:a1"): 100})

    assert await usage.metrics(ACME, "ever", "sent:") == {"sent:a1": 5, "sent:a2": 1}
    assert await usage.metrics(ACME, "ever", "received:") == {}
    # No day is called so: what was counted ever is in no report of days.
    assert await usage.days(ACME, DAY, NEXT) == {}
