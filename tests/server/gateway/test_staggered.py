"""Sending many away without sending them all at once to somebody else."""

import asyncio
import itertools
from typing import cast

import pytest

from artcafe.server.gateway.sessions.connection import Connection
from artcafe.server.gateway.staggered import LONGEST_STEP, each, stagger


class Named:
    def __init__(self, name: int) -> None:
        self.id = f"c{name}"


def many(count: int) -> list[Connection]:
    return [cast("Connection", Named(number)) for number in range(count)]


async def test_all_come_once_in_an_order_by_chance_over_the_time_that_was_given() -> None:
    loop = asyncio.get_running_loop()
    connections, seen = many(100), list[tuple[float, Connection]]()
    numbers = itertools.cycle([0.7, 0.1, 0.4, 0.9, 0.2])
    began = loop.time()
    await stagger(
        connections, lambda each: seen.append((loop.time() - began, each)), 0.2, lambda: next(numbers)
    )
    assert sorted(each.id for _, each in seen) == sorted(each.id for each in connections)
    assert [each for _, each in seen] != connections
    # No earlier than its turn: the first half of them does not come in the first third.
    assert sum(at < 0.06 for at, _ in seen) <= 33


async def test_a_few_do_not_wait() -> None:
    loop = asyncio.get_running_loop()
    seen: list[float] = []
    began = loop.time()
    await stagger(many(3), lambda _: seen.append(loop.time() - began), 60.0, lambda: 0.5)
    early = 0.002  # Timers of the event loop count in milliseconds.
    assert [at >= number * LONGEST_STEP - early for number, at in enumerate(seen)] == [True] * 3
    assert seen[-1] < 5
    await stagger([], lambda _: seen.append(0), 60.0, lambda: 0.5)
    assert len(seen) == 3


async def test_a_fault_of_one_protects_no_other(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    def act(connection: Connection) -> None:
        if connection.id == "c1":
            raise RuntimeError("broken")
        seen.append(connection.id)

    each(many(3), act)
    assert seen == ["c0", "c2"]
    await stagger(many(3), act, 0.001, lambda: 0.0)
    assert seen == ["c0", "c2", "c0", "c2"]
    assert [record.message for record in caplog.records] == ["fault in connection c1"] * 2
