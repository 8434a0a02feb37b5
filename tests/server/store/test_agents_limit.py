"""How many agents a tenant has: counted and limited exactly, whoever comes and goes at once."""

import pytest

from artcafe.server.domain.ids import AgentId
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.item import ItemStore
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from tests.kit.outcomes import race, refused
from tests.kit.records import ACME, ALIKE, ENTRY, a_member, a_tenant, an_agent, anyway


@pytest.fixture
async def agents(table: Table) -> AgentTable:
    for tenant in (ACME, *ALIKE):
        await TenantTable(table).create(a_tenant(tenant), a_member(tenant=tenant), ENTRY)
    return AgentTable(table)


async def test_of_many_who_create_at_once_exactly_as_many_as_may_win(
    table: Table, backend: ItemStore, agents: AgentTable
) -> None:
    """Two tables over one store are two server processes."""
    processes = [agents, AgentTable(Table(backend))]
    news = [an_agent(f"agent-{number}", f"SHA256:{number}") for number in range(12)]

    outcomes = await race(*(processes[n % 2].create(new, 5, ENTRY) for n, new in enumerate(news)))

    assert outcomes.count(None) == 5
    assert outcomes.count(Code.quota_exceeded) == 7
    assert len((await agents.listed(ACME).page(20, None)).items) == await agents.count(ACME) == 5


async def test_what_is_refused_does_not_count(agents: AgentTable) -> None:
    await agents.create(an_agent("a1", "SHA256:x"), 2, ENTRY)
    for taken in (an_agent("a1"), an_agent("a2", "SHA256:x")):
        with refused(Code.conflict):
            await agents.create(taken, 2, ENTRY)

    assert await agents.count(ACME) == 1
    await agents.create(an_agent("a2"), 2, ENTRY)
    with refused(Code.quota_exceeded):
        await agents.create(an_agent("a3", "SHA256:z"), 2, ENTRY)
    # The key of who was one too many is not claimed.
    await agents.create(an_agent("a3", "SHA256:z"), None, ENTRY)


async def test_who_goes_makes_room_once(agents: AgentTable) -> None:
    for name in ("a1", "a2", "a3"):
        await agents.create(an_agent(name), 3, ENTRY)

    await race(*(agents.delete(ACME, AgentId("a1"), anyway, ENTRY) for _ in range(3)))

    assert await agents.count(ACME) == 2
    await agents.create(an_agent("a4"), 3, ENTRY)
    with refused(Code.quota_exceeded):
        await agents.create(an_agent("a5"), 3, ENTRY)


async def test_many_who_come_and_go_at_once_are_counted_right(agents: AgentTable) -> None:
    for number in range(6):
        await agents.create(an_agent(f"old-{number}"), None, ENTRY)

    outcomes = await race(
        *(agents.delete(ACME, AgentId(f"old-{number}"), anyway, ENTRY) for number in range(6)),
        *(agents.create(an_agent(f"new-{number}"), None, ENTRY) for number in range(4)),
    )

    assert outcomes == [*(an_agent(f"old-{number}") for number in range(6)), *[None] * 4]
    assert await agents.count(ACME) == 4


async def test_each_tenant_is_counted_by_itself(agents: AgentTable) -> None:
    await agents.create(an_agent("a1", tenant="acme-2"), 1, ENTRY)
    await agents.create(an_agent("a1"), 1, ENTRY)

    assert [await agents.count(tenant) for tenant in (ACME, *ALIKE)] == [1, 1, 0, 0, 0]
