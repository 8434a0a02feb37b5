"""What asking the other processes promises, on the memory bus and on a real nats-server."""

import asyncio
import logging

import pytest

from tests.kit.buses import Buses
from tests.kit.deadlines import PATIENCE
from tests.kit.inboxes import Got, collect


async def test_an_answer_comes_back_to_whoever_asked(buses: Buses) -> None:
    await buses.other_control.answer("weather", lambda question: b"sunny in " + question)
    assert await buses.control.ask("weather", b"Rome", 1) == [b"sunny in Rome"]
    assert await buses.control.ask("weather", b"", 1) == [b"sunny in "]


async def test_many_questions_at_once_get_each_its_own_answer(buses: Buses) -> None:
    await buses.other_control.answer("weather", lambda question: b"sunny in " + question)
    towns = [b"%d" % number for number in range(100)]
    answers = await asyncio.gather(*(buses.control.ask("weather", town, 1) for town in towns))
    assert answers == [[b"sunny in " + town] for town in towns]


async def test_several_answer_and_as_many_as_are_wanted_are_waited_for(buses: Buses) -> None:
    await buses.control.answer("weather", lambda _: b"sunny")
    await buses.other_control.answer("weather", lambda _: b"rain")
    assert sorted(await buses.control.ask("weather", b"", 2)) == [b"rain", b"sunny"]
    async with asyncio.timeout(PATIENCE):
        assert len(await buses.control.ask("weather", b"", 1)) == 1
        assert await buses.control.ask("weather", b"", 0) == []


async def test_who_has_nothing_to_say_does_not_answer(buses: Buses, caplog: pytest.LogCaptureFixture) -> None:
    await buses.control.answer("weather", lambda _: None)
    await buses.other_control.answer("weather", lambda _: b"rain")
    assert await buses.control.ask("weather", b"", 1) == [b"rain"]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_after_a_while_what_came_is_given_and_the_rest_is_missed_in_the_log(
    hasty: Buses, caplog: pytest.LogCaptureFixture
) -> None:
    # Who asks is the one who answers, so that the answer is never late.
    await hasty.control.answer("weather", lambda _: b"rain")
    assert await hasty.control.ask("weather", b"", 2) == [b"rain"]
    [warning] = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning == "of 2 processes asked about weather, 1 answered within 0.1 s"


async def test_a_closed_answer_is_none(hasty: Buses) -> None:
    answering = await hasty.other_control.answer("weather", lambda _: b"rain")
    await answering.close()
    assert await hasty.control.ask("weather", b"", 1) == []


async def test_while_the_bus_is_there_no_word_was_missed(buses: Buses) -> None:
    await buses.control.hear("weather", collect([]))
    assert not await buses.control.missed()


async def test_topics_are_told_apart_and_a_question_is_no_word(buses: Buses) -> None:
    told: Got = []
    await buses.control.hear("weather", collect(told))
    await buses.other_control.answer("time", lambda _: b"noon")
    await buses.other_control.answer("weather", lambda _: b"rain")
    assert await buses.control.ask("weather", b"?", 1) == [b"rain"]
    assert await buses.control.ask("time", b"?", 1) == [b"noon"]
    assert told == []
