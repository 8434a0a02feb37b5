"""The names of metrics keep Prometheus' conventions, and are made by somebody."""

import re

import pytest

from artcafe.server.telemetry import names
from artcafe.server.telemetry.names import METRICS, Kind, MetricName
from tests.kit.tree import ROOT, SOURCE

UNITS = ("_seconds", "_bytes", "_messages", "_info")


def test_each_is_in_the_table_once() -> None:
    declared = [value for value in vars(names).values() if isinstance(value, MetricName)]
    assert sorted(each.name for each in METRICS) == sorted(each.name for each in declared)
    assert len({each.name for each in METRICS}) == len(METRICS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_says_the_type_and_the_unit(metric: MetricName) -> None:
    assert re.fullmatch(r"artcafe_[a-z0-9_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.counter)
    if metric.kind is Kind.histogram:
        assert metric.name.endswith("_seconds")
    assert bool(metric.buckets) == (metric.kind is Kind.histogram)
    assert list(metric.buckets) == sorted(metric.buckets)
    assert metric.meaning.endswith(".")
    assert not re.search(r"_(ms|milliseconds|kb|mb|percent)(_|$)", metric.name)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_label_has_a_bound(metric: MetricName) -> None:
    assert not set(metric.labels) & {
        "tenant",
        "agent",
        "human",
        "user",
        "channel",
        "address",
        "subject",
        "le",
    }
    assert all(metric.labels.values()), "it says which values there are"


def test_each_is_used() -> None:
    code = "".join(path.read_text() for path in (SOURCE / "server").rglob("*.py"))
    constants = {key for key, value in vars(names).items() if isinstance(value, MetricName)}
    assert not [constant for constant in constants if f"names.{constant}" not in code]


def test_the_page_names_each() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert not [each.name for each in METRICS if f"| `{each.name}` |" not in page]
