"""Acceptances in the store, on every backend: of each version the first counts."""

import pytest

from artcafe.server.store.audit import AuditTable
from artcafe.server.store.item import ItemStore
from artcafe.server.store.legal import LegalTable
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from tests.kit.contents import contents
from tests.kit.outcomes import outcome, race, refused
from tests.kit.records import ACME, ALIKE, AT, ENTRY, LATER, a_member, a_tenant, an_acceptance, an_entry
from tests.kit.unreliable_store import UnreliableStore

FIRST = an_acceptance("v1")
SECOND = an_acceptance("v2", at=LATER)


@pytest.fixture
async def legal(table: Table) -> LegalTable:
    """Of `acme`, which accepted the first version when it was made."""
    await TenantTable(table).create(a_tenant(), a_member(), ENTRY, [FIRST])
    return LegalTable(table)


async def audited(table: Table) -> list[str]:
    return [entry.id for entry in (await AuditTable(table).list(ACME, 10, None)).items]


async def test_what_came_with_the_tenant_is_listed_with_what_came_later(
    table: Table, legal: LegalTable
) -> None:
    for tenant in ALIKE:
        await TenantTable(table).create(a_tenant(tenant), a_member(tenant=tenant), ENTRY)

    assert await legal.accept(ACME, [SECOND], an_entry("later", at=LATER)) == [SECOND]

    page = await legal.list(ACME, 1, None)
    rest = await legal.list(ACME, 10, page.cursor)
    assert [*page.items, *rest.items] == [FIRST, SECOND]
    assert rest.cursor is None
    assert [(await legal.list(tenant, 10, None)).items for tenant in ALIKE] == [[]] * len(ALIKE)
    assert (await audited(table))[0] == "later"


async def test_of_each_version_the_first_acceptance_counts(table: Table, legal: LegalTable) -> None:
    again = an_acceptance("v1", at=LATER)

    assert await legal.accept(ACME, [again, SECOND], an_entry("both", at=LATER)) == [FIRST, SECOND]

    assert (await legal.list(ACME, 10, None)).items == [FIRST, SECOND]
    assert await audited(table) == ["both", "e1"]


@pytest.mark.parametrize("at", [AT, LATER])
async def test_what_is_accepted_already_is_no_change_and_no_entry(
    table: Table, legal: LegalTable, at: str
) -> None:
    assert await legal.accept(ACME, [an_acceptance("v1", at=at)], an_entry("again", at=LATER)) == [FIRST]
    assert await legal.accept(ACME, [], an_entry("nothing", at=LATER)) == []

    assert await audited(table) == ["e1"]


async def test_of_many_who_accept_at_once_one_counts_for_all(table: Table, legal: LegalTable) -> None:
    tried = [an_acceptance("v2", at=f"2025-11-24T18:0{n}:00.000Z") for n in range(4)]

    outcomes = await race(*(legal.accept(ACME, [one], an_entry(one.at, at=one.at)) for one in tried))

    [first, counting] = (await legal.list(ACME, 10, None)).items
    assert first == FIRST
    assert counting in tried
    assert outcomes == [[counting]] * len(tried)
    assert await audited(table) == [counting.at, "e1"]


async def test_nothing_is_accepted_for_no_tenant(table: Table, backend: ItemStore) -> None:
    with refused(Code.not_found):
        await LegalTable(table).accept(ACME, [FIRST], ENTRY)

    assert contents(backend) == set()


@pytest.mark.parametrize("lies", [False, True])
async def test_an_acceptance_and_its_entry_are_both_there_or_neither(
    table: Table, legal: LegalTable, unreliable: UnreliableStore, lies: bool
) -> None:
    unreliable.writes_left, unreliable.lies = 0, lies
    assert await outcome(legal.accept(ACME, [SECOND], an_entry("later", at=LATER))) is Code.unavailable
    unreliable.heal()

    assert (await legal.list(ACME, 10, None)).items == ([FIRST, SECOND] if lies else [FIRST])
    assert await audited(table) == (["later", "e1"] if lies else ["e1"])
