"""A whole platform that may open few files, and a client that opens as many sockets as it can."""

import resource
import socket
from contextlib import ExitStack
from pathlib import Path

import httpx

from artcafe.server.serving import connection_bounds
from artcafe.server.settings import load
from tests.kit.platform import RunningPlatform, running_platform

FILES = 300
GREEDY, NEIGHBOUR = "127.0.0.1", "127.0.0.2"

STARTS = (
    b"",
    b"GET /livez HTTP/1.1\r\n",
    b"POST /api/v1/tenants HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{",
)


def asked(platform: RunningPlatform, local: str) -> int:
    with httpx.Client(transport=httpx.HTTPTransport(local_address=local), timeout=15.0) as client:
        return client.get(f"{platform.url}/livez").status_code


def test_sockets_that_say_nothing_lock_nobody_out(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, before[1]))
        try:
            platform = stack.enter_context(running_platform(tmp_path / "data"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        port = int(platform.url.rpartition(":")[2])
        for number in range(FILES + 100):
            silent = stack.enter_context(socket.create_connection((GREEDY, port), 10))
            silent.sendall(STARTS[number % len(STARTS)])
        opened = len(list(Path(f"/proc/{platform.process.pid}/fd").iterdir()))
        for local in (GREEDY, NEIGHBOUR):
            assert [asked(platform, local) for _ in range(5)] == [200] * 5
    assert opened < FILES


def test_bounds_come_from_the_files_a_process_may_open() -> None:
    settings = load()
    assert connection_bounds(settings, 300) == (236, 118)
    assert connection_bounds(settings, 1024) == (896, 448)
    assert connection_bounds(settings, 524_288) == (458_752, 229_376)
    assert connection_bounds(settings, resource.RLIM_INFINITY) == connection_bounds(settings, 1_048_576)
    assert connection_bounds(settings, 10) == (8, 4)
    given = load(max_connections=5000, max_connections_per_address=100)
    assert connection_bounds(given, 1024) == (5000, 100)
