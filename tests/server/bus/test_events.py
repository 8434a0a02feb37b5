"""What is stored is told to the bus, as soon as the bus is there."""

import asyncio
import logging

import msgspec
import pytest

from artcafe.server.bus.control import ControlLink
from artcafe.server.bus.events import BusTelling
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.tenant import Tenant, TenantRules
from tests.kit.deadlines import eventually
from tests.kit.nats import Nats
from tests.kit.proxy import Proxy
from tests.kit.unreliable_bus import DeafBus

ACME = Tenant(id=TenantId("acme"), name="Acme", account="a1", created_at="", updated_at="")


class World:
    """A bus that hears, what is stored of tenants, and what was told where."""

    def __init__(self, most: int = 100) -> None:
        self.bus = DeafBus()
        self.stored: dict[TenantId, TenantRules] = {}
        self.heard: list[bytes] = []
        self.here: list[bytes] = []
        self.pushed: list[TenantRules] = []
        self.telling = BusTelling(
            self.bus, self.bus, self.read, lambda _, payload: self.here.append(payload), most
        )

    async def read(self, tenant: TenantId) -> TenantRules | None:
        await asyncio.sleep(0)
        return self.stored.get(tenant)

    async def listen(self) -> "World":
        await self.bus.hear("topic", lambda _, payload: self.heard.append(payload))
        return self

    async def settled(self) -> list[bytes]:
        """What was heard, once the deliveries are over."""
        for _ in range(3):
            await asyncio.sleep(0)
        return self.heard


def suspended(tenant: Tenant) -> Tenant:
    return msgspec.structs.replace(tenant, status="suspended", version=tenant.version + 1)


async def test_what_can_be_told_is_told_when_the_call_returns() -> None:
    world = await World().listen()

    await world.telling.tell("topic", b"x")

    assert await world.settled() == [b"x"]
    assert world.here == []
    assert world.telling.waiting == 0


async def test_what_cannot_be_told_raises_nothing_is_known_here_and_told_when_the_bus_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = await World().listen()
    world.bus.leave()

    with caplog.at_level(logging.WARNING):
        for payload in (b"x", b"y", b"x"):
            await world.telling.tell("topic", payload)

    assert world.here == [b"x", b"y", b"x"]
    assert caplog.messages == ["not_told"]  # The bus is known to be away after that.
    assert world.telling.waiting == 2  # The same is told once.
    await world.telling.again()
    assert await world.settled() == []
    world.bus.come_back()
    await world.telling.again()
    assert sorted(await world.settled()) == [b"x", b"y"]
    assert world.telling.waiting == 0


async def test_while_the_bus_is_away_only_the_first_waits_for_it() -> None:
    world = World()
    world.bus.leave()
    for number in range(50):
        await world.telling.tell("topic", b"%d" % number)
    assert world.bus.events.calls == 1

    await world.telling.again()
    assert world.bus.events.calls == 4  # A round ends after a few failures ...
    world.bus.events.failure = None
    await world.telling.again()
    assert world.telling.waiting == 0  # ... and goes through all when there are none.


async def test_after_the_bus_is_back_it_is_told_at_once_again() -> None:
    world = await World().listen()
    world.bus.leave()
    await world.telling.tell("topic", b"x")
    world.bus.come_back()
    await world.telling.again()

    await world.telling.tell("topic", b"y")

    assert await world.settled() == [b"x", b"y"]
    assert world.telling.waiting == 0


async def test_what_is_refused_again_and_again_keeps_nothing_else_back() -> None:
    world = await World().listen()
    world.stored[ACME.id] = ACME
    world.bus.leave()
    for number in range(10):
        await world.telling.remove(msgspec.structs.replace(ACME, account=f"gone-{number}"))
    await world.telling.tell("topic", b"x")
    world.bus.events.failure = None

    for _ in range(5):
        await world.telling.again()

    assert await world.settled() == [b"x"]
    assert world.telling.waiting == 10


async def test_who_is_cancelled_while_telling_is_told_for_later() -> None:
    world = await World().listen()
    world.bus.events.shut()

    async with asyncio.TaskGroup() as tasks:
        telling = tasks.create_task(world.telling.tell("topic", b"x"))
        while world.bus.events.calls == 0:
            await asyncio.sleep(0)
        telling.cancel()

    assert world.telling.waiting == 1
    world.bus.events.open()
    await world.telling.again()
    assert await world.settled() == [b"x"]


