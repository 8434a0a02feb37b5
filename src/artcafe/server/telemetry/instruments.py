"""Counters and histograms that are written to, and sources that are read when somebody asks."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from artcafe.server.telemetry.names import Kind, MetricName

Values = Mapping[tuple[str, ...], float]
"""A value for each combination of the labels' values, in the order of the metric's labels."""

Source = Callable[[], Iterable[tuple[MetricName, Values]]]
"""Gives current values. It is called in the event loop, and must not block or raise."""


class _Sources(Collector):
    """The sources, as a collector of prometheus-client."""

    def __init__(self) -> None:
        self.sources: list[Source] = []

    def collect(self) -> Iterator[Metric]:
        """The metrics of all sources."""
        for source in self.sources:
            for name, values in source():
                yield metric_of(name, values)


class Instruments:
    """The metrics of one process. Nothing of it is global; call it from the event loop."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._sources = _Sources()
        self._registry.register(self._sources)
        ProcessCollector(registry=self._registry)

    def counter(self, name: MetricName) -> Counter:
        """A counter that is counted up where the thing happens."""
        return Counter(name.name, name.meaning, tuple(name.labels), registry=self._registry)

    def histogram(self, name: MetricName) -> Histogram:
        """A histogram that is told of each observation."""
        return Histogram(
            name.name, name.meaning, tuple(name.labels), registry=self._registry, buckets=name.buckets
        )

    def source(self, source: Source) -> None:
        """Read this whenever somebody asks."""
        self._sources.sources.append(source)

    def collect(self) -> list[Metric]:
        """All metrics, as they are now, without the times at which prometheus-client made them."""
        found = []
        for metric in self._registry.collect():
            metric.samples = [each for each in metric.samples if not each.name.endswith("_created")]
            found.append(metric)
        return found


def metric_of(name: MetricName, values: Values) -> Metric:
    """A gauge or a counter with these values."""
    metric = Metric(name.name.removesuffix("_total"), name.meaning, name.kind.value)
    sample = name.name if name.kind is Kind.counter else metric.name
    for labels, value in values.items():
        metric.add_sample(sample, dict(zip(name.labels, labels, strict=True)), value)
    return metric


def one(value: float) -> Values:
    """The value of a metric without labels."""
    return {(): value}
