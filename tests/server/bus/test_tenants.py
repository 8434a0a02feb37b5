"""One connection per tenant: shared, counted, closed when nobody needs it."""

import asyncio

import pytest

from artcafe.server.bus.nats.link import NatsLink
from artcafe.server.bus.tenants import TenantLinks
from artcafe.server.domain.tenant import Tenant
from artcafe.server.ports.bus import Link
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.buses import tenant_links
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.inboxes import hearing, publish, unavailable
from tests.kit.nats import Nats
from tests.kit.proxy import Proxy, accepted
from tests.kit.turns import turns


async def test_a_hundred_at_once_make_one_connection(
    links: TenantLinks, proxy: Proxy, tenant: Tenant
) -> None:
    got = await asyncio.gather(*(links.link(tenant) for _ in range(100)))
    assert len(set(got)) == 1
    assert proxy.accepted == 1
    await got[0].flush()


async def test_a_hundred_at_once_fail_together_and_leave_nothing(
    links: TenantLinks, proxy: Proxy, tenant: Tenant
) -> None:
    proxy.refusing = True
    outcomes = await asyncio.gather(*(links.link(tenant) for _ in range(100)), return_exceptions=True)
    assert {outcome.code for outcome in outcomes if isinstance(outcome, ArtcafeError)} == {Code.unavailable}
    assert len(outcomes) == 100
    assert proxy.accepted <= 2
    with pytest.raises(ValueError, match="more often"):
        links.release(tenant.id)

    proxy.refusing = False
    await (await links.link(tenant)).flush()


async def test_an_idle_link_is_closed_and_opened_again(
    links: TenantLinks, proxy: Proxy, tenant: Tenant, peer: Link
) -> None:
    heard = await hearing(peer)
    link = await links.link(tenant)
    publish(link, "first")
    links.release(tenant.id)
    await eventually(lambda: proxy.open == 0, "closing")
    with pytest.raises(ArtcafeError):
        publish(link, "too late")

    publish(await links.link(tenant), "second")
    await eventually(lambda: heard.got == ["first", "second"])
    assert (proxy.accepted, proxy.open) == (2, 1)


async def test_asking_while_an_idle_link_closes_gets_a_fresh_one(
    nats: Nats, proxy: Proxy, tenant: Tenant
) -> None:
    async with tenant_links(nats, url=proxy.url, idle_seconds=0, patience=3) as links:
        link = await links.link(tenant)
        proxy.stalled = True
        publish(link, "being flushed")
        links.release(tenant.id)
        await turns()
        asking = asyncio.get_running_loop().create_task(links.link(tenant))
        await turns()
        assert not asking.done()
        proxy.stalled = False
        fresh = await asking
        assert fresh is not link
        await fresh.flush()
        assert (proxy.accepted, proxy.open) == (2, 1)


async def test_there_are_never_two_connections(nats: Nats, proxy: Proxy, tenant: Tenant) -> None:
    async with tenant_links(nats, url=proxy.url, idle_seconds=0) as links:
        for number in range(30):
            link = await links.link(tenant)
            await link.flush()
            links.release(tenant.id)
            await asyncio.sleep(0.001 * (number % 3))
            assert proxy.open <= 1
        assert proxy.accepted > 10


async def test_drop_closes_at_once(links: TenantLinks, proxy: Proxy, tenant: Tenant) -> None:
    link = await links.link(tenant)
    heard = await hearing(link)
    publish(link, "before")
    await eventually(lambda: heard.got)
    waiting = asyncio.gather(*(link.flush() for _ in range(3)), return_exceptions=True)
    proxy.stalled = True
    await links.drop(tenant.id)
    proxy.stalled = False
    assert [outcome.code for outcome in await waiting if isinstance(outcome, ArtcafeError)] in (
        [],
        [Code.unavailable] * 3,
    )
    with pytest.raises(ArtcafeError):
        publish(link, "after")
    await unavailable(link.flush())
    await unavailable(link.subscribe("m.>", heard))
    await eventually(lambda: proxy.open == 0)
    assert heard.got == ["before"]


