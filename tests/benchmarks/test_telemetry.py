"""What the comparison with and without metrics says of its figures."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Semaphore, Thread

import httpx
import pytest

from benchmarks import telemetry
from benchmarks.figures import Figure
from benchmarks.measure import machine
from benchmarks.telemetry import scraped, text
from tests.kit.deadlines import PATIENCE


@contextmanager
def answering(status: int) -> Iterator[tuple[int, Semaphore]]:
    """A server that answers everything with this status; its port, and what is released with each request for
    the metrics."""
    asked = Semaphore(0)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/metrics" else 404)
            self.end_headers()
            asked.release()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, asked
        server.shutdown()
        thread.join()


def test_metrics_are_asked_for_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "SCRAPE_SECONDS", 0.01)
    with answering(200) as (port, asked), scraped(port):
        for _ in range(2):
            assert asked.acquire(timeout=PATIENCE)


def test_a_scrape_that_fails_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "SCRAPE_SECONDS", 0.01)
    with answering(500) as (port, asked), pytest.raises(httpx.HTTPStatusError), scraped(port):
        asked.acquire(timeout=PATIENCE)


def test_the_table_has_both_and_their_ratio() -> None:
    table = text({"1→1": (Figure(1.02, 0.98, 1.1), [[5.0, 6.0, 7.0], [6.1, 6.2, 6.3]])}, machine())
    assert "| 1→1 | 6.00 | 6.20 | 1.020 (0.98 to 1.10) |" in table
