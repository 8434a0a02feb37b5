"""Who is connected where, and who was last seen when, in the store, on every backend."""

import asyncio
from collections.abc import Mapping

import pytest

from artcafe.server.domain.ids import AgentId, ChannelId, TenantId
from artcafe.server.store import addresses as at
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.item import MAX_OPS, ItemStore, Json, Put
from artcafe.server.store.leases import LeaseTable
from artcafe.server.store.presence import ROW_AGENTS, PresenceTable
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from tests.kit.contents import contents
from tests.kit.outcomes import refused
from tests.kit.records import (
    ACME,
    ALIKE,
    AT,
    ENTRY,
    LATER,
    a_channel,
    a_member,
    a_partition,
    a_tenant,
    an_agent,
    anyway,
)
from tests.kit.stores import SetClock
from tests.kit.tenants import delete_tenant
from tests.kit.unreliable_store import UnreliableStore

A1, A2, A3 = AgentId("a1"), AgentId("a2"), AgentId("a3")


@pytest.fixture
async def sightings(table: Table) -> PresenceTable:
    for tenant in (ACME, ALIKE[0]):
        await TenantTable(table).create(a_tenant(tenant), a_member(tenant=tenant), ENTRY)
        for agent in (A1, A2, A3):
            await AgentTable(table).create(an_agent(agent, tenant=tenant), None, ENTRY)
    return PresenceTable(table)


async def online(sightings: PresenceTable, tenant: TenantId = ACME) -> dict[str, Mapping[AgentId, int]]:
    """The connections of each process, all of which are of this release."""
    found = await sightings.online(tenant, 0)
    assert all(row.leased for row in found.values())
    return {process: row.agents for process, row in found.items()}


class TestOnline:
    async def test_connections_are_known_by_process(self, sightings: PresenceTable) -> None:
        await sightings.announce(ACME, "p1", {A1: 2, A2: 1}, {})
        await sightings.announce(ACME, "p10", {A1: 3, A3: 1}, {})

        assert await online(sightings) == {"p1": {A1: 2, A2: 1}, "p10": {A1: 3, A3: 1}}

    async def test_what_a_process_says_replaces_what_it_said(self, sightings: PresenceTable) -> None:
        await sightings.announce(ACME, "p1", {A1: 2, A2: 1}, {})
        await sightings.announce(ACME, "p1", {A2: 4}, {})

        assert await online(sightings) == {"p1": {A2: 4}}

        await sightings.announce(ACME, "p1", {}, {})

        assert await online(sightings) == {}

    async def test_it_is_told_of_one_tenant(self, sightings: PresenceTable) -> None:
        await sightings.announce(ALIKE[0], "p1", {A1: 1}, {A2: AT})

        assert await online(sightings) == {}
        assert await sightings.last_seen(ACME, [A2]) == {}

    async def test_more_agents_than_a_row_takes_and_fewer_later(
        self, sightings: PresenceTable, backend: ItemStore
    ) -> None:
        many = {AgentId(f"{number:063}"): 1 for number in range(2 * ROW_AGENTS + 1)}
        before = contents(backend)

        await sightings.announce(ACME, "p1", many, {})
        assert await online(sightings) == {"p1": many}
        assert len(contents(backend) - before) == 3 + 1

        few = dict(list(many.items())[:5])
        await sightings.announce(ACME, "p1", few, {})
        assert await online(sightings) == {"p1": few}
        assert len(contents(backend) - before) == 1 + 1

    async def test_the_tenants_of_a_process_are_found_while_it_has_agents_there(
        self, table: Table, sightings: PresenceTable, backend: ItemStore
    ) -> None:
        leases, before = LeaseTable(table), contents(backend)
        for tenant in (ACME, ALIKE[0]):
            await sightings.announce(tenant, "p1", {A1: 1}, {})
        await sightings.announce(ACME, "p1", {A1: 1, A2: 1}, {})
        assert {held.tenant for held in await leases.held("p1")} == {ACME, ALIKE[0]}

        await sightings.announce(ACME, "p1", {}, {})
        assert [held.tenant for held in await leases.held("p1")] == [ALIKE[0]]

        await sightings.announce(ALIKE[0], "p1", {}, {})
        assert contents(backend) == before

    async def test_of_a_tenant_that_was_deleted_nothing_is_left(
        self, table: Table, sightings: PresenceTable, backend: ItemStore
    ) -> None:
        await sightings.announce(ACME, "p1", {A1: 1}, {})
        await delete_tenant(Table(backend))
        before = contents(backend)
        assert await LeaseTable(table).held("p1") == []

        await sightings.announce(ACME, "p1", {A2: 1}, {A1: AT})
        table.partitions.forget(ACME)
        await sightings.announce(ACME, "p1", {}, {A2: AT})

        assert contents(backend) == before


