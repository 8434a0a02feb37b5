"""Messages are stored in order, each once, and each is answered for itself, however many go together."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from artcafe.server.bus.nats.streams.commit import (
    LEAST_BATCH,
    MOST_BATCH,
    MOST_BATCH_BYTES,
    MOST_MESSAGES,
    Commit,
)
from artcafe.server.bus.nats.streams.replies import Replies
from artcafe.server.bus.nats.window import WINDOW_BYTES
from artcafe.server.ports.streams import Stored
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.nats import make_tenant
from tests.kit.outcomes import outcome
from tests.kit.proxy import Proxy
from tests.kit.streams import (
    STREAM,
    SUBJECT,
    MortalNats,
    Streaming,
    StreamMaker,
    stream_maker,
    streaming,
)
from tests.kit.turns import turns

COMMIT = b"Nats-Batch-Commit"


def store(process: Streaming, name: str, size: int = 0, subject: str = SUBJECT) -> Awaitable[Stored]:
    """Store a message that consists of its name and so many bytes more."""
    return process.streams.store(STREAM, subject, name.encode() + bytes(size), name)


async def outcomes(stored: Sequence[Awaitable[Stored]]) -> list[Stored | Code]:
    """Of all, in order."""
    return await asyncio.gather(*(outcome(each) for each in stored))


def places(stored: Sequence[Stored | Code]) -> list[tuple[int, bool] | Code]:
    """The sequences, and whether they were there before."""
    return [each if isinstance(each, Code) else (each.seq, each.duplicate) for each in stored]


async def names(process: Streaming) -> list[str]:
    """The messages that are stored."""
    last = (await process.streams.state(STREAM)).last
    found, position = [], 1
    while position <= last:
        read = await process.streams.read(STREAM, position, last)
        found += [message.payload.rstrip(b"\0").decode() for message in read.messages]
        position = read.following
    return found


@pytest.mark.parametrize("many", [1, LEAST_BATCH - 1, LEAST_BATCH, 3 * MOST_BATCH + 7])
async def test_the_order_of_the_calls_is_the_order_in_the_stream(process: Streaming, many: int) -> None:
    wanted = [f"m{number}" for number in range(many)]
    stored = await outcomes([store(process, name) for name in wanted])
    epoch = (await process.streams.state(STREAM)).epoch
    assert stored == [Stored(number, epoch) for number in range(1, many + 1)]
    assert await names(process) == wanted


async def test_few_go_singly_and_many_in_a_batch(process: Streaming, proxy: Proxy) -> None:
    await outcomes([store(process, f"few{number}") for number in range(LEAST_BATCH - 1)])
    assert bytes(proxy.sent).count(b"Nats-Batch-Id") == 0
    await outcomes([store(process, f"many{number}") for number in range(LEAST_BATCH)])
    assert bytes(proxy.sent).count(b"Nats-Batch-Id") == LEAST_BATCH
    assert bytes(proxy.sent).count(COMMIT) == 1


async def test_what_comes_while_a_batch_is_in_flight_is_the_next_one(
    process: Streaming, proxy: Proxy
) -> None:
    await store(process, "first")
    stored = [store(process, f"a{number}") for number in range(LEAST_BATCH)]
    proxy.stalled = True
    await turns()
    for number in range(2 * LEAST_BATCH):
        stored.append(store(process, f"b{number}"))
        await turns(2)
    proxy.stalled = False
    assert [each.seq for each in await asyncio.gather(*stored)] == list(range(2, 3 * LEAST_BATCH + 2))
    assert bytes(proxy.sent).count(COMMIT) == 2


async def test_a_batch_ends_where_it_would_take_too_many_bytes(process: Streaming, proxy: Proxy) -> None:
    wanted = [f"m{number}" for number in range(LEAST_BATCH)]
    await outcomes([store(process, name, MOST_BATCH_BYTES // 10) for name in wanted])
    assert await names(process) == wanted
    sizes = [part.count(b"Nats-Batch-Id") for part in bytes(proxy.sent).split(COMMIT)]
    assert sizes[0] == 9, "and the others behind it"


async def test_a_retry_is_answered_with_the_first_sequence_and_its_mates_are_stored(
    process: Streaming, other: Streaming
) -> None:
    first = await outcomes([store(other, f"m{number}") for number in range(10)])
    again = await outcomes([store(process, f"m{number}") for number in range(40)])
    assert places(again[:10]) == [(number, True) for number in range(1, 11)]
    assert [each.seq for each in first if isinstance(each, Stored)] == list(range(1, 11))
    assert places(again[10:]) == [(number, False) for number in range(11, 41)]
    assert await names(process) == [f"m{number}" for number in range(40)]


async def test_one_id_twice_in_a_batch_is_stored_once(process: Streaming) -> None:
    stored = await outcomes([store(process, f"m{number % 20}") for number in range(40)])
    assert places(stored) == [(number % 20 + 1, number >= 20) for number in range(40)]


async def test_without_an_id_each_call_stores(process: Streaming) -> None:
    for _ in range(2):
        await process.streams.store(STREAM, SUBJECT, b"same", None)
    assert await names(process) == ["same", "same"]


async def test_a_full_channel_takes_what_fits_of_a_batch_and_refuses_the_rest(
    process: Streaming, maker: StreamMaker
) -> None:
    await maker.delete()
    await maker.make(max_msgs=10, discard="new")
    stored = await outcomes([store(process, f"m{number}") for number in range(40)])
    assert places(stored) == [*((number, False) for number in range(1, 11)), *[Code.channel_full] * 30]
    assert await outcome(store(process, "single")) is Code.channel_full
    assert await names(process) == [f"m{number}" for number in range(10)]


async def test_a_channel_full_of_bytes_refuses(process: Streaming, maker: StreamMaker) -> None:
    await maker.delete()
    await maker.make(max_bytes=50_000, discard="new")
    stored = await outcomes([store(process, f"m{number}", 1000) for number in range(100)])
    taken = [each for each in stored if isinstance(each, Stored)]
    assert 20 < len(taken) < 50
    assert stored[len(taken) :] == [Code.channel_full] * (100 - len(taken))


async def test_one_that_is_too_large_for_the_channel_does_not_refuse_its_mates(
    process: Streaming, maker: StreamMaker
) -> None:
    await maker.delete()
    await maker.make(max_msg_size=1000)
    stored = await outcomes(
        [store(process, f"m{number}", 2000 if number == 17 else 0) for number in range(40)]
    )
    assert stored.pop(17) is Code.too_large
    assert places(stored) == [(number, False) for number in range(1, 40)]
    assert await outcome(store(process, "single", 2000)) is Code.too_large


async def test_what_the_bus_does_not_carry_is_refused_before_it_is_sent(process: Streaming) -> None:
    assert await outcome(store(process, "x", process.link.max_payload)) is Code.too_large
    assert await outcome(store(process, "x", subject="m.a1.tasks.*")) is Code.invalid_subject
    with pytest.raises(ValueError, match="shared"):
        process.streams.store(STREAM, "d.a1.a2.x", b"", None)
    assert await names(process) == []


async def test_any_text_is_an_id(process: Streaming) -> None:
    ids = ["a:1", "a:1 ", " a:1", "a:", "a:\r\nNats-Msg-Id: a:1", "a:ü", "a:\ud800", "a" * 500, "a" * 501]
    for _ in range(2):
        for number, each in enumerate(ids, 1):
            stored = await process.streams.store(STREAM, SUBJECT, b"x", each)
            assert stored.seq == number
    assert stored.duplicate


async def test_receipts_are_of_the_epoch_of_the_stream(process: Streaming, maker: StreamMaker) -> None:
    before = (await process.streams.state(STREAM)).epoch
    assert (await store(process, "a")).epoch == before
    assert (await store(process, "b")).epoch == before
    await maker.delete()
    await maker.make()
    after = (await process.streams.state(STREAM)).epoch
    first = await store(process, "c")
    assert (first.seq, first.epoch) == (1, before), "it may be told of the old one, nobody goes on from there"
    assert await store(process, "d") == Stored(2, after)
    await maker.delete()
    assert await outcome(store(process, "e")) is Code.unavailable
    assert await outcome(store(process, "e")) is Code.not_found
    await maker.make()
    assert (await store(process, "e")).epoch == (await process.streams.state(STREAM)).epoch


@pytest.mark.parametrize("many", [1, 40])
async def test_without_a_stream_nothing_is_stored(process: Streaming, maker: StreamMaker, many: int) -> None:
    await maker.delete()
    stored = await outcomes([store(process, f"m{number}") for number in range(many)])
    assert stored == [Code.unavailable] * many


@pytest.mark.parametrize("many", [1, 40])
async def test_a_stream_that_took_the_subject_over_does_not_get_the_messages(
    process: Streaming, maker: StreamMaker, many: int
) -> None:
    await store(process, "first")
    await maker.delete()
    await maker.make("CH_other")
    stored = await outcomes([store(process, f"m{number}") for number in range(many)])
    assert stored == [Code.not_found] * many
    assert (await process.streams.state("CH_other")).last == 0


@pytest.mark.parametrize("many", [3, 40])
async def test_a_lost_connection_leaves_the_outcome_unknown_and_a_retry_stores_once(
    process: Streaming, proxy: Proxy, many: int
) -> None:
    await store(process, "first")
    proxy.stalled = True
    stored = [store(process, f"m{number}") for number in range(many)]
    await turns()
    proxy.cut()
    assert await outcomes(stored) == [Code.outcome_unknown] * many
    assert await outcome(store(process, "while away")) is Code.unavailable
    proxy.stalled = False
    await process.link.ready()
    await outcomes([store(process, f"m{number}") for number in range(many)])
    assert await names(process) == ["first", *(f"m{number}" for number in range(many))]


async def test_a_batch_that_was_not_sent_whole_is_not_stored(process: Streaming, proxy: Proxy) -> None:
    await store(process, "first")
    proxy.stalled = True
    stored = [store(process, f"m{number}", WINDOW_BYTES // 20) for number in range(30)]
    stored += [store(process, f"behind{number}") for number in range(500)]
    await turns()
    proxy.cut()
    assert await outcomes(stored) == [Code.unavailable] * 530
    proxy.stalled = False
    await process.link.ready()
    assert await names(process) == ["first"]
    assert (await store(process, "then")).seq == 2


async def test_an_answer_that_does_not_come_leaves_the_outcome_unknown(
    process: Streaming, proxy: Proxy
) -> None:
    replies = Replies(process.link)
    async with asyncio.TaskGroup() as tasks:
        state = process.streams.state
        commit = Commit(process.link, replies, STREAM, state, tasks.create_task, answer_seconds=0.2)
        subject = "p.a1.tasks.new"
        await commit.store(subject, b"first", None)
        proxy.swallowing = True
        stored = [commit.store(subject, b"x", f"m{number}") for number in range(20)]
        await turns()
        stored += [commit.store(subject, b"x", f"n{number}") for number in range(3)]
        assert await outcomes(stored) == [Code.outcome_unknown] * 20 + [Code.unavailable] * 3
        assert commit.idle


async def test_an_answer_is_waited_for_longer_while_the_link_reads_nothing(process: Streaming) -> None:
    replies = process.streams._replies
    async with asyncio.TaskGroup() as tasks:
        state = process.streams.state
        commit = Commit(process.link, replies, STREAM, state, tasks.create_task, answer_seconds=0.2)
        await commit.store("p.a1.tasks.new", b"first", None)
        process.link.pause(True)
        process.streams.pause(True)
        stored = [commit.store("p.a1.tasks.new", b"x", f"m{number}") for number in range(20)]
        done, _ = await asyncio.wait(stored, timeout=0.6)
        assert not done
        process.link.pause(False)
        process.streams.pause(False)
        assert places(await outcomes(stored)) == [(number, False) for number in range(2, 22)]


async def test_what_waits_is_bounded(process: Streaming, proxy: Proxy) -> None:
    await store(process, "first")
    proxy.stalled = True
    stored = [store(process, f"m{number}") for number in range(MOST_MESSAGES)]
    assert await outcome(store(process, "one more")) is Code.unavailable
    proxy.stalled = False
    assert [each.seq for each in await asyncio.gather(*stored)] == list(range(2, MOST_MESSAGES + 2))
    stored = [store(process, f"large{number}", 1_000_000) for number in range(8)]
    assert await outcome(store(process, "large", 1_000_000)) is Code.unavailable
    await asyncio.gather(*stored)
    await store(process, "there is room again")


async def test_what_was_cancelled_while_it_waited_is_not_stored(process: Streaming, proxy: Proxy) -> None:
    await store(process, "first")
    kept = [asyncio.ensure_future(store(process, f"a{number}")) for number in range(20)]
    await turns()  # They are in flight.
    waiting = [asyncio.ensure_future(store(process, f"b{number}")) for number in range(20)]
    for each in waiting[::2]:
        each.cancel()
    await asyncio.gather(*kept, *waiting[1::2])
    assert await names(process) == [
        "first",
        *(f"a{number}" for number in range(20)),
        *(f"b{number}" for number in range(1, 20, 2)),
    ]


async def test_a_closed_link_ends_what_waits(process: Streaming, proxy: Proxy) -> None:
    await store(process, "first")
    proxy.stalled = True
    stored = [store(process, f"m{number}") for number in range(20)]
    await turns()
    stored += [store(process, f"n{number}") for number in range(20)]
    process.link.close()
    process.streams.close()
    assert await outcomes(stored) == [Code.outcome_unknown] * 20 + [Code.unavailable] * 20
    assert await outcome(store(process, "later")) is Code.unavailable


async def test_streams_do_not_wait_for_each_other(process: Streaming, maker: StreamMaker) -> None:
    await maker.make("CH_other", "other.>")
    stored = [store(process, f"m{number}") for number in range(40)]
    theirs = process.streams.store("CH_other", "m.a1.other.x", b"x", None)
    assert [each.seq for each in await asyncio.gather(*stored, theirs)] == [*range(1, 41), 1]


async def test_whatever_was_acknowledged_is_stored_once_when_the_server_is_killed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    server = MortalNats(tmp_path)
    nats = await server.start()
    tenant = make_tenant("acme")
    acknowledged: dict[str, int] = {}
    done = asyncio.Event()

    async def publisher(process: Streaming, name: str) -> None:
        """Four at a time, again with the same ids until each is acknowledged."""
        for first in range(0, 4000, 4):
            if done.is_set():
                return
            wanted = [f"{name}-{number}" for number in range(first, first + 4)]
            while wanted:
                for each, result in zip(wanted, await attempt(process, wanted), strict=True):
                    if isinstance(result, Stored):
                        assert acknowledged.setdefault(each, result.seq) == result.seq
                wanted = [each for each in wanted if each not in acknowledged]
                if wanted:
                    await asyncio.sleep(0.01)  # The bus is away.

    async def attempt(process: Streaming, wanted: list[str]) -> list[Stored | Code]:
        try:
            return await outcomes([store(process, each) for each in wanted])
        except ArtcafeError as error:
            return [error.code] * len(wanted)

    def reached(goal: int) -> bool:
        return len(acknowledged) > goal

    try:
        async with nats.authority() as authority:
            await authority.push(tenant)
        async with stream_maker(nats, tenant) as maker:
            await maker.make()
        async with streaming(nats, tenant) as process, asyncio.TaskGroup() as publishers:
            for number in range(12):
                publishers.create_task(publisher(process, f"p{number}"))
            for _ in range(4):
                goal = len(acknowledged) + random.randrange(50, 400)
                await eventually(partial(reached, goal), "progress")
                await server.kill()
                nats = await server.start()
            done.set()
        async with streaming(nats, tenant) as process:
            held = await names(process)
        record_property(
            "figures", f"{len(acknowledged)} acknowledged, {len(held)} stored, the server killed 4 times"
        )
        assert len(held) == len(set(held)), "none twice"
        assert {name: held[seq - 1] for name, seq in acknowledged.items()} == {
            name: name for name in acknowledged
        }
    finally:
        await server.stop()
