"""Rate-limits log lines: of alike lines the first are written, the others counted in a summary line.

The memory of it is bounded: a fixed number of keys, and what comes under further keys is counted together.
So is what is written: a token bucket holds for all lines of one `Folding`. Nothing is lost silently; each
line is either written or counted exactly once.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from artcafe.server.domain.rate import TokenBucket

T = TypeVar("T")

WINDOW_SECONDS = 60.0
"""How long lines that are alike are counted before their number is written."""

FIRST = 10
"""Lines of one key that are written in a window before they are counted."""

BURST_SECONDS = 20.0
"""Seconds' worth of the rate that may come at once."""


@dataclass(slots=True)
class Folded(Generic[T]):
    """Lines of one key that were counted and not written. `sample` is one of them; `others` says that they
    agree in their kind alone."""

    sample: T
    began: float
    written: int = 0
    count: int = 0
    others: bool = False


class Folding(Generic[T]):
    """Decides which lines are written. Times are monotonic seconds. Not for several threads at once."""

    def __init__(
        self,
        *,
        keys: int,
        per_second: float,
        first: int = FIRST,
        window: float = WINDOW_SECONDS,
    ) -> None:
        self._most_keys = keys
        self._first = first
        self._window = window
        self._per_second = per_second
        self._bucket: TokenBucket | None = None
        # In the order in which their windows began, so the oldest is the first.
        self._known: dict[Hashable, Folded[T]] = {}
        self._others: dict[Hashable, Folded[T]] = {}

    def admit(self, key: Hashable, kind: Hashable, sample: T, now: float) -> bool:
        """Whether a line is written; it is counted else. Ask `due` first. `kind` is one of few."""
        folded = self._known.get(key)
        if folded is None:
            if len(self._known) >= self._most_keys:
                self._count(self._others, kind, sample, now)
                return False
            folded = self._known[key] = Folded(sample, now)
        if folded.written < self._first and self._spend(now):
            folded.written += 1
            return True
        folded.count += 1
        return False

    def due(self, now: float) -> list[Folded[T]]:
        """The counts of windows that ended; they are removed."""
        return [*self._ended(self._known, now), *self._ended(self._others, now)]

    def rest(self) -> list[Folded[T]]:
        """The counts of all windows; all are removed."""
        return self.due(float("inf"))

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._known) + len(self._others)

    def _spend(self, now: float) -> bool:
        if self._bucket is None:
            self._bucket = TokenBucket(self._per_second, self._per_second * BURST_SECONDS, now)
        return self._bucket.spend(now) <= 0.0

    def _ended(self, windows: dict[Hashable, Folded[T]], now: float) -> list[Folded[T]]:
        ended = []
        while windows:
            key = next(iter(windows))
            if now - windows[key].began < self._window:
                break
            folded = windows.pop(key)
            if folded.count:
                ended.append(folded)
        return ended

    @staticmethod
    def _count(windows: dict[Hashable, Folded[T]], kind: Hashable, sample: T, now: float) -> None:
        folded = windows.setdefault(kind, Folded(sample, now, others=True))
        folded.count += 1
