"""A tenant's place on the bus: what is heard where it was said, and the members of queue groups."""

import asyncio

import pytest

from artcafe.server.bus.nats.link import CROWDED_BYTES
from artcafe.server.bus.nats.requests import NoRespondersError, RequestTimeoutError
from artcafe.server.bus.tenants import TenantLinks
from artcafe.server.domain.tenant import Tenant
from artcafe.server.ports.bus import Link
from tests.kit.buses import tenant_links
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.inboxes import Inbox, hearing, publish, unavailable
from tests.kit.nats import Nats, make_tenant
from tests.kit.proxy import Proxy, accepted


async def test_what_is_said_here_is_heard_here_without_the_server(
    links: TenantLinks, proxy: Proxy, tenant: Tenant, peer: Link
) -> None:
    link = await links.link(tenant)
    here, there = await hearing(link), await hearing(peer)
    proxy.stalled = True
    publish(link, "ours")
    await here.some(1)
    assert there.got == []
    proxy.stalled = False
    await there.some(1)
    publish(peer, "theirs")
    await here.some(2)
    assert (here.got, there.got) == (["ours", "theirs"], ["ours", "theirs"]), "once, and no echo"


async def test_publishers_wait_for_a_server_that_is_slower_than_they_are(
    nats: Nats, proxy: Proxy, tenant: Tenant, peer: Link
) -> None:
    payload = b"x" * 100_000
    async with tenant_links(nats, url=proxy.url, buffer_bytes=8_000_000) as links:
        link = await links.link(tenant)
        there = await hearing(peer)
        await link.room()
        proxy.stalled = True
        sent = 0
        while link.publish("m.a.x", payload):
            sent += 1
            await asyncio.sleep(0)
        assert CROWDED_BYTES < sent * len(payload) < CROWDED_BYTES + 1_000_000, (
            "with the window and the sockets"
        )
        waiting = asyncio.get_running_loop().create_task(link.room())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        proxy.stalled = False
        await waiting
        assert link.publish("m.a.x", payload)
        await there.some(sent + 2)

        proxy.stalled = True
        while link.publish("m.a.x", payload):
            await asyncio.sleep(0)
        proxy.refusing = True
        proxy.cut()
        await link.room()
        assert link.publish("m.a.x", payload), "while the bus is away what fits the buffer is taken"


async def test_what_the_link_does_not_take_is_not_heard_here(
    links: TenantLinks, proxy: Proxy, tenant: Tenant
) -> None:
    link = await links.link(tenant)
    here = await hearing(link)
    await links.drop(tenant.id)

    async def say() -> None:
        publish(link, "ours")

    await unavailable(say())
    await asyncio.sleep(0)
    assert here.got == []


async def test_only_groups_need_a_second_connection(links: TenantLinks, proxy: Proxy, tenant: Tenant) -> None:
    link = await links.link(tenant)
    await hearing(link)
    assert proxy.accepted == 1
    group = Inbox()
    for _ in range(2):
        await link.subscribe("m.*.x", group, queue="g")
    assert proxy.accepted == 2
    publish(link, "once")
    await group.some(1)
    await link.settle()
    assert group.got == ["once"]
    await links.drop(tenant.id)
    await eventually(lambda: proxy.open == 0)


async def test_members_of_a_group_outlive_their_connection(
    links: TenantLinks, proxy: Proxy, tenant: Tenant, peer: Link
) -> None:
    link = await links.link(tenant)
    group = Inbox()
    await link.subscribe("m.>", group, queue="g")
    gaps = link.gaps
    proxy.cut()
    await accepted(proxy, 4)
    await eventually(lambda: link.gaps > gaps, "who listens is told that messages may be missing")
    await link.subscribe("m.*.mark", Inbox(), queue="g")
    publish(link, "ours")
    publish(peer, "theirs")
    await group.some(2)
    assert sorted(group.got) == ["ours", "theirs"]


async def test_a_group_link_that_cannot_begin_is_made_again(
    links: TenantLinks, proxy: Proxy, tenant: Tenant
) -> None:
    link = await links.link(tenant)
    proxy.refusing = True
    await unavailable(link.subscribe("m.>", Inbox(), queue="g"))
    proxy.refusing = False
    group = Inbox()
    await link.subscribe("m.>", group, queue="g")
    publish(link, "heard")
    await group.some(1)


async def test_a_request_stays_in_the_account_of_its_tenant(
    nats: Nats, links: TenantLinks, tenant: Tenant, proxy: Proxy
) -> None:
    other = make_tenant("beta")
    async with nats.authority() as authority:
        await authority.push(other)
    link = await links.link(tenant)
    theirs = await hearing(await links.link(other), "m.service.>")
    with pytest.raises(NoRespondersError):
        await link.request("m.service.x", b"secret", seconds=10 * PATIENCE)
    async with tenant_links(nats) as process:
        ours = await hearing(await process.link(tenant), "m.service.>")
        with pytest.raises(RequestTimeoutError):
            await link.request("m.service.x", b"asked", seconds=0.2, headers={"a": "b"})
        assert (ours.got, theirs.got) == (["asked"], [])
        assert b"NATS/1.0\r\na: b\r\n\r\nasked" in proxy.sent
