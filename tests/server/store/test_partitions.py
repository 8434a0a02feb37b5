"""Which partition a tenant's rows stand in, on every backend: no two tenants ever share one."""

import asyncio

import pytest

from artcafe.server.domain.ids import AgentId, UserId
from artcafe.server.domain.tenant import Member, Role, Tenant
from artcafe.server.store import addresses as at
from artcafe.server.store import partitions
from artcafe.server.store.addresses import Partition
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.item import Conflict, ItemStore, Put
from artcafe.server.store.login import ChallengeTable
from artcafe.server.store.members import MemberTable
from artcafe.server.store.partitions import NOWHERE, Partitions, live, named
from artcafe.server.store.presence import PresenceTable
from artcafe.server.store.table import Table, data
from artcafe.server.store.tenants import TenantTable
from artcafe.server.store.usage import UsageTable
from artcafe.wire.codes import Code
from tests.kit.contents import contents
from tests.kit.outcomes import outcome, refused
from tests.kit.records import ACME, AT, ENTRY, a_member, a_tenant, an_agent, anyway
from tests.kit.tenants import delete_tenant, kept
from tests.kit.unreliable_store import UnreliableStore

A1, PAUL = AgentId("a1"), UserId("paul")


async def remake(backend: ItemStore) -> Tenant:
    """Delete `acme` through another process, and let paul make it again."""
    tenants, again = TenantTable(Table(backend)), a_tenant(name="again", account="another account")
    await delete_tenant(Table(backend))
    await tenants.create(again, a_member("paul"), ENTRY)
    return again


async def test_a_tenant_that_never_was_is_nowhere_and_asked_for_anew(table: Table) -> None:
    assert await table.partition(ACME) == NOWHERE
    await TenantTable(table).create(a_tenant(), a_member(), ENTRY)

    assert await table.partition(ACME) == Partition(a_tenant().account)


async def test_the_partition_of_an_older_release_is_the_id(table: Table, backend: ItemStore) -> None:
    await backend.put(Put(at.TENANTS, ACME, {}))
    await backend.put(Put("T#acme", at.META, data(a_tenant())))
    await backend.put(Put("T#acme", at.member(PAUL), data(a_member("paul"))))

    assert await TenantTable(table).get(ACME) == a_tenant()
    assert await MemberTable(table).of_tenant(ACME) == [a_member("paul")]


async def test_a_new_tenants_rows_stand_under_its_account(table: Table, backend: ItemStore) -> None:
    """Its id is in keys that name it, and in none that holds what is the tenant's alone."""
    await TenantTable(table).create(a_tenant(account="f00d"), a_member(), ENTRY)

    rows = kept(backend)
    assert {row[1:] for row in rows if row[2].endswith(f"#{ACME}")} == {("U#olivia", "TENANT#acme")}
    assert {row[1] for row in rows} == {at.TENANTS, "T#f00d", "U#olivia", "LOG#f00d"}


async def test_where_a_tenant_stands_is_read_once(backend: ItemStore, unreliable: UnreliableStore) -> None:
    await TenantTable(Table(backend)).create(a_tenant(), a_member(), ENTRY)
    held = Partitions(unreliable)
    first = await held.of(ACME)
    unreliable.away = True

    assert await held.of(ACME) == first


async def test_as_many_are_held_as_may_be(backend: ItemStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "MAX_HELD", 3)
    held = Partitions(backend)
    for number in range(5):
        tenant = a_tenant(f"t{number}")
        await backend.put(named(tenant))
        await held.of(tenant.id)

    assert len(held._held) == 3


async def test_a_taken_id_is_a_conflict_whoever_asks_at_once(backend: ItemStore) -> None:
    async def take(account: str) -> bool:
        try:
            await backend.put(named(a_tenant(account=account)))
        except Conflict:
            return False
        return True

    assert sorted(await asyncio.gather(*(take(f"account {n}") for n in range(8)))) == [False] * 7 + [True]


async def test_what_depends_on_a_tenant_is_not_written_without_it(table: Table, backend: ItemStore) -> None:
    await TenantTable(table).create(a_tenant(), a_member(), ENTRY)
    partition = await table.partition(ACME)
    await table.write(live(partition), Put("p", "with", {}))
    await delete_tenant(table, ACME)

    for gone in (partition, NOWHERE):
        with pytest.raises(Conflict):
            await table.write(live(gone), Put("p", "without", {}))
    assert await backend.get("p", "without") is None


