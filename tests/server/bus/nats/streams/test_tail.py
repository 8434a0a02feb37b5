"""What is stored is delivered in order, each message once, whatever happens to the bus meanwhile."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.streams import tail as tails
from artcafe.server.bus.nats.streams.tail import NatsTail
from artcafe.server.bus.unavailable import bus_unavailable
from artcafe.server.ports.streams import StoredMessage, StoredMessages, StreamState, Tail
from artcafe.wire.codes import Code
from tests.kit.deadlines import PATIENCE, eventually
from tests.kit.nats import make_tenant
from tests.kit.outcomes import outcome
from tests.kit.proxy import Proxy
from tests.kit.streams import (
    PATTERN,
    STREAM,
    SUBJECT,
    MortalNats,
    Received,
    Streaming,
    StreamMaker,
    stream_maker,
    streaming,
)
from tests.kit.turns import turns


async def follow(process: Streaming, received: Received) -> Tail:
    """A tail of the stream."""
    return await process.streams.tail(STREAM, PATTERN, received.deliver, received.restarted)


async def store(process: Streaming, many: int, name: str = "m") -> None:
    """Store so many messages."""
    await asyncio.gather(
        *(process.streams.store(STREAM, SUBJECT, f"{name}{n}".encode(), None) for n in range(many))
    )


def unopened(process: Streaming, received: Received) -> NatsTail:
    """A tail that is to be opened with `process.streams.run`."""
    parts = process.link, process.requests, process.streams.reader
    return NatsTail(*parts, STREAM, PATTERN, received.deliver, received.restarted)


async def test_what_is_stored_anywhere_is_delivered_everywhere_in_the_same_order(
    process: Streaming, other: Streaming
) -> None:
    here, there = Received(), Received()
    await store(process, 5, "before")
    tail = await follow(process, here)
    await follow(other, there)
    assert tail.following == 6
    await asyncio.gather(
        *(
            which.streams.store(STREAM, SUBJECT, b"%d" % number, None)
            for number in range(150)
            for which in (process, other)
        )
    )
    await eventually(lambda: len(here.got) == len(there.got) == 300)
    assert here.got == there.got
    assert here.sequences == list(range(6, 306))
    assert {message.subject for message in here.got} == {SUBJECT}
    assert (tail.following, tail.epoch) == (306, (await process.streams.state(STREAM)).epoch)
    assert here.restarts == 0


async def test_what_is_published_and_not_stored_is_no_delivery(process: Streaming, other: Streaming) -> None:
    received = Received()
    await follow(process, received)
    other.link.publish(SUBJECT, b"not stored")
    await other.streams.store(STREAM, SUBJECT, b"stored", None)
    await eventually(lambda: received.got)
    assert received.got == [StoredMessage(1, SUBJECT, b"stored")]


@pytest.mark.parametrize("room", [tails.HELD_MESSAGES, 0])
async def test_what_is_stored_between_the_subscription_and_the_question_is_delivered(
    process: Streaming, other: Streaming, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    received, reader = Received(), process.streams.reader
    ask = reader.state

    async def slow_state(stream: str) -> StreamState:
        state = await ask(stream)
        monkeypatch.setattr(reader, "state", ask)
        await store(other, 3)
        await eventually(lambda: tail._top == 4)
        return state

    await store(other, 1)
    monkeypatch.setattr(tails, "HELD_MESSAGES", room)
    monkeypatch.setattr(reader, "state", slow_state)
    tail = unopened(process, received)
    await tail.open(process.streams.run)
    assert received.sequences == [2, 3, 4]
    await store(other, 2)
    await eventually(lambda: received.sequences == [2, 3, 4, 5, 6])


async def test_one_that_raises_keeps_nothing_from_what_comes_later(
    process: Streaming, maker: StreamMaker, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[int] = []

    def deliver(message: StoredMessage) -> None:
        got.append(message.seq)
        raise RuntimeError("a member's")

    await process.streams.tail(STREAM, PATTERN, deliver, lambda: deliver(StoredMessage(-1, "", b"")))
    await store(process, 30)
    await eventually(lambda: got == list(range(1, 31)))
    await maker.delete()
    await maker.make()
    await store(process, 2)
    await eventually(lambda: got[30:] == [-1, 1, 2])
    assert "a member's" in caplog.text


async def test_a_new_connection_brings_what_was_stored_meanwhile(
    process: Streaming, other: Streaming, proxy: Proxy
) -> None:
    received = Received()
    await follow(process, received)
    for _ in range(3):
        await store(other, 20)
        proxy.refusing = True
        proxy.cut()
        await store(other, 300)
        await eventually(lambda: not process.link.up)
        proxy.refusing = False
        await store(other, 20)
    await eventually(lambda: len(received.got) >= 1020)
    assert received.sequences == list(range(1, 1021))
    assert received.restarts == 0


async def test_a_reconnect_while_a_fill_runs_delivers_each_once(
    process: Streaming, other: Streaming, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    received, reader = Received(), process.streams.reader
    await follow(process, received)
    read, reading, go_on = reader.read, asyncio.Event(), asyncio.Event()

    async def slow_read(stream: str, first: int, last: int) -> StoredMessages:
        found = await read(stream, first, last)
        if not reading.is_set():
            reading.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(reader, "read", slow_read)
    proxy.refusing = True
    proxy.cut()
    await eventually(lambda: not process.link.up)
    await store(other, 50)
    proxy.refusing = False
    await reading.wait()
    proxy.cut()
    await eventually(lambda: proxy.accepted >= 3)
    await store(other, 50)
    await process.link.ready()
    await store(other, 50)
    go_on.set()
    await store(other, 50)
    await eventually(lambda: len(received.got) >= 200)
    assert received.sequences == list(range(1, 201))


async def test_a_gap_is_filled_from_the_stream(process: Streaming, other: Streaming) -> None:
    received = Received()
    tail = unopened(process, received)
    take = tail._take

    def lossy(subject: str, message: FullMessage) -> None:
        if b"lost" not in message.payload:
            take(subject, message)

    tail._take = lossy  # type: ignore[method-assign]
    await tail.open(process.streams.run)
    await store(other, 30)
    await store(other, 30, "lost")
    await store(other, 30)
    await eventually(lambda: len(received.got) >= 90)
    assert received.sequences == list(range(1, 91))
    assert sum(b"lost" in message.payload for message in received.got) == 30


async def test_what_was_removed_is_passed_over(
    process: Streaming, other: Streaming, maker: StreamMaker, proxy: Proxy
) -> None:
    received = Received()
    await follow(process, received)
    await store(other, 5)
    await eventually(lambda: len(received.got) == 5)
    proxy.refusing = True
    proxy.cut()
    await store(other, 15)
    await maker.remove(6, 7, 12, 19, 20)
    proxy.refusing = False
    await store(other, 1)
    await eventually(lambda: received.sequences[-1] == 21)
    assert received.sequences == [1, 2, 3, 4, 5, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 21]
    proxy.refusing = True
    proxy.cut()
    await store(other, 5)
    await maker.purge()
    proxy.refusing = False
    await store(other, 1)
    await eventually(lambda: received.sequences[-1] == 27)
    assert received.sequences[-2:] == [21, 27]
    assert received.restarts == 0


async def test_more_than_is_held_is_read(
    process: Streaming, other: Streaming, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "HELD_MESSAGES", 10)
    received, reader = Received(), process.streams.reader
    tail = unopened(process, received)
    await tail.open(process.streams.run)
    read, go_on = reader.read, asyncio.Event()

    async def slow_read(stream: str, first: int, last: int) -> StoredMessages:
        await go_on.wait()
        return await read(stream, first, last)

    monkeypatch.setattr(reader, "read", slow_read)
    proxy.refusing = True
    proxy.cut()
    await eventually(lambda: not tail._known)
    await store(other, 5)
    proxy.refusing = False
    await eventually(lambda: tail._known)
    await store(other, 100)
    await eventually(lambda: tail._top == 105)
    assert len(tail._held) <= 10
    go_on.set()
    await eventually(lambda: len(received.got) >= 105)
    assert received.sequences == list(range(1, 106))
    await store(other, 1)
    await eventually(lambda: received.sequences[-1] == 106)


async def test_bytes_that_are_held_are_bounded_too(process: Streaming) -> None:
    tail = unopened(process, Received())
    for number in range(1, 20):
        tail._take(
            SUBJECT,
            FullMessage(
                "", b"NATS/1.0\r\nNats-Stream: CH_tasks\r\nNats-Sequence: %d\r\n\r\n" % number, bytes(10**6)
            ),
        )
    assert len(tail._held) == 4
    assert tail._top == 19


async def test_a_stream_that_was_made_anew_restarts_and_all_that_it_holds_is_delivered(
    process: Streaming, other: Streaming, maker: StreamMaker
) -> None:
    received = Received()
    tail = await follow(process, received)
    await store(other, 10)
    await eventually(lambda: len(received.got) == 10)
    before = tail.epoch
    await maker.delete()
    await maker.make()
    await store(other, 40, "new")
    await eventually(lambda: len(received.got) == 50)
    assert received.sequences == [*range(1, 11), *range(1, 41)]
    assert received.restarts == 1
    assert tail.epoch == (await other.streams.state(STREAM)).epoch != before


async def test_a_stream_that_is_made_anew_during_a_fill_restarts(
    process: Streaming, other: Streaming, maker: StreamMaker, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    received, reader = Received(), process.streams.reader
    tail = unopened(process, received)
    await tail.open(process.streams.run)
    read = reader.read

    async def slow_read(stream: str, first: int, last: int) -> StoredMessages:
        monkeypatch.setattr(reader, "read", read)
        found = await read(stream, first, last)
        await maker.delete()
        await maker.make()
        await store(other, 2, "new")
        await eventually(lambda: 2 in tail._held)
        return found

    proxy.refusing = True
    proxy.cut()
    await store(other, 5)
    monkeypatch.setattr(reader, "read", slow_read)
    proxy.refusing = False
    await eventually(lambda: len(received.got) >= 7)
    assert (received.sequences, received.restarts) == ([1, 2, 3, 4, 5, 1, 2], 1)


async def test_the_leader_is_asked_on_each_connection_after_the_subscription_is_known_to_it(
    process: Streaming, proxy: Proxy
) -> None:
    def in_order(sent: bytes) -> bool:
        places = [sent.find(words) for words in (b"SUB m.*", b"Nats-Expected-Stream: -", b"STREAM.INFO")]
        return -1 < places[0] < places[1] < places[2]

    await follow(process, Received())
    assert in_order(bytes(proxy.sent))
    proxy.sent.clear()
    proxy.cut()
    await eventually(lambda: b"STREAM.INFO" in proxy.sent)
    assert in_order(bytes(proxy.sent))


async def test_an_empty_stream_that_was_made_anew_has_a_new_epoch_at_its_first_message(
    process: Streaming, other: Streaming, maker: StreamMaker
) -> None:
    received = Received()
    tail = await follow(process, received)
    await maker.delete()
    await maker.make()
    await store(other, 1)
    await eventually(lambda: received.got)
    assert (received.sequences, received.restarts) == ([1], 1)
    assert tail.epoch == (await other.streams.state(STREAM)).epoch


async def test_a_stream_that_was_made_anew_while_the_bus_was_away_restarts(
    process: Streaming, other: Streaming, maker: StreamMaker, proxy: Proxy
) -> None:
    received = Received()
    await follow(process, received)
    await store(other, 10)
    await eventually(lambda: len(received.got) == 10)
    proxy.refusing = True
    proxy.cut()
    await maker.delete()
    await maker.make()
    await store(other, 30, "new")
    proxy.refusing = False
    await eventually(lambda: len(received.got) == 40)
    await store(other, 1)
    await eventually(lambda: len(received.got) == 41)
    assert received.sequences == [*range(1, 11), *range(1, 32)]
    assert received.restarts == 1


async def test_a_deleted_stream_is_followed_again_when_it_is_back(
    process: Streaming, other: Streaming, maker: StreamMaker, proxy: Proxy
) -> None:
    received = Received()
    await follow(process, received)
    await store(other, 3)
    await eventually(lambda: len(received.got) == 3)
    await maker.delete()
    proxy.cut()
    await eventually(lambda: proxy.accepted == 2)
    await process.link.ready()
    await turns()
    await maker.make()
    await store(other, 3)
    await eventually(lambda: received.sequences == [1, 2, 3, 1, 2, 3])
    assert received.restarts == 1


async def test_a_stream_that_lost_its_end_restarts_from_what_is_left(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    server = MortalNats(data)
    tenant = make_tenant("acme")
    received = Received()
    try:
        nats = await server.start()
        async with nats.authority() as authority:
            await authority.push(tenant)
        async with stream_maker(nats, tenant) as maker:
            await maker.make()
        async with streaming(nats, tenant) as process:
            tail = await follow(process, received)
            await store(process, 5)
            await eventually(lambda: len(received.got) == 5)
            await server.kill()
            shutil.copytree(data, copy)
            await server.start()
            await process.link.ready()
            await store(process, 5)
            await eventually(lambda: len(received.got) == 10)
            epoch = tail.epoch
            await server.kill()
            shutil.rmtree(data)
            shutil.copytree(copy, data)
            await server.start()
            await eventually(lambda: received.restarts == 1)
            assert (tail.following, tail.epoch) == (6, epoch)
            await store(process, 2, "other")
            await eventually(lambda: len(received.got) == 12)
            assert received.sequences == [*range(1, 11), 6, 7]
    finally:
        await server.stop()


async def test_a_read_that_fails_is_tried_again(
    process: Streaming, other: Streaming, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    received, reader = Received(), process.streams.reader
    await follow(process, received)
    read: Callable[..., Awaitable[StoredMessages]] = reader.read
    faults: list[Exception] = [RuntimeError("a fault"), bus_unavailable(), bus_unavailable()]

    async def failing(stream: str, first: int, last: int) -> StoredMessages:
        if faults:
            raise faults.pop()
        return await read(stream, first, last)

    monkeypatch.setattr(reader, "read", failing)
    proxy.refusing = True
    proxy.cut()
    await store(other, 30)
    proxy.refusing = False
    await eventually(lambda: len(received.got) >= 30)
    assert (received.sequences, faults) == (list(range(1, 31)), [])


async def test_nothing_is_delivered_after_it_was_closed(process: Streaming, other: Streaming) -> None:
    received, still = Received(), Received()
    tail = await follow(process, received)
    await follow(process, still)
    await store(other, 3)
    await eventually(lambda: len(received.got) == 3)
    await tail.close()
    await store(other, 3)
    await eventually(lambda: len(still.got) == 6)
    assert len(received.got) == 3
    await tail.close()
    assert len(process.streams._tasks) == 1


async def test_a_tail_of_nothing_is_not_opened(process: Streaming, maker: StreamMaker, proxy: Proxy) -> None:
    await process.streams.state(STREAM)
    await maker.delete()
    assert await outcome(follow(process, Received())) is Code.not_found
    await eventually(lambda: b"\r\nUNSUB " in proxy.sent)
    assert not process.streams._tasks


async def test_a_closed_link_ends_its_tails(process: Streaming) -> None:
    await follow(process, Received())
    process.link.close()
    assert await outcome(follow(process, Received())) is Code.unavailable
    process.streams.close()
    async with asyncio.timeout(PATIENCE):
        await eventually(lambda: not process.streams._tasks)
