"""The audit in the store, on every backend."""

import pytest

from artcafe.server.domain.audit import RETENTION_DAYS
from artcafe.server.domain.ids import TenantId
from artcafe.server.store.addresses import Partition
from artcafe.server.store.audit import AuditTable, logged
from artcafe.server.store.item import EXISTS, Check, Conflict, ItemStore, Put
from artcafe.server.store.table import Table
from artcafe.wire.codes import Code
from tests.kit.outcomes import refused
from tests.kit.records import ACME, ALIKE, an_entry
from tests.kit.stores import SetClock
from tests.kit.tenants import take_ids
from tests.kit.unreliable_store import UnreliableStore

MOMENTS = ["1999-12-31T23:59:59.999Z", "2025-11-24T16:00:00.000Z", "2025-11-24T16:00:00.001Z"]


PARTITION = Partition("acme")


@pytest.fixture
async def audit(table: Table, backend: ItemStore) -> AuditTable:
    await take_ids(backend)
    return AuditTable(table)


@pytest.fixture
def clock() -> SetClock:
    """A time at which none of these entries expired."""
    return SetClock(0)


async def ids(audit: AuditTable, tenant: str = "acme") -> list[str]:
    return [entry.id for entry in (await audit.list(TenantId(tenant), 10, None)).items]


async def test_what_is_written_is_read_as_it_was(table: Table, audit: AuditTable) -> None:
    entry = an_entry("e1")

    await table.write(*logged(entry, PARTITION))

    page = await audit.list(ACME, 10, None)
    assert (page.items, page.cursor) == ([entry], None)


async def test_the_newest_come_first_in_whatever_order_they_were_written(
    table: Table, audit: AuditTable
) -> None:
    for number in (1, 0, 2):
        await table.write(*logged(an_entry(f"e{number}", at=MOMENTS[number]), PARTITION))

    assert await ids(audit) == ["e2", "e1", "e0"]


async def test_entries_of_one_moment_are_all_kept(table: Table, audit: AuditTable) -> None:
    for name in ("a", "c", "b"):
        await table.write(*logged(an_entry(name), PARTITION))

    assert sorted(await ids(audit)) == ["a", "b", "c"]


async def test_pages_follow_each_other_whatever_is_written_meanwhile(table: Table, audit: AuditTable) -> None:
    for number in range(5):
        await table.write(*logged(an_entry(f"e{number}", at=f"2025-11-24T16:00:0{number}.000Z"), PARTITION))

    first = await audit.list(ACME, 2, None)
    await table.write(*logged(an_entry("newer", at="2025-11-24T17:00:00.000Z"), PARTITION))
    second = await audit.list(ACME, 2, first.cursor)
    third = await audit.list(ACME, 2, second.cursor)

    pages = [[entry.id for entry in page.items] for page in (first, second, third)]
    assert pages == [["e4", "e3"], ["e2", "e1"], ["e0"]]
    assert third.cursor is None
    with refused(Code.bad_request):
        await audit.list(ACME, 2, "garbage")


async def test_an_entry_expires_after_its_retention(table: Table, audit: AuditTable, clock: SetClock) -> None:
    written = 1_764_000_000  # MOMENTS[1]
    await table.write(*logged(an_entry("e1", at=MOMENTS[1]), PARTITION))

    clock.now = written + RETENTION_DAYS * 86_400 - 1
    assert await ids(audit) == ["e1"]
    clock.now += 1
    assert await ids(audit) == []


async def test_each_tenant_has_its_own(table: Table, audit: AuditTable) -> None:
    for tenant in (ACME, *ALIKE):
        await table.write(*logged(an_entry(f"of {tenant}", tenant), Partition(tenant)))

    for tenant in (ACME, *ALIKE):
        assert await ids(audit, tenant) == [f"of {tenant}"]


async def test_a_transaction_that_fails_writes_no_entry(table: Table, audit: AuditTable) -> None:
    with pytest.raises(Conflict):
        await table.write(Put("p", "s", {}), Check("p", "missing", EXISTS), *logged(an_entry(), PARTITION))

    assert await ids(audit) == []


def test_what_nobody_did_is_not_written() -> None:
    assert logged(None, PARTITION) == ()


async def test_a_store_that_is_away_is_unavailable(audit: AuditTable, unreliable: UnreliableStore) -> None:
    unreliable.away = True

    with refused(Code.unavailable):
        await audit.list(ACME, 1, None)
