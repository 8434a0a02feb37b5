"""The delay before a reconnect: full-jitter exponential backoff, or the server's Retry-After."""

import random
from collections.abc import Callable
from dataclasses import dataclass

_LONGEST_HINT = 3600.0


@dataclass(slots=True)
class Backoff:
    """The delays of one client, in seconds.

    Each failure in a row doubles the ceiling, from `base` up to `cap`, and the delay is drawn evenly
    between zero and the ceiling, so that clients which lost the same server come back spread out.
    `draw` gives numbers in [0, 1).
    """

    base: float = 0.5
    cap: float = 30.0
    draw: Callable[[], float] = random.random
    failures: int = 0

    def delay(self, *, hint: float | None = None, planned: bool = False) -> float:
        """The delay before the next attempt.

        `planned` means that the server said it would go away: the delay is its hint, or without one
        a draw below `base`, and nothing grows. Otherwise it is the next backoff, on top of the hint
        where there is one. A hint counts for an hour at most.
        """
        wait = 0.0 if hint is None else min(max(hint, 0.0), _LONGEST_HINT)
        if planned:
            return wait if hint is not None else self.draw() * self.base
        # 2**32 seconds is past any cap; beyond it the power would only grow until it overflows.
        ceiling = min(self.cap, self.base * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return wait + self.draw() * ceiling

    def reset(self) -> None:
        """Begin at `base` again: the last connection lasted."""
        self.failures = 0
