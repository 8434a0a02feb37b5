"""A deadline that moves with every request; a new timer is made only when one has to fire earlier."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """asyncio.TimerHandle."""

    def when(self) -> float:
        """The loop's time at which it fires."""

    def cancel(self) -> None:
        """It fires no more."""


class Loop(Protocol):
    """The used part of an event loop."""

    def time(self) -> float:
        """Seconds."""

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer:
        """Call it at that time."""


class Deadline:
    """Calls `late` once the loop's time reaches what was set last, unless it was switched off before."""

    __slots__ = ("_at", "_late", "_loop", "_timer")

    def __init__(self, loop: Loop, late: Callable[[], None]) -> None:
        self._loop = loop
        self._late = late
        self._at: float | None = None
        self._timer: Timer | None = None

    def set(self, seconds: float) -> None:
        """Call `late` in so many seconds, and forget what was set before."""
        self._at = at = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._fire)

    def off(self) -> None:
        """Call nobody."""
        self._at = None

    def end(self) -> None:
        """Call nobody, and keep nothing alive."""
        self._at = None
        self._late = _nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        if self._at is None:
            return
        if self._loop.time() < self._at:
            self._timer = self._loop.call_at(self._at, self._fire)
            return
        self._at = None
        self._late()


def _nothing() -> None:
    """It is over."""
