"""What the consumers of any bus promise: one suite on the memory bus and on a real nats-server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
import pytest_asyncio

from artcafe.server.bus.channel_streams import NatsChannelStreams
from artcafe.server.bus.memory import MemoryBus
from artcafe.server.bus.nats.streams import consumer
from artcafe.server.domain.channel import ChannelRule
from artcafe.server.domain.durability import Durability
from artcafe.server.domain.durable_channels import DurableChannels
from artcafe.server.domain.ids import ChannelId
from artcafe.server.ports.bus import Link
from artcafe.server.ports.consumers import Consumer, ConsumerRules, HandedOut
from artcafe.wire.codes import Code
from artcafe.wire.subjects import pattern_to_bus
from tests.kit.buses import Buses
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.nats import Nats
from tests.kit.outcomes import outcome

NEW, OLD = "m.a1.tasks.new", "m.a2.tasks.old"
LONG = 60.0
RULES = ConsumerRules(pattern=pattern_to_bus("tasks.>"), first=1, lease=LONG, max_deliveries=5)


@dataclass
class Worker:
    """One process's end of a consumer."""

    consumer: Consumer = field(init=False)
    got: list[HandedOut] = field(default_factory=list)
    ended: int = 0

    def over(self) -> None:
        """The consumer was deleted."""
        self.ended += 1

    @property
    def texts(self) -> list[str]:
        """What came."""
        return [each.message.payload.decode() for each in self.got]


@dataclass
class Place:
    """The links of two processes, and a durable channel."""

    here: Link
    there: Link
    stream: str

    async def store(self, *texts: str, subject: str = NEW) -> None:
        """Store each text."""
        for text in texts:
            await self.here.streams.store(self.stream, subject, text.encode(), None)

    async def work(self, link: Link, name: str = "workers", rules: ConsumerRules = RULES) -> Worker:
        """Consume."""
        worker = Worker()
        worker.consumer = await link.consumers.consume(
            self.stream, name, rules, worker.got.append, worker.over
        )
        return worker


@pytest_asyncio.fixture
async def place(buses: Buses, nats: Nats) -> AsyncIterator[Place]:
    keeper = buses.bus if isinstance(buses.bus, MemoryBus) else NatsChannelStreams(nats.url, nats.operator)
    tenant = await buses.tenant()
    channel = ChannelRule(
        id=ChannelId("tasks"),
        tenant=tenant.id,
        incarnation="1",
        subject="tasks.>",
        durability=Durability(),
    )

    async def durable() -> DurableChannels:
        return DurableChannels([channel])

    await keeper.keep(tenant, durable)
    here, there = await buses.links(tenant)
    yield Place(here, there, channel.stream)


async def test_what_is_wanted_is_handed_out_in_order_and_no_more(place: Place) -> None:
    await place.store(*"abcde")
    worker = await place.work(place.here)
    assert worker.consumer.rules == RULES
    worker.consumer.want(2)
    await eventually(lambda: worker.texts == ["a", "b"])
    assert [(each.message.seq, each.message.subject, each.count) for each in worker.got] == [
        (1, NEW, 1),
        (2, NEW, 1),
    ]
    worker.consumer.want(2)
    await eventually(lambda: worker.texts == ["a", "b", "c", "d"])
    [state] = await place.here.consumers.states(place.stream)
    assert (state.name, state.pending, state.in_flight, state.redelivered) == ("workers", 1, 4, 0)


async def test_what_is_wanted_next_comes_without_a_pause(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "RETRY_SECONDS", 10 * PATIENCE)  # The pause after a refusal.
    await place.store(*(f"{n}" for n in range(40)))
    worker = await place.work(place.here)
    for many in range(8, 41, 8):
        worker.consumer.want(8)
        await eventually(lambda many=many: len(worker.got) == many)  # type: ignore[misc]


