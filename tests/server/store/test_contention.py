"""One at a time in a process, pauses between processes, and numbers that many add to."""

import asyncio

import pytest

from artcafe.server.domain.ids import TenantId
from artcafe.server.store.contention import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MAX_WAIT_SECONDS,
    MAX_WAITING,
    SHARDS,
    TRIES,
    Line,
    Turns,
    pause,
    shard,
    total,
)
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.outcomes import refused

HERE, THERE = (TenantId("acme"), "AGENT#"), (TenantId("acme-2"), "AGENT#")


class Crowd:
    """Some who want a turn in one line: who had it, in order, and how many at once."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.had: list[int] = []
        self.inside = self.most_inside = 0
        self.go = asyncio.Event()

    async def want(self, number: int, line: Line = HERE) -> None:
        async with self.turns.turn(line):
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            await self.go.wait()
            self.had.append(number)
            self.inside -= 1

    async def waiting(self, *numbers: int) -> list[asyncio.Task[None]]:
        """Tasks that want it, in this order; each has come as far as it can."""
        tasks = []
        for number in numbers:
            tasks.append(asyncio.create_task(self.want(number)))
            await asyncio.sleep(0)
        return tasks


@pytest.fixture
def crowd() -> Crowd:
    return Crowd(Turns())


class TestTurns:
    async def test_one_at_a_time_has_it_in_the_order_of_coming(self, crowd: Crowd) -> None:
        tasks = await crowd.waiting(*range(5))
        crowd.go.set()
        await asyncio.gather(*tasks)

        assert (crowd.had, crowd.most_inside) == ([0, 1, 2, 3, 4], 1)

    async def test_nobody_waits_for_who_is_in_another_line(self, crowd: Crowd) -> None:
        tasks = await crowd.waiting(*range(5))

        async with crowd.turns.turn(THERE):
            assert crowd.had == []
            assert len(crowd.turns) == 2
        crowd.go.set()
        await asyncio.gather(*tasks)

    async def test_a_line_without_anybody_is_forgotten(self, crowd: Crowd) -> None:
        tasks = await crowd.waiting(1, 2)
        assert len(crowd.turns) == 1
        crowd.go.set()
        await asyncio.gather(*tasks)
        with pytest.raises(ZeroDivisionError):
            async with crowd.turns.turn(THERE):
                raise ZeroDivisionError

        assert len(crowd.turns) == 0

    @pytest.mark.parametrize("leaving", [0, 1, 2, 3])
    async def test_who_is_cancelled_leaves_the_line_with_the_turn_or_without(
        self, crowd: Crowd, leaving: int
    ) -> None:
        tasks = await crowd.waiting(*range(4))
        tasks[leaving].cancel()
        await asyncio.wait([tasks[leaving]])
        crowd.go.set()
        await asyncio.wait(tasks)

        assert crowd.had == [number for number in range(4) if number != leaving]
        assert len(crowd.turns) == 0

    async def test_who_is_cancelled_at_the_moment_its_turn_comes_passes_it_on(self, crowd: Crowd) -> None:
        tasks = await crowd.waiting(0, 1, 2)
        tasks[0].cancel()
        await asyncio.wait([tasks[0]])  # The turn is the second one's now, which does not know it yet.
        tasks[1].cancel()
        crowd.go.set()
        await asyncio.wait(tasks)

        assert crowd.had == [2]
        assert len(crowd.turns) == 0

    async def test_one_too_many_is_refused_at_once_and_only_in_this_line(self, crowd: Crowd) -> None:
        tasks = await crowd.waiting(*range(MAX_WAITING + 1))

        with refused(Code.unavailable) as refusal:
            await crowd.want(-1)
        assert refusal.error is not None
        assert refusal.error.retry_after == 1.0
        async with crowd.turns.turn(THERE):
            pass

        tasks[-1].cancel()
        await asyncio.wait(tasks[-1:])
        tasks += await crowd.waiting(-2)
        crowd.go.set()
        await asyncio.wait(tasks)
        assert crowd.had == [*range(MAX_WAITING), -2]

    async def test_who_waited_for_long_is_refused_and_the_line_goes_on(
        self, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = await crowd.waiting(0, 1)

        # The time of the event loop jumps to the end of the wait.
        loop = asyncio.get_running_loop()
        jumped = loop.time() + MAX_WAIT_SECONDS
        monkeypatch.setattr(loop, "time", lambda: jumped)
        await asyncio.wait([second])
        [third] = await crowd.waiting(2)
        crowd.go.set()
        await asyncio.wait([first, third])

        error = second.exception()
        assert isinstance(error, ArtcafeError)
        assert error.code is Code.unavailable
        assert crowd.had == [0, 2]


class TestPause:
    def test_it_grows_to_its_bound_and_chance_takes_any_part_of_it(self) -> None:
        longest = [pause(tried, 1.0) for tried in range(1, TRIES)]

        assert longest[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
        assert longest == sorted(longest)
        assert longest[-1] == pause(10_000, 1.0) == LONGEST_PAUSE
        assert [pause(tried, 0.0) for tried in range(1, TRIES)] == [0.0] * (TRIES - 1)
        assert pause(3, 0.25) == FIRST_PAUSE


class TestShards:
    def test_chance_reaches_every_counter_and_no_other(self) -> None:
        assert {shard("ALL", n / 1000) for n in range(1000)} == {f"ALL#{n:02}" for n in range(SHARDS)}
        assert shard("ALL", 1 - 2**-53) == f"ALL#{SHARDS - 1:02}"

    def test_a_number_is_the_sum_of_its_counters_and_of_the_one_there_was_before(self) -> None:
        counters = {"ALL": 100, "ALL#00": -7, "ALL#15": 1, "ALLY": 1000, "RULES#00": 5, "COUNT#A##03": 2}

        assert total(counters, "ALL") == 94
        assert total(counters, "RULES") == 5
        assert total(counters, "COUNT#A#") == 2
        assert total({}, "ALL") == 0
