"""The end of a turn: callbacks first, then writes, and no fault of one ends another."""

import logging

import pytest

from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.gateway.websocket.writer import Writer
from tests.kit.turns import turns


async def test_what_is_put_while_others_are_flushed_has_the_next_turn() -> None:
    writes: list[bytes] = []
    scheduler = TurnScheduler()
    second = Writer(writes.append, scheduler)
    Writer(lambda _: second.put(b"answer"), scheduler).put(b"question")
    await turns(3)
    assert writes == [b"answer"]


async def test_a_sample_is_told_of_after_the_writes_of_its_turn_once() -> None:
    done: list[bytes] = []
    scheduler = TurnScheduler()
    scheduler.sampled = done.append
    scheduler.sampling = True
    Writer(done.append, scheduler).put(b"written")
    scheduler.at_end(lambda: scheduler.sample(b"sample"))
    await turns(3)
    assert done == [b"written", b"sample"]
    assert not scheduler.sampling


async def test_a_sample_that_cannot_be_measured_keeps_nothing_from_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_: bytes) -> None:
        raise RuntimeError("a fault of ours")

    writes: list[bytes] = []
    scheduler = TurnScheduler()
    scheduler.sampled = fail
    scheduler.at_end(lambda: scheduler.sample(b"sample"))
    await turns()
    Writer(writes.append, scheduler).put(b"1")
    await turns()
    assert writes == [b"1"]
    assert [record.message for record in caplog.records] == ["a message was not measured"]


async def test_messages_with_a_trace_are_told_of_together_after_the_writes_of_their_turn() -> None:
    done: list[object] = []
    scheduler = TurnScheduler()
    scheduler.traced = done.append
    Writer(done.append, scheduler).put(b"written")
    for number in (1, 2):
        scheduler.trace("acme", f"s.{number}", b"%d" % number)
    await turns(2)
    assert done == [b"written", [("acme", "s.1", b"1"), ("acme", "s.2", b"2")]]
    Writer(done.append, scheduler).put(b"next")
    await turns(2)
    assert done[2:] == [b"next"]


async def test_work_for_the_end_of_a_turn_comes_before_its_writes() -> None:
    writes: list[bytes] = []
    scheduler = TurnScheduler()
    writer = Writer(writes.append, scheduler)
    writer.put(b"1")
    scheduler.at_end(lambda: writer.put(b"2"))
    assert writes == []
    await turns()
    assert writes == [b"12"]


async def test_work_that_fails_keeps_nothing_from_others(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("a fault of ours")

    done: list[str] = []
    scheduler = TurnScheduler()
    scheduler.at_end(fail)
    scheduler.at_end(lambda: done.append("work"))
    Writer(lambda _: done.append("write"), scheduler).put(b"1")
    await turns()
    scheduler.at_end(lambda: done.append("the next turn"))
    await turns()
    assert done == ["work", "write", "the next turn"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_broken_transport_keeps_nothing_from_others(caplog: pytest.LogCaptureFixture) -> None:
    def broken(data: bytes) -> None:
        raise RuntimeError("the transport is closed")

    writes: list[bytes] = []
    scheduler = TurnScheduler()
    aborted: list[str] = []
    Writer(broken, scheduler, lambda: aborted.append("broken")).put(b"lost")
    Writer(writes.append, scheduler, lambda: aborted.append("sound")).put(b"kept")
    await turns(2)
    assert writes == [b"kept"]
    assert aborted == ["broken"], "it missed a frame, so it is closed"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_work_that_work_leaves_over_is_done_in_the_next_turn() -> None:
    scheduler, done = TurnScheduler(), list[int]()

    def work() -> None:
        done.append(len(done))
        if len(done) < 5:
            scheduler.at_end(work)

    scheduler.at_end(work)
    for number in range(1, 6):
        await turns(1)
        assert len(done) == number
    await turns()
    assert len(done) == 5
