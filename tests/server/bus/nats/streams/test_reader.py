"""What a stream holds is read in order, and what is not there is said by its leader."""

import asyncio
from datetime import datetime

import pytest

from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.streams.reader import Reader
from artcafe.server.bus.nats.streams.replies import Replies
from artcafe.server.domain.tenant import Tenant
from artcafe.server.ports.streams import StoredMessage, StoredMessages, StreamState
from artcafe.wire.codes import Code
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.nats import Nats
from tests.kit.outcomes import outcome, refused
from tests.kit.proxy import Proxy
from tests.kit.streams import STREAM, Streaming, StreamMaker, streaming

NEW, OLD = "m.a1.tasks.new", "m.a2.tasks.old"


async def fill(process: Streaming, many: int, *subjects: str, size: int = 0) -> None:
    """Store so many messages, by turns under the subjects."""
    subjects = subjects or (NEW,)
    await asyncio.gather(
        *(
            process.streams.store(STREAM, subjects[n % len(subjects)], b"%d" % (n + 1) + bytes(size), None)
            for n in range(many)
        )
    )


async def read_all(
    process: Streaming, first: int, last: int, pattern: str | None = None, most_bytes: int = 131_072
) -> list[StoredMessage]:
    """All messages, by as many reads as it takes."""
    found: list[StoredMessage] = []
    while first <= last:
        read = await process.streams.read(STREAM, first, last, pattern=pattern, most_bytes=most_bytes)
        assert read.following > first or read.messages
        found += read.messages
        first = read.following
    return found


async def test_an_empty_stream_has_a_state(process: Streaming) -> None:
    state = await process.streams.state(STREAM)
    assert (state.first, state.last) == (1, 0)
    assert state.epoch


async def test_the_epoch_stays_and_a_new_stream_has_another(process: Streaming, maker: StreamMaker) -> None:
    before = await process.streams.state(STREAM)
    await fill(process, 3)
    assert await process.streams.state(STREAM) == StreamState(before.epoch, 1, 3)
    await maker.remove(1)
    assert await process.streams.state(STREAM) == StreamState(before.epoch, 2, 3)
    await maker.purge()
    assert await process.streams.state(STREAM) == StreamState(before.epoch, 4, 3)
    await maker.delete()
    await maker.make()
    after = await process.streams.state(STREAM)
    assert after.epoch != before.epoch


async def test_messages_are_read_as_they_are_delivered(process: Streaming) -> None:
    await fill(process, 2, NEW, OLD)
    read = await process.streams.read(STREAM, 1, 2)
    assert read == StoredMessages([StoredMessage(1, NEW, b"1"), StoredMessage(2, OLD, b"2")], 3)


async def test_thousands_are_read_in_several_reads(process: Streaming) -> None:
    await fill(process, 1300)
    found = await read_all(process, 1, 1300)
    assert [(message.seq, message.payload) for message in found] == [(n, b"%d" % n) for n in range(1, 1301)]
    assert [message.seq for message in await read_all(process, 300, 1000)] == list(range(300, 1001))


async def test_a_read_ends_at_its_bytes_and_gives_one_message_at_least(process: Streaming) -> None:
    await fill(process, 10, size=10_000)
    read = await process.streams.read(STREAM, 1, 10, most_bytes=35_000)
    assert 1 < len(read.messages) < 5
    assert read.following == len(read.messages) + 1
    read = await process.streams.read(STREAM, 4, 10, most_bytes=1)
    assert ([message.seq for message in read.messages], read.following) == ([4], 5)


async def test_a_pattern_chooses_and_what_it_does_not_choose_is_passed_over(process: Streaming) -> None:
    await fill(process, 9, NEW, OLD, OLD)
    assert [message.seq for message in await read_all(process, 1, 9, "m.*.tasks.new")] == [1, 4, 7]
    assert [message.seq for message in await read_all(process, 1, 9, "m.a2.tasks.>")] == [2, 3, 5, 6, 8, 9]
    assert (await process.streams.read(STREAM, 8, 9, pattern="m.*.tasks.new")).following == 10
    assert (await process.streams.read(STREAM, 1, 9, pattern="m.*.tasks.none")) == StoredMessages([], 10)


async def test_what_was_removed_is_passed_over(process: Streaming, maker: StreamMaker) -> None:
    await fill(process, 10)
    await maker.remove(1, 2, 5, 9, 10)
    assert [message.seq for message in await read_all(process, 1, 10)] == [3, 4, 6, 7, 8]
    assert (await process.streams.read(STREAM, 9, 10)) == StoredMessages([], 11)


