"""Tenants in the store, on every backend."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.tenant import Tenant
from artcafe.server.store.audit import AuditTable
from artcafe.server.store.item import MAX_GETS, Item
from artcafe.server.store.legal import LegalTable
from artcafe.server.store.members import MemberTable
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from tests.kit.outcomes import outcome, race, refused
from tests.kit.records import (
    ACME,
    ALIKE,
    ENTRY,
    LATER,
    a_member,
    a_tenant,
    an_acceptance,
    an_entry,
)
from tests.kit.tenants import delete_tenant
from tests.kit.unreliable_store import UnreliableStore

PAUL = UserId("paul")


@pytest.fixture
def tenants(table: Table) -> TenantTable:
    return TenantTable(table)


@pytest.fixture
def members(table: Table) -> MemberTable:
    return MemberTable(table)


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

    async def test_one_that_is_gone_counts_no_more_and_once(self, tenants: TenantTable, table: Table) -> None:
        for number in range(2):
            tenant = a_tenant(f"t{number}", created_by="paul")
            await tenants.create(tenant, a_member("paul", tenant=tenant.id), ENTRY, (), 2)
        uncounted = a_tenant("t9", created_by="paul")
        await tenants.create(uncounted, a_member("paul", tenant="t9"), ENTRY)

        await delete_tenant(table, uncounted.id)
        assert await tenants.made_by(PAUL) == 2
        await race(*(delete_tenant(table, TenantId("t0")) for _ in range(3)))
        assert await tenants.made_by(PAUL) == 1
        again = a_tenant("t0", created_by="paul", account="another")
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

    async def test_every_lists_each_tenant_once(self, tenants: TenantTable, table: Table) -> None:
        for name in (ACME, *ALIKE):
            await tenants.create(a_tenant(name), a_member(tenant=name), an_entry(tenant=name))
        await delete_tenant(table, ALIKE[0])

        assert sorted([tenant.id async for tenant in tenants.every() if tenant]) == sorted({ACME, *ALIKE[1:]})

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
        assert sorted([tenant.id async for tenant in tenants.every() if tenant]) == names
        assert asked == [MAX_GETS, 20]
