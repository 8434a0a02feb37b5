"""Durable channels and their streams, when the store, the bus or a process fails between the two."""

from collections.abc import Awaitable, Callable

import pytest

from artcafe.server.core.installation import MOST_FAILURES, RECONCILE_SECONDS, RETRY_SECONDS
from artcafe.server.domain.durability import LEAST_BYTES, Durability
from artcafe.server.domain.ids import ChannelId, TenantId
from artcafe.server.domain.principal import Human
from artcafe.server.domain.tenant import Status, TenantRules
from artcafe.server.ports.bus import Reconciled
from artcafe.server.ports.channel_streams import NO_STREAMS, KeptStreams, ReadDurable
from artcafe.server.store import addresses as at
from artcafe.server.store.channels import ChannelTable
from artcafe.server.store.item import Put
from artcafe.server.store.table import Table
from artcafe.server.store.tenants import TenantTable
from artcafe.wire.codes import Code
from tests.kit.installation import ACME, Installation, Process
from tests.kit.outcomes import outcome, refused
from tests.kit.unreliable_bus import AWAY, DeafBus

TASKS = ChannelId("tasks")
SMALL = Durability(max_bytes=LEAST_BYTES)


class PartlyDeafBus(DeafBus):
    """A DeafBus that does not answer about the streams of `deaf` tenants."""

    def __init__(self) -> None:
        super().__init__()
        self.deaf: set[TenantId] = set()

    async def keep(self, tenant: TenantRules, durable: ReadDurable) -> KeptStreams:
        """See DeafBus."""
        done = await super().keep(tenant, durable)
        if tenant.id in self.deaf:
            raise AWAY
        return done

    def forget_streams(self) -> None:
        """Lose all streams."""
        self._channels.clear()
        self._stored.clear()


class World:
    """An installation whose bus and store can be away, with the tenant `acme`."""

    bus: PartlyDeafBus
    installation: Installation
    olivia: Human

    async def open(self) -> "World":
        """Make it."""
        opened = await Installation.open()
        self.bus = PartlyDeafBus()
        self.installation = Installation(opened.memory, opened.clock, self.bus)
        await self.process.installed.join()
        self.olivia = await self.installation.make_tenant()
        assert await self.process.installed.tend() is not None
        return self

    @property
    def process(self) -> Process:
        return self.installation.process

    async def make(self, name: str = "tasks", durability: Durability | None = SMALL) -> object:
        given = {"name": name, "durability": durability}
        return await self.process.channels.create(self.olivia, name, given)

    async def tenant(self, name: TenantId = ACME) -> TenantRules:
        tenant = await TenantTable(Table(self.installation.memory)).rules(name)
        assert tenant is not None
        return tenant

    async def agrees(self) -> bool:
        """Whether the streams on the bus are those of the durable channels in the store."""
        stored = await ChannelTable(Table(self.installation.memory)).durable(ACME)
        wanted = {each.stream: each for each in stored.channels} if stored else {}
        held = self.bus.streams(await self.tenant())
        return {name: each.durability for name, each in held.items()} == {
            name: each.durability for name, each in wanted.items()
        }

    async def start(self) -> None:
        """Have another process in place of the one that there was."""
        self.installation.process = self.installation.start("p2")
        assert await self.process.installed.join() is None

    async def another_process_later(self) -> Reconciled | None:
        """The process is gone, with what it had to tell. Another one reconciles."""
        self.installation.store.heal()
        self.bus.come_back()
        await self.start()
        self.installation.clock.advance(2 * RECONCILE_SECONDS)
        return await self.process.installed.tend()


@pytest.fixture
async def world() -> World:
    return await World().open()


Act = Callable[[World], Awaitable[object]]

ACTS: dict[str, tuple[Durability | None, Act]] = {
    "create": (None, lambda w: w.make("new")),
    "make durable": (None, lambda w: w.process.channels.change(w.olivia, TASKS, {"durability": SMALL})),
    "change": (SMALL, lambda w: w.process.channels.change(w.olivia, TASKS, {"durability": Durability()})),
    "forget": (SMALL, lambda w: w.process.channels.change(w.olivia, TASKS, {"durability": None})),
    "delete": (SMALL, lambda w: w.process.channels.delete(w.olivia, TASKS)),
}


