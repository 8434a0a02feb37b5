"""What is measured, and what it should come to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """How many lanes there are, and how many subscribers each has."""

    title: str
    lanes: int
    receivers: int


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of load on a shape: `batch` messages at a time and lane, each of `size` bytes."""

    shape: Shape
    batch: int
    size: int

    @property
    def title(self) -> str:
        """Its name in tables and files."""
        kind = "paced" if self.batch == 1 else f"bursts of {self.batch}"
        return f"{self.shape.title} {kind}, {_bytes(self.size)}"


ONE = Shape("1→1", 1, 1)
FAN = Shape("1→100", 1, 100)
WIDE = Shape("1→1000", 1, 1000)
PAIRS = Shape("100→100 pairs", 100, 1)

SMALL, LARGE = 256, 8192

BURSTS = {SMALL: 32, LARGE: 8}
"""How many messages of a size are one burst: about as many as a socket's buffer takes at once."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: windows of `seconds`, `rounds` of each, and `idle` connections."""

    cases: tuple[Case, ...]
    latency: tuple[Shape, ...]
    idle: int
    rounds: int
    seconds: float
    without: frozenset[str] = frozenset()
    rest: bool = True

    @property
    def shapes(self) -> list[Shape]:
        """Every shape, once, in order."""
        return list(dict.fromkeys(case.shape for case in self.cases))


FULL = Plan(
    cases=tuple(
        Case(shape, batch, size)
        for shape in (ONE, FAN, WIDE, PAIRS)
        for size in (SMALL, LARGE)
        for batch in (1, BURSTS[size])
    ),
    latency=(ONE, FAN, PAIRS),
    idle=10_000,
    rounds=5,
    seconds=0.25,
)

ONE_BURSTS = Case(ONE, BURSTS[SMALL], SMALL)
FAN_PACED = Case(FAN, 1, SMALL)
FAN_BURSTS = Case(FAN, BURSTS[SMALL], SMALL)
PAIRS_PACED = Case(PAIRS, 1, SMALL)

HEADLINES = (ONE_BURSTS, FAN_PACED, FAN_BURSTS, PAIRS_PACED)
"""The cases that goals are about, and that the plot shows."""

QUICK = Plan(
    cases=HEADLINES,
    latency=(),
    idle=1_000,
    rounds=3,
    seconds=0.25,
    without=frozenset({"crossbar", "c-loop"}),
    rest=False,
)


@dataclass(frozen=True, slots=True)
class Goal:
    """theirs : ours of processor time per delivered message should be this, or more."""

    case: Case
    peer: str
    at_least: float


GOALS = (
    Goal(FAN_BURSTS, "nats-ws", 1.5),
    Goal(FAN_PACED, "nats-ws", 1.0),
    Goal(PAIRS_PACED, "nats-ws", 0.8),
    Goal(PAIRS_PACED, "plain", 4.0),
    Goal(PAIRS_PACED, "socket.io", 1.5),
    Goal(ONE_BURSTS, "nats-ws", 0.4),
)

LIGHTER_THAN = ("nats-ws", "socket.io")
"""An idle connection should take less memory than with these."""

LOGINS_PER_SECOND = 1000.0
"""What one core should do."""


def _bytes(size: int) -> str:
    return f"{size // 1024} KiB" if size >= 1024 else f"{size} B"
