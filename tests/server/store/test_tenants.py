"""Tenants in the store, on every backend."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from artcafe.server.domain.ids import AgentId, TenantId, UserId
from artcafe.server.domain.tenant import Member, Role, Tenant
from artcafe.server.store import addresses as at
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.audit import AuditTable
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.invitations import InvitationTable
from artcafe.server.store.item import MAX_GETS, Item, ItemStore
from artcafe.server.store.legal import LegalTable
from artcafe.server.store.login import ChallengeTable
from artcafe.server.store.members import MemberTable
from artcafe.server.store.memory import MemoryStore
from artcafe.server.store.presence import SightingTable
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import LAST_OWNERS, TenantTable
from artcafe.server.store.usage import UsageTable
from artcafe.wire.codes import Code
from tests.kit.contents import Row, contents
from tests.kit.outcomes import outcome, race, refused
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
    an_acceptance,
    an_agent,
    an_entry,
    an_invitation,
)
from tests.kit.seats import seat
from tests.kit.unreliable_store import UnreliableStore

PAUL = UserId("paul")


@pytest.fixture
def tenants(table: Table) -> TenantTable:
    return TenantTable(table)


@pytest.fixture
def members(table: Table) -> MemberTable:
    return MemberTable(table)


async def furnish(table: Table, tenant: str, extra_members: int = 0) -> None:
    """A tenant with something in every room."""
    name = a_tenant(tenant).id
    entry = an_entry(tenant=tenant)
    terms = an_acceptance(tenant=tenant)
    await TenantTable(table).create(a_tenant(tenant), a_member("olivia", tenant), entry, [terms])
    await seat(table, a_member("paul", tenant))
    await seat(table, a_member("paul", tenant, Role.admin))  # An owner went, and that left a row.
    await seat(table, a_member("auth0|paul", tenant, Role.viewer))
    await InvitationTable(table).create(an_invitation(tenant=tenant), entry)
    for number in range(extra_members):
        await seat(table, a_member(f"viewer-{number:02}", tenant, Role.viewer))
    for agent in ("a1", "a2"):
        await AgentTable(table).create(an_agent(agent, f"SHA256:{agent}", tenant=tenant), None, entry)
    await ChannelTable(table).create(a_channel("tasks.new", tenant), None, entry)
    sightings = SightingTable(table)
    a1 = AgentId("a1")
    sightings.used(name, a1, "SHA256:a1", AT)
    await sightings.flush()
    await sightings.announce(name, "p1", {a1: 1}, {AgentId("a2"): AT}, 2_000_000_000)
    await ChallengeTable(table).spend(name, a1, "for ever", None)
    await ChallengeTable(table).spend(name, a1, "for a while", 2_000_000_000)
    await UsageTable(table).add({(name, "2025-11-24", "messages"): 3, (name, "2025-11-25", "bytes"): 4})


def rows_of(tenant: str, rows: set[Row]) -> set[Row]:
    """The rows that tell of a tenant: its partitions, and its name elsewhere."""
    names = {tenant, a_partition(tenant)}
    return {
        row for row in rows if not names.isdisjoint({row[1].partition("#")[2], row[2].rpartition("#")[2]})
    }


class TestTenants:
    async def test_what_is_created_is_read(self, tenants: TenantTable) -> None:
        tenant = a_tenant(
            description="é",
            metadata={"deep": [{"n": 1.5}, None, True]},
            allow_client_challenge=True,
            subscription_tier="starter",
        )
        await tenants.create(tenant, a_member(), ENTRY)

        assert await tenants.get(ACME) == tenant

    async def test_a_tenant_that_never_was_is_none(self, tenants: TenantTable) -> None:
        await tenants.create(a_tenant("acme-2"), a_member(tenant="acme-2"), ENTRY)

        assert await tenants.get(ACME) is None

    async def test_a_taken_id_is_a_conflict_and_leaves_the_first_as_it_was(
        self, tenants: TenantTable, members: MemberTable
    ) -> None:
        await tenants.create(a_tenant(name="first"), a_member("olivia"), ENTRY)

        with refused(Code.conflict):
            await tenants.create(a_tenant(name="second"), a_member("paul"), ENTRY)

        tenant = await tenants.get(ACME)
        assert tenant is not None
        assert tenant.name == "first"
        assert await members.of_user(PAUL) == []
        assert [member.user for member in await members.of_tenant(ACME)] == ["olivia"]

    async def test_of_one_users_tenants_as_many_exist_as_are_allowed_whoever_is_faster(
        self, tenants: TenantTable
    ) -> None:
        def make(number: int) -> Coroutine[Any, Any, None]:
            tenant = a_tenant(f"t{number}", created_by="paul")
            return tenants.create(tenant, a_member("paul", tenant=tenant.id), ENTRY, (), 3)

        outcomes = await race(*(make(number) for number in range(8)))

        assert sorted(f"{code}" for code in outcomes) == ["Code.quota_exceeded"] * 5 + ["None"] * 3
        assert await tenants.made_by(PAUL) == 3

    async def test_one_that_is_gone_counts_no_more_and_once(self, tenants: TenantTable) -> None:
        for number in range(2):
            tenant = a_tenant(f"t{number}", created_by="paul")
            await tenants.create(tenant, a_member("paul", tenant=tenant.id), ENTRY, (), 2)
        uncounted = a_tenant("t9", created_by="paul")
        await tenants.create(uncounted, a_member("paul", tenant="t9"), ENTRY)

        await tenants.delete(uncounted.id)
        assert await tenants.made_by(PAUL) == 2
        await race(*(tenants.delete(TenantId("t0")) for _ in range(3)))
        assert await tenants.made_by(PAUL) == 1
        again = a_tenant("t0", created_by="paul")
        await tenants.create(again, a_member("paul", tenant="t0"), ENTRY, (), 2)
        with refused(Code.quota_exceeded):
            await tenants.create(a_tenant("t5", created_by="paul"), a_member("paul"), ENTRY, (), 2)

    async def test_a_taken_id_counts_for_nobody(self, tenants: TenantTable) -> None:
        await tenants.create(a_tenant(), a_member(), ENTRY)

        with refused(Code.conflict):
            await tenants.create(a_tenant(created_by="paul"), a_member("paul"), ENTRY, (), 3)

        assert await tenants.made_by(PAUL) == 0

    async def test_all_are_listed_in_pages_by_id(self, tenants: TenantTable) -> None:
        for name in ("c", "a", "b"):
            await tenants.create(a_tenant(name), a_member(tenant=name), ENTRY)

        first = await tenants.list(2, None)
        rest = await tenants.list(2, first.cursor)

        assert [tenant.id for tenant in (*first.items, *rest.items)] == ["a", "b", "c"]
        assert rest.cursor is None
        with refused(Code.bad_request):
            await tenants.list(2, "no cursor")

    async def test_of_many_who_create_one_id_at_once_exactly_one_wins(
        self, tenants: TenantTable, members: MemberTable
    ) -> None:
        users = [f"user-{number}" for number in range(8)]

        outcomes = await race(*(tenants.create(a_tenant(name=user), a_member(user), ENTRY) for user in users))

        assert outcomes.count(Code.conflict) == len(users) - 1
        winner = users[outcomes.index(None)]
        tenant = await tenants.get(ACME)
        assert tenant is not None
        assert tenant.name == winner
        assert await members.of_tenant(ACME) == [a_member(winner)]
        assert [user for user in users if await members.of_user(UserId(user))] == [winner]

    async def test_change_applies_to_the_current_record(self, tenants: TenantTable) -> None:
        await tenants.create(a_tenant(), a_member(), ENTRY)

        def edit(tenant: Tenant) -> Tenant:
            return replace(tenant, version=tenant.version + 1, name=tenant.name + "!")

        await race(*(tenants.change(ACME, edit, ENTRY) for _ in range(5)))

        tenant = await tenants.get(ACME)
        assert tenant is not None
        assert (tenant.version, tenant.name) == (6, "acme!!!!!")

    async def test_changing_what_is_not_there_is_not_found(self, tenants: TenantTable) -> None:
        with refused(Code.not_found):
            await tenants.change(ACME, lambda tenant: tenant, ENTRY)

    @pytest.mark.parametrize("lies", [False, True])
    async def test_a_change_and_its_entry_are_both_there_or_neither(
        self, table: Table, tenants: TenantTable, unreliable: UnreliableStore, lies: bool
    ) -> None:
        made, changed = an_entry("made"), an_entry("changed", at=LATER)
        works: list[Callable[[], Awaitable[object]]] = [
            lambda: tenants.create(a_tenant(), a_member(), made, [an_acceptance()]),
            lambda: tenants.change(ACME, lambda tenant: replace(tenant, name="new"), changed),
        ]
        for work, before, after in zip(works, ([], [made]), ([made], [changed, made]), strict=True):
            unreliable.writes_left, unreliable.lies = 0, lies
            assert await outcome(work()) is Code.unavailable
            unreliable.heal()
            assert (await AuditTable(table).list(ACME, 10, None)).items == (after if lies else before)
            if not lies:
                await work()
            assert (await AuditTable(table).list(ACME, 10, None)).items == after
        tenant = await tenants.get(ACME)
        assert tenant is not None
        assert tenant.name == "new"
        assert (await LegalTable(table).list(ACME, 10, None)).items == [an_acceptance()]

    async def test_every_lists_each_tenant_once(self, tenants: TenantTable) -> None:
        for name in (ACME, *ALIKE):
            await tenants.create(a_tenant(name), a_member(tenant=name), an_entry(tenant=name))
        await tenants.delete(ALIKE[0])

        assert sorted([tenant.id async for tenant in tenants.every()]) == sorted({ACME, *ALIKE[1:]})

    async def test_every_asks_for_many_at_once(
        self, tenants: TenantTable, unreliable: UnreliableStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One by one, a start with twenty thousand tenants takes minutes."""
        names = [f"t{n:03}" for n in range(MAX_GETS + 20)]
        for name in names:
            await tenants.create(a_tenant(name), a_member(tenant=name), an_entry(tenant=name))
        asked: list[int] = []
        get_many = unreliable.get_many

        async def counted(keys: Sequence[tuple[str, str]]) -> list[Item | None]:
            asked.append(len(keys))
            return await get_many(keys)

        monkeypatch.setattr(unreliable, "get_many", counted)
        monkeypatch.setattr(unreliable, "get", None)
        assert sorted([tenant.id async for tenant in tenants.every()]) == names
        assert asked == [MAX_GETS, 20]


