"""Schedules the recheck of every connection's rights: once a minute, and on demand."""

import math
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

RECHECK_SECONDS = 60.0
"""How long after a round the next one begins of itself: a word that was told is lost now and then."""


class Rechecks:
    """One round of questions at a time: RECHECK_SECONDS after the last one, and at once where words may have
    been missed. Whoever owns it calls `tick` every second or so."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[None]],
        monotonic: Callable[[], float],
        start: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """`ask` asks about everybody, `monotonic` gives seconds, and `start` runs work as a task."""
        self._ask = ask
        self._monotonic = monotonic
        self._start = start
        self._asking = False
        self._due = monotonic() + RECHECK_SECONDS

    def tick(self) -> None:
        """Begin a round if one is due."""
        if not self._asking and self._monotonic() >= self._due:
            self._asking, self._due = True, math.inf
            self._start(self._round())

    def hurry(self) -> None:
        """Begin a round now, or when the one that is under way has ended: it may have asked too early."""
        self._due = -math.inf
        self.tick()

    async def _round(self) -> None:
        try:
            await self._ask()
        finally:
            self._asking = False
            self._due = min(self._due, self._monotonic() + RECHECK_SECONDS)
