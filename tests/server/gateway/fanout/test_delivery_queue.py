"""What one tenant's deliveries take of one turn of the event loop, and what waits meanwhile."""

import asyncio
import json

import pytest
from msgspec import Raw

from artcafe.server.bus.memory import BUFFER_BYTES, MemoryLink
from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.fanout.subscriber import UNIT_BYTES, Subscriber
from artcafe.server.gateway.websocket.turn_scheduler import Traced, TurnScheduler
from artcafe.wire.codes import Code
from artcafe.wire.envelopes import Envelope
from artcafe.wire.frames import encode
from artcafe.wire.subjects import to_bus
from tests.kit.hubs import ACME, Publish, Reader, publisher
from tests.kit.turns import turns
from tests.kit.unreliable_bus import UnreliableLink

BUDGET = 10


@pytest.fixture
def hub(link: UnreliableLink) -> TenantHub:
    return TenantHub(ACME, link, TurnScheduler(), budget=BUDGET)


async def readers_of(hub: TenantHub, number: int, *patterns: str) -> list[Reader]:
    readers = [Reader(hub) for _ in range(number)]
    for reader in readers:
        for pattern in patterns:
            await reader.subscribe(pattern)
    return readers


async def behind(hub: TenantHub) -> None:
    """Wait until something was left for the next turn."""
    async with asyncio.timeout(30):
        while not hub._queue.behind:
            await asyncio.sleep(0)


def writes(readers: list[Reader]) -> int:
    return sum(reader.writes for reader in readers)


async def test_a_turn_delivers_what_its_budget_reaches_and_the_next_one_goes_on(
    hub: TenantHub, publish: Publish
) -> None:
    readers = await readers_of(hub, 25, "tasks")
    publish("tasks")
    await behind(hub)
    done = [writes(readers)]
    while hub._queue.behind:
        await turns(1)
        done.append(writes(readers))
    assert done == [10, 20, 25]
    assert all(reader.got == [("tasks", 1)] for reader in readers)


async def test_the_first_message_of_a_turn_is_a_sample_when_one_is_wanted(
    link: UnreliableLink, publish: Publish
) -> None:
    scheduler = TurnScheduler()
    samples: list[bytes] = []
    scheduler.sampled = samples.append
    hub = TenantHub(ACME, link, scheduler)
    await readers_of(hub, 1, "tasks")
    publish("tasks", 1)
    await turns(3)
    assert samples == []
    scheduler.sampling = True
    publish("tasks", 2)
    publish("tasks", 3)
    assert hub.waiting() in {0, 2}, "both wait for the end of the turn, or are on their way on the bus"
    await turns(3)
    assert [json.loads(sample)["data"] for sample in samples] == [2]
    assert hub.waiting() == 0


async def test_messages_with_a_trace_are_told_of_where_somebody_traces(link: UnreliableLink) -> None:
    scheduler = TurnScheduler()
    hub = TenantHub(ACME, link, scheduler)
    await readers_of(hub, 2, "tasks")
    traced: list[Traced] = []

    async def say(name: str, headers: dict[str, str] | None) -> None:
        said = Envelope(id=name, timestamp="t", data=Raw(b"1"), headers=headers)
        link.publish(to_bus("planner", "tasks"), encode(said))
        await turns(3)

    await say("m-1", {"traceparent": "x"})
    scheduler.traced = traced.extend
    await say("m-2", {"traceparent": "y"})
    await say("m-3", {"other": "z"})
    await say("m-4", None)
    assert [(tenant, subject, json.loads(payload)["id"]) for tenant, subject, payload in traced] == [
        (ACME, "tasks", "m-2")
    ]


async def test_other_tenants_have_their_turn_meanwhile(link: UnreliableLink, publish: Publish) -> None:
    scheduler = TurnScheduler()
    loud = TenantHub(ACME, link, scheduler, budget=BUDGET)
    quiet_link = UnreliableLink(MemoryLink(BUFFER_BYTES))
    quiet = TenantHub(ACME, quiet_link, scheduler, budget=BUDGET)
    crowd, [neighbour] = await readers_of(loud, 100, "tasks"), await readers_of(quiet, 1, "tasks")
    publish("tasks")
    await behind(loud)
    publisher(quiet_link)("tasks")
    async with asyncio.timeout(30):
        while not neighbour.got:
            await asyncio.sleep(0)
    assert writes(crowd) < 100


