"""What Prometheus gets."""

import httpx
import pytest
from prometheus_client.metrics_core import Metric

from artcafe.server.telemetry import names
from artcafe.server.telemetry.exposition import Exposition
from artcafe.server.telemetry.instruments import metric_of, one
from tests.kit.metrics import parsed


async def collect() -> list[Metric]:
    return [metric_of(names.PUBLISHED_MESSAGES, one(3))]


@pytest.fixture
def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(Exposition(collect)), base_url="http://metrics")


async def test_the_text_format_is_what_anybody_gets(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert "# TYPE artcafe_published_messages_total counter" in answer.text
    assert parsed(answer.text) == {"artcafe_published_messages_total": 3}


async def test_openmetrics_is_for_whoever_prefers_it(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


async def test_a_head_gets_no_other_answer(client: httpx.AsyncClient) -> None:
    assert (await client.head("/metrics")).status_code == 200


async def test_there_is_nothing_else(client: httpx.AsyncClient) -> None:
    assert (await client.get("/")).status_code == 404
    assert (await client.get("/api/v1/tenants")).status_code == 404
    assert (await client.post("/metrics")).status_code == 405
