"""Leases in the store, on every backend: renewed by their holders, and taken by one of all others."""

import asyncio

import pytest

from artcafe.server.domain.ids import AgentId
from artcafe.server.ports.leases import Lease
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.item import ItemStore
from artcafe.server.store.leases import LeaseTable
from artcafe.server.store.presence import PresenceTable
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from tests.kit.contents import contents
from tests.kit.outcomes import refused
from tests.kit.records import ACME, ENTRY, a_member, a_tenant, an_agent
from tests.kit.unreliable_store import UnreliableStore

A1 = AgentId("a1")
AT = 1_700_000_000.25


@pytest.fixture
def leases(table: Table) -> LeaseTable:
    return LeaseTable(table)


async def the_lease(leases: LeaseTable) -> Lease:
    [lease] = await leases.all()
    return lease


async def test_a_lease_changes_with_each_renewal(leases: LeaseTable) -> None:
    rev = await leases.take("p1", AT)
    assert await the_lease(leases) == Lease("p1", rev, AT)

    renewed = await leases.renew("p1", rev, AT)

    assert renewed is not None
    assert renewed != rev
    assert await the_lease(leases) == Lease("p1", renewed, AT)


async def test_one_of_all_who_try_takes_it_and_its_holder_learns_that(leases: LeaseTable) -> None:
    rev = await leases.take("p1", AT)
    lease = await the_lease(leases)

    took = await asyncio.gather(*(leases.end(lease, by) for by in ("p2", "p3", "p4")))

    assert sorted(took) == [False, False, True]
    over = await the_lease(leases)
    assert (over.holder, over.at, over.over) == ("p1", AT, True)
    assert over.by == ("p2", "p3", "p4")[took.index(True)]
    assert await leases.renew("p1", rev, AT + 1) is None
    assert await the_lease(leases) == over


async def test_one_that_was_renewed_since_it_was_read_is_not_taken(leases: LeaseTable) -> None:
    rev = await leases.take("p1", AT)
    lease = await the_lease(leases)
    await leases.renew("p1", rev, AT + 1)

    assert not await leases.end(lease, "p2")
    assert not (await the_lease(leases)).over


async def test_one_that_is_over_is_taken_from_who_took_it_by_one(leases: LeaseTable) -> None:
    await leases.take("p1", AT)
    assert await leases.end(await the_lease(leases), "p2")
    over = await the_lease(leases)

    took = await asyncio.gather(*(leases.end(over, by) for by in ("p3", "p4")))

    assert sorted(took) == [False, True]
    await leases.forget(over)  # It is another process's by now.
    assert (await the_lease(leases)).by == ("p3", "p4")[took.index(True)]


async def test_a_renewal_whose_answer_was_lost_is_no_loss_of_the_lease(
    leases: LeaseTable, unreliable: UnreliableStore
) -> None:
    rev = await leases.take("p1", AT)
    unreliable.writes_left, unreliable.lies = 0, True
    with refused(Code.unavailable):
        await leases.renew("p1", rev, AT + 1)
    unreliable.heal()

    renewed = await leases.renew("p1", rev, AT + 2)

    assert renewed is not None
    assert await the_lease(leases) == Lease("p1", renewed, AT + 2)


async def test_who_leaves_and_who_is_forgotten_leave_nothing(leases: LeaseTable, backend: ItemStore) -> None:
    await leases.take("p1", AT)
    await leases.leave("p1")
    assert contents(backend) == set()

    await leases.take("p2", AT)
    assert await leases.end(await the_lease(leases), "p3")
    await leases.forget(await the_lease(leases))
    assert contents(backend) == set()


class TestClearing:
    @pytest.fixture(autouse=True)
    async def connected(self, table: Table) -> None:
        """An agent, connected to two processes."""
        await TenantTable(table).create(a_tenant(), a_member(), ENTRY)
        await AgentTable(table).create(an_agent(A1), None, ENTRY)
        for process in ("p1", "p10"):
            await PresenceTable(table).announce(ACME, process, {A1: 1}, {})

    async def test_one_process_is_removed_from_a_tenant(self, table: Table, leases: LeaseTable) -> None:
        [held] = await leases.held("p1")
        assert held.tenant == ACME

        for _ in range(2):
            await leases.clear("p1", held)

        assert set(await PresenceTable(table).online(ACME, 0)) == {"p10"}
        assert (await leases.held("p1"), len(await leases.held("p10"))) == ([], 1)

    async def test_a_lease_stays_until_everything_is_cleared(self, leases: LeaseTable) -> None:
        await leases.take("p1", AT)
        assert await leases.end(await the_lease(leases), "p2")
        over = await the_lease(leases)

        await leases.forget(over)
        assert await leases.all() == [over]

        [held] = await leases.held("p1")
        await leases.clear("p1", held)
        await leases.forget(over)
        assert await leases.all() == []

    async def test_what_was_written_after_the_loss_is_cleared_again(self, leases: LeaseTable) -> None:
        await leases.take("p1", AT)
        assert await leases.end(await the_lease(leases), "p2")
        over = await the_lease(leases)

        await leases.lose("p1", AT + 9)

        [held] = await leases.held("p1")
        await leases.clear("p1", held)
        await leases.forget(over)
        assert (await the_lease(leases)).by == ""
