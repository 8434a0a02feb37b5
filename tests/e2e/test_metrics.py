"""`/metrics` of a server of two processes, seen from outside, beside what its clients counted themselves."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from artcafe import Client
from artcafe.wire.errors import ArtcafeError
from tests.kit.deadlines import eventually
from tests.kit.platform import RunningPlatform, running_platform
from tests.kit.processes import descendants
from tests.kit.scraping import metrics_url, scrape
from tests.kit.ssh_keys import make_key

SECONDS = 30.0
AGENTS, MESSAGES = 6, 20
TENANT = "acme"

PUBLISHED, DELIVERED = "artcafe_published_messages_total", "artcafe_delivered_messages_total"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    folder = tmp_path_factory.mktemp("metrics")
    settings = {"ARTCAFE_METRICS_PORT": "0"}
    with running_platform(folder / "data", "--workers", "2", settings=settings) as running:
        running.make_tenant(TENANT, allow_client_challenge=True)
        for number in range(AGENTS):
            running.make_agent(TENANT, f"a{number}", make_key(folder, name=f"a{number}"))
        yield running


def keys(platform: RunningPlatform) -> list[Path]:
    return [platform.data_dir.parent / f"a{number}" for number in range(AGENTS)]


def agents(found: dict[str, float]) -> float:
    return sum(value for name, value in found.items() if name.startswith('artcafe_connections{kind="agent"'))


async def test_the_numbers_are_what_clients_counted_over_both_processes(platform: RunningPlatform) -> None:
    clients = [
        Client(platform.ws, tenant=TENANT, agent=f"a{number}", key=key)
        for number, key in enumerate(keys(platform))
    ]
    received = 0
    for client in clients:
        await client.connect()
    try:
        subscriptions = [await client.subscribe("news") for client in clients]
        found = scrape(platform)
        assert agents(found) == AGENTS
        assert found['artcafe_logins_total{way="websocket"}'] == AGENTS
        assert found["artcafe_workers"] == found["artcafe_workers_wanted"] == 2
        for client in clients:
            for number in range(MESSAGES):
                await client.publish("news", number)
        for subscription in subscriptions:
            async for _ in subscription:
                received += 1
                if received % (AGENTS * MESSAGES) == 0:
                    break
        await eventually(lambda: scrape(platform)[DELIVERED] == received, f"{received} delivered", SECONDS)
        found = scrape(platform)
        assert found[PUBLISHED] == AGENTS * MESSAGES
        assert (
            found["artcafe_published_bytes_total"]
            == sum(len(str(number)) for number in range(MESSAGES)) * AGENTS
        )
        assert found["artcafe_delivery_latency_seconds_count"] >= 1
    finally:
        for client in clients:
            await client.close()
    await eventually(lambda: agents(scrape(platform)) == 0, "nobody is connected", SECONDS)


async def test_a_refused_login_is_counted_by_its_true_reason(
    platform: RunningPlatform, tmp_path: Path
) -> None:
    stranger = Client(platform.ws, tenant=TENANT, agent="a0", key=make_key(tmp_path, name="stranger"))
    with pytest.raises(ArtcafeError):
        await stranger.connect()
    refusals = {name: value for name, value in scrape(platform).items() if "login_refusals" in name}
    assert sum(refusals.values()) == 1
    assert 'way="websocket"' in next(iter(refusals))


async def test_counters_go_on_when_a_worker_is_killed_and_its_gauges_are_gone(
    platform: RunningPlatform,
) -> None:
    before = scrape(platform)
    workers = descendants(platform.process.pid, "artcafe.server.worker")
    os.kill(workers.pop(), signal.SIGKILL)
    await eventually(lambda: scrape(platform)["artcafe_workers"] == 1, "one is gone", SECONDS)
    during = scrape(platform)
    assert during[PUBLISHED] == before[PUBLISHED]
    assert during["process_resident_memory_bytes"] < before["process_resident_memory_bytes"]
    await eventually(lambda: scrape(platform)["artcafe_workers"] == 2, "another one is there", SECONDS)
    assert scrape(platform)[DELIVERED] == before[DELIVERED]


def test_the_port_of_the_api_does_not_tell_metrics(platform: RunningPlatform) -> None:
    assert httpx.get(f"{platform.url}/metrics").status_code == 404
    assert httpx.get(metrics_url(platform).replace("/metrics", "/health")).status_code == 404
    assert metrics_url(platform).startswith("http://127.0.0.1:")


def test_requests_are_there_by_route_and_no_label_names_a_tenant(platform: RunningPlatform) -> None:
    with platform.rest(TENANT) as rest:
        assert rest.get("/agents/a0").status_code == 200
        assert rest.get("/agents/nobody").status_code == 404
    found = scrape(platform)
    route = 'method="GET",route="/api/v1/agents/{agent_id}"'
    assert found[f'artcafe_http_requests_total{{{route},status="2xx"}}'] == 1
    assert found[f'artcafe_http_requests_total{{{route},status="4xx"}}'] == 1
    assert not [name for name in found if TENANT in name or "nobody" in name or "a0" in name]
