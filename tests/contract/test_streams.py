"""What the streams of any bus promise: one suite on the memory bus and on a real nats-server."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest
import pytest_asyncio

from artcafe.server.bus.channel_streams import NatsChannelStreams
from artcafe.server.bus.memory import MemoryBus
from artcafe.server.domain.channel import ChannelRule
from artcafe.server.domain.durability import Durability, WhenFull
from artcafe.server.domain.durable_channels import DurableChannels
from artcafe.server.domain.ids import ChannelId
from artcafe.server.domain.tenant import Tenant
from artcafe.server.ports.bus import Link
from artcafe.server.ports.channel_streams import ChannelStreams
from artcafe.server.ports.streams import StoredMessage, StoredMessages
from artcafe.wire.codes import Code
from artcafe.wire.subjects import pattern_to_bus
from tests.kit.buses import Buses
from tests.kit.deadlines import eventually
from tests.kit.inboxes import Got, collect
from tests.kit.nats import Nats
from tests.kit.outcomes import outcome
from tests.kit.streams import Received
from tests.kit.turns import turns

MIB = 1024 * 1024
NEW, OLD = "m.a1.tasks.new", "m.a2.tasks.old"
PATTERN = pattern_to_bus("tasks.>")


@dataclass
class Place:
    """The links of two processes, and a durable channel that both use."""

    tenant: Tenant
    keeper: ChannelStreams
    here: Link
    there: Link
    stream: str = ""

    async def keep(self, *durabilities: Durability) -> None:
        """Let there be a channel, or none; it is a new one each time."""
        channels = [
            ChannelRule(
                id=ChannelId("tasks"),
                tenant=self.tenant.id,
                incarnation=f"{number}{each.max_messages}",
                subject="tasks.>",
                durability=each,
            )
            for number, each in enumerate(durabilities)
        ]

        async def durable() -> DurableChannels:
            return DurableChannels(channels)

        await self.keeper.keep(self.tenant, durable)
        for channel in channels:
            self.stream = channel.stream

    async def store(self, *texts: str, link: Link | None = None, dedup_id: str | None = None) -> list[int]:
        """Store each text; the sequences."""
        streams = (link or self.here).streams
        stored = [streams.store(self.stream, NEW, text.encode(), dedup_id) for text in texts]
        return [(await each).seq for each in stored]

    async def follow(self, link: Link) -> Received:
        """What a tail delivers from now on."""
        received = Received()
        await link.streams.tail(self.stream, PATTERN, received.deliver, received.restarted)
        return received


@pytest_asyncio.fixture
async def place(buses: Buses, nats: Nats) -> AsyncIterator[Place]:
    """Both buses in turn, with a channel that is empty."""
    keeper = buses.bus if isinstance(buses.bus, MemoryBus) else NatsChannelStreams(nats.url, nats.operator)
    tenant = await buses.tenant()
    place = Place(tenant, keeper, *await buses.links(tenant))
    await place.keep(Durability(max_bytes=8 * MIB))
    yield place


def texts(messages: Sequence[StoredMessage]) -> list[str]:
    return [message.payload.decode() for message in messages]


async def test_what_is_stored_is_delivered_in_one_order_by_all_tails(place: Place) -> None:
    here, there = await place.follow(place.here), await place.follow(place.there)
    await asyncio.gather(
        *(place.store(f"{number}", link=link) for number in range(40) for link in (place.here, place.there))
    )
    await eventually(lambda: len(here.got) == len(there.got) == 80)
    assert here.got == there.got
    assert here.sequences == list(range(1, 81))
    assert sorted(texts(here.got)) == sorted(2 * [f"{number}" for number in range(40)])
    assert here.restarts == 0


async def test_a_receipt_says_where_the_message_is(place: Place) -> None:
    state = await place.here.streams.state(place.stream)
    assert (state.first, state.last) == (1, 0)
    receipt = await place.here.streams.store(place.stream, NEW, b"x", None)
    assert (receipt.seq, receipt.epoch, receipt.duplicate) == (1, state.epoch, False)
    assert await place.there.streams.state(place.stream) == type(state)(state.epoch, 1, 1)


async def test_one_id_is_stored_once(place: Place) -> None:
    assert await place.store("a", dedup_id="1") == [1]
    assert await place.store("b", dedup_id="2") == [2]
    for link in (place.here, place.there):
        receipt = await link.streams.store(place.stream, NEW, b"again", "1")
        assert (receipt.seq, receipt.duplicate) == (1, True)
    assert await place.store("c", "d") == [3, 4]


async def test_a_stored_message_is_heard_by_subscriptions_of_all_processes(place: Place) -> None:
    here: Got = []
    there: Got = []
    await place.here.subscribe(PATTERN, collect(here))
    await place.there.subscribe(PATTERN, collect(there))
    await place.store("x")
    await eventually(lambda: here == there == [(NEW, b"x")])


async def test_messages_are_read_by_sequence_and_pattern(place: Place) -> None:
    streams = place.here.streams
    for number in range(1, 7):
        await streams.store(place.stream, NEW if number % 2 else OLD, b"%d" % number, None)
    assert await streams.read(place.stream, 2, 3) == StoredMessages(
        [StoredMessage(2, OLD, b"2"), StoredMessage(3, NEW, b"3")], 4
    )
    found = []
    position = 1
    while position <= 6:
        read = await streams.read(place.stream, position, 6, pattern="m.*.tasks.old")
        found += texts(read.messages)
        position = read.following
    assert found == ["2", "4", "6"]
    assert await streams.read(place.stream, 1, 6, pattern="m.*.tasks.none") == StoredMessages([], 7)
    assert (await streams.read(place.stream, 7, 9)).following == 10


async def test_a_read_ends_at_its_bytes_and_gives_one_message_at_least(place: Place) -> None:
    await place.store(*("x" * 10_000 for _ in range(5)))
    read = await place.here.streams.read(place.stream, 1, 5, most_bytes=25_000)
    assert 1 <= len(read.messages) < 5
    assert read.following == len(read.messages) + 1
    read = await place.here.streams.read(place.stream, 2, 5, most_bytes=1)
    assert ([message.seq for message in read.messages], read.following) == ([2], 3)


async def test_a_time_has_a_sequence(place: Place) -> None:
    assert await place.here.streams.first_since(place.stream, 0) == 1
    await place.store("a", "b")
    assert await place.here.streams.first_since(place.stream, 0) == 1
    assert await place.here.streams.first_since(place.stream, 8e9) == 3


async def test_a_tail_begins_behind_what_is_stored_and_ends_when_it_is_closed(place: Place) -> None:
    await place.store("before")
    received, still = Received(), await place.follow(place.there)
    tail = await place.here.streams.tail(place.stream, PATTERN, received.deliver, received.restarted)
    state = await place.here.streams.state(place.stream)
    assert (tail.following, tail.epoch) == (2, state.epoch)
    await place.store("while")
    await eventually(lambda: received.got)
    assert tail.following == 3
    await tail.close()
    await tail.close()
    await place.store("after")
    await eventually(lambda: len(still.got) == 2)
    await turns()
    assert texts(received.got) == ["while"]


@pytest.mark.parametrize("when_full", WhenFull)
async def test_a_full_channel_forgets_or_refuses(place: Place, when_full: WhenFull) -> None:
    await place.keep(Durability(max_bytes=8 * MIB, max_messages=3, when_full=when_full))
    stored = [await outcome(place.store(f"{number}")) for number in range(1, 6)]
    state = await place.here.streams.state(place.stream)
    if when_full is WhenFull.refuse:
        assert stored == [[1], [2], [3], Code.channel_full, Code.channel_full]
        assert (state.first, state.last) == (1, 3)
    else:
        assert stored == [[1], [2], [3], [4], [5]]
        assert (state.first, state.last) == (3, 5)
        assert texts((await place.here.streams.read(place.stream, 1, 5)).messages) == ["3", "4", "5"]


async def test_what_cannot_be_carried_is_refused(place: Place) -> None:
    streams = place.here.streams
    assert await outcome(streams.store(place.stream, NEW, bytes(3 * MIB), None)) is Code.too_large
    assert await outcome(streams.store(place.stream, "m.a1.tasks.*", b"", None)) is Code.invalid_subject
    assert (await streams.state(place.stream)).last == 0


async def test_a_deleted_stream_is_not_found(place: Place) -> None:
    await place.store("x")
    streams = place.there.streams
    assert (await streams.state(place.stream)).last == 1
    await place.keep()
    assert await outcome(streams.state(place.stream)) is Code.not_found
    assert await outcome(streams.read(place.stream, 1, 1)) is Code.not_found
    assert await outcome(streams.first_since(place.stream, 0)) is Code.not_found
    assert await outcome(place.store("y", link=place.there)) is Code.not_found
    assert await outcome(place.follow(place.there)) is Code.not_found


async def test_a_stream_that_there_never_was_is_unavailable(place: Place) -> None:
    place.stream = "CH_never"
    assert await outcome(place.here.streams.state(place.stream)) is Code.unavailable
    assert await outcome(place.here.streams.read(place.stream, 1, 1)) is Code.unavailable
    assert await outcome(place.store("y")) is Code.unavailable
    assert await outcome(place.follow(place.here)) is Code.unavailable