async def test_messages_that_come_later_are_handed_out_too(place: Place) -> None:
    worker = await place.work(place.here)
    worker.consumer.want(10)
    await place.store("a")
    await eventually(lambda: worker.texts == ["a"])
    await place.store("b", subject=OLD)
    await eventually(lambda: worker.texts == ["a", "b"])
    assert worker.got[1].message.subject == OLD


async def test_processes_share_the_work_and_none_is_done_twice(place: Place) -> None:
    workers = [await place.work(place.here), await place.work(place.there)]
    for worker in workers:
        worker.consumer.want(1)
    await place.store("a", "b")
    await eventually(lambda: sorted(workers[0].texts + workers[1].texts) == ["a", "b"])
    assert {len(worker.got) for worker in workers} == {1}


async def test_what_is_acknowledged_is_done(place: Place) -> None:
    await place.store("a", "b")
    worker = await place.work(place.here)
    worker.consumer.want(2)
    await eventually(lambda: len(worker.got) == 2)
    for handed in worker.got:
        worker.consumer.ack(handed)
    async with asyncio.timeout(PATIENCE):
        while True:
            [state] = await place.here.consumers.states(place.stream)
            if (state.pending, state.in_flight) == (0, 0):
                break


async def test_what_is_given_back_goes_to_another_at_once_and_is_counted(place: Place) -> None:
    await place.store("a")
    first, second = await place.work(place.here), await place.work(place.there)
    first.consumer.want(1)
    await eventually(lambda: first.texts == ["a"])
    second.consumer.want(1)
    first.consumer.nak(first.got[0])
    await eventually(lambda: second.texts == ["a"])
    assert second.got[0].count == 2
    assert second.got[0].message == first.got[0].message


async def test_what_is_given_back_for_later_comes_later(place: Place) -> None:
    await place.store("a", "b")
    worker = await place.work(place.here)
    worker.consumer.want(3)
    await eventually(lambda: len(worker.got) == 2)
    worker.consumer.nak(worker.got[0], 0.3)
    worker.consumer.nak(worker.got[1])
    worker.consumer.want(2)
    await eventually(lambda: worker.texts == ["a", "b", "b", "a"])


async def test_a_lease_that_is_over_gives_back_and_one_that_is_renewed_does_not(place: Place) -> None:
    await place.store("a", "b")
    short = replace(RULES, lease=1.0)
    worker, other = await place.work(place.here, rules=short), await place.work(place.there, rules=short)
    worker.consumer.want(2)
    await eventually(lambda: len(worker.got) == 2)
    other.consumer.want(2)
    renewals = 0

    def lapsed() -> bool:
        nonlocal renewals
        worker.consumer.renew(worker.got[0])
        renewals += 1
        return other.texts == ["b"]

    await eventually(lapsed)
    assert renewals > 1
    assert other.got[0].count == 2


async def test_what_is_terminated_is_not_handed_out_again(place: Place) -> None:
    await place.store("a", "b")
    worker = await place.work(place.here, rules=replace(RULES, lease=1.0))
    worker.consumer.want(1)
    await eventually(lambda: worker.texts == ["a"])
    worker.consumer.term(worker.got[0])
    worker.consumer.want(5)
    await eventually(lambda: worker.texts[1:3] == ["b", "b"])  # Its lease is over meanwhile.
    assert worker.texts.count("a") == 1


async def test_a_consumer_goes_on_where_it_was_when_nobody_consumes(place: Place) -> None:
    await place.store("a", "b", "c")
    first = await place.work(place.here)
    first.consumer.want(1)
    await eventually(lambda: first.texts == ["a"])
    first.consumer.ack(first.got[0])
    await place.here.flush()
    await first.consumer.close()
    second = await place.work(place.there, rules=replace(RULES, first=3, lease=1.0, max_deliveries=9))
    assert second.consumer.rules == RULES, "who comes first decides"
    second.consumer.want(5)
    await eventually(lambda: second.texts == ["b", "c"])


