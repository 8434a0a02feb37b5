"""Few noisy measurements of one thing: what may be said of them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of some runs, and the lowest and highest of them."""

    median: float
    low: float
    high: float

    @property
    def noise(self) -> float:
        """Half of what lies between the runs, as a share of their median; 0.0 for a median of 0."""
        return (self.high - self.low) / 2 / self.median if self.median else 0.0


def figure(runs: Sequence[float]) -> Figure:
    """Sum up the runs of one thing. Raises ValueError for none."""
    if not runs:
        raise ValueError("nothing was measured")
    return Figure(statistics.median(runs), min(runs), max(runs))


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> Figure:
    """theirs : ours, pair by pair: what disturbs the machine for a while disturbs both of a round.

    Raises ValueError unless both have the same rounds.
    """
    return figure([one / other for one, other in zip(theirs, ours, strict=True)])


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that a share (0 to 1) of the ordered values does not exceed. Raises ValueError for none."""
    if not ordered:
        raise ValueError("nothing was measured")
    rank = -int(-share * len(ordered) // 1)
    return ordered[max(rank, 1) - 1]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """How fast the second value grows with the first: the median over all pairs of points (Theil and Sen).

    A few points that lie anywhere do not move it. Raises ValueError for fewer than two.
    """
    pairs = combinations(sorted(points), 2)
    found = [
        (after - before) / (later - sooner) for (sooner, before), (later, after) in pairs if later > sooner
    ]
    if not found:
        raise ValueError("nothing was measured")
    return statistics.median(found)
