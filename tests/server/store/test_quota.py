"""Bytes of a tenant's records: counted with every change, bounded, and let go of."""

import asyncio

import pytest
from msgspec import json
from msgspec.structs import replace

from artcafe.server.domain.agent import Agent
from artcafe.server.domain.ids import AgentId, ChannelId
from artcafe.server.store import addresses as at
from artcafe.server.store import quota as quotas
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.item import ItemStore, Put
from artcafe.server.store.quota import Space, StorageQuota
from artcafe.server.store.table import Table, data
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from tests.kit.outcomes import refused
from tests.kit.records import ACME, ENTRY, a_channel, a_member, a_partition, a_tenant, an_agent, anyway
from tests.kit.tenants import delete_tenant

PK = at.tenant(a_partition())


@pytest.fixture
async def furnished(table: Table) -> Table:
    await TenantTable(table).create(a_tenant(), a_member(), ENTRY)
    return table


async def stored(store: ItemStore) -> Space:
    """What the rows take, read from themselves."""
    total = rules = 0
    for prefix in (at.AGENTS, at.CHANNELS, at.detail(at.AGENTS), at.detail(at.CHANNELS)):
        sizes = [len(json.encode(item.data)) for item in (await store.query(PK, prefix)).items]
        total += sum(sizes)
        rules += sum(sizes) if prefix == at.CHANNELS else 0
    return Space(total, rules)


def noted(agent: Agent, size: int) -> Agent:
    return replace(agent, metadata={"note": "x" * size})


async def test_what_is_counted_is_what_the_rows_take(furnished: Table) -> None:
    agents, channels = AgentTable(furnished), ChannelTable(furnished)
    quota = StorageQuota(furnished)
    assert await quota.used(ACME) == Space()

    await agents.create(noted(an_agent("a1", "SHA256:1"), 500), None, ENTRY)
    await agents.create(an_agent("a2"), None, ENTRY)
    await channels.create(a_channel(metadata={"n": 1}), None, ENTRY)
    await agents.change(ACME, AgentId("a1"), lambda agent: noted(agent, 5), ENTRY)
    await channels.change(
        ACME, ChannelId("tasks"), lambda channel: replace(channel, publishers=["a1"], metadata={}), ENTRY
    )
    assert await quota.used(ACME) == await stored(furnished.store) != Space()

    await agents.delete(ACME, AgentId("a1"), anyway, ENTRY)
    await agents.delete(ACME, AgentId("a2"), anyway, ENTRY)
    await channels.delete(ACME, ChannelId("tasks"), anyway, ENTRY)
    assert await quota.used(ACME) == Space()


async def test_changes_at_once_are_all_counted(furnished: Table) -> None:
    agents = AgentTable(furnished)
    names = [f"a{number}" for number in range(8)]
    for name in names:
        await agents.create(an_agent(name), None, ENTRY)

    async def grow(name: str, size: int) -> None:
        await agents.change(ACME, AgentId(name), lambda agent: noted(agent, size), ENTRY)

    await asyncio.gather(*(grow(name, size) for size, name in enumerate(names)))

    assert await StorageQuota(furnished).used(ACME) == await stored(furnished.store)


async def test_beyond_the_limit_nothing_grows_and_everything_shrinks(furnished: Table) -> None:
    agents = AgentTable(furnished)
    a1 = AgentId("a1")
    await agents.create(noted(an_agent("a1"), 900), None, ENTRY, 2000)

    with refused(Code.quota_exceeded):
        await agents.create(noted(an_agent("a2"), 900), None, ENTRY, 2000)
    with refused(Code.quota_exceeded):
        await agents.change(ACME, a1, lambda agent: noted(agent, 1900), ENTRY, 2000)
    await agents.change(ACME, a1, lambda agent: noted(agent, 899), ENTRY, 100)
    await agents.change(ACME, a1, lambda agent: replace(agent, enabled=False), ENTRY)
    await agents.delete(ACME, a1, anyway, ENTRY)
    assert await StorageQuota(furnished).used(ACME) == Space()


async def test_the_rules_of_all_channels_are_bounded_whatever_the_plan(
    furnished: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "MAX_RULES_BYTES", 1000)
    channels = ChannelTable(furnished)
    listed = [f"agent-{number}" for number in range(40)]
    await channels.create(a_channel(publishers=listed), None, ENTRY)

    with refused(Code.quota_exceeded):
        await channels.create(a_channel("more", publishers=listed), None, ENTRY)
    with refused(Code.quota_exceeded):
        await channels.change(ACME, ChannelId("tasks"), lambda it: replace(it, subscribers=listed), ENTRY)
    await channels.change(ACME, ChannelId("tasks"), lambda it: replace(it, publishers=None), ENTRY)
    await channels.create(a_channel("more", metadata={"note": "x" * 5000}), None, ENTRY)


async def test_what_was_there_before_is_counted_once(furnished: Table) -> None:
    """As in a store of an older release: no counter, no base, records in one row."""
    store = furnished.store
    await store.transact([Put(PK, at.agent(AgentId("a1")), data(noted(an_agent("a1"), 700)))])
    await delete_tenant(furnished, ACME)
    await store.put(Put(at.TENANTS, ACME, {"partition": a_partition()}))
    await store.put(Put(PK, at.META, data(a_tenant())))
    await store.put(Put(PK, at.agent(AgentId("a1")), data(noted(an_agent("a1"), 700))))
    quota, agents = StorageQuota(furnished), AgentTable(furnished)

    await agents.create(an_agent("a2"), None, ENTRY, 10_000)
    before = await quota.used(ACME)
    assert before == await stored(store)
    assert before.total > 700
    await agents.delete(ACME, AgentId("a1"), anyway, ENTRY)
    await agents.delete(ACME, AgentId("a2"), anyway, ENTRY)
    after = await quota.used(ACME)
    assert 0 <= after.total < 100  # Its one row had names of empty fields that two rows do not have.


async def test_a_tenant_made_again_begins_with_nothing(furnished: Table) -> None:
    await AgentTable(furnished).create(an_agent("a1"), None, ENTRY)
    await furnished.store.transact([])
    await delete_tenant(furnished, ACME)
    # A deletion that was cut off may leave the counters.
    await furnished.write(
        Put("other", "row", {}), *(await StorageQuota(furnished).move(ACME, Space(77), None))
    )
    await TenantTable(furnished).create(a_tenant(), a_member(), ENTRY)

    assert await StorageQuota(furnished).used(ACME) == Space()


async def test_asking_about_a_tenant_that_is_not_there_leaves_nothing(table: Table) -> None:
    assert await StorageQuota(table).used(ACME) == Space()
    assert await table.store.get(PK, at.COUNTED_BYTES) is None
