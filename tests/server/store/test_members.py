"""Members in the store, on every backend: both directions, and an owner that stays whatever happens."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from artcafe.server.domain.ids import UserId
from artcafe.server.domain.tenant import Member, Role
from artcafe.server.store import members as rooms
from artcafe.server.store.audit import AuditTable
from artcafe.server.store.item import ItemStore
from artcafe.server.store.members import MemberTable
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.contents import contents
from tests.kit.deadlines import eventually
from tests.kit.gateways import WaitingStore
from tests.kit.outcomes import outcome, race, refused
from tests.kit.records import ACME, ENTRY, LATER, a_member, a_tenant, an_entry, anyway
from tests.kit.seats import seat
from tests.kit.unreliable_store import UnreliableStore

OLIVIA, PAUL = UserId("olivia"), UserId("paul")


@pytest.fixture
async def members(table: Table) -> MemberTable:
    """Of `acme`, which olivia owns."""
    await TenantTable(table).create(a_tenant(), a_member("olivia"), ENTRY)
    return MemberTable(table)


def demoted(member: Member | None) -> Member:
    assert member is not None
    return replace(member, role=Role.admin, version=member.version + 1)


Going = Callable[[MemberTable, UserId], Awaitable[object]]


async def leave(members: MemberTable, user: UserId) -> None:
    await members.delete(ACME, user, anyway, ENTRY)


async def step_down(members: MemberTable, user: UserId) -> None:
    await members.put(ACME, user, demoted, ENTRY)


async def owners(members: MemberTable) -> list[str]:
    return [member.user for member in await members.of_tenant(ACME) if member.role is Role.owner]


class TestBothDirections:
    async def test_are_told_alike(self, table: Table, members: MemberTable) -> None:
        await TenantTable(table).create(a_tenant("acme-2"), a_member("nina", "acme-2"), ENTRY)
        await seat(table, a_member("olivia", "acme-2", Role.viewer))
        await seat(table, a_member("paul", role=Role.admin))

        assert await members.get(ACME, PAUL) == a_member("paul", role=Role.admin)
        assert [m.user for m in await members.of_tenant(ACME)] == ["olivia", "paul"]
        assert {m.tenant: m.role for m in await members.of_user(OLIVIA)} == {
            "acme": Role.owner,
            "acme-2": Role.viewer,
        }

    async def test_a_changed_role_is_changed_in_both(self, table: Table, members: MemberTable) -> None:
        await seat(table, a_member("paul", role=Role.viewer))

        changed = await members.put(ACME, PAUL, demoted, ENTRY)

        assert changed == replace(a_member("paul", role=Role.admin), version=2)
        assert await members.get(ACME, PAUL) == changed
        assert await members.of_user(PAUL) == [changed]

    async def test_removing_removes_both(self, table: Table, members: MemberTable) -> None:
        await seat(table, a_member("paul"))

        await members.delete(ACME, PAUL, anyway, ENTRY)

        assert await members.get(ACME, PAUL) is None
        assert await members.of_user(PAUL) == []
        with refused(Code.not_found):
            await members.delete(ACME, PAUL, anyway, ENTRY)

    async def test_nobody_becomes_a_member_of_nothing(self, table: Table, backend: ItemStore) -> None:
        with refused(Code.not_found):
            await seat(table, a_member())

        assert contents(backend) == set()

    @pytest.mark.parametrize("user", ["a#b", "auth0|x", "é", "T#acme", "MEMBER#olivia"])
    async def test_a_user_of_any_name_is_itself(self, table: Table, members: MemberTable, user: str) -> None:
        await seat(table, a_member(user, role=Role.member))

        assert await members.get(ACME, UserId(user)) == a_member(user, role=Role.member)
        assert await members.of_user(UserId(user)) == [a_member(user, role=Role.member)]

    async def test_changes_at_once_are_made_one_after_the_other(
        self, table: Table, members: MemberTable
    ) -> None:
        await seat(table, a_member("paul", role=Role.admin))

        await race(*(members.put(ACME, PAUL, demoted, ENTRY) for _ in range(5)))

        member = await members.get(ACME, PAUL)
        assert member is not None
        assert member.version == 6

    async def test_what_the_check_refuses_stays(self, table: Table, members: MemberTable) -> None:
        await seat(table, a_member("paul"))

        def refuse(member: Member) -> None:
            raise ArtcafeError(Code.precondition_failed, member.user)

        with refused(Code.precondition_failed):
            await members.delete(ACME, PAUL, refuse, ENTRY)

        assert await members.get(ACME, PAUL) == a_member("paul")


class TestOwners:
    async def test_the_last_one_neither_goes_nor_becomes_less(self, members: MemberTable) -> None:
        with refused(Code.conflict):
            await members.delete(ACME, OLIVIA, anyway, ENTRY)
        with refused(Code.conflict):
            await members.put(ACME, OLIVIA, demoted, ENTRY)

        assert await members.get(ACME, OLIVIA) == a_member("olivia")

    @pytest.mark.parametrize(
        ("first", "second"), [(leave, leave), (step_down, step_down), (step_down, leave)]
    )
    async def test_of_two_who_go_at_the_same_moment_one_stays(
        self, table: Table, members: MemberTable, backend: ItemStore, first: Going, second: Going
    ) -> None:
        """Both, on two server processes, have seen the other as an owner before either writes."""
        await seat(table, a_member("paul"))
        slow = WaitingStore(backend)
        slow.writing.shut()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(outcome(first(MemberTable(Table(slow)), OLIVIA))),
                group.create_task(outcome(second(MemberTable(Table(slow)), PAUL))),
            ]
            await eventually(lambda: slow.writing.calls == 2)
            slow.writing.open()

        assert [task.result() for task in tasks].count(Code.conflict) == 1
        assert len(await owners(members)) == 1

    async def test_again_after_an_owner_went_and_another_came(
        self, table: Table, members: MemberTable
    ) -> None:
        for user in ("paul", "nina"):
            await seat(table, a_member(user))

        outcomes = await race(
            *(members.delete(ACME, UserId(user), anyway, ENTRY) for user in ("olivia", "paul", "nina"))
        )

        assert outcomes.count(Code.conflict) == 1
        assert len(await owners(members)) == 1


class TestEntries:
    @pytest.mark.parametrize("lies", [False, True])
    async def test_a_change_and_its_entry_are_both_there_or_neither(
        self, table: Table, members: MemberTable, unreliable: UnreliableStore, lies: bool
    ) -> None:
        log = AuditTable(table)
        paul = a_member("paul", role=Role.viewer)
        put, gone = an_entry("put", at=LATER), an_entry("gone", at="2025-11-24T18:00:00.000Z")

        unreliable.writes_left, unreliable.lies = 0, lies
        assert await outcome(members.put(ACME, PAUL, lambda _: paul, put)) is Code.unavailable
        unreliable.heal()
        assert await members.get(ACME, PAUL) == (paul if lies else None)
        assert (await log.list(ACME, 10, None)).items == ([put, ENTRY] if lies else [ENTRY])

        await members.put(ACME, PAUL, lambda _: paul, put)
        unreliable.writes_left, unreliable.lies = 0, lies
        assert await outcome(members.delete(ACME, PAUL, anyway, gone)) is Code.unavailable
        unreliable.heal()
        assert await members.get(ACME, PAUL) == (None if lies else paul)
        assert (await log.list(ACME, 10, None)).items == ([gone, put, ENTRY] if lies else [put, ENTRY])


async def test_a_tenant_has_so_many_members_and_one_that_leaves_makes_room(
    table: Table, members: MemberTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "MAX_MEMBERS", 3)

    async def join(user: str) -> object:
        return await outcome(
            members.put(ACME, UserId(user), lambda known: known or a_member(user, role=Role.viewer), ENTRY)
        )

    assert await join("paul") == a_member("paul", role=Role.viewer)
    told = await race(*(join(user) for user in ("quinn", "rosa", "sam")))
    assert told.count(Code.quota_exceeded) == 2
    assert await join("paul") == a_member("paul", role=Role.viewer)
    assert len(await members.of_tenant(ACME)) == 3
    await members.delete(ACME, PAUL, anyway, ENTRY)
    assert await join("tom") == a_member("tom", role=Role.viewer)
    assert await join("uma") is Code.quota_exceeded