class TestDeletion:
    async def test_nothing_of_the_tenant_is_left_anywhere(
        self, table: Table, tenants: TenantTable, backend: ItemStore
    ) -> None:
        await furnish(table, "acme")
        before = contents(backend)
        assert {row[1] for row in before} == {
            "TENANTS", "U#olivia", "U#paul", "U#auth0|paul",
            *(kind(a_partition()) for kind in (at.tenant, at.challenges, at.usage, at.sizes, at.log)),
        }  # fmt: skip
        assert {row[2].partition("#")[0] for row in before if row[1] == at.tenant(a_partition())} >= {
            "OWNERS", "INVITE", "LEGAL", "MEMBER", "AGENT", "CHAN", "COUNT"
        }  # fmt: skip

        await tenants.delete(ACME)

        assert contents(backend) == set()

    async def test_nothing_of_a_tenant_of_similar_name_is_touched(
        self, table: Table, tenants: TenantTable, backend: ItemStore
    ) -> None:
        for name in ALIKE:
            await furnish(table, name)
        others = contents(backend)
        await furnish(table, "acme")

        await tenants.delete(ACME)

        assert contents(backend) == others

    async def test_deleting_what_is_gone_does_nothing(self, table: Table, tenants: TenantTable) -> None:
        await furnish(table, "acme")

        await tenants.delete(ACME)
        await tenants.delete(ACME)

        assert await tenants.get(ACME) is None

    @pytest.mark.parametrize("lies", [False, True])
    async def test_a_deletion_that_was_cut_off_anywhere_is_finished_by_the_next(
        self, table: Table, unreliable: UnreliableStore, backend: ItemStore, lies: bool
    ) -> None:
        """Whatever write fails: until all is gone the tenant is there, and has an owner to ask again."""
        tenants, members = TenantTable(table), MemberTable(table)
        cuts, stride = 0, 1 if isinstance(backend, MemoryStore) else 12
        while True:
            await furnish(table, "acme", extra_members=LAST_OWNERS + 2)
            unreliable.writes_left, unreliable.lies = cuts, lies
            done = await outcome(tenants.delete(ACME))
            unreliable.heal()
            left = rows_of("acme", contents(backend))
            if await tenants.get(ACME) is not None:
                roles = {member.role for member in await members.of_tenant(ACME)}
                assert Role.owner in roles
                assert await self.owners_seen_from_themselves(members)
            else:
                # The transaction that ends the tenant takes its last members with it.
                assert not {row for row in left if row[1] != at.challenges(a_partition())}
            await tenants.delete(ACME)
            assert contents(backend) == set()
            if done is None:
                break
            assert done is Code.unavailable
            cuts += stride
        assert cuts > 20

    async def owners_seen_from_themselves(self, members: MemberTable) -> list[Member]:
        owners = [m for m in await members.of_tenant(ACME) if m.role is Role.owner]
        return [m for owner in owners for m in await members.of_user(owner.user)]

    async def test_a_tenant_made_again_has_nothing_of_the_first(
        self, table: Table, tenants: TenantTable, members: MemberTable
    ) -> None:
        await furnish(table, "acme")
        await tenants.delete(ACME)

        await tenants.create(a_tenant(), a_member("nina"), ENTRY)

        assert [member.user for member in await members.of_tenant(ACME)] == ["nina"]
        assert await AgentTable(table).count(ACME) == 0
        assert await ChannelTable(table).count(ACME) == 0
        assert (await InvitationTable(table).list(ACME, 10, None)).items == []
        assert (await LegalTable(table).list(ACME, 10, None)).items == []
        assert (await AuditTable(table).list(ACME, 10, None)).items == [ENTRY]
        assert await SightingTable(table).last_seen(ACME, [AgentId("a2")]) == {}
        assert await SightingTable(table).online(ACME, "p2") == {}
        assert await UsageTable(table).days(ACME, "2025-11-24", "2025-11-25") == {}
        assert await ChallengeTable(table).spend(ACME, AgentId("a1"), "for ever", None)

    async def test_what_a_server_process_still_tells_afterwards_is_not_written(
        self, table: Table, tenants: TenantTable, backend: ItemStore
    ) -> None:
        """The connections of a deleted tenant end after it is gone, and are announced as ended."""
        await furnish(table, "acme")
        await tenants.delete(ACME)
        sightings = SightingTable(table)

        await sightings.announce(ACME, "p1", {AgentId("a2"): 1}, {AgentId("a1"): LATER}, 2_000_000_000)
        sightings.used(ACME, AgentId("a1"), "SHA256:a1", LATER)
        await sightings.flush()

        assert contents(backend) == set()

    async def test_a_member_who_is_added_while_it_runs_goes_too(
        self, table: Table, backend: ItemStore
    ) -> None:
        """Whatever the moment: a membership without its tenant would open the next one of that name."""

        async def put_after(turns: int) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            await seat(table, a_member("late", role=Role.member))

        outcomes = set()
        for turns in range(0, 100, 1 if isinstance(backend, MemoryStore) else 25):
            await furnish(table, "acme", extra_members=LAST_OWNERS + 2)
            outcomes |= set(await race(TenantTable(table).delete(ACME), put_after(turns)))
            assert contents(backend) == set()
        assert outcomes == {None, Code.not_found} or not isinstance(backend, MemoryStore)
