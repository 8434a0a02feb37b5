"""Rounds of questions: when they begin, and that there is one at a time."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from artcafe.server.gateway.rechecks import RECHECK_SECONDS, Rechecks
from tests.kit.issuers import StoppedClock
from tests.kit.turns import turns


class Asking:
    """Rounds that wait until they may end."""

    def __init__(self) -> None:
        self.clock = StoppedClock()
        self.rounds = 0
        self.failure: Exception | None = None
        self.tasks: list[asyncio.Task[None]] = []
        self.gate = asyncio.Event()
        self.rechecks = Rechecks(self._ask, self.clock.monotonic, self._start)

    async def _ask(self) -> None:
        self.rounds += 1
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.create_task(work))

    async def tick(self, seconds: float) -> int:
        """Let time pass and look; how many rounds there were."""
        self.clock.advance(seconds)
        self.rechecks.tick()
        await turns()
        return self.rounds


async def test_a_round_begins_a_minute_after_the_last_one_ended() -> None:
    asking = Asking()
    assert await asking.tick(RECHECK_SECONDS - 1) == 0
    assert await asking.tick(1) == 1
    assert await asking.tick(10 * RECHECK_SECONDS) == 1, "one at a time"
    asking.gate.set()
    await turns()
    assert await asking.tick(RECHECK_SECONDS - 1) == 1
    assert await asking.tick(1) == 2


async def test_in_a_hurry_it_begins_at_once_and_the_minute_begins_anew() -> None:
    asking = Asking()
    asking.gate.set()
    await asking.tick(RECHECK_SECONDS - 1)
    asking.rechecks.hurry()
    await turns()
    assert asking.rounds == 1
    assert await asking.tick(RECHECK_SECONDS - 1) == 1
    assert await asking.tick(1) == 2


async def test_however_often_it_is_hurried_during_a_round_one_more_follows() -> None:
    asking = Asking()
    for _ in range(5):
        asking.rechecks.hurry()
        await turns()
    assert asking.rounds == 1
    asking.gate.set()
    await turns()
    assert await asking.tick(0) == 2
    assert await asking.tick(0) == 2


async def test_a_round_that_fails_is_followed_by_others() -> None:
    asking = Asking()
    asking.failure = RuntimeError("of the test")
    asking.gate.set()
    asking.rechecks.hurry()
    with pytest.raises(RuntimeError, match="of the test"):
        await asking.tasks[0]
    assert await asking.tick(RECHECK_SECONDS) == 2
    await asyncio.wait(asking.tasks)
    assert f"{asking.tasks[1].exception()}" == "of the test"
