"""What is measured is there when somebody asks, and nothing else."""

from artcafe.server.telemetry import names
from artcafe.server.telemetry.instruments import Instruments, metric_of, one
from tests.kit.metrics import values


def test_counters_and_histograms_are_told_as_they_are_now() -> None:
    instruments = Instruments()
    throttled = instruments.counter(names.THROTTLED)
    round_trip = instruments.histogram(names.BUS_ROUND_TRIP)
    throttled.labels("flooding").inc()
    throttled.labels("flooding").inc()
    round_trip.observe(0.002)
    found = values(instruments.collect())
    assert found['artcafe_throttled_total{code="flooding"}'] == 2
    assert found['artcafe_bus_round_trip_seconds_bucket{le="0.001"}'] == 0
    assert found['artcafe_bus_round_trip_seconds_bucket{le="0.0025"}'] == 1
    assert found["artcafe_bus_round_trip_seconds_count"] == 1


def test_a_source_is_read_each_time() -> None:
    instruments = Instruments()
    now = [1.0]
    instruments.source(lambda: [(names.TENANTS, one(now[0]))])
    assert values(instruments.collect())["artcafe_connected_tenants"] == 1
    now[0] = 7.0
    assert values(instruments.collect())["artcafe_connected_tenants"] == 7


def test_the_process_is_measured_and_no_times_of_creation_are_told() -> None:
    instruments = Instruments()
    instruments.counter(names.SLOW_CONSUMERS).inc()
    found = values(instruments.collect())
    assert found["process_resident_memory_bytes"] > 0
    assert not [name for name in found if "_created" in name]


def test_a_counter_is_named_with_its_total_and_a_gauge_without() -> None:
    counter = metric_of(names.BUS_GAPS, one(3))
    gauge = metric_of(names.CONNECTIONS, {("agent", "starter"): 2.0})
    assert (counter.type, counter.samples[0].name) == ("counter", "artcafe_bus_gaps_total")
    assert (gauge.type, gauge.samples[0].labels) == ("gauge", {"kind": "agent", "plan": "starter"})


def test_two_platforms_in_one_process_do_not_meet() -> None:
    one_of_them, other = Instruments(), Instruments()
    one_of_them.counter(names.SLOW_CONSUMERS).inc()
    assert values(other.collect()).get("artcafe_slow_consumers_total") is None