async def test_a_retry_that_is_cancelled_loses_nothing() -> None:
    world = await World().listen()
    world.bus.leave()
    await world.telling.tell("topic", b"x")
    world.bus.come_back()
    world.bus.events.shut()

    async with asyncio.TaskGroup() as tasks:
        retry = tasks.create_task(world.telling.again())
        while world.bus.events.calls == 1:
            await asyncio.sleep(0)
        retry.cancel()

    assert world.telling.waiting == 1


async def test_what_waits_is_bounded_and_what_is_lost_is_said(caplog: pytest.LogCaptureFixture) -> None:
    world = World(most=2)
    world.bus.leave()

    with caplog.at_level(logging.ERROR):
        for number in range(5):
            await world.telling.tell("topic", b"%d" % number)

    assert world.telling.waiting == 2
    assert caplog.messages == ["not_told"] * 3
    assert len(world.here) == 5


async def test_at_the_end_it_is_tried_once_more_and_what_is_lost_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = await World().listen()
    world.bus.leave()
    for payload in (b"x", b"y", b"z"):
        await world.telling.tell("topic", payload)
    before = world.bus.events.calls
    caplog.clear()

    with caplog.at_level(logging.ERROR):
        await world.telling.finish()

    assert world.bus.events.calls == before + 1  # Who ends does not wait for the bus again and again.
    assert caplog.messages == ["not_told"] * 3
    assert world.telling.waiting == 0


class TestAccounts:
    async def test_what_is_pushed_later_is_what_is_stored_then(self) -> None:
        world = World()
        world.stored[ACME.id] = ACME
        world.bus.leave()
        await world.telling.push(ACME)
        world.stored[ACME.id] = suspended(ACME)
        world.bus.come_back()

        await world.telling.again()

        assert world.bus._accounts == {(ACME.id, "a1")} == world.bus._suspended

    async def test_of_a_tenant_that_is_gone_nothing_is_pushed(self) -> None:
        world = World()
        world.bus.leave()
        await world.telling.push(ACME)
        world.bus.come_back()

        await world.telling.again()

        assert world.bus._accounts == set()
        assert world.telling.waiting == 0

    async def test_a_push_that_was_overtaken_does_not_stand(self) -> None:
        world = World()
        world.stored[ACME.id] = ACME
        gate = world.bus.pushing.shut()

        async with asyncio.TaskGroup() as both:
            both.create_task(world.telling.push(ACME))
            while world.bus.pushing.calls == 0:
                await asyncio.sleep(0)
            world.bus.pushing.let_pass()
            world.stored[ACME.id] = suspended(ACME)
            await world.telling.push(suspended(ACME))
            gate.set()

        assert world.bus._suspended == {(ACME.id, "a1")}

    async def test_an_account_is_removed_later(self) -> None:
        world = World()
        await world.bus.push(ACME)
        world.bus.leave()
        await world.telling.remove(ACME)
        world.bus.come_back()

        await world.telling.again()

        assert world.bus._accounts == set()


async def test_what_nats_did_not_hear_it_hears_when_it_is_back(nats: Nats, proxy: Proxy) -> None:
    heard: list[bytes] = []
    here: list[bytes] = []
    async with (
        nats.authority() as accounts,
        ControlLink(nats.url, nats.operator) as theirs,
        ControlLink(proxy.url, nats.operator, patience=0.2) as ours,
    ):
        await theirs.hear("revoked", lambda _, payload: heard.append(payload))
        telling = BusTelling(ours, accounts, World().read, lambda _, payload: here.append(payload))
        proxy.refusing = proxy.swallowing = True
        proxy.cut()

        await telling.tell("revoked", b"a key")
        await telling.again()
        assert (here, heard, telling.waiting) == ([b"a key"], [], 1)

        proxy.refusing = proxy.swallowing = False
        await ours.hear("back", lambda _, payload: None)  # Waits until the link is up.
        await telling.again()
        assert telling.waiting == 0
        await eventually(lambda: b"a key" in heard)
