"""Collecting answers; how they travel is in contract/test_bus_questions.py."""

import asyncio

from artcafe.server.bus.answer_collector import AnswerCollector


async def test_what_comes_on_top_is_dropped() -> None:
    question = AnswerCollector("weather", 2)
    for answer in (b"1", b"2", b"3"):
        question.take(answer)
    assert await question.answered(1) == [b"1", b"2"]


async def test_it_waits_for_the_last_answer_and_no_longer() -> None:
    question = AnswerCollector("weather", 2)
    waiting = asyncio.create_task(question.answered(60))
    question.take(b"1")
    await asyncio.sleep(0)
    assert not waiting.done()
    question.take(b"2")
    assert await waiting == [b"1", b"2"]


async def test_no_answers_wanted_are_none_waited_for() -> None:
    assert await AnswerCollector("weather", 0).answered(60) == []
