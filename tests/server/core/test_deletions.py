"""Deleting tenants: decided at once, done in the background, whatever is away meanwhile."""

import pytest

from artcafe.server.domain.deletion import LINGER_SECONDS
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.revocation import Revocation
from artcafe.server.domain.tenant import Member, Role, Status, Tenant, TenantRules
from artcafe.server.ports.bus import Reconciled
from artcafe.server.store import addresses as at
from artcafe.server.store.members import MemberTable
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.contents import Row, contents
from tests.kit.installation import ACME, OTHER, Installation, acting
from tests.kit.outcomes import outcome, refused

OLIVIA = User(UserId("olivia"), "olivia@example.com")


def kept(installation: Installation) -> set[Row]:
    return {row for row in contents(installation.memory) if row[1] != at.INSTALLATION_LOG}


async def shown(installation: Installation, human: Human) -> Tenant:
    return await installation.process.tenants.get(human)


async def test_it_is_decided_at_once_and_done_behind_that(installation: Installation, olivia: Human) -> None:
    before = await shown(installation, olivia)
    await installation.make_agent(olivia)
    heard = await installation.revocations()
    deletions = installation.process.deletions

    await deletions.begin(olivia)

    tenant = await shown(installation, olivia)
    assert (tenant.status, tenant.version) == (Status.deleting, before.version + 1)
    await deletions.work()
    assert heard[:1] == [Revocation(ACME)]
    assert set(heard) == {Revocation(ACME)}
    with refused(Code.not_found):
        await shown(installation, olivia)
    assert await installation.bus.reconcile([]) == Reconciled(), "its account is gone"
    with refused(Code.forbidden):
        await installation.process.tenants.enter(OLIVIA, ACME)


async def test_who_was_read_as_a_member_before_the_end_of_the_sweep_enters_nothing(
    installation: Installation, olivia: Human, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = MemberTable.get

    async def get(self: MemberTable, tenant: TenantId, user: UserId) -> Member | None:
        member = await read(self, tenant, user)
        await installation.delete_tenant(olivia)
        return member

    monkeypatch.setattr(MemberTable, "get", get)

    with refused(Code.forbidden):
        await installation.process.tenants.enter(OLIVIA, ACME)


async def test_it_is_forgotten_after_a_while(installation: Installation, olivia: Human) -> None:
    await installation.delete_tenant(olivia)
    assert {row[1] for row in kept(installation)} == {at.DELETIONS}

    installation.clock.advance(LINGER_SECONDS - 1)
    await installation.process.deletions.work()
    assert kept(installation)
    installation.clock.advance(1)
    await installation.process.deletions.work()

    assert kept(installation) == set()


async def test_nothing_of_another_tenant_is_touched(installation: Installation) -> None:
    nina = await installation.make_tenant(OTHER, "nina")
    await installation.make_agent(nina)
    before = kept(installation)
    olivia = await installation.make_tenant()
    await installation.make_agent(olivia)

    await installation.delete_tenant(olivia)
    installation.clock.advance(LINGER_SECONDS)
    await installation.process.deletions.work()

    assert kept(installation) == before
    assert await installation.bus.reconcile([await shown(installation, nina)]) == Reconciled()


@pytest.mark.parametrize("role", [Role.admin, Role.member, Role.viewer])
async def test_only_an_owner_may(installation: Installation, olivia: Human, role: Role) -> None:
    with refused(Code.forbidden):
        await installation.process.deletions.begin(acting(olivia, role))

    assert (await shown(installation, olivia)).status == Status.active


async def away(*_: object) -> None:
    raise ArtcafeError(Code.unavailable)


async def test_a_bus_that_is_away_delays_it_and_decides_nothing(
    installation: Installation, olivia: Human, monkeypatch: pytest.MonkeyPatch
) -> None:
    deletions, tell, remove = installation.process.deletions, installation.bus.tell, installation.bus.remove
    monkeypatch.setattr(installation.bus, "tell", away)
    await deletions.begin(olivia)
    assert await outcome(deletions.work()) is Code.unavailable
    monkeypatch.setattr(installation.bus, "tell", tell)
    monkeypatch.setattr(installation.bus, "remove", away)
    assert await outcome(deletions.work()) is Code.unavailable

    assert (await shown(installation, olivia)).status == Status.deleting
    monkeypatch.setattr(installation.bus, "remove", remove)
    await deletions.work()
    with refused(Code.not_found):
        await shown(installation, olivia)


async def test_one_that_cannot_be_done_keeps_no_other_from_it(
    installation: Installation, olivia: Human, monkeypatch: pytest.MonkeyPatch
) -> None:
    nina = await installation.make_tenant(OTHER, "nina")
    for human in (olivia, nina):
        await installation.process.deletions.begin(human)
    remove = installation.bus.remove

    async def fails(tenant: TenantRules) -> None:
        await (away() if tenant.id == ACME else remove(tenant))

    monkeypatch.setattr(installation.bus, "remove", fails)

    assert await outcome(installation.process.deletions.work()) is Code.unavailable

    assert (await shown(installation, olivia)).status == Status.deleting
    with refused(Code.not_found):
        await shown(installation, nina)


@pytest.mark.parametrize("lies", [False, True])
async def test_what_one_process_began_another_one_does(
    installation: Installation, olivia: Human, lies: bool
) -> None:
    await installation.process.deletions.begin(olivia)
    writes = 0
    while True:
        installation.store.writes_left, installation.store.lies = writes, lies
        done = await outcome(installation.start(f"p{writes + 2}").deletions.work())
        installation.store.heal()
        if done is None:
            break
        writes += 1

    assert {row[1] for row in kept(installation)} == {at.DELETIONS}


async def test_without_a_header_it_is_no_choice_any_more(installation: Installation) -> None:
    olivia = await installation.make_tenant()
    await installation.make_tenant(OTHER)
    user = User(olivia.user, olivia.email)
    with refused(Code.bad_request):
        await installation.process.tenants.enter(user, None)

    await installation.process.deletions.begin(olivia)

    assert (await installation.process.tenants.enter(user, None)).tenant == OTHER
    with refused(Code.deleting):
        await installation.process.tenants.enter(user, ACME)
    assert (await installation.process.tenants.enter(user, ACME, even_suspended=True)).tenant == ACME


async def test_a_process_knows_at_once_that_there_is_something_to_do(
    installation: Installation, olivia: Human
) -> None:
    second = installation.start("p2")

    await second.deletions.begin(olivia)

    assert installation.begun == ["p2"]
