"""Channels in the store, on every backend."""

import pytest
from msgspec.structs import replace

from artcafe.server.domain.channel import Channel
from artcafe.server.domain.ids import ChannelId
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.item import ItemStore
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from tests.kit.contents import contents
from tests.kit.outcomes import race, refused
from tests.kit.records import ACME, ALIKE, a_channel, a_member, a_tenant
from tests.kit.unreliable_store import UnreliableStore

TASKS = ChannelId("tasks")


@pytest.fixture
async def channels(table: Table) -> ChannelTable:
    for tenant in (ACME, *ALIKE):
        await TenantTable(table).create(a_tenant(tenant), a_member(tenant=tenant))
    return ChannelTable(table)


async def test_what_is_created_is_read(channels: ChannelTable) -> None:
    channel = replace(a_channel("tasks.new"), description="é", metadata={"n": [1, None]})
    await channels.create(channel)

    assert await channels.get(ACME, ChannelId("tasks.new")) == channel
    assert await channels.get(ACME, TASKS) is None


async def test_a_taken_id_is_a_conflict(channels: ChannelTable) -> None:
    await channels.create(replace(a_channel(), name="first"))

    with refused(Code.conflict):
        await channels.create(replace(a_channel(), name="second"))

    channel = await channels.get(ACME, TASKS)
    assert channel is not None
    assert channel.name == "first"


async def test_of_many_who_create_one_id_at_once_exactly_one_wins(channels: ChannelTable) -> None:
    names = [f"name {number}" for number in range(8)]

    outcomes = await race(*(channels.create(replace(a_channel(), name=name)) for name in names))

    assert outcomes.count(Code.conflict) == len(names) - 1
    channel = await channels.get(ACME, TASKS)
    assert channel is not None
    assert channel.name == names[outcomes.index(None)]


async def test_the_same_id_in_another_tenant_is_another_channel(channels: ChannelTable) -> None:
    for tenant in (ACME, *ALIKE):
        await channels.create(a_channel("tasks", tenant))
    await channels.delete(ACME, TASKS)

    assert await channels.get(ACME, TASKS) is None
    for tenant in ALIKE:
        assert await channels.get(tenant, TASKS) == a_channel("tasks", tenant)


async def test_a_channel_without_a_tenant_is_not_found(table: Table, backend: ItemStore) -> None:
    with refused(Code.not_found):
        await ChannelTable(table).create(a_channel())

    assert contents(backend) == set()


async def test_no_change_is_lost_when_many_come_at_once(channels: ChannelTable) -> None:
    await channels.create(a_channel())

    def edit(channel: Channel) -> Channel:
        return replace(channel, version=channel.version + 1)

    await race(*(channels.change(ACME, TASKS, edit) for _ in range(8)))

    channel = await channels.get(ACME, TASKS)
    assert channel is not None
    assert channel.version == 9


async def test_what_is_not_there_is_neither_changed_nor_deleted(channels: ChannelTable) -> None:
    with refused(Code.not_found):
        await channels.change(ACME, TASKS, lambda channel: channel)
    with refused(Code.not_found):
        await channels.delete(ACME, TASKS)


async def test_of_two_who_delete_at_once_one_finds_nothing(channels: ChannelTable) -> None:
    await channels.create(a_channel())

    outcomes = await race(channels.delete(ACME, TASKS), channels.delete(ACME, TASKS))

    assert sorted(outcomes, key=str) == [Code.not_found, None]


async def test_pages_are_in_order_of_the_ids_and_of_one_tenant(channels: ChannelTable) -> None:
    for name in ("b", "a.b", "a", "a-b", "B"):
        await channels.create(a_channel(name))
        await channels.create(a_channel(f"{name}x", "acme-2"))

    first = await channels.list(ACME, 3, None)
    second = await channels.list(ACME, 3, first.cursor)

    assert [channel.id for channel in [*first.items, *second.items]] == ["B", "a", "a-b", "a.b", "b"]
    assert second.cursor is None
    assert await channels.count(ACME) == 5
    with refused(Code.bad_request):
        await channels.list(ACME, 5, "garbage")


async def test_a_store_that_is_away_is_unavailable(
    channels: ChannelTable, unreliable: UnreliableStore
) -> None:
    unreliable.away = True

    with refused(Code.unavailable):
        await channels.create(a_channel())
    with refused(Code.unavailable):
        await channels.delete(ACME, TASKS)
    with refused(Code.unavailable):
        await channels.list(ACME, 5, None)
