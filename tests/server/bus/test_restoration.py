"""Accounts that are gone though their tenants exist: who comes back, how soon, and at what cost."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from artcafe.server.bus.accounts.authority import Authority
from artcafe.server.bus.restoration import AT_ONCE, REST_SECONDS, AccountRestoration
from artcafe.server.bus.tenants import TenantLinks
from artcafe.server.domain.tenant import Tenant, TenantRules
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.buses import tenant_links
from tests.kit.deadlines import eventually
from tests.kit.inboxes import Got, collect
from tests.kit.nats import Nats, make_tenant
from tests.kit.outcomes import outcome, refused


class Registry:
    """The tenants that exist, whose accounts are made anew; `asked` is whose were asked for."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.tenants: list[Tenant] = []
        self.asked: list[str] = []
        self.away = False

    async def restore(self, tenant: TenantRules) -> bool:
        """See bus.restoration.Restore."""
        self.asked.append(tenant.id)
        if self.away:
            raise ArtcafeError(Code.unavailable)
        if tenant not in self.tenants:
            return False
        await self.authority.push(tenant)
        return True


@pytest.fixture
async def registry(nats: Nats) -> AsyncIterator[Registry]:
    async with nats.authority() as authority:
        yield Registry(authority)


@pytest.fixture
async def restoring(nats: Nats, registry: Registry) -> AsyncIterator[TenantLinks]:
    """Links whose tenants' accounts are made anew."""
    async with tenant_links(nats, patience=3, restore=registry.restore) as links:
        yield links


async def test_the_first_link_to_a_tenant_without_its_account_is_made(
    restoring: TenantLinks, registry: Registry
) -> None:
    tenant = make_tenant("acme")
    registry.tenants.append(tenant)
    links = await asyncio.gather(*(restoring.link(tenant) for _ in range(30)))
    await links[0].flush()
    assert len(set(links)) == 1
    assert registry.asked == ["acme"]


async def test_a_link_whose_account_is_removed_comes_back_with_its_subscriptions(
    restoring: TenantLinks, registry: Registry
) -> None:
    tenant = make_tenant("acme")
    registry.tenants.append(tenant)
    await registry.authority.push(tenant)
    link = await restoring.link(tenant)
    got: Got = []
    await link.subscribe("m.>", collect(got))
    await registry.authority.remove(tenant)
    await eventually(lambda: not link.up)
    await eventually(lambda: link.up)
    link.publish("m.a.x", b"again")
    await eventually(lambda: got == [("m.a.x", b"again")])
    assert registry.asked == ["acme"]


async def test_a_tenant_that_is_gone_is_asked_for_once_in_a_while_whoever_comes(
    restoring: TenantLinks, registry: Registry
) -> None:
    gone = make_tenant("gone")
    assert set(await asyncio.gather(*(outcome(restoring.link(gone)) for _ in range(30)))) == {
        Code.unavailable
    }
    with refused(Code.unavailable):
        await restoring.link(gone)
    assert registry.asked == ["gone"]


async def test_what_is_away_is_told_as_such(restoring: TenantLinks, registry: Registry) -> None:
    registry.away = True
    with refused(Code.unavailable):
        await restoring.link(make_tenant("acme"))


async def test_a_fault_in_it_ends_no_link(nats: Nats, caplog: pytest.LogCaptureFixture) -> None:
    async def restore(_: TenantRules) -> bool:
        raise ZeroDivisionError

    tenant = make_tenant("acme")
    async with nats.authority() as authority:
        await authority.push(tenant)
    async with tenant_links(nats, patience=3, restore=restore) as links:
        link = await links.link(tenant)
        with refused(Code.unavailable):
            await links.link(make_tenant("gone"))
        assert "fault while the account of a tenant is made anew" in caplog.text
        await link.flush()


@pytest.fixture
async def spawn() -> AsyncIterator[Callable[..., "asyncio.Task[bool]"]]:
    async with asyncio.TaskGroup() as tasks:
        yield tasks.create_task


async def test_after_a_rest_it_is_tried_again(spawn: Callable[..., "asyncio.Task[bool]"]) -> None:
    now, asked, answers = 100.0, 0, [False, True]

    async def restore(_: TenantRules) -> bool:
        nonlocal asked
        asked += 1
        return answers.pop(0)

    restoration, tenant = AccountRestoration(restore, lambda: now, spawn), make_tenant("acme")
    assert not await restoration.restore(tenant)
    now += REST_SECONDS - 0.1
    assert not await restoration.restore(tenant)
    assert asked == 1
    now += 0.2
    assert await restoration.restore(tenant)
    assert asked == 2


async def test_few_accounts_are_made_at_the_same_time(spawn: Callable[..., "asyncio.Task[bool]"]) -> None:
    """As when a bus comes back empty, and five thousand tenants knock."""
    running = most = 0

    async def restore(_: TenantRules) -> bool:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return True

    restoration = AccountRestoration(restore, lambda: 0.0, spawn)
    made = await asyncio.gather(*(restoration.restore(make_tenant(f"t{number}")) for number in range(500)))
    assert all(made)
    assert most == AT_ONCE


async def test_who_stops_waiting_does_not_stop_it(spawn: Callable[..., "asyncio.Task[bool]"]) -> None:
    gate = asyncio.Event()

    async def restore(_: TenantRules) -> bool:
        await gate.wait()
        return True

    restoration, tenant = AccountRestoration(restore, lambda: 0.0, spawn), make_tenant("acme")
    impatient = asyncio.ensure_future(restoration.restore(tenant))
    await asyncio.sleep(0)
    waiting = restoration.begin(tenant)
    impatient.cancel()
    gate.set()
    assert waiting is not None
    assert await waiting
