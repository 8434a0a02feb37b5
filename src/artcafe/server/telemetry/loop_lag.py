"""Measures how late the event loop is: the time for which everything here waits."""

import asyncio
from collections.abc import Callable, Iterable

from artcafe.server.telemetry import names
from artcafe.server.telemetry.instruments import Instruments, Values, one
from artcafe.server.telemetry.names import MetricName

TICK_SECONDS = 0.1
"""How often it is measured."""

WINDOW_SECONDS = 60.0
"""The longest delay is told of this window and the one before."""


class LoopLag:
    """The lateness of a timer that is set again and again; `monotonic` gives seconds."""

    def __init__(self, instruments: Instruments, monotonic: Callable[[], float]) -> None:
        self._lag = instruments.histogram(names.LOOP_LAG)
        self._monotonic = monotonic
        self._began = monotonic()
        self._longest = self._before = 0.0
        instruments.source(self._values)

    def observe(self, late: float, now: float) -> None:
        """A timer came so many seconds late."""
        self._lag.observe(max(late, 0.0))
        if now - self._began >= WINDOW_SECONDS:
            self._before, self._longest, self._began = self._longest, 0.0, now
        self._longest = max(self._longest, late)

    async def run(self, tick: Callable[[], None]) -> None:
        """Measure until cancelled; `tick` is called each time."""
        while True:
            asked = self._monotonic()
            await asyncio.sleep(TICK_SECONDS)
            now = self._monotonic()
            self.observe(now - asked - TICK_SECONDS, now)
            tick()

    def _values(self) -> Iterable[tuple[MetricName, Values]]:
        yield names.LONGEST_STALL, one(max(self._longest, self._before))