async def test_consumers_of_other_names_get_all_of_their_pattern_from_where_they_begin(place: Place) -> None:
    await place.store("a", "b")
    await place.store("c", subject=OLD)
    rules = replace(RULES, pattern=pattern_to_bus("tasks.new"), first=2)
    new, everything = await place.work(place.here, "new", rules), await place.work(place.here, "all")
    for worker in (new, everything):
        worker.consumer.want(9)
    await eventually(lambda: new.texts == ["b"])
    await eventually(lambda: everything.texts == ["a", "b", "c"])
    assert [state.name for state in await place.there.consumers.states(place.stream)] == ["all", "new"]


async def test_who_consumes_hears_that_a_consumer_was_deleted(place: Place) -> None:
    worker = await place.work(place.here)
    worker.consumer.want(1)
    await place.store("a")
    await eventually(lambda: worker.texts == ["a"])
    worker.consumer.want(1)
    await place.here.flush()
    assert await place.there.consumers.delete(place.stream, "workers")
    await eventually(lambda: worker.ended == 1)
    assert not await place.there.consumers.delete(place.stream, "workers")
    assert await place.there.consumers.states(place.stream) == []


async def test_a_stream_that_is_gone_has_no_consumers(place: Place) -> None:
    for call in (
        place.here.consumers.states("CH_none_1"),
        place.here.consumers.delete("CH_none_1", "workers"),
        place.work(Elsewhere(place.here), rules=RULES),  # type: ignore[arg-type]
    ):
        assert await outcome(call) in {Code.not_found, Code.unavailable}


class Elsewhere:
    """A link whose consumers are those of a stream that is not there."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @property
    def consumers(self) -> "Elsewhere":
        """Its own."""
        return self

    async def consume(self, _stream: str, *more: object) -> Consumer:
        """Of another stream."""
        return await self._link.consumers.consume("CH_none_1", *more)  # type: ignore[arg-type]


async def test_dead_letters_are_stored_once_listed_and_removed(place: Place) -> None:
    await place.store("a")
    consumers = place.here.consumers
    one = await consumers.bury(place.stream, "workers", b"1", "workers.1")
    assert await consumers.bury(place.stream, "workers", b"1", "workers.1") == one
    two = await consumers.bury(place.stream, "others", b"2", "others.1")
    three = await consumers.bury(place.stream, "workers", b"3", "workers.3")
    listed = await consumers.dead_letters(place.stream, None, 1, 10_000)
    assert (listed.letters, listed.following) == (
        [(one, "workers", b"1"), (two, "others", b"2"), (three, "workers", b"3")],
        None,
    )
    listed = await consumers.dead_letters(place.stream, "workers", one + 1, 10_000)
    assert listed.letters == [(three, "workers", b"3")]
    assert await consumers.remove(place.stream, one)
    assert not await consumers.remove(place.stream, one)
    assert await consumers.purge(place.stream, "workers") == 1
    assert await consumers.purge(place.stream, None) == 1
    assert (await consumers.dead_letters(place.stream, None, 1, 10_000)).letters == []


async def test_dead_letters_are_no_messages_of_the_channel(place: Place) -> None:
    worker = await place.work(place.here)
    worker.consumer.want(5)
    await place.here.consumers.bury(place.stream, "workers", b"dead", "workers.1")
    await place.store("a")
    await eventually(lambda: worker.texts == ["a"])
    state = await place.here.streams.state(place.stream)
    read = await place.here.streams.read(place.stream, 1, state.last)
    assert [each.payload for each in read.messages] == [b"a"]


async def test_many_dead_letters_are_listed_in_pages(place: Place) -> None:
    for number in range(6):
        await place.here.consumers.bury(place.stream, "workers", b"x" * 1000, f"workers.{number}")
    found: list[int] = []
    first: int | None = 1
    pages = 0
    while first is not None:
        page = await place.here.consumers.dead_letters(place.stream, None, first, 2500)
        found += [seq for seq, _, _ in page.letters]
        first = page.following
        pages += 1
    assert found == sorted(set(found))
    assert (len(found), pages > 1) == (6, True)
