"""Memberships that no tenant has, left by older releases: removed from a whole store, once."""

import pytest

from artcafe.server.domain.ids import UserId
from artcafe.server.store import addresses as at
from artcafe.server.store.item import Backend, Put
from artcafe.server.store.members import MemberTable
from artcafe.server.store.planted import PlantedRows
from artcafe.server.store.table import Table, data
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from tests.kit.contents import Row, contents
from tests.kit.faults import Fault, FaultyStore
from tests.kit.furnished import furnish
from tests.kit.outcomes import refused
from tests.kit.records import ACME, ENTRY, a_member, a_tenant


def memberships(backend: Backend) -> set[Row]:
    return {row for row in contents(backend) if row[2].startswith(at.MEMBERSHIPS)}


async def plant(backend: Backend, user: str, tenant: str) -> None:
    row = data(a_member(user, tenant))
    await backend.put(Put(at.user(UserId(user)), at.MEMBERSHIPS + tenant, row))


def planted_rows(store: Backend) -> PlantedRows:
    return PlantedRows(store, MemberTable(Table(store)))


async def all_steps(backend: Backend) -> None:
    for _ in range(1000):
        if await planted_rows(backend).step():
            return
    raise AssertionError("it does not end")


@pytest.fixture
async def planted(backend: Backend) -> set[Row]:
    """A tenant with members, and rows of no membership beside them; what has to stay."""
    await furnish(Table(backend))
    await TenantTable(Table(backend)).create(a_tenant("other"), a_member("mallory", "other"), ENTRY)
    before = memberships(backend)
    for user, tenant in (("mallory", "acme"), ("mallory", "gone"), ("eve", "acme"), ("olivia", "gone")):
        await plant(backend, user, tenant)
    return before


async def test_what_no_tenant_has_goes_and_everything_else_stays(backend: Backend, planted: set[Row]) -> None:
    await all_steps(backend)

    assert memberships(backend) == planted


async def test_a_store_is_looked_through_once(backend: Backend, planted: set[Row]) -> None:
    await all_steps(backend)
    await plant(backend, "eve", "gone")

    assert await planted_rows(backend).step() is True

    assert len(memberships(backend)) == len(planted) + 1
    assert await MemberTable(Table(backend)).of_user(UserId("eve")) == []
    assert memberships(backend) == planted, "it was seen"


async def test_one_that_is_cut_off_goes_on(backend: Backend, planted: set[Row]) -> None:
    cut = 0
    while True:
        cut += 1
        faulty = FaultyStore(backend, Fault.cut, cut)
        try:
            done = await planted_rows(faulty).step()
        except Exception:  # noqa: BLE001 - the process is gone
            continue
        if done:
            break
    await all_steps(backend)

    assert memberships(backend) == planted


async def test_while_the_store_is_away_it_waits(backend: Backend) -> None:
    faulty = FaultyStore(backend)
    faulty.away = True

    with refused(Code.unavailable):
        await planted_rows(faulty).step()


async def test_a_planted_row_grants_nothing_and_leaves_the_real_one(backend: Backend) -> None:
    mallory = UserId("mallory")
    await plant(backend, "mallory", ACME)
    members = MemberTable(Table(backend))
    assert await members.of_user(mallory) == []
    await plant(backend, "mallory", ACME)
    await TenantTable(Table(backend)).create(a_tenant(), a_member("victim"), ENTRY)

    assert await members.of_user(mallory) == []
    assert [member.tenant for member in await members.of_user(UserId("victim"))] == [ACME]
    assert memberships(backend) == {("item", "U#victim", "TENANT#acme")}
