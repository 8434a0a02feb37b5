"""Every message reaches one member of a group, and none twice, while members come and go: on a real NATS,
whose answers take their time."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import pytest_asyncio
from msgspec import Raw

from artcafe.server.bus.nats.link import BUFFER_BYTES
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.ports.bus import Link
from artcafe.server.process import MessageIds
from artcafe.wire.envelopes import Envelope
from artcafe.wire.frames import encode
from artcafe.wire.subjects import to_bus
from tests.kit.buses import tenant_links
from tests.kit.deadlines import eventually
from tests.kit.hubs import ACME, Publish, Reader
from tests.kit.nats import make_tenant, running_nats
from tests.kit.turns import turns

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Process:
    """One server process: its hub, those in its group, and what it publishes."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.subscribers: list[Reader] = []
        self._new_id = MessageIds()
        self.hub = TenantHub(ACME, link, TurnScheduler(), process=self._new_id.process)

    def publish(self, number: int) -> bool:
        """To the group; whether there is room for more."""
        envelope = Envelope(id=self._new_id(), timestamp="t", data=Raw(encode(number)))
        return self.link.publish(to_bus("planner", "jobs"), encode(envelope))

    async def join(self) -> Reader:
        """One more member."""
        reader = Reader(self.hub)
        await reader.subscribe("jobs", "q")
        self.subscribers.append(reader)
        return reader


@pytest_asyncio.fixture(loop_scope="module")
async def processes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Process, Process]]:
    async with (
        running_nats(tmp_path_factory.mktemp("nats")) as nats,
        nats.authority() as authority,
        tenant_links(nats, patience=5, buffer_bytes=BUFFER_BYTES) as ours,
        tenant_links(nats, patience=5, buffer_bytes=BUFFER_BYTES) as theirs,
    ):
        tenant = make_tenant("acme")
        await authority.push(tenant)
        yield Process(await ours.link(tenant)), Process(await theirs.link(tenant))


async def unsubscribe(reader: Reader) -> None:
    """The client asks for it, and stays: what its group had sent is its own."""
    assert await reader.unsubscribe("jobs", "q")


async def be_sent_away(reader: Reader) -> None:
    """The server stops."""
    await reader.hub.drain(reader.subscriber)
    reader.subscriber.stop()
    await reader.leave()


async def be_closed(reader: Reader) -> None:
    """The end has begun: nothing can be delivered to it."""
    reader.subscriber.stop()
    await reader.leave()


async def lose_the_right(reader: Reader) -> None:
    """Its rights are others: the subscription ends at once."""
    await reader.hub.end([(reader.subscriber, ("jobs", "q"))])


Departure = Callable[[Reader], Coroutine[Any, Any, None]]


@pytest.mark.parametrize("depart", [unsubscribe, be_sent_away])
async def test_the_last_one_here_gets_what_its_group_had_sent(
    processes: tuple[Process, Process], depart: Departure
) -> None:
    """The server has chosen it; nobody else gets that."""
    ours, theirs = processes
    everybody: list[Reader] = []
    sent = 0
    for _ in range(30):
        everybody += [await ours.join(), await theirs.join()]
        for _ in range(50):
            theirs.publish(sent)
            sent += 1
        await depart(ours.subscribers.pop())
        for _ in range(5):
            theirs.publish(sent)
            sent += 1
        await settled(processes)
        await depart(theirs.subscribers.pop())
    assert exactly_once(everybody, sent)


async def test_joins_and_departures_of_every_kind(processes: tuple[Process, Process]) -> None:
    ours, theirs = processes
    draw = random.Random(1)
    everybody = [await process.join() for process in (ours, ours, theirs, theirs)]
    sent, running = 0, True

    async def publish_on() -> None:
        nonlocal sent
        while running:
            for process in processes:
                for _ in range(draw.randrange(20)):
                    roomy = process.publish(sent)
                    sent += 1
                    if not roomy:
                        await process.link.room()
            await asyncio.sleep(0)

    async def come_and_go(process: Process) -> None:
        for _ in range(60):
            everybody.append(await process.join())
            reader = process.subscribers.pop(draw.randrange(len(process.subscribers)))
            depart: Departure = draw.choice([unsubscribe, be_sent_away, be_closed, lose_the_right])
            await depart(reader)

    publishing = asyncio.create_task(publish_on())
    await asyncio.gather(come_and_go(ours), come_and_go(theirs))
    running = False
    await publishing
    await settled(processes)
    assert sent > 1000
    assert exactly_once(everybody, sent)


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_subscription_added_and_ended_beside_a_group_while_messages_flow(
    processes: tuple[Process, Process], elsewhere: bool
) -> None:
    """All by the group, all by the subscription, all by the group: each once. More than may be remembered."""
    ours, theirs = processes
    publisher = theirs if elsewhere else ours
    reader = await ours.join()
    sent = 0

    async def publish(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            publisher.publish(sent)
            sent += 1
            if elsewhere and sent % 10 == 0:
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        adding = tasks.create_task(reader.subscribe("jobs"))
        await asyncio.sleep(0)
        await publish(2000)
        await adding
        await publish(50)
        ending = tasks.create_task(reader.unsubscribe("jobs"))
        await asyncio.sleep(0)
        await publish(2000)
        await ending
    await publish(50)
    await settled(processes)
    assert exactly_once([reader], sent)
    assert reader.subscriber._cutovers == {}
    await unsubscribe(reader)
    ours.subscribers.clear()


async def settled(processes: tuple[Process, Process]) -> None:
    """Everything that was published is delivered."""
    for process in processes:
        await process.link.flush()
    for process in processes:
        await process.link.settle()
        await eventually(lambda: not process.hub._queue.waiting)  # noqa: B023 - asked at once


def exactly_once(readers: list[Reader], sent: int) -> bool:
    """Whether every message came to one reader."""
    came = Counter(number for reader in readers for _, number in reader.got)
    lost = [number for number in range(sent) if number not in came]
    twice = [number for number, count in came.items() if count > 1]
    assert (lost, twice) == ([], []), f"of {sent}"
    return True


async def test_what_waits_for_who_left_goes_to_another(hub: TenantHub, publish: Publish) -> None:
    one, other = Reader(hub), Reader(hub)
    await one.subscribe("jobs", "q")
    await other.subscribe("jobs", "q")
    for number in range(10):
        publish("jobs", number)
    left: list[Coroutine[Any, Any, None]] = []

    def leave() -> None:
        assert hub._queue.waiting, "nothing waits"
        one.subscriber.stop()
        left.append(hub.leave(one.subscriber))

    # Behind what the bus brings, and before the end of the turn.
    asyncio.get_running_loop().call_soon(leave)
    await turns()
    await left[0]
    assert one.got == []
    assert sorted(number for _, number in other.got) == list(range(10))
