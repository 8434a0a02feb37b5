"""Creations at once in one tenant: all that may be made are made, and work grows as their number does."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from artcafe.server.domain.agent import Agent
from artcafe.server.domain.ids import AgentId, TenantId, UserId
from artcafe.server.domain.invitation import Invitation
from artcafe.server.domain.tenant import Member, Role
from artcafe.server.store import members as seats
from artcafe.server.store.agents import AgentTable
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.dynamodb import DynamoStore
from artcafe.server.store.invitations import InvitationTable
from artcafe.server.store.item import Backend, ItemStore
from artcafe.server.store.members import MemberTable
from artcafe.server.store.quota import Space, StorageQuota
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit import dynoxide
from tests.kit.conflicting import Conflicts
from tests.kit.faults import Fault, FaultyStore, every_cut
from tests.kit.outcomes import race, refused
from tests.kit.records import (
    ACME,
    ENTRY,
    a_channel,
    a_member,
    a_tenant,
    an_agent,
    an_entry,
    an_invitation,
    anyway,
)
from tests.kit.stores import BACKENDS

OTHER = TenantId("acme-2")


@pytest.fixture
async def store(backend: Backend) -> FaultyStore:
    """A store with two tenants, which counts writes and may hold one."""
    for tenant in (ACME, OTHER):
        await TenantTable(Table(backend)).create(a_tenant(tenant), a_member(tenant=tenant), ENTRY)
    return FaultyStore(backend)


def processes(store: ItemStore, number: int) -> list[Table]:
    """So many server processes over one store."""
    return [Table(store) for _ in range(number)]


Make = Callable[[Table, int, int | None], Coroutine[object, object, object]]


async def make_agent(table: Table, number: int, limit: int | None) -> None:
    new = an_agent(f"a{number}", f"SHA256:{number}")
    await AgentTable(table).create(new, limit, an_entry(f"agent-{number}"), 10**9)


async def make_channel(table: Table, number: int, limit: int | None) -> None:
    new = a_channel(f"c{number}")
    await ChannelTable(table).create(new, limit, an_entry(f"channel-{number}"), 10**9)


async def join(table: Table, number: int, _: int | None, who: str | None = None) -> None:
    user = UserId(who or f"u{number}")

    def joined(_: Invitation, known: Member | None, __: Member | None) -> Member:
        assert known is None
        return a_member(user, role=Role.viewer)

    await InvitationTable(table).accept(ACME, f"i{number}", user, joined, an_entry(f"join-{user}"))


async def invite(table: Table, numbers: Sequence[int]) -> None:
    for number in numbers:
        await InvitationTable(table).create(an_invitation(f"i{number}"), an_entry(f"invite-{number}"))


@pytest.mark.parametrize(
    ("make", "many", "limit"),
    [(make_agent, 200, None), (make_agent, 60, 50), (make_channel, 60, None), (make_channel, 60, 50)],
)
async def test_all_that_come_at_once_are_made_as_far_as_they_may(
    store: FaultyStore, make: Make, many: int, limit: int | None
) -> None:
    [table] = processes(store, 1)
    made = limit or many

    outcomes = await race(*(make(table, number, limit) for number in range(many)))

    assert Counter(outcomes) == Counter({None: made, Code.quota_exceeded: many - made})
    # One transaction for each, and one that counted what was there.
    assert store.writes <= made + 1
    agents, channels = AgentTable(table), ChannelTable(table)
    assert await agents.count(ACME) + await channels.count(ACME) == made
    assert len((await agents.listed(ACME).page(many + 1, None)).items) == await agents.count(ACME)
    assert await agents.count(OTHER) == await channels.count(OTHER) == 0


async def test_all_who_were_invited_come_at_once_as_far_as_a_tenant_has_room(
    store: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    [table] = processes(store, 1)
    await invite(table, range(60))
    before = store.writes
    monkeypatch.setattr(seats, "MAX_MEMBERS", 51)  # The owner is one of them.

    outcomes = await race(*(join(table, number, None) for number in range(60)))

    assert Counter(outcomes) == Counter({None: 50, Code.quota_exceeded: 10})
    assert store.writes - before == 50
    assert len(await MemberTable(table).of_tenant(ACME)) == 51
    assert len((await InvitationTable(table).list(ACME, 100, None)).items) == 10


async def test_tenants_that_one_user_makes_at_once_are_made_as_far_as_they_may(store: FaultyStore) -> None:
    tables = processes(store, 2)
    before = store.writes

    async def make(number: int) -> None:
        name = f"t{number}"
        tenant = a_tenant(name, created_by="zoe")
        await TenantTable(tables[number % 2]).create(
            tenant, a_member("zoe", name), an_entry(name, name), most=30
        )

    outcomes = await race(*(make(number) for number in range(40)))

    assert Counter(outcomes) == Counter({None: 30, Code.quota_exceeded: 10})
    assert await TenantTable(tables[0]).made_by(UserId("zoe")) == 30
    assert store.writes - before < 30 * 4


async def test_several_processes_make_exactly_as_many_as_may_be(store: FaultyStore) -> None:
    tables = processes(store, 4)

    outcomes = await race(*(make_agent(tables[number % 4], number, 30) for number in range(40)))

    assert Counter(outcomes) == Counter({None: 30, Code.quota_exceeded: 10})
    assert await AgentTable(tables[0]).count(ACME) == 30


async def test_everything_at_once_from_several_processes_is_exact(store: FaultyStore) -> None:
    """Agents come up to a limit while others go, three bring each invitation, and both owners leave."""
    tables = processes(store, 3)
    agents, members = AgentTable(tables[0]), MemberTable(tables[0])
    await members.put(ACME, UserId("paul"), lambda _: a_member("paul"), an_entry("paul"))
    await invite(tables[0], range(4))
    for number in range(100, 106):
        await make_agent(tables[0], number, None)

    coming = [make_agent(tables[n % 3], n, 10) for n in range(15)]
    going = [
        AgentTable(tables[n % 3]).delete(ACME, AgentId(f"a{100 + n % 6}"), anyway, an_entry(f"go-{n}"))
        for n in range(12)
    ]
    bringing = [join(tables[n % 3], n // 3, None, who=f"w{n}") for n in range(12)]
    leaving = [
        MemberTable(table).delete(ACME, UserId(user), anyway, an_entry(f"leave-{user}"))
        for table, user in ((tables[1], "olivia"), (tables[2], "paul"))
    ]
    came, went, brought, left = await asyncio.gather(
        race(*coming), race(*going), race(*bringing), race(*leaving)
    )

    gone = [agent.id for agent in went if isinstance(agent, Agent)]
    assert sorted(gone) == [f"a{number}" for number in range(100, 106)]
    assert went.count(Code.not_found) == 6
    assert Counter(brought) == Counter({None: 4, Code.not_found: 8})
    assert Counter(left) == Counter({None: 1, Code.conflict: 1})
    assert set(came) <= {None, Code.quota_exceeded}
    assert len((await agents.listed(ACME).page(100, None)).items) == came.count(None)
    assert await agents.count(ACME) == came.count(None) <= 10
    roles = [member.role for member in await members.of_tenant(ACME)]
    assert Counter(roles) == Counter({Role.owner: 1, Role.viewer: 4})
    for number, outcome in enumerate(came):
        if outcome is None:
            assert await StorageQuota(tables[0]).used(ACME) != Space()
            await agents.delete(ACME, AgentId(f"a{number}"), anyway, an_entry(f"end-{number}"))
    assert await agents.count(ACME) == 0
    assert await StorageQuota(tables[0]).used(ACME) == Space()


async def test_a_creation_that_hangs_delays_no_other_tenant_and_who_gives_up_waiting_leaves_nothing(
    store: FaultyStore,
) -> None:
    [table] = processes(store, 1)
    store.arm(Fault.held)
    hanging, waiting, patient = [asyncio.create_task(make_agent(table, n, 5)) for n in range(3)]
    await store.reached.wait()

    await AgentTable(table).create(an_agent("a1", tenant=OTHER), 5, an_entry("other", tenant=OTHER))
    await make_channel(table, 1, 5)
    waiting.cancel()
    await asyncio.wait([waiting])
    hanging.cancel()
    await asyncio.wait([hanging])
    await patient

    assert await AgentTable(table).count(ACME) == 1
    assert await AgentTable(table).get(ACME, AgentId("a2")) is not None


async def test_who_has_no_token_that_fits_waits_in_no_line(store: FaultyStore) -> None:
    """Whoever is nobody in a tenant cannot make its members wait."""
    [table] = processes(store, 1)
    await invite(table, [1, 2])
    store.arm(Fault.held)
    holding = asyncio.create_task(join(table, 1, None))
    await store.reached.wait()

    def wrong(_: Invitation, __: Member | None, ___: Member | None) -> Member:
        raise ArtcafeError(Code.not_found)

    for invitation in ("i2", "nothing"):
        with refused(Code.not_found):
            await InvitationTable(table).accept(ACME, invitation, UserId("eve"), wrong, an_entry("eve"))
    store.let_go()
    await holding


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        *(("memory", fault) for fault in (Fault.refused, Fault.lost, Fault.cut)),
        ("sqlite", Fault.cut),
        ("dynamodb", Fault.lost),
    ],
)
async def test_whatever_write_of_a_creation_fails_what_is_there_is_counted(
    name: str, fault: Fault, tmp_path: Path
) -> None:
    @asynccontextmanager
    async def fresh() -> AsyncIterator[Backend]:
        async with BACKENDS[name](tmp_path, time.time) as backend:
            table = Table(backend)
            await TenantTable(table).create(a_tenant(), a_member(), ENTRY)
            await make_agent(table, 0, None)
            await invite(table, [1])
            yield backend

    async def make_all(store: FaultyStore) -> None:
        table = Table(store)
        await make_agent(table, 1, 5)
        await make_agent(table, 2, None)
        await make_channel(table, 1, None)
        await join(table, 1, None)

    async def check(store: FaultyStore) -> None:
        table = Table(store)
        agents, channels, members = AgentTable(table), ChannelTable(table), MemberTable(table)
        found = (await agents.listed(ACME).page(10, None)).items
        assert await agents.count(ACME) == len(found)
        there = (await channels.listed(ACME).page(10, None)).items
        assert await channels.count(ACME) == len(there)
        opened = (await InvitationTable(table).list(ACME, 10, None)).items
        assert len(await members.of_tenant(ACME)) + len(opened) == 2
        for agent in found:
            await agents.delete(ACME, agent.id, anyway, an_entry(f"end-{agent.id}"))
        for channel in there:
            await channels.delete(ACME, channel.id, anyway, an_entry(f"end-{channel.id}"))
        assert await StorageQuota(table).used(ACME) == Space()
        assert await agents.count(ACME) == await channels.count(ACME) == 0

    assert await every_cut(make_all, check, fresh, fault) == 4


@pytest.mark.parametrize("limit", [None, 100])
async def test_where_transactions_on_one_item_cancel_each_other_all_are_made(limit: int | None) -> None:
    """As in DynamoDB itself: each creation checks the tenant's row, so any two at once would meet."""
    conflicts = Conflicts()
    store = DynamoStore(
        await dynoxide.new_place(),
        clock=time.time,
        new_rev=lambda: uuid4().hex,
        jitter=random.random,
        session=conflicts.session,
    )
    await store.open()
    try:
        tables = processes(store, 2)
        await TenantTable(tables[0]).create(a_tenant(), a_member(), ENTRY)

        outcomes = await race(*(make_agent(tables[number % 2], number, limit) for number in range(60)))

        assert Counter(outcomes) == Counter({None: 60})
        assert conflicts.cancelled > 0
        assert conflicts.sent < 60 * 5
        assert await AgentTable(tables[0]).count(ACME) == 60
    finally:
        await store.close()
