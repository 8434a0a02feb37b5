"""Links on connections that break: what is kept, what is lost, who is told, and in which order it leaves."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

import pytest

from artcafe.server.bus.accounts.authority import Authority
from artcafe.server.bus.tenant_link import TenantLink
from artcafe.server.bus.tenants import TenantLinks
from artcafe.server.domain.tenant import Tenant
from artcafe.server.embedded.nats_server import NatsServer, NatsServerError
from artcafe.server.ports.bus import Link
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.buses import tenant_links
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.inboxes import Inbox, hearing, publish, unavailable
from tests.kit.nats import Nats, make_tenant, running_nats
from tests.kit.proxy import Proxy, accepted
from tests.kit.turns import turns

WINDOW_BYTES = 256 * 1024


async def is_down(link: TenantLink, proxy: Proxy) -> None:
    """Wait until the link has noticed that its connection is gone."""
    await eventually(lambda: proxy.open == 0)
    await eventually(lambda: not link.up)


# Everything leaves in one order.


async def test_order_under_load(links: TenantLinks, tenant: Tenant, peer: Link) -> None:
    link = await links.link(tenant)
    here, there = await hearing(link), await hearing(peer)
    expected = [f"{number} {'x' * 250}" for number in range(20_000)]
    for number, text in enumerate(expected):
        publish(link, text)
        if number % 1000 == 0:
            await link.flush()
    await link.flush()
    await eventually(lambda: len(here.got) == len(there.got) == len(expected))
    assert here.got == expected
    assert there.got == expected


async def test_a_confirmation_is_asked_for_behind_what_it_confirms(
    links: TenantLinks, proxy: Proxy, tenant: Tenant
) -> None:
    # A PING that overtakes what still waits here makes the PONG say nothing: a subscription could miss
    # what was published after `subscribe` had returned.
    link = await links.link(tenant)
    proxy.sent.clear()
    publish(link, "1")
    await link.flush()
    await link.subscribe("m.*.y", Inbox())
    publish(link, "2", "3")
    await asyncio.gather(link.flush(), link.flush(), link.flush())
    sent = bytes(proxy.sent)
    assert sent == (
        b"PUB m.a.x 1\r\n1\r\nPING\r\nSUB m.*.y 1\r\nPING\r\nPUB m.a.x 1\r\n2\r\nPUB m.a.x 1\r\n3\r\nPING\r\n"
    )


async def test_the_buffer_is_bounded_while_nats_is_slow(
    links: TenantLinks, proxy: Proxy, tenant: Tenant, peer: Link
) -> None:
    link = await links.link(tenant)
    heard = await hearing(peer)
    proxy.stalled = True
    taken: list[str] = []

    async def fill() -> None:
        for number in range(10_000):
            text = f"{number} {'x' * 1000}"
            publish(link, text)
            taken.append(text)
            await asyncio.sleep(0)

    await unavailable(fill())
    assert 2_000_000 < len(taken) * 1024 < 2_000_000 + 2 * WINDOW_BYTES
    await unavailable(flush_within(link, 0.1))

    proxy.stalled = False
    await eventually(lambda: len(heard.got) == len(taken))
    assert heard.got == taken
    await link.flush()


async def flush_within(link: Link, seconds: float) -> None:
    """Flush, and take too long for unavailable."""
    try:
        async with asyncio.timeout(seconds):
            await link.flush()
    except TimeoutError:
        raise ArtcafeError(Code.unavailable) from None


# Connections that break.


async def break_silently(proxy: Proxy) -> None:
    """The network loses the connection."""
    proxy.cut()


async def break_with_an_error(proxy: Proxy) -> None:
    """NATS reports an error after which it closes the connection."""
    proxy.say(b"-ERR 'User Authentication Expired'\r\n")


async def break_with_nonsense(proxy: Proxy) -> None:
    """Something else answers."""
    proxy.say(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")


@pytest.mark.parametrize("breaks", [break_silently, break_with_an_error, break_with_nonsense])
async def test_a_link_outlives_its_connection(
    links: TenantLinks, proxy: Proxy, tenant: Tenant, peer: Link, breaks: Callable[[Proxy], Awaitable[None]]
) -> None:
    link = await links.link(tenant)
    here, there = await hearing(link), await hearing(peer)
    await (await link.subscribe("m.*.closed", Inbox())).close()
    proxy.sent.clear()
    for turn in range(3):
        await link.flush()
        await breaks(proxy)
        await accepted(proxy, turn + 2)
        await link.flush()
        publish(link, f"ours {turn}")
        publish(peer, f"theirs {turn}")
        for inbox in (here, there):
            await inbox.some(2 * turn + 2)
    assert sorted(here.got) == sorted(there.got)
    assert len(here.got) == 6
    assert b"m.>" in proxy.sent
    assert b"m.*.closed" not in proxy.sent, "a closed subscription came back"
    assert proxy.open == 1
    assert link.gaps == 3, "who listens is told that messages may be missing"


async def test_what_is_published_while_away_waits_and_leaves_in_order(
    links: TenantLinks, proxy: Proxy, tenant: Tenant, peer: Link
) -> None:
    link = await links.link(tenant)
    heard = await hearing(peer)
    publish(link, "before")
    await link.flush()
    proxy.refusing = True
    proxy.cut()
    await is_down(link, proxy)
    publish(link, *map(str, range(500)))
    flushing = asyncio.gather(*(link.flush() for _ in range(5)))
    late = Inbox()
    subscribing = asyncio.gather(link.subscribe("m.*.late", late), links.link(tenant))
    tries = proxy.accepted
    await eventually(lambda: proxy.accepted > tries + 1)
    assert not flushing.done()
    assert not subscribing.done()
    assert heard.got == ["before"]

    proxy.refusing = False
    await flushing
    await eventually(lambda: heard.got == ["before", *map(str, range(500))])
    await subscribing
    peer.publish("m.b.late", b"heard")
    await eventually(lambda: late.got == ["heard"])


async def test_what_was_on_its_way_is_lost_and_every_flush_that_waits_is_told(
    links: TenantLinks, proxy: Proxy, tenant: Tenant, peer: Link, caplog: pytest.LogCaptureFixture
) -> None:
    link = await links.link(tenant)
    heard = await hearing(peer)
    publish(link, "before")
    await link.flush()

    proxy.swallowing = True
    lost = [f"{number} {'x' * 1000}" for number in range(1000)]
    publish(link, *lost)
    first = asyncio.gather(*(link.flush() for _ in range(3)), return_exceptions=True)
    await eventually(lambda: b"PING" in proxy.swallowed)
    # Called later, but what it asks about was on its way as well.
    second = asyncio.gather(link.flush(), return_exceptions=True)
    await turns()
    proxy.refusing = True
    proxy.cut()
    async with asyncio.timeout(PATIENCE):
        # At once, not when their patience ends.
        outcomes = [*await first, *await second]
    assert [outcome.code for outcome in outcomes if isinstance(outcome, ArtcafeError)] == [
        Code.unavailable
    ] * 4
    await unavailable(link.flush())
    publish(link, "while away")
    await unavailable(link.flush())

    proxy.swallowing = proxy.refusing = False
    await eventually(lambda: heard.got and heard.got[-1] == "while away")
    # Everybody who asked was told, so nobody who asks now is.
    await link.flush()
    kept = heard.got[1:-1]
    assert kept == lost[len(lost) - len(kept) :], "what was kept is the end, in order"
    assert 0 < sum(map(len, lost)) - sum(map(len, kept)) < WINDOW_BYTES + 2000
    assert "bytes were on their way" in caplog.text


async def test_a_loss_that_nobody_waited_for_is_told_to_the_next_who_asks(
    links: TenantLinks, proxy: Proxy, tenant: Tenant, peer: Link
) -> None:
    link = await links.link(tenant)
    heard = await hearing(peer)
    await link.flush()
    proxy.swallowing = True
    publish(link, "lost")
    await eventually(lambda: b"lost" in proxy.swallowed)
    proxy.swallowing = False
    proxy.cut()
    await eventually(lambda: proxy.accepted == 2)
    await links.link(tenant)
    await unavailable(link.flush())
    publish(link, "kept")
    await link.flush()
    await eventually(lambda: heard.got == ["kept"])


async def test_a_loss_that_was_told_when_it_happened_is_not_told_again(
    links: TenantLinks, proxy: Proxy, tenant: Tenant
) -> None:
    link = await links.link(tenant)
    proxy.swallowing = True
    publish(link, "lost")
    waiting = asyncio.gather(link.flush(), return_exceptions=True)
    await eventually(lambda: b"PING" in proxy.swallowed)
    proxy.swallowing = False
    proxy.cut()
    assert [str(outcome) for outcome in await waiting] == ["unavailable: The bus is away for a moment."]
    await accepted(proxy, 2)
    await links.link(tenant)
    await link.flush()


async def test_a_loss_that_was_told_while_away_is_not_told_again(
    links: TenantLinks, proxy: Proxy, tenant: Tenant
) -> None:
    link = await links.link(tenant)
    publish(link, "perhaps")
    await eventually(lambda: b"perhaps" in proxy.sent)
    proxy.refusing = True
    proxy.cut()
    await is_down(link, proxy)
    async with asyncio.timeout(PATIENCE):
        await unavailable(link.flush())
        await unavailable(link.flush())
    proxy.refusing = False
    await links.link(tenant)
    await link.flush()


async def test_subscribing_survives_a_break(
    links: TenantLinks, proxy: Proxy, tenant: Tenant, peer: Link
) -> None:
    link = await links.link(tenant)
    heard = Inbox()
    proxy.swallowing = True
    subscribing = asyncio.get_running_loop().create_task(link.subscribe("m.>", heard))
    await eventually(lambda: b"SUB m.>" in proxy.swallowed)
    assert not subscribing.done()
    proxy.swallowing = False
    proxy.cut()
    await subscribing
    publish(peer, "heard")
    await eventually(lambda: heard.got == ["heard"])


async def test_subscribing_in_vain_leaves_nothing(
    nats: Nats, proxy: Proxy, tenant: Tenant, peer: Link
) -> None:
    async with tenant_links(nats, url=proxy.url, patience=0.2) as links:
        link = await links.link(tenant)
        heard = Inbox()
        proxy.refusing = True
        proxy.cut()
        await is_down(link, proxy)
        await unavailable(link.subscribe("m.>", heard))
        await unavailable(links.link(tenant))
        proxy.refusing = False
        await eventually(lambda: proxy.open == 1)
        mark = await hearing(link, "m.*.mark")
        publish(peer, "not heard")
        peer.publish("m.a.mark", b"mark")
        await eventually(lambda: mark.got)
        assert heard.got == []


async def test_a_subscription_that_is_not_allowed_is_refused(links: TenantLinks, tenant: Tenant) -> None:
    link = await links.link(tenant)
    for pattern in [">", "$SYS.>", "$JS.API.>", "control.>", "*.a"]:
        with pytest.raises(ArtcafeError) as refusal:
            await link.subscribe(pattern, Inbox())
        assert refusal.value.code is Code.forbidden
    heard = await hearing(link)
    publish(link, "still there")
    await eventually(lambda: heard.got)


async def test_retries_are_spread_and_grow(nats: Nats, proxy: Proxy, tenant: Tenant) -> None:
    drawn: list[float] = []

    def jitter() -> float:
        drawn.append(0.0)
        return 0.0

    async with TenantLinks(proxy.url, nats.operator, jitter=jitter) as links:
        link = await links.link(tenant)
        proxy.refusing = True
        drawn.clear()
        proxy.cut()
        await is_down(link, proxy)
        started = asyncio.get_running_loop().time()
        # Half of 20, 40, 80, 160 and 320 ms: each attempt draws for the pause behind it.
        await eventually(lambda: len(drawn) == 5)
        assert asyncio.get_running_loop().time() - started >= 0.3


# The server itself.


async def test_killing_and_starting_nats(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("killed")
    async with running_nats(data) as nats:
        tenant = make_tenant("acme")
        port = nats.url.rsplit(":", 1)[1]
        config = nats.operator.server_config(server_name="test", listen=f"127.0.0.1:{port}", data_dir=data)
        async with Authority(nats.url, nats.operator) as authority:
            await authority.push(tenant)
        async with (
            tenant_links(nats, patience=5) as ours,
            tenant_links(nats, patience=5) as theirs,
        ):
            link, peer = await ours.link(tenant), await theirs.link(tenant)
            here, there = await hearing(link), await hearing(peer)
            publish(link, "before")
            await link.flush()

            os.kill(nats.server.pid, signal.SIGKILL)
            with pytest.raises(NatsServerError):
                await nats.server.wait()
            await nats.server.stop()
            await eventually(lambda: not link.up and not peer.up)
            publish(link, "while down")

            again = NatsServer(config, data)
            await again.start()
            try:
                # Theirs may come back before or after ours: "while down" is lost to those who are away.
                await peer.flush()
                await link.settle()
                publish(link, "after")
                publish(peer, "theirs")
                await eventually(lambda: sorted(here.got[2:]) == ["after", "theirs"])
                await eventually(lambda: {"after", "theirs"} <= set(there.got))
                assert here.got[:2] == ["before", "while down"]
            finally:
                await again.stop()
