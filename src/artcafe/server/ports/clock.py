"""The clock, passed in."""

from typing import Protocol


class Clock(Protocol):
    """The time, passed in."""

    def now(self) -> float:
        """Seconds since the Unix epoch."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
