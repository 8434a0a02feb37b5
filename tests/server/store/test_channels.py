"""Channels in the store, on every backend."""

import pytest
from msgspec.structs import replace

from artcafe.server.domain.channel import Channel
from artcafe.server.domain.durability import LEAST_BYTES, Durability
from artcafe.server.domain.durable_channels import DurableChannels
from artcafe.server.domain.ids import ChannelId
from artcafe.server.store import addresses as at
from artcafe.server.store.audit import AuditTable
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.item import ItemStore, Put
from artcafe.server.store.presence import PresenceTable
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.contents import contents
from tests.kit.outcomes import race, refused
from tests.kit.records import (
    ACME,
    ALIKE,
    AT,
    ENTRY,
    LATER,
    a_channel,
    a_member,
    a_tenant,
    an_entry,
    anyway,
)
from tests.kit.unreliable_store import UnreliableStore

TASKS = ChannelId("tasks")


@pytest.fixture
async def channels(table: Table) -> ChannelTable:
    for tenant in (ACME, *ALIKE):
        await TenantTable(table).create(a_tenant(tenant), a_member(tenant=tenant), ENTRY)
    return ChannelTable(table)


async def audited(table: Table) -> set[str]:
    """The ids of what the audit has; the fixture's own is among them."""
    return {entry.id for entry in (await AuditTable(table).list(ACME, 10, None)).items}


async def test_what_is_created_is_read(channels: ChannelTable) -> None:
    channel = replace(a_channel("tasks.new"), description="é", metadata={"n": [1, None]})
    await channels.create(channel, None, ENTRY)

    assert await channels.get(ACME, ChannelId("tasks.new")) == channel
    assert await channels.get(ACME, TASKS) is None


async def test_a_taken_id_is_a_conflict(channels: ChannelTable) -> None:
    await channels.create(replace(a_channel(), name="first"), None, ENTRY)

    with refused(Code.conflict):
        await channels.create(replace(a_channel(), name="second"), None, ENTRY)

    channel = await channels.get(ACME, TASKS)
    assert channel is not None
    assert channel.name == "first"


async def test_of_many_who_create_one_id_at_once_exactly_one_wins(channels: ChannelTable) -> None:
    names = [f"name {number}" for number in range(8)]

    outcomes = await race(*(channels.create(replace(a_channel(), name=name), None, ENTRY) for name in names))

    assert outcomes.count(Code.conflict) == len(names) - 1
    channel = await channels.get(ACME, TASKS)
    assert channel is not None
    assert channel.name == names[outcomes.index(None)]


async def test_the_same_id_in_another_tenant_is_another_channel(channels: ChannelTable) -> None:
    for tenant in (ACME, *ALIKE):
        await channels.create(a_channel("tasks", tenant), None, ENTRY)
    await channels.delete(ACME, TASKS, anyway, ENTRY)

    assert await channels.get(ACME, TASKS) is None
    for tenant in ALIKE:
        assert await channels.get(tenant, TASKS) == a_channel("tasks", tenant)


async def test_a_channel_without_a_tenant_is_not_found(table: Table, backend: ItemStore) -> None:
    with refused(Code.not_found):
        await ChannelTable(table).create(a_channel(), None, ENTRY)

    assert contents(backend) == set()


async def test_no_change_is_lost_when_many_come_at_once(channels: ChannelTable) -> None:
    await channels.create(a_channel(), None, ENTRY)

    def edit(channel: Channel) -> Channel:
        return replace(channel, version=channel.version + 1)

    await race(*(channels.change(ACME, TASKS, edit, ENTRY) for _ in range(8)))

    channel = await channels.get(ACME, TASKS)
    assert channel is not None
    assert channel.version == 9


async def test_what_is_not_there_is_neither_changed_nor_deleted(channels: ChannelTable) -> None:
    with refused(Code.not_found):
        await channels.change(ACME, TASKS, lambda channel: channel, ENTRY)
    with refused(Code.not_found):
        await channels.delete(ACME, TASKS, anyway, ENTRY)


async def test_of_two_who_delete_at_once_one_finds_nothing(channels: ChannelTable) -> None:
    await channels.create(a_channel(), None, ENTRY)

    outcomes = await race(
        channels.delete(ACME, TASKS, anyway, ENTRY), channels.delete(ACME, TASKS, anyway, ENTRY)
    )

    assert a_channel() in outcomes
    assert Code.not_found in outcomes


