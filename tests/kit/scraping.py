"""What a running platform answers at `/metrics`."""

import re

import httpx

from tests.kit.metrics import parsed
from tests.kit.platform import RunningPlatform

_SERVED = re.compile(r"metrics are served at (http://[^\s\"]+)")


def metrics_url(platform: RunningPlatform) -> str:
    """Where its metrics are, as it logged at its start."""
    said = _SERVED.search(platform.log.read_text())
    assert said is not None, platform.log.read_text()
    return said[1]


def scrape(platform: RunningPlatform) -> dict[str, float]:
    """Its metrics, as tests.kit.metrics.values."""
    answer = httpx.get(metrics_url(platform), timeout=10)
    assert answer.status_code == 200
    return parsed(answer.text)
