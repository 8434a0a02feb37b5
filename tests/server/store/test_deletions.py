"""Deletions of tenants in the store, on every backend, cut off at every write."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from artcafe.server.domain.deletion import Deletion
from artcafe.server.domain.ids import AgentId, ChannelId, TenantId, UserId
from artcafe.server.domain.tenant import Role, Status, Tenant
from artcafe.server.store import addresses as at
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.audit import AuditTable
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.deletions import DeletionTable
from artcafe.server.store.invitations import InvitationTable
from artcafe.server.store.item import Backend, Delete, ItemStore, Op, Put
from artcafe.server.store.legal import LegalTable
from artcafe.server.store.login import ChallengeTable
from artcafe.server.store.members import MemberTable
from artcafe.server.store.memory import MemoryStore
from artcafe.server.store.presence import PresenceTable
from artcafe.server.store.quota import StorageQuota
from artcafe.server.store.table import Table, data
from artcafe.server.store.tenants import TenantTable
from artcafe.server.store.usage import UsageTable
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.contents import contents
from tests.kit.faults import Fault, FaultyStore, every_cut
from tests.kit.furnished import furnish
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
    anyway,
)
from tests.kit.seats import seat
from tests.kit.stores import BACKENDS, SetClock
from tests.kit.tenants import delete_tenant, do_deletions, going, kept
from tests.kit.unreliable_store import UnreliableStore

Fresh = Callable[[], AbstractAsyncContextManager[Backend]]

A1, TASKS, OLIVIA, PAUL = AgentId("a1"), ChannelId("tasks.new"), UserId("olivia"), UserId("paul")


class WatchedStore(UnreliableStore):
    """Tells of the operations that were written. What removes members waits while the gate is closed."""

    def __init__(self, store: ItemStore) -> None:
        super().__init__(store)
        self.ops: list[Op] = []
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def transact(self, ops: Sequence[Op]) -> list[str | None]:
        """See ItemStore."""
        if any(isinstance(op, Delete) and op.sk.startswith(at.MEMBERS) for op in ops):
            self.reached.set()
            await self.gate.wait()
        self.ops += ops
        return await super().transact(ops)


async def begin(table: Table, tenant: TenantId = ACME) -> Deletion:
    deletions = DeletionTable(table)
    await deletions.begin(tenant, going, an_entry("deleted", tenant))
    [deletion] = [each for each in await deletions.pending() if each.tenant == tenant]
    return deletion


class TestBegin:
    async def test_it_says_so_keeps_the_id_and_is_noted_twice(self, table: Table) -> None:
        made = await furnish(table, description="é", created_by="olivia")

        deletion = await begin(table)

        assert await TenantTable(table).get(ACME) == going(made)
        assert (deletion.tenant, deletion.rules.account, deletion.freed_at) == (ACME, made.account, None)
        assert deletion.created_by == "olivia"
        log = AuditTable(table)
        assert (await log.list(ACME, 1, None)).items[0].id in {"deleted", "seat of paul"}
        assert "deleted" in {entry.id for entry in (await log.list(ACME, 20, None)).items}
        assert "deleted" in {entry.id for entry in (await log.of_installation(20, None)).items}
        with refused(Code.conflict) as refusal:
            await TenantTable(table).create(a_tenant(account="x"), a_member("paul"), ENTRY)
        assert "being deleted" in refusal.message

    async def test_what_decides_about_logins_is_gone_and_operators_see_it(self, table: Table) -> None:
        await furnish(table)
        await begin(table)
        tenants = TenantTable(table)

        assert await tenants.rules(ACME) is None
        assert [rules async for rules in tenants.every()] == []
        assert [tenant.status for tenant in (await tenants.list(10, None)).items] == [Status.deleting]
        assert Role.owner in {member.role for member in await MemberTable(table).of_tenant(ACME)}
        assert [member.tenant for member in await MemberTable(table).of_user(OLIVIA)] == [ACME]

    async def test_the_revision_decides_and_what_the_edit_raises_changes_nothing(
        self, table: Table, backend: ItemStore
    ) -> None:
        await furnish(table)
        before = contents(backend)

        def refuse(_: Tenant) -> Tenant:
            raise ArtcafeError(Code.precondition_failed)

        with refused(Code.precondition_failed):
            await DeletionTable(table).begin(ACME, refuse, ENTRY)
        assert contents(backend) == before

    async def test_of_many_at_once_one_begins_it(self, table: Table) -> None:
        await furnish(table)
        deletions = DeletionTable(table)

        outcomes = await race(*(deletions.begin(ACME, going, an_entry(f"d{n}")) for n in range(5)))

        assert sorted(f"{code}" for code in outcomes) == ["Code.deleting"] * 4 + ["None"]
        assert len(await deletions.pending()) == 1

    async def test_one_that_is_not_there_is_not_found(self, table: Table) -> None:
        assert await outcome(DeletionTable(table).begin(ACME, going, ENTRY)) is Code.not_found

    async def test_nothing_is_written_in_it_any_more(self, table: Table, backend: ItemStore) -> None:
        await furnish(table)
        await begin(table)
        before = contents(backend)
        agents, channels, sightings = AgentTable(table), ChannelTable(table), PresenceTable(table)
        works: list[Callable[[], Awaitable[object]]] = [
            lambda: agents.create(an_agent("new", "SHA256:new"), None, ENTRY),
            lambda: agents.change(ACME, A1, lambda agent: agent, ENTRY),
            lambda: agents.delete(ACME, A1, anyway, ENTRY),
            lambda: channels.create(a_channel("new"), None, ENTRY),
            lambda: channels.change(ACME, TASKS, lambda channel: channel, ENTRY),
            lambda: channels.delete(ACME, TASKS, anyway, ENTRY),
            lambda: seat(table, a_member("nina")),
            lambda: MemberTable(table).delete(ACME, PAUL, anyway, ENTRY),
            lambda: InvitationTable(table).create(an_invitation("i2"), ENTRY),
            lambda: InvitationTable(table).delete(ACME, "i1", ENTRY),
            lambda: InvitationTable(table).accept(ACME, "i1", OLIVIA, lambda *_: a_member(), ENTRY),
            lambda: LegalTable(table).accept(ACME, [an_acceptance("v2")], ENTRY),
            lambda: TenantTable(table).change(ACME, lambda tenant: tenant, ENTRY),
        ]

        for number, work in enumerate(works):
            assert await outcome(work()) is Code.not_found, number
        await sightings.announce(ACME, "p2", {A1: 1}, {})

        assert contents(backend) == before
        assert (await StorageQuota(table).used(ACME)).total > 0


class TestAll:
    async def test_nothing_is_left_anywhere_but_who_did_it(self, table: Table, backend: ItemStore) -> None:
        await furnish(table, created_by="olivia", most=3)
        rows = kept(backend)
        assert {row[1] for row in rows} == {
            "TENANTS", "U#olivia", "U#paul", "U#auth0|paul", "HELD#p1",
            *(kind(a_partition()) for kind in (at.tenant, at.challenges, at.usage, at.sizes, at.log)),
        }  # fmt: skip
        assert {row[2].partition("#")[0] for row in rows if row[1] == at.tenant(a_partition())} >= {
            "OWNERS", "INVITE", "LEGAL", "MEMBER", "AGENT", "CHAN", "COUNT"
        }  # fmt: skip

        await delete_tenant(table)

        assert kept(backend) == set()
        entries = (await AuditTable(table).of_installation(10, None)).items
        assert [(entry.id, entry.tenant) for entry in entries] == [("deleted", ACME), ("e1", ACME)]

    async def test_one_of_an_older_release_goes_the_same_way(self, table: Table, backend: ItemStore) -> None:
        old = a_tenant(account="f00d")
        await backend.put(Put(at.TENANTS, ACME, {}))
        await backend.put(Put("T#acme", at.META, data(old)))
        await backend.put(Put("T#acme", at.member(OLIVIA), data(a_member())))
        await backend.put(Put("U#olivia", at.membership(ACME), data(a_member())))
        await backend.put(Put("CH#acme", "a1#c", {}))

        deletion = await begin(table)
        assert deletion.rules.account == "f00d"
        await do_deletions(table)

        assert kept(backend) == set()

    async def test_nothing_of_a_tenant_of_similar_name_is_touched(
        self, table: Table, backend: ItemStore
    ) -> None:
        for name in ALIKE:
            await furnish(table, name)
        others = kept(backend)
        await furnish(table)

        await delete_tenant(table)

        assert kept(backend) == others

    async def test_the_id_is_free_and_the_next_one_has_nothing_of_the_first(self, table: Table) -> None:
        await furnish(table, created_by="paul", most=1)
        await delete_tenant(table)
        again = a_tenant(created_by="paul", account="another")

        await TenantTable(table).create(again, a_member("nina"), ENTRY, (), 1)

        assert [member.user for member in await MemberTable(table).of_tenant(ACME)] == ["nina"]
        assert await AgentTable(table).count(ACME) == 0
        assert await ChannelTable(table).count(ACME) == 0
        assert (await InvitationTable(table).list(ACME, 10, None)).items == []
        assert (await LegalTable(table).list(ACME, 10, None)).items == []
        assert (await AuditTable(table).list(ACME, 10, None)).items == [ENTRY]
        assert await PresenceTable(table).last_seen(ACME, [AgentId("a2")]) == {}
        assert await PresenceTable(table).online(ACME, 2**40) == {}
        assert await UsageTable(table).days(ACME, "2025-11-24", "2025-11-25") == {}
        assert await ChallengeTable(table).spend(ACME, A1, "for ever", None)

    async def test_members_go_last_and_owners_after_the_others(
        self, table: Table, backend: ItemStore
    ) -> None:
        await furnish(table, extra_members=30)
        deletion = await begin(table)
        watched = WatchedStore(backend)

        assert await DeletionTable(Table(watched)).sweep(deletion)

        gone = [op.sk for op in watched.ops if isinstance(op, Delete) and op.pk == at.tenant(a_partition())]
        assert gone[-1] == at.member(OLIVIA)
        assert all(sk.startswith(at.MEMBERS) for sk in gone[-33:])
        assert not any(sk.startswith(at.MEMBERS) for sk in gone[:-33])
        assert await TenantTable(table).get(ACME) is not None

    async def test_what_comes_late_is_removed_at_the_end(self, table: Table, backend: ItemStore) -> None:
        """Counters and challenges depend on nothing, so a process that has not heard writes them yet."""
        await furnish(table)
        late = Table(backend)
        await late.partition(ACME)
        deletions, deletion = DeletionTable(table), await begin(table)
        await deletions.sweep(deletion)
        await UsageTable(late).add({(ACME, "2025-11-24", "messages"): 3})
        await deletions.free(deletion, AT)
        await ChallengeTable(late).spend(ACME, A1, "c", None)
        assert kept(backend) > {("item", at.DELETIONS, at.to_end(a_partition()))}

        [freed] = await deletions.pending()
        assert freed.freed_at == AT
        await deletions.end(freed)

        assert kept(backend) == set()

    async def test_what_a_server_process_still_tells_afterwards_is_not_written(
        self, table: Table, backend: ItemStore
    ) -> None:
        """The connections of a deleted tenant end after it is gone, and are announced as ended."""
        await furnish(table)
        await delete_tenant(table)
        sightings = PresenceTable(table)

        await sightings.announce(ACME, "p1", {AgentId("a2"): 1}, {A1: LATER})
        sightings.used(ACME, A1, "SHA256:a1", LATER)
        await sightings.flush()

        assert kept(backend) == set()


class TestSeveral:
    async def test_several_processes_at_once_do_it_once(self, table: Table, backend: ItemStore) -> None:
        await furnish(table, extra_members=20, created_by="olivia", most=2)
        await TenantTable(table).create(
            a_tenant("other", created_by="olivia"), a_member(tenant="other"), ENTRY, (), 2
        )
        await begin(table)

        outcomes = await race(*(do_deletions(Table(backend)) for _ in range(4)))

        assert set(outcomes) == {None}
        assert await TenantTable(table).made_by(OLIVIA) == 1
        assert await TenantTable(table).get(ACME) is None

    async def test_one_that_is_late_takes_nothing_of_the_next_tenant(
        self, table: Table, backend: ItemStore
    ) -> None:
        """It has read the members, and removes them when the same users are members of another tenant."""
        await furnish(table)
        deletion = await begin(table)
        slow = WatchedStore(backend)
        slow.gate.clear()
        sweeping = asyncio.create_task(DeletionTable(Table(slow)).sweep(deletion))
        await slow.reached.wait()
        await do_deletions(table)
        await TenantTable(table).create(a_tenant(account="another"), a_member(), ENTRY)
        slow.gate.set()

        assert await sweeping is False
        await DeletionTable(Table(slow)).free(deletion, AT)

        assert [member.tenant for member in await MemberTable(table).of_user(OLIVIA)] == [ACME]
        tenant = await TenantTable(table).get(ACME)
        assert tenant is not None
        assert tenant.account == "another"

    async def test_who_is_added_while_it_runs_goes_too(self, table: Table, backend: ItemStore) -> None:
        """Whatever the moment: there is no membership without its tenant."""

        async def put_after(turns: int) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            await seat(table, a_member("late", role=Role.member))

        outcomes = set()
        for turns in range(0, 60, 1 if isinstance(backend, MemoryStore) else 20):
            await furnish(table, account=f"account {turns}")
            outcomes |= set(await race(delete_tenant(table), put_after(turns)))
            assert kept(backend) == set()
        assert outcomes == {None, Code.not_found} or not isinstance(backend, MemoryStore)


CUT_OFF = [
    *((name, fault) for name in ("memory", "sqlite") for fault in (Fault.cut, Fault.refused, Fault.lost)),
    ("dynamodb", Fault.lost),
]
"""An engine of DynamoDB takes seconds for each fault, and the one whose answer is lost is its own kind."""


class TestCutOff:
    """Whatever write fails or is the last one: what is begun is done by the next, and nothing else is."""

    @pytest.fixture
    def fresh(self, name: str, tmp_path: Path, clock: SetClock) -> Fresh:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Backend]:
            async with BACKENDS[name](tmp_path, clock) as backend:
                await furnish(Table(backend), created_by="olivia", most=1)
                yield backend

        return opened

    @pytest.mark.parametrize(("name", "fault"), CUT_OFF)
    async def test_a_deletion(self, fresh: Fresh, fault: Fault) -> None:
        async def delete(store: FaultyStore) -> None:
            await delete_tenant(Table(store))

        async def check(store: FaultyStore) -> None:
            table = Table(store)
            tenant = await TenantTable(table).get(ACME)
            if tenant is None:
                assert await MemberTable(table).of_user(OLIVIA) == []
            elif tenant.status == Status.deleting:
                assert (
                    await outcome(TenantTable(table).create(a_tenant(), a_member(), ENTRY)) is Code.conflict
                )
                assert await DeletionTable(table).pending()
            else:
                await AgentTable(table).create(an_agent("new"), None, ENTRY)
                await delete_tenant(table)
            await do_deletions(table)
            assert kept(store.store) == set()
            assert await TenantTable(table).made_by(OLIVIA) == 0
            again = a_tenant(created_by="olivia", account="another")
            await TenantTable(table).create(again, a_member(), ENTRY, (), 1)
            assert [member.tenant for member in await MemberTable(table).of_user(OLIVIA)] == [ACME]

        writes = await every_cut(delete, check, fresh, fault)

        assert writes > 10

    @pytest.mark.parametrize(("name", "fault"), CUT_OFF)
    async def test_a_creation(self, fresh: Fresh, fault: Fault) -> None:
        nina = UserId("nina")

        async def create(store: FaultyStore) -> None:
            tenant = a_tenant("new", created_by="nina")
            await TenantTable(Table(store)).create(tenant, a_member("nina", "new"), ENTRY, (), 1)

        async def check(store: FaultyStore) -> None:
            table = Table(store)
            there = await TenantTable(table).get(TenantId("new")) is not None
            assert [bool(await MemberTable(table).of_user(nina)), await TenantTable(table).made_by(nina)] == [
                there,
                int(there),
            ]
            assert there == bool({row for row in kept(store.store) if "account of new" in row[1]})
            if there:
                assert await outcome(create(store)) in {Code.conflict, Code.quota_exceeded}
            else:
                await create(store)

        assert await every_cut(create, check, fresh, fault) == 1
