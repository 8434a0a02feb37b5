"""Metrics as a dictionary."""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families


def values(metrics: Iterable[Metric]) -> dict[str, float]:
    """Each sample's value by its name and labels, written as Prometheus does: `name{label="value"}`."""
    found = {}
    for metric in metrics:
        for sample in metric.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert name not in found, f"{name} is told twice"
            found[name] = float(sample.value)
    return found


def parsed(text: str) -> dict[str, float]:
    """The same of what `/metrics` answers."""
    return values(text_string_to_metric_families(text))