class TestStale:
    """A process holds where a tenant stood that another process deleted and made again."""

    @pytest.fixture(autouse=True)
    async def known(self, table: Table) -> None:
        await TenantTable(table).create(a_tenant(), a_member(), ENTRY)
        await AgentTable(table).create(an_agent("a1", "SHA256:1"), None, ENTRY)

    async def test_the_tenant_that_is_read_is_the_new_one(self, table: Table, backend: ItemStore) -> None:
        again = await remake(backend)

        assert await TenantTable(table).get(ACME) == again
        assert await table.partition(ACME) == Partition("another account")

    async def test_the_rules_that_are_read_are_the_new_ones(self, table: Table, backend: ItemStore) -> None:
        await remake(backend)

        rules = await TenantTable(table).rules(ACME)

        assert rules is not None
        assert rules.account == "another account"

    async def test_its_members_are_the_new_ones(self, table: Table, backend: ItemStore) -> None:
        await remake(backend)
        members = MemberTable(table)

        assert await members.get(ACME, PAUL) == a_member("paul")
        assert await members.get(ACME, UserId("olivia")) is None
        assert await members.of_tenant(ACME) == [a_member("paul")]

    async def test_a_change_is_of_the_new_one(self, table: Table, backend: ItemStore) -> None:
        await remake(backend)

        def rename(tenant: Tenant) -> Tenant:
            return a_tenant(name=tenant.name + "!", account=tenant.account)

        assert (await TenantTable(table).change(ACME, rename, ENTRY)).name == "again!"

    async def test_a_member_is_added_to_the_new_one(self, table: Table, backend: ItemStore) -> None:
        await remake(backend)
        nina = a_member("nina", role=Role.member)

        def join(known: Member | None) -> Member:
            assert known is None
            return nina

        await MemberTable(table).put(ACME, nina.user, join, ENTRY)

        assert nina in await MemberTable(Table(backend)).of_tenant(ACME)

    async def test_nothing_of_the_former_one_is_found_or_written(
        self, table: Table, backend: ItemStore
    ) -> None:
        await remake(backend)
        before = contents(backend)
        agents, sightings = AgentTable(table), PresenceTable(table)

        assert await agents.get(ACME, A1) is None
        assert await outcome(agents.create(an_agent("a2"), None, ENTRY)) is Code.not_found
        assert await outcome(agents.change(ACME, A1, lambda agent: agent, ENTRY)) is Code.not_found
        assert await outcome(agents.delete(ACME, A1, anyway, ENTRY)) is Code.not_found
        sightings.used(ACME, A1, "SHA256:1", AT)
        await sightings.flush()
        await sightings.announce(ACME, "p1", {A1: 1}, {A1: AT})

        assert contents(backend) == before

    async def test_what_is_counted_and_spent_late_is_not_seen_by_the_new_one(
        self, table: Table, backend: ItemStore
    ) -> None:
        await remake(backend)
        other = Table(backend)

        await UsageTable(table).add({(ACME, "2025-11-24", "messages"): 3})
        await ChallengeTable(table).spend(ACME, A1, "c", None)

        assert await UsageTable(other).days(ACME, "2025-11-24", "2025-11-24") == {}
        assert await ChallengeTable(other).spend(ACME, A1, "c", None) is True

    async def test_who_was_told_of_the_change_knows_at_once(self, table: Table, backend: ItemStore) -> None:
        await remake(backend)
        table.partitions.forget(ACME)

        await UsageTable(table).add({(ACME, "2025-11-24", "messages"): 3})

        assert await UsageTable(Table(backend)).days(ACME, "2025-11-24", "2025-11-24") != {}

    async def test_one_that_is_gone_for_good_is_none_and_no_longer_held(
        self, table: Table, backend: ItemStore
    ) -> None:
        await delete_tenant(Table(backend), ACME)

        assert await TenantTable(table).get(ACME) is None
        assert await table.partition(ACME) == NOWHERE

    async def test_a_store_that_is_away_is_unavailable(
        self, table: Table, backend: ItemStore, unreliable: UnreliableStore
    ) -> None:
        await remake(backend)
        unreliable.away = True

        with refused(Code.unavailable):
            await TenantTable(table).get(ACME)