@pytest.mark.parametrize(("before", "act"), ACTS.values(), ids=ACTS)
@pytest.mark.parametrize("lies", [False, True], ids=["not written", "written, and not answered"])
async def test_a_write_that_fails_leaves_no_orphan_and_no_gap(
    world: World, before: Durability | None, act: Act, lies: bool
) -> None:
    await world.make("tasks", before)
    await world.make("other")
    world.installation.store.writes_left, world.installation.store.lies = 0, lies

    assert await outcome(act(world)) is Code.unavailable

    assert await world.agrees() is not lies, "the stream follows only what is known to be stored"
    done = await world.another_process_later()
    assert done is not None
    assert (done.streams != NO_STREAMS) is lies
    assert await world.agrees()


@pytest.mark.parametrize(("before", "act"), ACTS.values(), ids=ACTS)
async def test_a_process_that_dies_after_the_write_leaves_no_orphan_and_no_gap(
    world: World, before: Durability | None, act: Act
) -> None:
    await world.make("tasks", before)
    await world.make("other")
    world.bus.leave()

    await act(world)

    assert not await world.agrees()
    done = await world.another_process_later()
    assert done is not None
    assert sum((done.streams.made, done.streams.changed, done.streams.deleted)) == 1
    assert await world.agrees()


@pytest.mark.parametrize(("before", "act"), ACTS.values(), ids=ACTS)
async def test_a_process_that_lives_makes_it_right_when_the_bus_is_back(
    world: World, before: Durability | None, act: Act
) -> None:
    await world.make("tasks", before)
    world.bus.leave()
    await act(world)
    world.bus.come_back()

    await world.process.events.again()

    assert await world.agrees()
    assert world.process.events.waiting == 0


async def test_what_is_not_all_there_deletes_nothing(world: World) -> None:
    """Another channel cannot be read: it may be the one whose stream there is."""
    await world.make("tasks")
    await world.make("other")
    pk = at.tenant(await world.installation.partition())
    await world.installation.memory.put(Put(pk, at.channel(TASKS), {"id": 7}))

    done = await world.another_process_later()

    assert done is not None
    assert done.streams == NO_STREAMS
    assert len(world.bus.streams(await world.tenant())) == 2


async def test_a_store_that_goes_away_meanwhile_deletes_nothing(world: World) -> None:
    await world.make()
    tenant, channels = await world.tenant(), ChannelTable(Table(world.installation.store))
    world.installation.store.away = True
    with refused(Code.unavailable):
        await world.bus.keep(tenant, lambda: channels.durable(ACME))
    assert len(world.bus.streams(await world.tenant())) == 1


async def test_one_tenants_failure_keeps_no_other_waiting_and_is_tried_again(world: World) -> None:
    await world.make()
    zoe = await world.installation.make_tenant(TenantId("zebra"), "zoe")
    await world.process.channels.create(zoe, "tasks", {"name": "t", "durability": SMALL})
    world.bus.forget_streams()
    world.bus.deaf = {zoe.tenant}

    done = await world.another_process_later()
    assert done is not None
    assert (done.streams, done.streams_failed) == (KeptStreams(made=1), 1)
    assert await world.agrees()

    world.bus.forget_streams()
    world.bus.deaf = set()
    assert await world.process.installed.tend() is None
    world.installation.clock.advance(2 * RETRY_SECONDS)
    done = await world.process.installed.tend()
    assert done is not None
    assert (done.streams, done.streams_failed) == (KeptStreams(made=2), 0)


async def test_a_bus_that_does_not_answer_is_not_asked_for_every_tenant(world: World) -> None:
    for number in range(6):
        await world.installation.make_tenant(TenantId(f"t-{number}"), f"u{number}")
    await world.start()
    world.installation.clock.advance(2 * RECONCILE_SECONDS)
    before, world.bus.keeping.failure = world.bus.keeping.calls, AWAY

    done = await world.process.installed.tend()

    assert done is not None
    assert done.streams_failed == 7
    assert world.bus.keeping.calls - before == MOST_FAILURES


async def test_a_suspended_tenants_streams_wait_until_it_is_served_again(world: World) -> None:
    await world.make()
    await world.installation.suspend()
    assert world.process.events.waiting == 0
    world.installation.clock.advance(2 * RECONCILE_SECONDS)
    done = await world.process.installed.tend()
    assert done is not None
    assert done.streams_failed == 0

    world.bus.forget_streams()
    await world.installation.operate(status=Status.active)
    assert await world.agrees()


async def test_a_tenant_takes_its_streams_with_it(world: World) -> None:
    await world.make()
    gone = await world.tenant()
    await world.installation.delete_tenant(world.olivia)
    assert world.bus.streams(gone) == {}
    again = await world.installation.make_tenant()
    assert world.bus.streams(await world.tenant()) == {}
    assert await world.process.channels.durable_bytes(again) == 0
