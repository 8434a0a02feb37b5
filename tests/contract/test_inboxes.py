"""What the inboxes of any bus promise: one suite on the memory bus and on a real nats-server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec
import pytest_asyncio

from artcafe.server.ports.bus import Link
from artcafe.server.ports.inboxes import InboxMessages
from artcafe.wire.codes import Code
from tests.kit.buses import Buses
from tests.kit.deadlines import eventually
from tests.kit.outcomes import outcome


@dataclass
class Listener:
    """What a process heard."""

    heard: list[tuple[str, int, int]] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)

    def stored(self, owner: str, priority: int, seq: int) -> None:
        """A message was stored."""
        self.heard.append((owner, priority, seq))

    def opened(self, owner: str) -> None:
        """Another process opened an inbox."""
        self.taken.append(owner)

    def missed(self) -> None:
        """The bus was away."""


@dataclass
class Place:
    """The links of two processes."""

    here: Link
    there: Link

    async def store(self, *texts: str, owner: str = "w1", priority: int = 1) -> list[int]:
        """Store each text; the sequences."""
        stored = [self.here.inboxes.store(owner, priority, text.encode()) for text in texts]
        return [(await each).seq for each in stored]


@pytest_asyncio.fixture
async def place(buses: Buses) -> AsyncIterator[Place]:
    tenant = msgspec.structs.replace(await buses.tenant(), limits={"inbox_messages": 100})
    yield Place(*await buses.links(tenant))


def texts(read: InboxMessages) -> list[str]:
    return [each.payload.decode() for each in read.messages]


async def test_an_inbox_that_nobody_wrote_to_is_empty(place: Place) -> None:
    assert await place.here.inboxes.counts("w1") == {}
    assert await place.here.inboxes.counts(None) == {}


async def test_what_is_stored_waits_in_order_for_its_owner_alone(place: Place) -> None:
    first = await place.store("a", "b")
    await place.store("other", owner="w2")
    await place.store("urgent", priority=0)
    assert first == [1, 2]
    inboxes = place.there.inboxes
    assert await inboxes.counts("w1") == {("w1", 0): 1, ("w1", 1): 2}
    assert await inboxes.counts(None) == {("w1", 0): 1, ("w1", 1): 2, ("w2", 1): 1}
    assert texts(await inboxes.read(1, owner="w1", priority=1)) == ["a", "b"]
    assert texts(await inboxes.read(2, owner="w1", priority=1)) == ["b"]
    assert texts(await inboxes.read(1, owner="w1")) == ["a", "b", "urgent"]
    read = await inboxes.read(1)
    assert [(each.seq, each.owner, each.priority) for each in read.messages] == [
        (1, "w1", 1),
        (2, "w1", 1),
        (3, "w2", 1),
        (4, "w1", 0),
    ]


async def test_a_read_ends_at_its_bytes_and_says_where_to_go_on(place: Place) -> None:
    await place.store("a" * 1000, "b" * 1000, "c")
    first = await place.here.inboxes.read(1, owner="w1", most_bytes=1)
    assert texts(first) == ["a" * 1000]
    assert first.following == 2
    rest = await place.here.inboxes.read(2, owner="w1")
    assert texts(rest) == ["b" * 1000, "c"]
    if rest.following is not None:
        assert await place.here.inboxes.read(rest.following, owner="w1") == InboxMessages([], None)


async def test_many_that_are_stored_at_once_all_wait(place: Place) -> None:
    assert await place.store(*(f"{n}" for n in range(80))) == list(range(1, 81))
    assert texts(await place.there.inboxes.read(1, owner="w1")) == [f"{n}" for n in range(80)]


async def test_a_full_inbox_refuses_and_others_go_on(place: Place) -> None:
    await place.store(*(f"{n}" for n in range(100)))
    assert await outcome(place.here.inboxes.store("w1", 1, b"more")) is Code.inbox_full
    await place.store("low", priority=2)
    await place.store("other", owner="w2")
    await place.here.inboxes.remove("w1", 1, 1)
    await place.store("again")


async def test_of_a_batch_that_does_not_fit_the_first_are_stored(place: Place) -> None:
    await place.store(*(f"{n}" for n in range(90)))
    stored = [place.here.inboxes.store("w1", 1, b"%d" % n) for n in range(40)]
    done = await asyncio.gather(*[outcome(each) for each in stored])
    assert done[10:] == [Code.inbox_full] * 30
    assert await place.here.inboxes.counts("w1") == {("w1", 1): 100}


async def test_a_retry_is_stored_once(place: Place) -> None:
    first = await place.here.inboxes.store("w1", 1, b"a", dedup_id="w1:s:7")
    again = await place.there.inboxes.store("w1", 1, b"a", dedup_id="w1:s:7")
    assert (first.duplicate, again.duplicate, again.seq) == (False, True, first.seq)
    assert await place.here.inboxes.counts("w1") == {("w1", 1): 1}


async def test_what_expires_waits_no_more(place: Place) -> None:
    await asyncio.gather(
        *(place.here.inboxes.store("w1", 1, b"short", expires_in=1) for _ in range(20)),
        place.here.inboxes.store("w1", 1, b"long", expires_in=3600),
        place.here.inboxes.store("w1", 1, b"for ever"),
    )

    async def left() -> list[str]:
        return texts(await place.here.inboxes.read(1, owner="w1"))

    while await left() != ["long", "for ever"]:
        await asyncio.sleep(0.05)


async def test_what_is_removed_waits_no_more(place: Place) -> None:
    await place.store("a", "b", "c", "d")
    await place.store("low", priority=2)
    await place.store("other", owner="w2")
    inboxes = place.here.inboxes
    assert await inboxes.remove("w1", 1, 2) == 2
    await inboxes.remove_one(4)
    await inboxes.remove_one(4)
    assert texts(await place.there.inboxes.read(1, owner="w1")) == ["c", "low"]
    assert await inboxes.remove("w1", None) == 2
    assert texts(await inboxes.read(1)) == ["other"]


async def test_every_process_hears_what_is_stored_and_the_others_who_opens(place: Place) -> None:
    here, there = Listener(), Listener()
    watches = [await place.here.inboxes.watch(here), await place.there.inboxes.watch(there)]
    await place.store("a", owner="w1", priority=2)
    watches[0].announce("w1")
    await eventually(lambda: here.heard == there.heard == [("w1", 2, 1)])
    await eventually(lambda: there.taken == ["w1"])
    assert here.taken == []
    for watch in watches:
        await watch.close()
    await place.store("b")
    assert len(here.heard) == 1


async def test_inboxes_of_another_tenant_are_others(place: Place, buses: Buses) -> None:
    await place.store("a")
    other, _ = await buses.links(await buses.tenant("other"))
    assert await other.inboxes.counts(None) == {}
    await other.inboxes.store("w1", 1, b"mine")
    assert texts(await other.inboxes.read(1)) == ["mine"]
    assert texts(await place.here.inboxes.read(1)) == ["a"]
