"""Metrics of several processes of one server, merged into those of the server.

Counters and histograms are added up, and what a process counted that ended stays in the sums: a counter never
goes back. Gauges are of the processes that run, and merged as their names say (`names.Across`); those of a
process that ended are gone.
"""

from collections.abc import Iterable, Sequence

import msgspec
from prometheus_client.metrics_core import Metric

from artcafe.server.telemetry.names import METRICS, Across, MetricName

_Key = tuple[str, tuple[tuple[str, str], ...]]
_NEVER_ADDED = {"process_start_time_seconds": Across.max}
"""Gauges that prometheus-client itself makes, and that are not added up."""


class Sample(msgspec.Struct, array_like=True, frozen=True):
    """One value."""

    name: str
    labels: dict[str, str]
    value: float


class Family(msgspec.Struct, array_like=True, frozen=True):
    """The samples of one metric."""

    name: str
    kind: str
    meaning: str
    samples: list[Sample]


Report = list[Family]
"""All metrics of one process."""


def report_of(metrics: Iterable[Metric]) -> Report:
    """Metrics as they travel between processes."""
    return [
        Family(
            metric.name,
            metric.type,
            metric.documentation,
            [Sample(each.name, dict(each.labels), each.value) for each in metric.samples],
        )
        for metric in metrics
    ]


class Merging:
    """The metrics of one server: of its processes that run, and the counters of those that ended."""

    def __init__(self) -> None:
        self._ended: list[Family] = []

    def end(self, report: Report) -> None:
        """A process ended; this is the last that it told."""
        counted = [family for family in report if family.kind != "gauge"]
        self._ended = report_of(_merged([self._ended, counted]))

    def merged(self, running: Sequence[Report]) -> list[Metric]:
        """The metrics of the server, where these are of the processes that run."""
        return _merged([self._ended, *running])


def _merged(reports: Iterable[Report]) -> list[Metric]:
    across = {_base(name): name.across for name in METRICS} | _NEVER_ADDED
    metrics: dict[str, Metric] = {}
    values: dict[str, dict[_Key, float]] = {}
    for report in reports:
        for family in report:
            metrics.setdefault(family.name, Metric(family.name, family.meaning, family.kind))
            found = values.setdefault(family.name, {})
            how = across.get(family.name, Across.sum)
            for sample in family.samples:
                key = (sample.name, tuple(sample.labels.items()))
                found[key] = _join(how, found[key], sample.value) if key in found else sample.value
    for name, metric in metrics.items():
        for (sample_name, labels), value in values[name].items():
            metric.add_sample(sample_name, dict(labels), value)
    return list(metrics.values())


def _join(how: Across, one: float, other: float) -> float:
    match how:
        case Across.sum:
            return one + other
        case Across.max:
            return max(one, other)
        case Across.min:
            return min(one, other)


def _base(name: MetricName) -> str:
    return name.name.removesuffix("_total")
