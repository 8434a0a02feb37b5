"""Runs many store calls with bounded concurrency."""

from asyncio import gather
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def together(work: Callable[[T], Awaitable[object]], each: Iterable[T], at_once: int) -> None:
    """Do this with each, in their order, with so many under way at once.

    When one fails, nothing more is begun, and what was begun is finished before its exception is raised.
    """
    left = list(each)[::-1]

    async def some() -> None:
        while left:
            try:
                await work(left.pop())
            except BaseException:
                left.clear()
                raise

    for failure in await gather(*(some() for _ in left[:at_once]), return_exceptions=True):
        if failure is not None:
            raise failure
