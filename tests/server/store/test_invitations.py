"""Invitations in the store, on every backend: each opens once, and never without its entry."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from artcafe.server.domain.ids import UserId
from artcafe.server.domain.invitation import Invitation
from artcafe.server.domain.tenant import Member, Role
from artcafe.server.store import addresses as at
from artcafe.server.store import invitations as rooms
from artcafe.server.store.audit import AuditTable
from artcafe.server.store.invitations import InvitationTable, Join
from artcafe.server.store.item import Backend, ItemStore, Put
from artcafe.server.store.members import MemberTable
from artcafe.server.store.table import Table, data
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.contents import contents
from tests.kit.deadlines import eventually
from tests.kit.faults import Fault, FaultyStore
from tests.kit.gateways import WaitingStore
from tests.kit.outcomes import outcome, race, refused
from tests.kit.records import (
    ACME,
    ALIKE,
    ENTRY,
    LATER,
    a_member,
    a_partition,
    a_tenant,
    an_entry,
    an_invitation,
    anyway,
)
from tests.kit.seats import seat
from tests.kit.stores import SetClock
from tests.kit.tenants import delete_tenant
from tests.kit.unreliable_store import UnreliableStore

PAUL, ADAM = UserId("paul"), UserId("adam")


@pytest.fixture
async def invitations(table: Table) -> InvitationTable:
    """Of `acme` and of tenants called alike."""
    for tenant in (ACME, *ALIKE):
        entry = an_entry(tenant=tenant)
        await TenantTable(table).create(a_tenant(tenant), a_member(tenant=tenant), entry)
    return InvitationTable(table)


def join_as(user: str) -> Join:
    """Makes the member that the invitation says."""
    return lambda invitation, _, __: a_member(user, invitation.tenant, invitation.role)


async def open_ones(invitations: InvitationTable) -> list[str]:
    return [invitation.id for invitation in (await invitations.list(ACME, 10, None)).items]


async def test_what_is_created_is_listed_in_its_tenant_alone(invitations: InvitationTable) -> None:
    first, second = an_invitation("i1"), replace(an_invitation("i2"), email="paul@example.com")
    await invitations.create(second, ENTRY)
    await invitations.create(first, ENTRY)
    await invitations.create(an_invitation("i3", ALIKE[0]), ENTRY)

    page = await invitations.list(ACME, 1, None)
    rest = await invitations.list(ACME, 10, page.cursor)

    assert [*page.items, *rest.items] == [first, second]
    assert rest.cursor is None


async def test_there_is_none_into_nothing(table: Table, backend: ItemStore) -> None:
    with refused(Code.not_found):
        await InvitationTable(table).create(an_invitation(), ENTRY)

    assert contents(backend) == set()


async def test_so_many_stand_open_and_one_that_goes_makes_room(
    invitations: InvitationTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "MAX_OPEN", 2)
    await invitations.create(an_invitation("i1"), ENTRY)
    await invitations.create(an_invitation("i2"), ENTRY)

    with refused(Code.quota_exceeded):
        await invitations.create(an_invitation("i3"), ENTRY)
    await invitations.delete(ACME, "i1", ENTRY)
    await invitations.create(an_invitation("i3"), ENTRY)


async def test_one_that_is_withdrawn_is_gone(invitations: InvitationTable) -> None:
    await invitations.create(an_invitation(), ENTRY)

    await invitations.delete(ACME, "i1", ENTRY)

    assert await open_ones(invitations) == []
    with refused(Code.not_found):
        await invitations.delete(ACME, "i1", ENTRY)
    with refused(Code.not_found):
        await invitations.accept(ACME, "i1", PAUL, join_as("paul"), ENTRY)


async def test_one_that_expired_is_gone(table: Table, invitations: InvitationTable, clock: SetClock) -> None:
    await invitations.create(an_invitation(), ENTRY)

    clock.now = 1_999_999_999.9
    assert await open_ones(invitations) == ["i1"]
    clock.now = 2_000_000_000.0

    assert await open_ones(invitations) == []
    with refused(Code.not_found):
        await invitations.accept(ACME, "i1", PAUL, join_as("paul"), ENTRY)
    assert await MemberTable(table).get(ACME, PAUL) is None


async def test_the_member_comes_and_the_invitation_goes(table: Table, invitations: InvitationTable) -> None:
    await invitations.create(an_invitation(role=Role.admin), ENTRY)

    member = await invitations.accept(ACME, "i1", PAUL, join_as("paul"), ENTRY)

    assert member == a_member("paul", role=Role.admin)
    assert await MemberTable(table).get(ACME, PAUL) == member
    assert await MemberTable(table).of_user(PAUL) == [member]
    assert await open_ones(invitations) == []


async def test_what_joining_refuses_leaves_all_as_it_was(table: Table, invitations: InvitationTable) -> None:
    await invitations.create(an_invitation(), ENTRY)
    await seat(table, a_member("paul", role=Role.admin))
    seen: list[Member | None] = []

    def refuse(_: Invitation, known: Member | None, maker: Member | None) -> Member:
        seen.extend((known, maker))
        raise ArtcafeError(Code.conflict)

    with refused(Code.conflict):
        await invitations.accept(ACME, "i1", PAUL, refuse, ENTRY)

    assert seen == [a_member("paul", role=Role.admin), a_member()]
    assert await open_ones(invitations) == ["i1"]
    assert await MemberTable(table).get(ACME, PAUL) == a_member("paul", role=Role.admin)


async def test_of_all_who_have_read_it_one_gets_it(
    table: Table, invitations: InvitationTable, backend: ItemStore
) -> None:
    """All have seen the invitation before anybody writes, each through a server process of its own."""
    await invitations.create(an_invitation(), ENTRY)
    slow = WaitingStore(backend)
    slow.writing.shut()
    users = ["ann", "bob", "cid"]
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                outcome(
                    InvitationTable(Table(slow)).accept(
                        ACME, "i1", UserId(user), join_as(user), an_entry(user, at=LATER)
                    )
                )
            )
            for user in users
        ]
        await eventually(lambda: slow.writing.calls == len(users))
        slow.writing.open()

    outcomes = [task.result() for task in tasks]
    assert outcomes.count(Code.not_found) == len(users) - 1
    [winner] = [user for user, came in zip(users, outcomes, strict=True) if isinstance(came, Member)]
    assert [m.user for m in await MemberTable(table).of_tenant(ACME) if m.user in users] == [winner]
    assert [entry.id for entry in (await AuditTable(table).list(ACME, 10, None)).items] == [winner, "e1"]


async def test_no_member_comes_into_a_tenant_that_goes(
    table: Table, invitations: InvitationTable, backend: ItemStore
) -> None:
    await invitations.create(an_invitation(), ENTRY)

    await race(delete_tenant(table, ACME), invitations.accept(ACME, "i1", PAUL, join_as("paul"), ENTRY))

    assert not {
        row
        for row in contents(backend)
        if row[1] in {at.tenant(a_partition()), at.log(a_partition()), "U#paul"}
    }


async def test_one_that_outlived_its_tenant_for_a_moment_lets_nobody_in(
    table: Table, backend: ItemStore
) -> None:
    """Written while the tenant was deleted, and not yet removed."""
    left = Put(at.tenant(a_partition()), at.invitation("i1"), data(an_invitation()))
    await table.write(left)

    with refused(Code.not_found):
        await InvitationTable(table).accept(ACME, "i1", PAUL, join_as("paul"), ENTRY)

    assert contents(backend) == {("item", left.pk, left.sk)}


@pytest.mark.parametrize("lies", [False, True])
async def test_a_change_and_its_entry_are_both_there_or_neither(
    table: Table, invitations: InvitationTable, unreliable: UnreliableStore, lies: bool
) -> None:
    log, members = AuditTable(table), MemberTable(table)
    entries = [an_entry(name, at=f"2025-11-24T18:0{n}:00.000Z") for n, name in enumerate("abcd")]
    works: list[Callable[[], Awaitable[object]]] = [
        lambda: invitations.create(an_invitation("i1"), entries[0]),
        lambda: invitations.accept(ACME, "i1", PAUL, join_as("paul"), entries[1]),
        lambda: invitations.create(an_invitation("i2"), entries[2]),
        lambda: invitations.delete(ACME, "i2", entries[3]),
    ]
    states: list[tuple[list[str], bool]] = [
        ([], False),
        (["i1"], False),
        ([], True),
        (["i2"], True),
        ([], True),
    ]

    async def state() -> tuple[list[str], bool, int]:
        entries_written = len((await log.list(ACME, 10, None)).items) - 1
        return await open_ones(invitations), await members.get(ACME, PAUL) is not None, entries_written

    for step, work in enumerate(works):
        unreliable.writes_left, unreliable.lies = 0, lies
        assert await outcome(work()) is Code.unavailable
        unreliable.heal()
        done = step + 1 if lies else step
        assert await state() == (*states[done], done)
        if not lies:
            await work()
        assert await state() == (*states[step + 1], step + 1)


@pytest.mark.parametrize("lowered", [None, Role.member])
async def test_whose_maker_loses_the_right_at_the_same_moment_is_looked_at_again(
    table: Table, invitations: InvitationTable, backend: Backend, lowered: Role | None
) -> None:
    """The maker is removed, or lowered, after it was read and before the member comes."""
    members = MemberTable(table)
    await members.put(ACME, ADAM, lambda _: a_member("adam", role=Role.admin), ENTRY)
    await invitations.create(replace(an_invitation(), created_by="adam"), ENTRY)
    makers: list[Member | None] = []

    def join(invitation: Invitation, _: Member | None, maker: Member | None) -> Member:
        makers.append(maker)
        if maker is None or maker.role is not Role.admin:
            raise ArtcafeError(Code.not_found)
        return a_member("paul", role=invitation.role)

    slow = FaultyStore(backend, Fault.held)
    coming = asyncio.create_task(outcome(InvitationTable(Table(slow)).accept(ACME, "i1", PAUL, join, ENTRY)))
    await slow.reached.wait()
    if lowered is None:
        await members.delete(ACME, ADAM, anyway, an_entry("gone"))
    else:
        await members.put(ACME, ADAM, lambda _: a_member("adam", role=lowered), an_entry("gone"))
    slow.let_go()

    assert await coming is Code.not_found
    assert [maker.role if maker else None for maker in makers] == [Role.admin, Role.admin, lowered]
    assert await members.get(ACME, PAUL) is None
    assert await open_ones(invitations) == ["i1"]
