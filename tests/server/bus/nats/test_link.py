"""A link that knows several servers, and what servers tell it meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from artcafe.server.bus.nats.link import NatsLink
from artcafe.server.domain.tenant import Tenant
from artcafe.server.ports.bus import Link
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.inboxes import Inbox, hearing, publish
from tests.kit.nats import Nats
from tests.kit.outcomes import refused
from tests.kit.proxy import Proxy
from tests.kit.scripted_nats import info
from tests.kit.turns import turns


@pytest_asyncio.fixture
async def other(nats: Nats) -> AsyncIterator[Proxy]:
    """Another way to the same NATS: another server, as far as a link can tell."""
    async with Proxy(nats.url) as proxy:
        yield proxy


@asynccontextmanager
async def linked(
    nats: Nats, tenant: Tenant, *urls: str, jitter: Callable[[], float] = lambda: 0.0
) -> AsyncIterator[NatsLink]:
    """A running link that tries these servers in this order."""
    link = NatsLink(
        list(urls),
        nats.operator.credentials(tenant),
        "test",
        buffer_bytes=10**6,
        patience=3,
        jitter=jitter,
    )
    running = asyncio.get_running_loop().create_task(link.run())
    try:
        await link.ready()
        yield link
    finally:
        link.close()
        running.cancel()
        await asyncio.wait([running])


def address(proxy: Proxy) -> str:
    """As `connect_urls` has it."""
    return proxy.url.rpartition("/")[2]


async def test_the_next_server_is_tried_when_one_does_not_answer(
    nats: Nats, tenant: Tenant, proxy: Proxy, other: Proxy
) -> None:
    proxy.refusing = True
    async with linked(nats, tenant, proxy.url, other.url) as link:
        assert (proxy.accepted, other.open) == (1, 1)
        heard = await hearing(link)
        proxy.refusing = False
        other.cut()
        await eventually(lambda: proxy.open == 1)
        await link.ready()
        publish(link, "there")
        await eventually(lambda: heard.got == ["there"])


async def test_servers_that_the_cluster_tells_of_are_used(
    nats: Nats, tenant: Tenant, proxy: Proxy, other: Proxy
) -> None:
    async with linked(nats, tenant, proxy.url) as link:
        heard = await hearing(link)
        proxy.say(info(connect_urls=[address(proxy), address(other)], max_payload=1000))
        await link.flush()
        proxy.refusing = True
        proxy.cut()
        await eventually(lambda: other.open == 1)
        await link.ready()
        publish(link, "there")
        await eventually(lambda: heard.got == ["there"])
        assert link.gaps == 1


async def test_a_server_that_is_going_to_stop_is_left_when_it_has_everything(
    nats: Nats, tenant: Tenant, proxy: Proxy, other: Proxy, peer: Link, caplog: pytest.LogCaptureFixture
) -> None:
    there = await hearing(peer)
    async with linked(nats, tenant, proxy.url) as link:
        here = await hearing(link)
        proxy.stalled = True
        publish(link, *map(str, range(500)))
        await asyncio.sleep(0.02)
        proxy.say(info(ldm=True, connect_urls=[address(other)]))
        await asyncio.sleep(0.02)
        publish(link, *map(str, range(500, 1000)))
        flushing = asyncio.get_running_loop().create_task(link.flush())
        await asyncio.sleep(0.02)
        assert (proxy.open, other.accepted) == (1, 0), "it still has to confirm"
        proxy.stalled = False
        await flushing
        await eventually(lambda: (proxy.open, other.open) == (0, 1))
        await link.flush()
        await eventually(lambda: len(there.got) == 1000)
        assert there.got == list(map(str, range(1000))), "nothing is lost, doubled, or out of order"
        await eventually(lambda: here.got[-1] == "999")
    assert "the server is going to stop; up to 0 bytes" in caplog.text


async def test_the_only_server_is_not_left(nats: Nats, tenant: Tenant, proxy: Proxy) -> None:
    async with linked(nats, tenant, proxy.url) as link:
        heard = await hearing(link)
        proxy.say(info(ldm=True))
        publish(link, "still there")
        await link.flush()
        await eventually(lambda: heard.got == ["still there"])
        assert (proxy.accepted, proxy.open) == (1, 1)


async def test_a_limit_that_is_lowered_holds_at_once(nats: Nats, tenant: Tenant, proxy: Proxy) -> None:
    async with linked(nats, tenant, proxy.url) as link:
        link.publish("m.a.x", b"x" * 2000)
        proxy.say(info(max_payload=1000))
        await link.flush()
        await link.flush()
        with pytest.raises(ArtcafeError) as refusal:
            link.publish("m.a.x", b"x" * 1001)
        assert refusal.value.code is Code.too_large
        link.publish("m.a.x", b"x" * 1000)
        await link.flush()


async def test_a_subscription_for_which_there_is_no_room_is_refused(
    nats: Nats, tenant: Tenant, proxy: Proxy
) -> None:
    async with linked(nats, tenant, proxy.url) as link:
        proxy.stalled = True
        heard = Inbox()
        subscribing = asyncio.get_running_loop().create_task(link.subscribe("m.>", heard))
        await turns()
        proxy.say(b"-ERR 'maximum subscriptions exceeded'\r\n")
        await asyncio.sleep(0.02)
        proxy.stalled = False
        with pytest.raises(ArtcafeError, match="no room") as refusal:
            await subscribing
        assert refusal.value.code is Code.unavailable
        publish(link, "not heard")
        mark = await hearing(link, "m.*.mark")
        link.publish("m.a.mark", b"mark")
        await eventually(lambda: mark.got == ["mark"])
        assert heard.got == []


async def test_what_was_denied_once_may_be_allowed_later(nats: Nats, tenant: Tenant, proxy: Proxy) -> None:
    async with linked(nats, tenant, proxy.url) as link:
        proxy.say(b"-ERR 'Permissions Violation for Subscription to \"m.>\"'\r\n")
        await link.flush()
        heard = await hearing(link, "m.>")
        publish(link, "allowed")
        await eventually(lambda: heard.got == ["allowed"])


async def test_more_subjects_than_are_remembered(nats: Nats, tenant: Tenant, proxy: Proxy) -> None:
    async with linked(nats, tenant, proxy.url) as link:
        heard = await hearing(link, "m.*.s.*")
        for number in range(5000):
            link.publish(f"m.a.s.{number}", b"%d" % number)
        link.publish("m.a.s.0", b"again")
        await eventually(lambda: len(heard.got) == 5001)
        assert heard.got == [*map(str, range(5000)), "again"]
        with pytest.raises(ArtcafeError):
            link.publish("m.a b", b"")


def test_what_is_no_address_is_refused() -> None:
    async def make() -> None:
        NatsLink(["localhost"], None, "test", buffer_bytes=1, patience=1, jitter=lambda: 0.0)  # type: ignore[arg-type]

    with pytest.raises(ValueError, match="not the address"):
        asyncio.run(make())


async def test_a_fault_while_a_pause_is_drawn_ends_no_link(
    nats: Nats, tenant: Tenant, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    faults = 0

    def jitter() -> float:
        nonlocal faults
        if link_stood and faults < 3:
            faults += 1
            raise RuntimeError("of the test")
        return 0.0

    link_stood = False
    async with linked(nats, tenant, proxy.url, jitter=jitter) as link:
        link_stood = True
        proxy.cut()
        await eventually(lambda: faults == 3 and link.up)
        await link.flush()
    assert [record.message for record in caplog.records if record.exc_info] == ["fault in test"] * 3


async def test_a_fault_in_the_first_attempt_is_the_last_one(
    nats: Nats, tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    """Who waits for the link is told at once, and nobody is left who would go on trying."""
    drawn = 0

    def jitter() -> float:
        nonlocal drawn
        drawn += 1
        raise RuntimeError("of the test")

    login = nats.operator.credentials(tenant)
    link = NatsLink([nats.url], login, "test", buffer_bytes=1, patience=PATIENCE, jitter=jitter)
    running = asyncio.create_task(link.run())
    with refused(Code.unavailable):
        await link.ready()
    await asyncio.wait_for(running, PATIENCE)
    assert (link.over, link.stood, drawn) == (True, False, 1)
    assert "fault in test" in caplog.text