async def test_nothing_is_left_of_one_that_is_deleted(
    table: Table, channels: ChannelTable, backend: ItemStore
) -> None:
    for other in ("other", "another"):
        await channels.create(a_channel(other), None, ENTRY)
    before = contents(backend)
    await channels.create(a_channel(), None, ENTRY)
    await PresenceTable(table).spoken(ACME, {TASKS: AT})

    await channels.delete(ACME, TASKS, anyway, ENTRY)

    assert contents(backend) == before


async def test_what_is_changed_meanwhile_is_deleted_as_it_is_then(channels: ChannelTable) -> None:
    await channels.create(a_channel(), None, ENTRY)

    outcomes = await race(
        channels.delete(ACME, TASKS, anyway, ENTRY),
        channels.change(ACME, TASKS, lambda channel: replace(channel, name="new"), ENTRY),
    )

    assert isinstance(outcomes[0], Channel)
    assert outcomes[0].name == "new" or outcomes[1] is Code.not_found
    assert await channels.get(ACME, TASKS) is None


async def test_what_the_check_refuses_is_not_deleted(channels: ChannelTable) -> None:
    await channels.create(a_channel(), None, ENTRY)

    def check(channel: Channel) -> None:
        assert channel == a_channel()
        raise ArtcafeError(Code.precondition_failed)

    with refused(Code.precondition_failed):
        await channels.delete(ACME, TASKS, check, ENTRY)

    assert await channels.get(ACME, TASKS) == a_channel()
    assert await channels.count(ACME) == 1


async def test_of_many_who_create_at_once_exactly_as_many_as_may_win(
    channels: ChannelTable, backend: ItemStore
) -> None:
    """Two tables over one store are two server processes."""
    processes = [channels, ChannelTable(Table(backend))]

    outcomes = await race(*(processes[n % 2].create(a_channel(f"c{n}"), 5, ENTRY) for n in range(12)))

    assert outcomes.count(None) == 5
    assert outcomes.count(Code.quota_exceeded) == 7
    assert len((await channels.listed(ACME).page(20, None)).items) == await channels.count(ACME) == 5


async def test_what_is_deleted_makes_room_once_and_what_is_refused_does_not_count(
    channels: ChannelTable,
) -> None:
    for name in ("tasks", "b", "c"):
        await channels.create(a_channel(name), 3, ENTRY)
    with refused(Code.conflict):
        await channels.create(a_channel("b"), 4, ENTRY)

    await race(*(channels.delete(ACME, TASKS, anyway, ENTRY) for _ in range(3)))

    assert await channels.count(ACME) == 2
    await channels.create(a_channel("d"), 3, ENTRY)
    with refused(Code.quota_exceeded):
        await channels.create(a_channel("e"), 3, ENTRY)
    assert [await channels.count(tenant) for tenant in ALIKE] == [0, 0, 0, 0]


async def test_each_change_is_in_the_audit(table: Table, channels: ChannelTable) -> None:
    await channels.create(a_channel(), None, an_entry("made"))
    await channels.change(ACME, TASKS, lambda channel: replace(channel, name="new"), an_entry("changed"))
    await channels.delete(ACME, TASKS, anyway, an_entry("deleted"))

    assert await audited(table) == {ENTRY.id, "made", "changed", "deleted"}


async def test_what_was_refused_is_not_in_the_audit(table: Table, channels: ChannelTable) -> None:
    await channels.create(a_channel(), None, an_entry("made"))
    refusal = an_entry("refused")

    def refuse(_: Channel) -> Channel:
        raise ArtcafeError(Code.precondition_failed)

    outcomes = await race(
        channels.create(a_channel(), None, refusal),
        channels.create(a_channel("b"), 1, refusal),
        channels.create(a_channel("b", "nowhere"), None, refusal),
        channels.change(ACME, TASKS, refuse, refusal),
        channels.change(ACME, ChannelId("b"), lambda channel: channel, refusal),
        channels.delete(ACME, ChannelId("b"), anyway, refusal),
    )

    assert all(isinstance(outcome, Code) for outcome in outcomes)
    assert await audited(table) == {ENTRY.id, "made"}