async def test_everybody_gets_everything_in_order_whatever_came_meanwhile(
    hub: TenantHub, publish: Publish
) -> None:
    readers = await readers_of(hub, 25, "a.*", "b.*")
    said = [(f"{'ab'[number % 2]}.{number % 3}", number) for number in range(40)]
    for subject, number in said[:20]:
        publish(subject, number)
    await behind(hub)
    for subject, number in said[20:]:
        publish(subject, number)
        await turns(1)
    await turns(25 * 40)
    assert [reader.got for reader in readers] == [said] * 25


async def test_a_large_message_is_as_much_work_as_many_small_ones(hub: TenantHub, publish: Publish) -> None:
    readers = await readers_of(hub, 4, "tasks")
    publish("tasks", "x" * (BUDGET * UNIT_BYTES))
    await behind(hub)
    assert writes(readers) == 1
    await turns()
    assert writes(readers) == 4


async def test_while_it_is_behind_the_bus_brings_nothing_and_publishers_wait(
    hub: TenantHub, link: UnreliableLink, publish: Publish
) -> None:
    """So what waits is bounded by what comes in one turn."""
    readers = await readers_of(hub, 25, "tasks")
    assert link.publish("m.planner.other", b"x")
    publish("tasks")
    await behind(hub)
    assert link.paused
    assert not link.publish("m.planner.other", b"x")
    room = asyncio.create_task(link.room())
    await turns(1)
    assert not room.done()
    await room
    assert (link.paused, link.pauses, writes(readers)) == (False, 1, 25)


async def test_who_leaves_gets_nothing_more_and_holds_nobody_up(hub: TenantHub, publish: Publish) -> None:
    readers = await readers_of(hub, 25, "tasks")
    publish("tasks")
    await behind(hub)
    served = [reader for reader in readers if reader.got]
    for reader in readers[5:20]:
        await reader.leave()
    await turns()
    stayed = readers[:5] + readers[20:]
    assert all(reader.got == [("tasks", 1)] for reader in stayed)
    assert [reader for reader in readers[5:20] if reader.got] == [r for r in served if r in readers[5:20]]
    assert not hub._queue.behind


async def test_who_unsubscribes_gets_what_was_there_before_once_and_in_order(
    hub: TenantHub, publish: Publish
) -> None:
    readers = await readers_of(hub, 25, "tasks", "more")
    for number in range(3):
        publish("tasks", number)
        publish("more", number)
    await behind(hub)
    last = readers[-1]
    assert last.got == []
    assert await last.unsubscribe("tasks")
    everything = [(subject, number) for number in range(3) for subject in ("tasks", "more")]
    assert last.got == everything, "what was here before"
    publish("tasks", "after")
    await turns(200)
    assert last.got == everything
    assert all(reader.got == [*everything, ("tasks", "after")] for reader in readers[:-1])


async def test_who_comes_meanwhile_gets_what_is_published_from_then_on(
    hub: TenantHub, publish: Publish
) -> None:
    await readers_of(hub, 25, "tasks")
    publish("tasks", "before")
    await behind(hub)
    [newcomer] = await readers_of(hub, 1, "tasks")
    publish("tasks", "after")
    await turns()
    assert newcomer.got == [("tasks", "after")]


async def test_a_fault_of_one_client_keeps_nothing_from_the_others(
    hub: TenantHub, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("a fault")

    readers = await readers_of(hub, 25, "tasks")
    for reader in readers[::3]:
        reader.on_message = fail
    publish("tasks")
    await turns()
    assert [len(reader.got) for reader in readers] == [1] * 25
    assert len(caplog.records) == len(readers[::3])
    assert [bool(reader.ended) for reader in readers] == [number % 3 == 0 for number in range(25)]
    for reader in readers:
        reader.on_message = lambda: None
    publish("tasks")
    await turns()
    assert [len(reader.got) for reader in readers] == [1 if reader.ended else 2 for reader in readers], (
        "who missed one hears nothing more"
    )


async def test_a_client_that_cannot_even_be_closed_keeps_nothing_from_the_others(
    hub: TenantHub, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("a fault")

    def fail_to_end(code: Code) -> None:
        raise RuntimeError("another")

    readers = []
    for broken in (True, False):
        reader = Reader(hub)
        if broken:
            reader.end = fail_to_end  # type: ignore[method-assign]
            reader.subscriber = Subscriber(reader, NativeDialect())
            reader.on_message = fail
        await reader.subscribe("tasks")
        readers.append(reader)
    publish("tasks", 1)
    publish("tasks", 2)
    await turns()
    assert readers[1].got == [("tasks", 1), ("tasks", 2)]
    assert len(caplog.records) == 2
