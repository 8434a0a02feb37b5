"""The inboxes of a tenant on one process: counted and read together when many come back at once."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from msgspec import Raw

from artcafe.server.bus.memory_inboxes import MemoryInboxes
from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.fanout import inbox as inbox_module
from artcafe.server.gateway.fanout.inbox_delivery import InboxDelivery
from artcafe.server.gateway.fanout.inboxes import SCAN_FROM, TenantInboxes
from artcafe.wire.codes import Code
from artcafe.wire.envelopes import Envelope, InboxEnvelope
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import encode
from tests.kit.deadlines import eventually
from tests.kit.outcomes import outcome
from tests.kit.turns import turns

ACME = TenantId("acme")


class Client:
    """inbox.Holder: a client that acknowledges at once, unless told otherwise."""

    def __init__(self, *, most: int = 16, settles: bool = True) -> None:
        self.most = most
        self.settles = settles
        self.taking = asyncio.Event()
        self.taking.set()
        self.got: list[tuple[int, str]] = []
        self.held: list[InboxDelivery] = []
        self.waiting = 0
        self.lost = 0

    def take(self, delivery: InboxDelivery, envelope: InboxEnvelope, waiting: int) -> None:
        """See Holder."""
        self.got.append((delivery.priority, bytes(envelope.message.data).decode().strip('"')[:8]))
        self.waiting = waiting
        if self.settles:
            delivery.ack()
        else:
            self.held.append(delivery)

    def lose(self) -> None:
        """See Holder."""
        self.lost += 1

    async def room(self) -> None:
        """See Holder."""
        await self.taking.wait()


class Counted(MemoryInboxes):
    """Inboxes that count how often they were asked how many wait; `broken` lets reads fail."""

    def __init__(self) -> None:
        super().__init__(lambda: True, most=10_000)
        self.counted = 0
        self.broken = False

    async def counts(self, owner: str | None) -> Any:
        """See ports.Inboxes."""
        self.counted += 1
        return await super().counts(owner)

    async def read(self, *args: Any, **more: Any) -> Any:
        """See ports.Inboxes."""
        if self.broken:
            self.broken = False
            raise ArtcafeError(Code.unavailable)
        return await super().read(*args, **more)


class Process:
    """The inboxes of `acme` on one process."""

    def __init__(self, bus: MemoryInboxes) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self.announced: list[tuple[str, bytes]] = []
        self.inboxes = TenantInboxes(
            ACME, bus, self.start, lambda subject, data: self.announced.append((subject, data))
        )

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task."""
        self.tasks.append(asyncio.create_task(work))

    async def open(self, owner: str, client: Client) -> int:
        """Open an inbox; how many wait."""
        inbox = await self.inboxes.open(owner, client)
        waiting = inbox.waiting
        inbox.begin(client)
        return waiting


@pytest.fixture
def bus() -> Counted:
    return Counted()


@pytest.fixture
def process(bus: Counted) -> Process:
    return Process(bus)


async def fill(bus: MemoryInboxes, owners: int, each: int, priority: int = 1, size: int = 0) -> None:
    """Store messages, by turns for each of so many owners: the worst that can be for one reader."""
    for number in range(each):
        for owner in range(owners):
            message = Envelope(id="i", timestamp="t", data=Raw(encode(f"{number:<8}" + "x" * size)))
            await bus.store(
                f"w{owner}",
                priority,
                encode(InboxEnvelope(subject=f"agents.w{owner}.x", sender="s", message=message)),
            )


def expected(*priorities: int, each: int = 5) -> list[tuple[int, str]]:
    return [(priority, f"{number:<8}") for priority in priorities for number in range(each)]


async def test_two_hundred_that_come_back_at_once_are_read_for_together(
    bus: Counted, process: Process
) -> None:
    await fill(bus, SCAN_FROM, 5)
    clients = [Client() for _ in range(SCAN_FROM)]
    waiting = await asyncio.gather(*[process.open(f"w{n}", each) for n, each in enumerate(clients)])
    assert waiting == [5] * SCAN_FROM
    await eventually(lambda: not bus.messages)
    assert all(each.got == expected(1) for each in clients)
    assert (bus.counted, bus.reads) == (1, 1)


async def test_a_few_are_counted_and_read_one_by_one(bus: Counted, process: Process) -> None:
    await fill(bus, 3, 5)
    clients = [Client() for _ in range(4)]
    waiting = await asyncio.gather(*[process.open(f"w{n}", each) for n, each in enumerate(clients)])
    assert waiting == [5, 5, 5, 0]
    await eventually(lambda: not bus.messages)
    assert all(each.got == expected(1) for each in clients[:3])
    assert (bus.counted, bus.reads) == (4, 3)