class TestOlderReleases:
    """They write rows that end, and know of no leases."""

    async def test_what_one_wrote_counts_until_it_ends(
        self, table: Table, sightings: PresenceTable, clock: SetClock
    ) -> None:
        ends = int(clock.now) + 90
        await older_announces(table, "p1", {A1: 1}, ends)
        await sightings.announce(ACME, "p2~x", {A2: 1}, {})

        found = await sightings.online(ACME, ends)
        assert {process: (dict(row.agents), row.leased) for process, row in found.items()} == {
            "p1": ({A1: 1}, False), "p2~x": ({A2: 1}, True)
        }  # fmt: skip
        clock.now = ends
        assert set(await sightings.online(ACME, ends)) == {"p2~x"}

    async def test_what_ends_later_than_anything_that_one_writes_was_written_by_a_wrong_clock(
        self, table: Table, sightings: PresenceTable, clock: SetClock
    ) -> None:
        soon = int(clock.now) + 90
        await older_announces(table, "p1", {A1: 1}, soon + 86_400)
        await older_announces(table, "p2", {A2: 1}, soon)

        assert set(await sightings.online(ACME, soon)) == {"p2"}
        assert await sightings.online(ACME, soon - 1) == {}

    async def test_one_reads_what_this_release_writes(self, table: Table, sightings: PresenceTable) -> None:
        """It takes a row without an end for one that holds, until it is cleared."""
        await sightings.announce(ACME, "p2~x", {A2: 1}, {})

        [item] = [item async for item in table.items(at.tenant(a_partition()), at.ONLINE)]

        assert item.data == {"agents": {A2: 1}}
        assert item.expires is None
        assert at.process(item.sk) == "p2~x"


async def older_announces(table: Table, process: str, agents: dict[AgentId, int], ends: int) -> None:
    """As a release without leases wrote it."""
    held: Mapping[str, Json] = {"agents": {str(agent): count for agent, count in agents.items()}}
    await table.write(Put(at.tenant(a_partition()), f"{at.online(process)}0", held, expires=ends))


class TestLastSeen:
    async def test_who_left_is_noted_and_the_last_time_counts(self, sightings: PresenceTable) -> None:
        await sightings.announce(ACME, "p1", {}, {A1: AT, A2: AT})
        await sightings.announce(ACME, "p2", {}, {A1: LATER})

        assert await sightings.last_seen(ACME, [A1, A2, A3]) == {A1: LATER, A2: AT}
        assert await sightings.last_seen(ACME, []) == {}

    async def test_many_who_leave_at_once_are_all_noted_but_for_those_who_are_gone(
        self, table: Table, sightings: PresenceTable
    ) -> None:
        names = [AgentId(f"many-{number:02}") for number in range(30)]
        for name in names:
            await AgentTable(table).create(an_agent(name), None, ENTRY)
        gone = names[17]
        await AgentTable(table).delete(ACME, gone, anyway, ENTRY)

        await sightings.announce(ACME, "p1", {}, dict.fromkeys(names, AT))

        assert set(await sightings.last_seen(ACME, names)) == set(names) - {gone}

    async def test_an_agent_that_was_deleted_is_not_noted(
        self, table: Table, sightings: PresenceTable, backend: ItemStore
    ) -> None:
        """Its connections end after it is gone, and are announced as ended."""
        await AgentTable(table).delete(ACME, A1, anyway, ENTRY)
        before = contents(backend)

        await sightings.announce(ACME, "p1", {}, {A1: LATER})
        sightings.used(ACME, A1, "SHA256:x", LATER)
        await sightings.flush()

        assert contents(backend) == before

    @pytest.mark.parametrize("writes", [0, 1])
    async def test_who_left_is_noted_before_the_rows_forget_it(
        self, sightings: PresenceTable, unreliable: UnreliableStore, writes: int
    ) -> None:
        await sightings.announce(ACME, "p1", {A1: 1}, {})
        unreliable.writes_left = writes

        with refused(Code.unavailable):
            await sightings.announce(ACME, "p1", {}, {A1: AT})

        assert await online(sightings) == {"p1": {A1: 1}}
        assert bool(await sightings.last_seen(ACME, [A1])) == (writes == 1)


