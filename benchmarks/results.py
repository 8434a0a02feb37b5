"""What a run found, and what follows from it for the goals."""

from dataclasses import dataclass, field

from benchmarks.cases import GOALS, LIGHTER_THAN, LOGINS_PER_SECOND, Case
from benchmarks.figures import Figure, figure, quantile, ratio
from benchmarks.measure import Machine

OURS = "artcafe"
BUS = "nats-server"
"""What the process of our bus calls itself."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One window: processor time of the server in µs a message, by process, and how fast it went.

    `generator` is the share of a core that the generator took.
    """

    parts: dict[str, float]
    per_second: float
    generator: float

    @property
    def cpu(self) -> float:
        """µs a message, of all processes together."""
        return sum(self.parts.values())

    @property
    def own(self) -> float:
        """µs a message, without the bus."""
        return self.cpu - self.parts.get(BUS, 0.0)


@dataclass(frozen=True, slots=True)
class Latency:
    """All windows at one rate together: µs that a share of the deliveries did not exceed."""

    per_second: float
    p50: float
    p99: float
    p999: float

    @classmethod
    def of(cls, per_second: float, microseconds: list[int]) -> "Latency":
        """Sum up the deliveries. Raises ValueError for none."""
        ordered = sorted(microseconds)
        return cls(per_second, quantile(ordered, 0.5), quantile(ordered, 0.99), quantile(ordered, 0.999))


Samples = dict[str, list[Sample]]
"""By peer; the samples of one round have the same place in each list."""


@dataclass(slots=True)
class Results:
    """Everything that was measured, round by round. `cases` is keyed by the case's title."""

    machine: Machine
    quick: bool
    peers: dict[str, str]
    left_out: dict[str, str] = field(default_factory=dict)
    cases: dict[str, Samples] = field(default_factory=dict)
    latency: dict[str, dict[str, Latency]] = field(default_factory=dict)
    logins: Samples = field(default_factory=dict)
    idle_bytes: dict[str, float] = field(default_factory=dict)
    idle_count: int = 0
    rest: Samples = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal, and how the run stands to it; `got` is None when it was not measured.

    `own` is the same ratio with our bus left out of ours: it is told, and no goal is met by it.
    """

    title: str
    wanted: str
    got: Figure | None
    met: bool | None
    own: Figure | None = None


def cpu(samples: list[Sample]) -> Figure:
    """µs a message."""
    return figure([sample.cpu for sample in samples])


def beside(samples: Samples, peer: str) -> Figure:
    """theirs : ours of processor time a message."""
    return ratio([sample.cpu for sample in samples[peer]], [sample.cpu for sample in samples[OURS]])


def verdicts(results: Results) -> list[Verdict]:
    """How the run stands to each goal."""
    return [*(_of_case(results, goal.case, goal.peer, goal.at_least) for goal in GOALS), *_others(results)]


def noise(results: Results) -> float:
    """How far the runs of one thing usually lie from their median: the median share over all figures."""
    found = [cpu(samples).noise for by_peer in results.cases.values() for samples in by_peer.values()]
    return figure(found).median


def _of_case(results: Results, case: Case, peer: str, at_least: float) -> Verdict:
    samples = results.cases.get(case.title, {})
    got = beside(samples, peer) if peer in samples and OURS in samples else None
    title = f"{case.title}: {results.peers.get(peer, peer)} : ours"
    if got is None:
        return Verdict(title, f"≥ {at_least:g}", None, None)
    own = ratio([each.cpu for each in samples[peer]], [each.own for each in samples[OURS]])
    return Verdict(title, f"≥ {at_least:g}", got, got.median >= at_least, own)


def _others(results: Results) -> list[Verdict]:
    told = []
    ours = results.idle_bytes.get(OURS)
    for peer in LIGHTER_THAN:
        theirs = results.idle_bytes.get(peer)
        got = None if not ours or theirs is None else figure([theirs / ours])
        title = f"memory of an idle connection: {results.peers.get(peer, peer)} : ours"
        told.append(Verdict(title, "> 1", got, None if got is None else got.median > 1.0))
    samples = results.logins.get(OURS)
    got = None if samples is None else figure([1e6 / sample.cpu for sample in samples])
    met = None if got is None else got.median >= LOGINS_PER_SECOND
    told.append(Verdict("SSHSIG logins a second of one core", f"≥ {LOGINS_PER_SECOND:g}", got, met))
    return told