async def test_drop_while_somebody_asks(links: TenantLinks, proxy: Proxy, tenant: Tenant) -> None:
    proxy.stalled = True
    asking = asyncio.gather(*(links.link(tenant) for _ in range(3)), return_exceptions=True)
    await eventually(lambda: proxy.accepted)
    await links.drop(tenant.id)
    outcomes = await asking
    assert {outcome.code for outcome in outcomes if isinstance(outcome, ArtcafeError)} == {Code.unavailable}
    proxy.stalled = False
    await (await links.link(tenant)).flush()


async def test_asking_can_be_cancelled(links: TenantLinks, proxy: Proxy, tenant: Tenant) -> None:
    proxy.stalled = True
    asking = asyncio.get_running_loop().create_task(links.link(tenant))
    await eventually(lambda: proxy.accepted)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    with pytest.raises(ValueError, match="more often"):
        links.release(tenant.id)
    proxy.stalled = False
    await (await links.link(tenant)).flush()


async def test_closing_does_not_depend_on_a_cancellation(nats: Nats, proxy: Proxy, tenant: Tenant) -> None:
    # What is awaited while a link logs in may swallow a cancellation that comes together with its
    # result. A link that was dropped then stayed, and so did who dropped it.
    link = NatsLink(
        [proxy.url],
        nats.operator.credentials(tenant),
        "test",
        buffer_bytes=1000,
        patience=1,
        jitter=lambda: 0.0,
    )
    proxy.stalled = True
    running = asyncio.get_running_loop().create_task(link.run())
    await accepted(proxy, 1)
    link.close()
    proxy.stalled = False
    async with asyncio.timeout(PATIENCE):
        await running
    await eventually(lambda: proxy.open == 0)


async def test_leaving_sends_what_was_published_and_ends_every_task(
    nats: Nats, tenant: Tenant, peer: Link
) -> None:
    heard = await hearing(peer)
    before = asyncio.all_tasks()
    async with tenant_links(nats, buffer_bytes=2_000_000) as links:
        link = await links.link(tenant)
        await links.ping()
        # More than is on its way at once.
        publish(link, *(f"{number} {'x' * 1000}" for number in range(1000)))
    await eventually(lambda: len(heard.got) == 1000)
    await eventually(lambda: asyncio.all_tasks() <= before)
    await unavailable(links.link(tenant))


async def test_an_error_of_the_block_comes_out_as_it_is(nats: Nats, tenant: Tenant) -> None:
    async def serve() -> None:
        async with tenant_links(nats) as links:
            await links.link(tenant)
            raise LookupError("of the block")

    with pytest.raises(LookupError, match="of the block"):
        await serve()


@pytest.mark.parametrize("turns", range(12))
async def test_being_cancelled_at_any_moment_leaves_nothing_open(
    nats: Nats, proxy: Proxy, tenant: Tenant, turns: int
) -> None:
    async def serve() -> None:
        async with tenant_links(nats, url=proxy.url) as links:
            await links.link(tenant)
            await asyncio.Event().wait()

    before = asyncio.all_tasks()
    serving = asyncio.get_running_loop().create_task(serve())
    await accepted(proxy, 1)
    # From the first moments of the login to the open link.
    for _ in range(turns):
        await asyncio.sleep(0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    await eventually(lambda: proxy.open == 0)
    await eventually(lambda: asyncio.all_tasks() <= before)


async def test_ping_says_whether_nats_answers(links: TenantLinks, proxy: Proxy) -> None:
    proxy.refusing = True
    await unavailable(links.ping())
    proxy.refusing = False
    await links.ping()
    await links.ping()
    assert proxy.open == 1
    proxy.refusing = True
    proxy.cut()
    await eventually(lambda: proxy.open == 0)
    async with asyncio.timeout(PATIENCE):
        await unavailable(links.ping())