class TestUses:
    @pytest.fixture
    async def sightings(self, table: Table) -> PresenceTable:
        """Agents with keys."""
        for tenant, keys in (
            (ACME, {A1: ("SHA256:x+/", "SHA256:y"), A2: ("SHA256:x",), A3: ()}),
            (ALIKE[0], {A1: ("SHA256:z",)}),
        ):
            await TenantTable(table).create(a_tenant(tenant), a_member(tenant=tenant), ENTRY)
            for agent, fingerprints in keys.items():
                await AgentTable(table).create(an_agent(agent, *fingerprints, tenant=tenant), None, ENTRY)
        return PresenceTable(table)

    async def test_the_last_use_of_each_key_counts(self, sightings: PresenceTable) -> None:
        sightings.used(ACME, A1, "SHA256:x+/", AT)
        sightings.used(ACME, A1, "SHA256:y", AT)
        sightings.used(ACME, A1, "SHA256:y", LATER)
        sightings.used(ACME, A2, "SHA256:x", AT)
        sightings.used(ALIKE[0], A1, "SHA256:z", AT)

        for _ in range(2):
            assert await sightings.uses(ACME, A1) == {"SHA256:x+/": AT, "SHA256:y": LATER}
            assert await sightings.uses(ACME, A3) == {}
            await sightings.flush()

    async def test_others_know_of_it_once_it_is_written(self, table: Table, sightings: PresenceTable) -> None:
        other = PresenceTable(table)
        sightings.used(ACME, A1, "SHA256:y", AT)
        assert await other.uses(ACME, A1) == {}
        await sightings.flush()
        assert await other.uses(ACME, A1) == {"SHA256:y": AT}
        sightings.used(ACME, A1, "SHA256:y", LATER)
        assert await sightings.uses(ACME, A1) == {"SHA256:y": LATER}

    async def test_one_that_is_gone_takes_no_other_along(
        self, table: Table, sightings: PresenceTable, backend: ItemStore
    ) -> None:
        names = [AgentId(f"b{number:03}") for number in range(MAX_OPS)]
        for name in names:
            await AgentTable(table).create(an_agent(name, f"SHA256:{name}"), None, ENTRY)
        gone = names[17]
        await AgentTable(table).delete(ACME, gone, anyway, ENTRY)
        for name in names:
            sightings.used(ACME, name, f"SHA256:{name}", AT)

        await sightings.flush()

        other = PresenceTable(table)
        assert [name for name in names if not await other.uses(ACME, name)] == [gone]
        before = contents(backend)
        await sightings.flush()
        assert contents(backend) == before

    async def test_what_was_not_written_waits(
        self, table: Table, sightings: PresenceTable, unreliable: UnreliableStore
    ) -> None:
        sightings.used(ACME, A1, "SHA256:y", AT)
        unreliable.writes_left = 0
        with refused(Code.unavailable):
            await sightings.flush()
        unreliable.writes_left = 1
        await sightings.flush()
        assert await PresenceTable(table).uses(ACME, A1) == {"SHA256:y": AT}

    async def test_nothing_is_written_of_a_key_that_was_removed_meanwhile(
        self, table: Table, sightings: PresenceTable
    ) -> None:
        sightings.used(ACME, A1, "SHA256:x+/", AT)
        sightings.used(ACME, A1, "SHA256:y", AT)
        await AgentTable(table).change(ACME, A1, lambda _: an_agent(A1, "SHA256:y"), ENTRY)

        await sightings.flush()

        assert await PresenceTable(table).uses(ACME, A1) == {"SHA256:y": AT}

    async def test_of_a_key_that_went_to_another_agent_both_are_asked_about_at_once(
        self, table: Table, sightings: PresenceTable
    ) -> None:
        sightings.used(ACME, A1, "SHA256:y", AT)
        await AgentTable(table).change(ACME, A1, lambda _: an_agent(A1), ENTRY)
        await AgentTable(table).change(ACME, A2, lambda _: an_agent(A2, "SHA256:y"), ENTRY)
        sightings.used(ACME, A2, "SHA256:y", LATER)

        await sightings.flush()

        assert await PresenceTable(table).uses(ACME, A2) == {"SHA256:y": LATER}


class TestSpoken:
    @pytest.fixture
    async def names(self, table: Table, sightings: PresenceTable) -> list[ChannelId]:
        """Thirty channels, more than one transaction takes."""
        names = [ChannelId(f"c{number:02}") for number in range(30)]
        for name in names:
            await ChannelTable(table).create(a_channel(name), None, ENTRY)
        return names

    async def test_the_last_time_counts_and_never_goes_back(
        self, sightings: PresenceTable, names: list[ChannelId]
    ) -> None:
        await sightings.spoken(ACME, dict.fromkeys(names[:20], LATER))

        await sightings.spoken(ACME, dict.fromkeys(names[10:], AT))

        expected = {**dict.fromkeys(names[:20], LATER), **dict.fromkeys(names[20:], AT)}
        assert await sightings.last_spoken(ACME, [*names, ChannelId("none")]) == expected

    async def test_of_a_channel_that_is_gone_nothing_is_written_and_of_the_others_all(
        self, table: Table, sightings: PresenceTable, names: list[ChannelId], backend: ItemStore
    ) -> None:
        await ChannelTable(table).delete(ACME, names[17], anyway, ENTRY)

        await sightings.spoken(ACME, dict.fromkeys(names, AT))

        told = await sightings.last_spoken(ACME, names)
        assert told == dict.fromkeys([name for name in names if name != names[17]], AT)

    @pytest.mark.parametrize("times", [(AT, LATER), (LATER, AT)], ids=["later last", "later first"])
    async def test_of_two_processes_that_write_at_once_the_later_stays(
        self, sightings: PresenceTable, names: list[ChannelId], backend: ItemStore, times: tuple[str, str]
    ) -> None:
        processes = [PresenceTable(Table(UnreliableStore(backend))) for _ in times]

        await asyncio.gather(
            *(
                process.spoken(ACME, dict.fromkeys(names, when))
                for process, when in zip(processes, times, strict=True)
            )
        )

        assert await sightings.last_spoken(ACME, names) == dict.fromkeys(names, LATER)