async def test_many_of_whom_few_have_messages_are_counted_together(bus: Counted, process: Process) -> None:
    await fill(bus, 2, 5)
    clients = [Client() for _ in range(SCAN_FROM)]
    await asyncio.gather(*[process.open(f"w{n}", each) for n, each in enumerate(clients)])
    await eventually(lambda: not bus.messages)
    assert (bus.counted, bus.reads) == (1, 2)


async def test_what_is_urgent_comes_first_also_when_read_together(bus: Counted, process: Process) -> None:
    for priority in (2, 1, 0):
        await fill(bus, SCAN_FROM, 5, priority)
    clients = [Client(most=3) for _ in range(SCAN_FROM)]
    await asyncio.gather(*[process.open(f"w{n}", each) for n, each in enumerate(clients)])
    await eventually(lambda: not bus.messages)
    assert all(each.got == expected(0, 1, 2) for each in clients)


async def test_a_slow_client_pauses_itself_alone(bus: Counted, process: Process) -> None:
    await fill(bus, SCAN_FROM, 20)
    clients = [Client() for _ in range(SCAN_FROM)]
    slow = clients[7]
    slow.taking.clear()
    await asyncio.gather(*[process.open(f"w{n}", each) for n, each in enumerate(clients)])
    await eventually(lambda: len(bus.messages) == 20)
    assert slow.got == []
    slow.taking.set()
    await eventually(lambda: not bus.messages)
    assert slow.got == expected(1, each=20)


async def test_what_is_read_and_not_delivered_is_bounded(
    bus: Counted, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "HELD_BYTES", 50_000)
    await fill(bus, SCAN_FROM, 5, size=500)
    clients = [Client() for _ in range(SCAN_FROM)]
    for each in clients:
        each.taking.clear()
    await asyncio.gather(*[process.open(f"w{n}", each) for n, each in enumerate(clients)])
    shared = process.inboxes._shared
    await eventually(lambda: not any(each.scanning for each in process.inboxes._inboxes.values()))
    await turns()
    assert 0 < shared.held_bytes <= 50_000
    for each in clients:
        each.taking.set()
    await eventually(lambda: not bus.messages)
    assert all(each.got == expected(1) for each in clients)
    assert shared.held_bytes == 0


async def test_a_scan_that_fails_leaves_the_rest_to_each(bus: Counted, process: Process) -> None:
    await fill(bus, SCAN_FROM, 2)
    bus.broken = True
    clients = [Client() for _ in range(SCAN_FROM)]
    await asyncio.gather(*[process.open(f"w{n}", each) for n, each in enumerate(clients)])
    await eventually(lambda: not bus.messages)
    assert all(each.got == expected(1, each=2) for each in clients)


async def test_what_is_stored_during_a_scan_is_delivered_behind_it(bus: Counted, process: Process) -> None:
    await fill(bus, SCAN_FROM, 2)
    clients = [Client(settles=False) for _ in range(SCAN_FROM)]
    opening = asyncio.gather(*[process.open(f"w{n}", each) for n, each in enumerate(clients)])
    await asyncio.sleep(0)
    await fill(bus, SCAN_FROM, 1)
    await opening
    await fill(bus, SCAN_FROM, 1)
    await eventually(lambda: all(len(each.got) == 4 for each in clients))
    await turns()
    assert all(len(each.got) == 4 for each in clients)


async def test_all_are_refused_where_nobody_counts(bus: Counted, process: Process) -> None:
    for many in (2, SCAN_FROM):
        bus.away = False
        await process.inboxes.open("first", Client())
        bus.away = True
        done = await asyncio.gather(*[outcome(process.inboxes.open(f"w{n}", Client())) for n in range(many)])
        assert done == [Code.unavailable] * many
    assert list(process.inboxes._inboxes) == ["first"]


async def test_nothing_is_kept_of_who_left(bus: Counted, process: Process) -> None:
    await fill(bus, 2, 5)
    client = Client(settles=False)
    inbox = await process.inboxes.open("w0", client)
    inbox.begin(client)
    await eventually(lambda: len(client.got) == 5)
    inbox.release(client)
    assert process.inboxes._inboxes == {}
    assert process.inboxes._shared.held_bytes == 0
    await client.held[0].ack()
    assert process.inboxes._inboxes == {}
    await process.inboxes.close()
    assert bus.watches == {}


async def test_what_is_not_of_this_platform_is_passed_over(bus: Counted, process: Process) -> None:
    await bus.store("w0", 1, b"{}")
    await fill(bus, 1, 1)
    client = Client()
    await process.open("w0", client)
    await eventually(lambda: client.got == expected(1, each=1))