async def test_nothing_beyond_the_last_is_read(process: Streaming) -> None:
    await fill(process, 10, NEW, OLD)
    read = await process.streams.read(STREAM, 3, 4)
    assert ([message.seq for message in read.messages], read.following) == ([3, 4], 5)
    read = await process.streams.read(STREAM, 2, 4, pattern="m.a2.>")
    assert ([message.seq for message in read.messages], read.following) == ([2, 4], 5)
    assert await process.streams.read(STREAM, 5, 4) == StoredMessages([], 5)
    assert (await process.streams.read(STREAM, 11, 20)).following == 21, "they are not there yet"


async def test_what_a_node_that_is_behind_does_not_have_is_read_from_the_leader(
    process: Streaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(process, 4, NEW, OLD)
    reader = process.streams.reader

    async def behind(*_: object) -> list[FullMessage]:
        return []  # What a node answers that has none of them yet.

    monkeypatch.setattr(reader, "_direct", behind)
    assert await process.streams.read(STREAM, 3, 4) == StoredMessages([StoredMessage(3, NEW, b"3")], 4)
    read = await process.streams.read(STREAM, 3, 4, pattern="m.a2.>")
    assert read == StoredMessages([StoredMessage(4, OLD, b"4")], 5)
    assert await process.streams.read(STREAM, 5, 6) == StoredMessages([], 7)


async def test_what_is_stored_for_the_servers_own_use_is_not_told(
    nats: Nats, tenant: Tenant, process: Streaming, maker: StreamMaker
) -> None:
    await maker.make("CH_x", "x.>", subjects=["p.*.x.>", "z.x.*"])
    async with streaming(nats, tenant, rights={"pub": {"allow": ["z.>"]}, "sub": {"allow": []}}) as server:
        await server.requests.request("z.x.1", b"scheduled", seconds=PATIENCE)
    await process.streams.store("CH_x", "m.a.x.y", b"told", None)
    assert await process.streams.read("CH_x", 1, 2) == StoredMessages(
        [StoredMessage(2, "m.a.x.y", b"told")], 3
    )


async def test_a_time_has_a_sequence(process: Streaming, maker: StreamMaker) -> None:
    streams = process.streams
    assert await streams.first_since(STREAM, 0) == 1, "of an empty stream"
    await fill(process, 3)
    told = await maker.ask(f"MSG.GET.{STREAM}", {"seq": 3})
    moment = datetime.fromisoformat(told["message"]["time"][:26] + "+00:00").timestamp()
    await streams.store(STREAM, NEW, b"later", None)
    assert await streams.first_since(STREAM, moment - 3600) == 1
    assert await streams.first_since(STREAM, moment + 0.00001) == 4
    assert await streams.first_since(STREAM, moment - 0.00001) in {1, 2, 3}, "they are of one batch"
    assert await streams.first_since(STREAM, moment + 3600) == 5
    assert await streams.first_since(STREAM, -1e300) == 1
    assert await streams.first_since(STREAM, 1e300) == 5


async def test_a_deleted_stream_is_not_found(process: Streaming, maker: StreamMaker) -> None:
    await fill(process, 3)
    await maker.delete()
    assert await outcome(process.streams.state(STREAM)) is Code.not_found
    assert await outcome(process.streams.read(STREAM, 1, 3)) is Code.not_found


async def test_a_read_is_asked_again_when_the_connection_ends(process: Streaming, proxy: Proxy) -> None:
    await fill(process, 3)
    proxy.stalled = True
    reading = asyncio.ensure_future(process.streams.read(STREAM, 1, 3))
    asking = asyncio.ensure_future(process.streams.state(STREAM))
    await eventually(lambda: len(process.streams._replies._takers) == 1)
    proxy.cut()
    await eventually(lambda: not process.link.up)
    proxy.stalled = False
    assert [message.seq for message in (await reading).messages] == [1, 2, 3]
    assert (await asking).last == 3


async def test_a_bus_that_does_not_answer_is_unavailable(process: Streaming, proxy: Proxy) -> None:
    await fill(process, 3)
    reader = Reader(process.link, Replies(process.link), process.requests, ask_seconds=0.05)
    await reader.read(STREAM, 1, 3)
    proxy.swallowing = True
    with refused(Code.unavailable):
        await reader.read(STREAM, 1, 3)
    with refused(Code.unavailable):
        await reader.state(STREAM)
