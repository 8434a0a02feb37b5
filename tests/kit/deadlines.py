"""Waiting for what happens soon, but not at once."""

import asyncio
import time
from collections.abc import Callable


async def eventually(condition: Callable[[], object], what: str = "it", seconds: float = 5.0) -> None:
    """Return as soon as the condition holds; AssertionError when it does not within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        await asyncio.sleep(0.002)
