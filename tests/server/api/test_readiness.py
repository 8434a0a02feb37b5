"""Readiness has patience both ways, and none with this process's own state; recent answers are shared."""

import asyncio

from artcafe.server.api.readiness import FAILURES, FRESH_SECONDS, SUCCESSES, Readiness, RecentAnswers
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

AWAY = "The bus is away."


class Bus:
    """A dependency that is there, or not."""

    def __init__(self, *, there: bool = True) -> None:
        self.there = there

    async def check(self) -> None:
        if not self.there:
            raise ArtcafeError(Code.unavailable, AWAY)


async def told(readiness: Readiness, bus: Bus, *there: bool) -> list[str]:
    """What is told after each of these answers."""
    said = []
    for each in there:
        bus.there = each
        await readiness.probe()
        said.append((await readiness.answers())["bus"])
    return said


async def test_the_first_answer_counts_at_once() -> None:
    bus = Bus()
    readiness = Readiness({"bus": bus.check})
    assert await readiness.answers() == {"bus": "not asked yet"}
    assert await told(readiness, bus, True) == ["ok"]
    assert await told(Readiness({"bus": bus.check}), bus, False) == [AWAY]


async def test_a_hiccup_changes_nothing_and_failures_in_a_row_do() -> None:
    bus = Bus()
    readiness = Readiness({"bus": bus.check})
    await told(readiness, bus, True)
    for _ in range(3):
        assert await told(readiness, bus, *[False] * (FAILURES - 1), True) == ["ok"] * FAILURES
    assert await told(readiness, bus, *[False] * FAILURES) == ["ok"] * (FAILURES - 1) + [AWAY]


async def test_what_was_away_has_to_answer_more_than_once() -> None:
    bus = Bus(there=False)
    readiness = Readiness({"bus": bus.check})
    await readiness.probe()
    assert await told(readiness, bus, *[True] * (SUCCESSES - 1), False) == [AWAY] * SUCCESSES
    assert await told(readiness, bus, *[True] * SUCCESSES) == [AWAY] * (SUCCESSES - 1) + ["ok"]


async def test_the_processs_own_state_is_told_at_once() -> None:
    bus, own = Bus(), Bus()
    readiness = Readiness({"bus": bus.check}, at_once={"server": own.check})
    await readiness.probe()
    assert await readiness.answers() == {"server": "ok", "bus": "ok"}
    own.there = False
    assert await readiness.answers() == {"server": AWAY, "bus": "ok"}


class TestRecentAnswers:
    async def test_who_waits_while_they_are_asked_gets_the_same_answers(self) -> None:
        now, asked, answered = 0.0, 0, asyncio.Event()

        async def slow() -> None:
            nonlocal asked
            asked += 1
            await answered.wait()

        recent = RecentAnswers({"store": slow}, lambda: now)
        waiting = []
        for _ in range(5):
            waiting.append(asyncio.create_task(recent.answers()))
            await asyncio.sleep(0)
            now += FRESH_SECONDS / 5
        now = 2.0
        answered.set()

        assert await asyncio.gather(*waiting) == [{"store": "ok"}] * 5
        assert asked == 1
        await recent.answers()
        assert asked == 2

    async def test_who_leaves_while_they_are_asked_leaves_the_question_to_the_next(self) -> None:
        answered = asyncio.Event()

        async def slow() -> None:
            await answered.wait()

        recent = RecentAnswers({"store": slow}, lambda: 0.0)
        first, second = (asyncio.create_task(recent.answers()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        answered.set()

        assert await second == {"store": "ok"}
