"""Each alert fires when what it is for happens, and none does while all is well, by Prometheus' promtool."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.kit.tree import ROOT

RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
SAMPLES = 45
"""One each minute, until every alert has waited for as long as it does."""

SERVER = 'instance="s1", job="artcafe"'


def counts(name: str, a_second: float, **labels: str) -> dict[str, str]:
    """A counter that goes up."""
    return {"series": _series(name, labels), "values": f"0+{a_second * 60:g}x{SAMPLES}"}


def stays(name: str, value: float, **labels: str) -> dict[str, str]:
    """A gauge."""
    return {"series": _series(name, labels), "values": f"{value:g}x{SAMPLES}"}


def takes(name: str, seconds: str, **labels: str) -> list[dict[str, str]]:
    """A histogram of which nine in ten are quick, where all that is slower is in the bucket `seconds`."""
    return [
        counts(f"{name}_bucket", 1, le="0.001", **labels),
        counts(f"{name}_bucket", 1, le="0.05", **labels),
        counts(f"{name}_bucket", 10, le=seconds, **labels),
        counts(f"{name}_bucket", 10, le="+Inf", **labels),
    ]


def _series(name: str, labels: dict[str, str]) -> str:
    given = "".join(f', {label}="{value}"' for label, value in labels.items())
    return f"{name}{{{SERVER}{given}}}"


FIRES: dict[str, list[dict[str, str]]] = {
    "ArtcafeServerDown": [stays("up", 0)],
    "ArtcafeWorkerMissing": [stays("artcafe_workers", 1), stays("artcafe_workers_wanted", 2)],
    "ArtcafeDependencyDown": [stays("artcafe_dependency_up", 0, dependency="bus")],
    "ArtcafeBusGaps": [counts("artcafe_bus_gaps_total", 0.01)],
    "ArtcafeBusSlow": takes("artcafe_bus_round_trip_seconds", "1.0"),
    "ArtcafeStoreErrors": [
        counts("artcafe_store_errors_total", 1, operation="put", error="unwritable"),
    ],
    "ArtcafeStoreSlow": takes("artcafe_store_operation_duration_seconds", "1.0", operation="get"),
    "ArtcafeEventLoopStalled": [stays("artcafe_event_loop_longest_stall_seconds", 3)],
    "ArtcafeOverloaded": takes("artcafe_event_loop_lag_seconds", "0.25"),
    "ArtcafeDeliverySlow": takes("artcafe_delivery_latency_seconds", "1.0"),
    "ArtcafeApiErrors": [
        counts("artcafe_http_requests_total", 1, status="5xx"),
        counts("artcafe_http_requests_total", 20, status="2xx"),
    ],
    "ArtcafeApiSlow": takes("artcafe_http_request_duration_seconds", "10.0", route="/x"),
    "ArtcafeLoginsRefused": [
        counts("artcafe_login_refusals_total", 3, reason="unknown_agent"),
        counts("artcafe_logins_total", 1, way="websocket"),
    ],
    "ArtcafeConnectionsRefused": [
        counts("artcafe_connection_refusals_total", 1, reason="too_many_connections"),
    ],
    "ArtcafeSlowConsumers": [counts("artcafe_slow_consumers_total", 0.1)],
    "ArtcafeDiskOfBusFull": [
        stays("artcafe_jetstream_storage_bytes", 85),
        stays("artcafe_jetstream_limit_bytes", 100),
    ],
    "ArtcafeDiskOfBusReserved": [
        stays("artcafe_jetstream_reserved_bytes", 95),
        stays("artcafe_jetstream_limit_bytes", 100),
    ],
    "ArtcafeSubscriptionsBehind": [stays("artcafe_durable_subscription_longest_lag_messages", 20_000)],
    "ArtcafeStoringFails": [
        counts("artcafe_log_events_total", 0.01, event="storing_failed", level="error"),
    ],
    "ArtcafeErrorsLogged": [
        counts("artcafe_log_events_total", 0.01, event="record_unreadable", level="error"),
    ],
    "ArtcafeFilesRunOut": [stays("process_open_fds", 900), stays("process_max_fds", 1000)],
}

WELL = [
    stays("up", 1),
    stays("artcafe_workers", 2),
    stays("artcafe_workers_wanted", 2),
    stays("artcafe_dependency_up", 1, dependency="bus"),
    stays("artcafe_bus_gaps_total", 5),
    *takes("artcafe_bus_round_trip_seconds", "0.001"),
    counts("artcafe_store_errors_total", 5, operation="put", error="conflict"),
    *takes("artcafe_store_operation_duration_seconds", "0.001", operation="get"),
    stays("artcafe_event_loop_longest_stall_seconds", 0.1),
    *takes("artcafe_event_loop_lag_seconds", "0.001"),
    *takes("artcafe_delivery_latency_seconds", "0.001"),
    counts("artcafe_http_requests_total", 20, status="4xx"),
    *takes("artcafe_http_request_duration_seconds", "0.001", route="/x"),
    counts("artcafe_login_refusals_total", 3, reason="unknown_agent"),
    counts("artcafe_logins_total", 30, way="websocket"),
    counts("artcafe_connection_refusals_total", 1, reason="bad_request"),
    counts("artcafe_slow_consumers_total", 0.001),
    stays("artcafe_jetstream_storage_bytes", 10),
    stays("artcafe_jetstream_reserved_bytes", 50),
    stays("artcafe_jetstream_limit_bytes", 100),
    stays("artcafe_durable_subscription_longest_lag_messages", 5),
    counts("artcafe_log_events_total", 3, event="login_refused", level="warning"),
    stays("process_open_fds", 100),
    stays("process_max_fds", 1000),
]


def alerts() -> list[str]:
    return re.findall(r"- alert: (\w+)", RULES.read_text())


def promtool(*words: str) -> None:
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def after_a_while(name: str, series: list[dict[str, str]], *expected: str) -> dict[str, Any]:
    """A test of promtool's: these alerts fire, once each, and no other one."""
    fires = {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": "40m",
        "exp_samples": [{"labels": f'{{alertname="{each}"}}', "value": 1} for each in expected],
    }
    return {"name": name, "interval": "1m", "input_series": series, "promql_expr_test": [fires]}


def test_the_rules_and_the_configuration_are_sound() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    promtool("check", "config", str(RULES.parent / "prometheus.yml"))


def test_every_alert_is_tried_here_and_explained_to_operators() -> None:
    assert alerts() == list(FIRES)
    page = (ROOT / "docs" / "operating.md").read_text()
    assert not [name for name in alerts() if f"| `{name}` |" not in page]


def test_an_alert_fires_for_what_it_is_for_no_other_one_does_and_none_while_all_is_well(
    tmp_path: Path,
) -> None:
    tests = [after_a_while(name, series, name) for name, series in FIRES.items()]
    tests.append(after_a_while("all is well", WELL))
    path = tmp_path / "test.yml"  # What is JSON is YAML.
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", str(path))
