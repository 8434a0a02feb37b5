"""A real Prometheus scrapes a loaded server: every expression of dashboards and alerts finds its data."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from artcafe import Client
from artcafe.server.telemetry.names import METRICS
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.platform import RunningPlatform, running_platform
from tests.kit.prometheus import Prometheus, running_prometheus
from tests.kit.scraping import metrics_url
from tests.kit.ssh_keys import make_key
from tests.kit.tree import ROOT

SECONDS = 30.0
SETTINGS = {"ARTCAFE_METRICS_PORT": "0", "ARTCAFE_DEFAULT_TIER": "scale"}
"""With limits, which have a metric each where they are not unlimited."""
TENANT = "acme"
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARDS = [ROOT / "deploy" / "grafana" / name for name in ("operators.json", "tenant.json")]

VARIABLES = {"$__rate_interval": "10s", "$instance": ".+", "$job": "acme", "${datasource}": "x"}


def expressions(dashboard: Path) -> list[str]:
    """The expressions of a dashboard's panels, with values for its variables."""
    found = [
        target["expr"]
        for panel in json.loads(dashboard.read_text())["panels"]
        for target in panel.get("targets", [])
    ]
    assert found
    for variable, value in VARIABLES.items():
        found = [expression.replace(variable, value) for expression in found]
    assert not [expression for expression in found if "$" in expression]
    return found


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    folder = tmp_path_factory.mktemp("measured")
    with running_platform(folder / "data", settings=SETTINGS) as running:
        running.make_tenant(TENANT, allow_client_challenge=True)
        for name in ("planner", "worker"):
            running.make_agent(TENANT, name, make_key(folder, name=name))
        with running.rest(TENANT) as rest:
            channel = {"id": "jobs", "name": "jobs", "subject": "jobs.>", "durability": {"max_messages": 100}}
            assert rest.post("/channels", json=channel).status_code == 201
        yield running


@pytest.fixture(scope="module")
def prometheus(platform: RunningPlatform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    servers = {
        "job_name": "artcafe",
        "static_configs": [{"targets": [urlsplit(metrics_url(platform)).netloc]}],
    }
    members = {
        "job_name": TENANT,
        "metrics_path": f"/api/v1/tenants/{TENANT}/metrics",
        "authorization": {"credentials": platform.token()},
        "static_configs": [{"targets": [urlsplit(platform.url).netloc]}],
    }
    folder = tmp_path_factory.mktemp("prometheus")
    with running_prometheus(folder, [servers, members], [RULES]) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _load(platform: RunningPlatform, prometheus: Prometheus) -> Iterator[None]:
    """Agents that talk, and clients that are refused, in a thread, for as long as the tests run."""
    stopping = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        talking = thread.submit(lambda: asyncio.run(_talk(platform, stopping)))
        yield
        stopping.set()
        talking.result()


async def _talk(platform: RunningPlatform, stopping: threading.Event) -> None:
    keys = platform.data_dir.parent
    async with (
        Client(platform.ws, tenant=TENANT, agent="planner", key=keys / "planner") as planner,
        Client(platform.ws, tenant=TENANT, agent="worker", key=keys / "worker") as worker,
        await worker.subscribe("news") as news,
        await worker.subscribe("jobs.>", durable="workers") as jobs,
    ):
        while not stopping.is_set():
            await planner.publish("news", 1)
            await planner.publish("jobs.new", 1)
            assert (await anext(news)).data == 1
            await (await anext(jobs)).ack()
            stranger = Client(platform.ws, tenant=TENANT, agent="planner", key=keys / "worker")
            with pytest.raises(ArtcafeError):
                await stranger.connect()
            with platform.rest(TENANT) as rest:
                assert rest.get("/agents").status_code == 200
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
async def test_every_panel_of_a_dashboard_has_data(prometheus: Prometheus, dashboard: Path) -> None:
    missing = expressions(dashboard)

    def found() -> bool:
        # A rate needs two scrapes, the answer of JetStream a while.
        missing[:] = [
            expression
            for expression in missing
            if not [s for s in prometheus.query(expression) if s["value"][1] != "NaN"]
        ]
        return not missing

    try:
        await eventually(found, "data", SECONDS)
    finally:
        assert missing == []


async def test_prometheus_knows_each_metric_with_its_type(prometheus: Prometheus) -> None:
    """But those of several processes, and of what did not happen here."""
    elsewhere = {
        "artcafe_workers",
        "artcafe_workers_wanted",
        "artcafe_throttled_total",
        "artcafe_handshake_refusals_total",
        "artcafe_connection_refusals_total",
        "artcafe_store_errors_total",
        "artcafe_probe_failures_total",
    }

    def missing() -> set[str]:
        names = {series["metric"]["__name__"] for series in prometheus.query('{__name__=~"artcafe_.+"}')}
        bare = {re.sub(r"_(bucket|sum|count)$", "", name) if "seconds" in name else name for name in names}
        return {metric.name for metric in METRICS} - bare - elsewhere

    await eventually(lambda: not missing(), "all metrics", SECONDS)


async def test_every_alert_is_evaluated_and_none_fires(prometheus: Prometheus) -> None:
    await eventually(
        lambda: all(rule["health"] == "ok" for rule in prometheus.rules()), "all are evaluated", SECONDS
    )
    rules = prometheus.rules()
    assert len(rules) == RULES.read_text().count("- alert:")
    assert not [rule["name"] for rule in rules if rule["state"] == "firing"]
