"""A hub on any bus: a message that several patterns match comes once, from this process and from another."""

import asyncio

from msgspec import Raw

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.ports.bus import Link
from artcafe.wire.envelopes import Envelope
from artcafe.wire.frames import encode
from tests.kit.buses import Buses
from tests.kit.deadlines import eventually
from tests.kit.hubs import Reader

PATTERNS = ["tasks.new", "tasks.*", "tasks.>", "*.new", ">"]


async def test_what_several_patterns_match_comes_once(buses: Buses) -> None:
    ours, theirs = await buses.links(await buses.tenant())
    hub = TenantHub(TenantId("acme"), ours, TurnScheduler())
    readers = [Reader(hub) for _ in range(len(PATTERNS) + 2)]
    for reader, pattern in zip(readers, PATTERNS, strict=False):
        await reader.subscribe(pattern)
    everything, subscriber = readers[-2:]
    for pattern in PATTERNS:
        await everything.subscribe(pattern)
    await subscriber.subscribe("tasks.*", "q")
    await subscriber.subscribe("tasks.new")

    def say(link: Link, number: int) -> None:
        envelope = Envelope(id=f"m{number}", timestamp="t", data=Raw(encode(number)))
        link.publish("m.planner.tasks.new", encode(envelope))

    for number in range(0, 100, 2):
        say(ours, number)
        say(theirs, number + 1)
        if number % 10 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(ours.flush(), theirs.flush())
    await eventually(lambda: all(len(reader.got) >= 100 for reader in readers))
    # Whatever is still on its way to this process comes before this.
    await ours.settle()
    await asyncio.sleep(0)
    for reader in readers:
        numbers = [number for _, number in reader.got]
        assert sorted(numbers) == list(range(100))
        assert [n for n in numbers if n % 2] == list(range(1, 100, 2)), "in the order of their publisher"
        assert [n for n in numbers if not n % 2] == list(range(0, 100, 2))
