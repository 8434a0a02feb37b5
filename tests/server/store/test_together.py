"""Many calls, some at once: in order, bounded, and none left running when one fails."""

import asyncio

import pytest

from artcafe.server.store.together import together


async def test_so_many_are_under_way_at_once_and_all_are_done_in_order() -> None:
    begun: list[int] = []
    running = most = 0

    async def work(number: int) -> None:
        nonlocal running, most
        begun.append(number)
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    await together(work, range(10), 3)

    assert begun == list(range(10))
    assert most == 3


async def test_nothing_is_done_with_nothing() -> None:
    async def work(_: int) -> None:
        raise AssertionError

    await together(work, [], 3)


async def test_after_a_failure_nothing_more_is_begun_and_what_was_begun_is_finished() -> None:
    begun: list[int] = []
    finished: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise OSError("it failed")
        await asyncio.sleep(0)
        finished.append(number)

    with pytest.raises(OSError, match="it failed"):
        await together(work, range(10), 2)

    assert begun == [0, 1]
    assert finished == [0]