async def test_when_a_channel_had_its_last_message_goes_with_it_and_never_back(
    table: Table, channels: ChannelTable, backend: ItemStore
) -> None:
    sightings = PresenceTable(table)
    for other in ("other", "another"):
        await channels.create(a_channel(other), None, ENTRY)
    before = contents(backend)
    await channels.create(a_channel(), None, ENTRY)
    for when in (AT, LATER, AT):
        await sightings.spoken(ACME, {TASKS: when, ChannelId("nowhere"): when})
    assert await sightings.last_spoken(ACME, [TASKS, ChannelId("nowhere"), ChannelId("other")]) == {
        TASKS: LATER
    }

    await channels.delete(ACME, TASKS, anyway, ENTRY)

    assert contents(backend) == before
    assert await sightings.last_spoken(ACME, [TASKS]) == {}


async def test_pages_are_in_order_of_the_ids_and_of_one_tenant(channels: ChannelTable) -> None:
    for name in ("b", "a.b", "a", "a-b", "B"):
        await channels.create(a_channel(name), None, ENTRY)
        await channels.create(a_channel(f"{name}x", "acme-2"), None, ENTRY)

    first = await channels.listed(ACME).page(3, None)
    second = await channels.listed(ACME).page(3, first.cursor)

    assert [channel.id for channel in [*first.items, *second.items]] == ["B", "a", "a-b", "a.b", "b"]
    assert second.cursor is None
    assert await channels.count(ACME) == 5
    with refused(Code.bad_request):
        await channels.listed(ACME).page(5, "garbage")


async def test_a_store_that_is_away_is_unavailable(
    channels: ChannelTable, unreliable: UnreliableStore
) -> None:
    unreliable.away = True

    with refused(Code.unavailable):
        await channels.create(a_channel(), None, ENTRY)
    with refused(Code.unavailable):
        await channels.delete(ACME, TASKS, anyway, ENTRY)
    with refused(Code.unavailable):
        await channels.listed(ACME).page(5, None)


SMALL = Durability(max_bytes=LEAST_BYTES)


async def test_of_durable_channels_that_overlap_and_are_made_at_once_one_is_stored(
    channels: ChannelTable,
) -> None:
    await channels.create(a_channel("plain", subject="tasks.plain"), None, ENTRY)
    known = await channels.get(ACME, ChannelId("plain"))
    assert known is not None

    outcomes = await race(
        *(
            channels.create(a_channel(f"c{number}", subject="tasks.>", durability=SMALL), None, ENTRY)
            for number in range(5)
        ),
        channels.change(ACME, known.id, lambda channel: replace(channel, durability=SMALL), ENTRY),
    )

    assert outcomes.count(Code.conflict) == 5
    durable = await channels.durable(ACME)
    assert durable is not None
    assert (len(durable.channels), durable.whole) == (1, True)
    assert await channels.count(ACME) == (1 if known.id == durable.channels[0].id else 2)


async def test_what_durable_channels_reserve_is_bounded_whoever_comes_at_once(channels: ChannelTable) -> None:
    outcomes = await race(
        *(
            channels.create(
                a_channel(f"c{number}", durability=SMALL), 100, ENTRY, durable_bytes=3 * LEAST_BYTES
            )
            for number in range(6)
        )
    )
    assert outcomes.count(Code.quota_exceeded) == 3
    durable = await channels.durable(ACME)
    assert durable is not None
    assert durable.reserved_bytes == 3 * LEAST_BYTES


async def test_that_a_tenant_had_a_durable_channel_is_known_for_ever(channels: ChannelTable) -> None:
    assert await channels.durable(ACME) is None
    await channels.create(a_channel(), None, ENTRY)
    assert await channels.durable(ACME) is None
    await channels.change(ACME, TASKS, lambda channel: replace(channel, durability=SMALL), ENTRY)
    await channels.delete(ACME, TASKS, lambda _: None, ENTRY)
    assert await channels.durable(ACME) == DurableChannels(())


async def test_beside_a_channel_that_cannot_be_read_the_durable_ones_are_not_all(
    channels: ChannelTable, table: Table
) -> None:
    await channels.create(a_channel("other", durability=SMALL), None, ENTRY)
    pk = at.tenant(await table.partition(ACME))
    await table.write(Put(pk, at.channel(TASKS), {"id": 7}))
    durable = await channels.durable(ACME)
    assert durable is not None
    assert ([channel.id for channel in durable.channels], durable.whole) == (["other"], False)
