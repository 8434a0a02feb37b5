"""What is stored is told to the bus, as soon as the bus is there."""

import asyncio
import logging

import msgspec
import pytest

from artcafe.server.bus.control import ControlLink
from artcafe.server.bus.events import BusEvents
from artcafe.server.domain.change import TOPIC as CHANGED
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.durable_channels import DurableChannels
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.domain.revocation import TOPIC as REVOKED
from artcafe.server.domain.revocation import Revocation
from artcafe.server.domain.tenant import Tenant, TenantRules
from artcafe.server.ports.events import AccountChanged, AccountUnowned, CountersEnded
from artcafe.wire.codes import Code
from tests.kit.deadlines import eventually
from tests.kit.nats import Nats
from tests.kit.outcomes import refused
from tests.kit.proxy import Proxy
from tests.kit.unreliable_bus import DeafBus

ACME = Tenant(id=TenantId("acme"), name="Acme", account="a1", created_at="", updated_at="")


class Heard:
    """bus.events.EventListener: what was heard, in order."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.revocations: list[Revocation] = []
        self.missed = 0

    def changed(self, change: Change) -> None:
        self.changes.append(change.id)

    def revoked(self, revocation: Revocation) -> None:
        self.revocations.append(revocation)

    def words_missed(self) -> None:
        self.missed += 1


def agent(name: str) -> Change:
    """The change of an agent."""
    return Change(ACME.id, Kind.agent, name)


class World:
    """A bus that hears, what is stored of tenants, and what was told where.

    `heard` are the changes that came over the bus to another process; `here` those that this one told itself;
    `done` is what it forgot, told and ended, in order.
    """

    def __init__(self, most: int = 100) -> None:
        self.bus = DeafBus()
        self.stored: dict[TenantId, TenantRules] = {}
        self.channels: DurableChannels | None = None
        self.listener = Heard()
        self.other = Heard()
        self.done: list[str] = []
        self.events = BusEvents(
            self.bus,
            self.bus,
            self.bus,
            self.read,
            self.durable,
            forget=[lambda change: self.done.append(f"forget {change.id}")],
            forget_all=lambda: self.done.append("forget all"),
            end_counters=lambda tenant, metrics: self.done.append(f"end {tenant} {[*metrics]}"),
            listener=self.listener,
            most=most,
        )

    async def read(self, tenant: TenantId) -> TenantRules | None:
        await asyncio.sleep(0)
        return self.stored.get(tenant)

    async def durable(self, tenant: TenantId) -> DurableChannels | None:
        await asyncio.sleep(0)
        return self.channels

    async def listen(self) -> "World":
        """Let another process hear."""
        others = BusEvents(
            self.bus,
            self.bus,
            self.bus,
            self.read,
            self.durable,
            forget=[],
            forget_all=lambda: None,
            end_counters=lambda tenant, metrics: None,
        )
        await others.hear(self.other)
        return self

    @property
    def here(self) -> list[str]:
        return self.listener.changes

    async def settled(self) -> list[str]:
        """The changes that were heard, once the deliveries are over."""
        for _ in range(3):
            await asyncio.sleep(0)
        return self.other.changes


def suspended(tenant: Tenant) -> Tenant:
    return msgspec.structs.replace(tenant, status="suspended", version=tenant.version + 1)


async def test_what_can_be_told_is_told_when_the_call_returns() -> None:
    world = await World().listen()

    await world.events.tell(agent("x"))

    assert await world.settled() == ["x"]
    assert world.here == []
    assert world.events.waiting == 0


async def test_what_cannot_be_told_raises_nothing_is_known_here_and_told_when_the_bus_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = await World().listen()
    world.bus.leave()

    with caplog.at_level(logging.WARNING):
        for payload in ("x", "y", "x"):
            await world.events.tell(agent(payload))

    assert world.here == ["x", "y", "x"]
    assert caplog.messages == ["not_told"]  # The bus is known to be away after that.
    assert world.events.waiting == 2  # The same is told once.
    await world.events.again()
    assert await world.settled() == []
    world.bus.come_back()
    await world.events.again()
    assert sorted(await world.settled()) == ["x", "y"]
    assert world.events.waiting == 0


async def test_while_the_bus_is_away_only_the_first_waits_for_it() -> None:
    world = World()
    world.bus.leave()
    for number in range(50):
        await world.events.tell(agent(f"{number}"))
    assert world.bus.telling.calls == 1

    await world.events.again()
    assert world.bus.telling.calls == 4  # A round ends after a few failures ...
    world.bus.telling.failure = None
    await world.events.again()
    assert world.events.waiting == 0  # ... and goes through all when there are none.


async def test_after_the_bus_is_back_it_is_told_at_once_again() -> None:
    world = await World().listen()
    world.bus.leave()
    await world.events.tell(agent("x"))
    world.bus.come_back()
    await world.events.again()

    await world.events.tell(agent("y"))

    assert await world.settled() == ["x", "y"]
    assert world.events.waiting == 0


async def test_what_is_refused_again_and_again_keeps_nothing_else_back() -> None:
    world = await World().listen()
    world.stored[ACME.id] = ACME
    world.bus.leave()
    for number in range(10):
        await world.events.tell(AccountUnowned(msgspec.structs.replace(ACME, account=f"gone-{number}")))
    await world.events.tell(agent("x"))
    world.bus.telling.failure = None

    for _ in range(5):
        await world.events.again()

    assert await world.settled() == ["x"]
    assert world.events.waiting == 10


async def test_who_is_cancelled_while_telling_is_told_for_later() -> None:
    world = await World().listen()
    world.bus.telling.shut()

    async with asyncio.TaskGroup() as tasks:
        telling = tasks.create_task(world.events.tell(agent("x")))
        while world.bus.telling.calls == 0:
            await asyncio.sleep(0)
        telling.cancel()

    assert world.events.waiting == 1
    world.bus.telling.open()
    await world.events.again()
    assert await world.settled() == ["x"]


async def test_a_retry_that_is_cancelled_loses_nothing() -> None:
    world = await World().listen()
    world.bus.leave()
    await world.events.tell(agent("x"))
    world.bus.come_back()
    world.bus.telling.shut()

    async with asyncio.TaskGroup() as tasks:
        retry = tasks.create_task(world.events.again())
        while world.bus.telling.calls == 1:
            await asyncio.sleep(0)
        retry.cancel()

    assert world.events.waiting == 1


async def test_what_waits_is_bounded_and_what_is_lost_is_said(caplog: pytest.LogCaptureFixture) -> None:
    world = World(most=2)
    world.bus.leave()

    with caplog.at_level(logging.ERROR):
        for number in range(5):
            await world.events.tell(agent(f"{number}"))

    assert world.events.waiting == 2
    assert caplog.messages == ["not_told"] * 3
    assert len(world.here) == 5


async def test_at_the_end_it_is_tried_once_more_and_what_is_lost_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = await World().listen()
    world.bus.leave()
    for payload in ("x", "y", "z"):
        await world.events.tell(agent(payload))
    before = world.bus.telling.calls
    caplog.clear()

    with caplog.at_level(logging.ERROR):
        await world.events.finish()

    assert world.bus.telling.calls == before + 1  # Who ends does not wait for the bus again and again.
    assert caplog.messages == ["not_told"] * 3
    assert world.events.waiting == 0


class TestAccounts:
    async def test_what_is_pushed_later_is_what_is_stored_then(self) -> None:
        world = World()
        world.stored[ACME.id] = ACME
        world.bus.leave()
        await world.events.tell(AccountChanged(ACME))
        world.stored[ACME.id] = suspended(ACME)
        world.bus.come_back()

        await world.events.again()

        assert world.bus._accounts == {(ACME.id, "a1")} == world.bus._suspended

    async def test_of_a_tenant_that_is_gone_nothing_is_pushed(self) -> None:
        world = World()
        world.bus.leave()
        await world.events.tell(AccountChanged(ACME))
        world.bus.come_back()

        await world.events.again()

        assert world.bus._accounts == set()
        assert world.events.waiting == 0

    async def test_a_push_that_was_overtaken_does_not_stand(self) -> None:
        world = World()
        world.stored[ACME.id] = ACME
        gate = world.bus.pushing.shut()

        async with asyncio.TaskGroup() as both:
            both.create_task(world.events.tell(AccountChanged(ACME)))
            while world.bus.pushing.calls == 0:
                await asyncio.sleep(0)
            world.bus.pushing.let_pass()
            world.stored[ACME.id] = suspended(ACME)
            await world.events.tell(AccountChanged(suspended(ACME)))
            gate.set()

        assert world.bus._suspended == {(ACME.id, "a1")}

    async def test_an_account_is_removed_later(self) -> None:
        world = World()
        await world.bus.push(ACME)
        world.bus.leave()
        await world.events.tell(AccountUnowned(ACME))
        world.bus.come_back()

        await world.events.again()

        assert world.bus._accounts == set()


class TestSeveral:
    """Of one commit, in the order in which they are given."""

    KEY = Revocation(ACME.id, AgentId("a1"), "SHA256:x")

    async def test_this_process_knows_of_all_before_the_first_is_on_the_bus(self) -> None:
        world = await World().listen()
        world.bus.telling.shut()
        ended = CountersEnded(ACME.id, ("sent:a1", "received:a1"))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(world.events.tell(agent("x"), self.KEY, agent("y"), ended))
            await asyncio.sleep(0)
            assert world.bus.telling.calls == 1
            assert world.done == ["forget x", "forget y", "end acme ['sent:a1', 'received:a1']"]
            world.bus.telling.open()

        assert await world.settled() == ["x", "y"]
        assert world.other.revocations == [self.KEY]

    async def test_they_go_over_the_bus_in_order(self) -> None:
        world, topics = World(), list[str]()
        for topic in (REVOKED, CHANGED):
            await world.bus.hear(topic, lambda topic, _: topics.append(topic))

        await world.events.tell(agent("x"), self.KEY, agent("y"))

        await world.settled()
        assert topics == [CHANGED, REVOKED, CHANGED]

    async def test_who_is_cancelled_at_the_first_leaves_the_rest_for_later(self) -> None:
        world = await World().listen()
        world.bus.telling.shut()

        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(world.events.tell(agent("x"), self.KEY, AccountUnowned(ACME)))
            while world.bus.telling.calls == 0:
                await asyncio.sleep(0)
            telling.cancel()

        assert world.events.waiting == 3
        world.bus.telling.open()
        await world.events.again()
        assert (await world.settled(), world.other.revocations) == (["x"], [self.KEY])


class TestNow:
    async def test_it_is_heard_by_every_process(self) -> None:
        world = await World().listen()
        await world.events.hear(world.listener)

        await world.events.tell_now(Revocation(ACME.id))

        await world.settled()
        assert world.listener.revocations == world.other.revocations == [Revocation(ACME.id)]

    async def test_while_the_bus_is_away_it_is_refused_and_not_told_later(self) -> None:
        world = await World().listen()
        world.bus.leave()

        with refused(Code.unavailable):
            await world.events.tell_now(Revocation(ACME.id))

        assert world.events.waiting == 0


class TestHearing:
    async def test_what_is_held_is_forgotten_before_the_listener_hears(self) -> None:
        world = World()

        class Late(Heard):
            def changed(self, change: Change) -> None:
                world.done.append(f"heard {change.id}")

        await world.events.hear(Late())

        await world.bus.tell(CHANGED, msgspec.json.encode(agent("x")))

        await world.settled()
        assert world.done == ["forget x", "heard x"]

    @pytest.mark.parametrize("topic", [CHANGED, REVOKED])
    @pytest.mark.parametrize(
        "payload", [b"", b"nonsense", b"{}", b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}"]
    )
    async def test_a_word_that_cannot_be_read_is_logged_and_heard_by_nobody(
        self, caplog: pytest.LogCaptureFixture, topic: str, payload: bytes
    ) -> None:
        world = World()
        await world.events.hear(world.listener)

        await world.bus.tell(topic, payload)
        await world.bus.tell(CHANGED, msgspec.json.encode(agent("x")))

        await world.settled()
        [record] = caplog.records
        assert "cannot be read" in record.message
        assert (world.listener.changes, world.listener.revocations, world.done) == (["x"], [], ["forget x"])

    @pytest.mark.parametrize("missed", [True, False])
    async def test_what_may_have_been_missed_is_asked_for(
        self, monkeypatch: pytest.MonkeyPatch, missed: bool
    ) -> None:
        world = World()

        async def told() -> bool:
            return missed

        monkeypatch.setattr(world.bus, "missed", told)

        await world.events.catch_up()

        assert (world.done, world.listener.missed) == ((["forget all"], 1) if missed else ([], 0))


async def test_what_nats_did_not_hear_it_hears_when_it_is_back(nats: Nats, proxy: Proxy) -> None:
    world, revocation = World(), Revocation(ACME.id, AgentId("a1"), "SHA256:x")
    heard: list[bytes] = []
    async with (
        nats.authority() as accounts,
        ControlLink(nats.url, nats.operator) as theirs,
        ControlLink(proxy.url, nats.operator, patience=0.2) as ours,
    ):
        await theirs.hear(REVOKED, lambda _, payload: heard.append(payload))
        events = BusEvents(
            ours,
            accounts,
            world.bus,
            world.read,
            world.durable,
            forget=[],
            forget_all=lambda: None,
            end_counters=lambda tenant, metrics: None,
            listener=world.listener,
        )
        proxy.refusing = proxy.swallowing = True
        proxy.cut()

        await events.tell(revocation)
        await events.again()
        assert (world.listener.revocations, heard, events.waiting) == ([revocation], [], 1)

        proxy.refusing = proxy.swallowing = False
        await ours.hear("back", lambda _, payload: None)  # Waits until the link is up.
        await events.again()
        assert events.waiting == 0
        await eventually(lambda: msgspec.json.encode(revocation) in heard)
