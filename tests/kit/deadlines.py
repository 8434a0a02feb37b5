"""Waiting for what happens soon, but not at once."""

import asyncio
import time
from collections.abc import Callable

PATIENCE = 30.0
"""Seconds after which what does not happen is taken to hang, on a machine that is busy with other work too.
What fails takes as long; what passes takes none of it."""


async def eventually(condition: Callable[[], object], what: str = "it", seconds: float = PATIENCE) -> None:
    """Return as soon as the condition holds; AssertionError when it does not within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        await asyncio.sleep(0.002)
