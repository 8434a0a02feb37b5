"""Whoever is refused by the head of a request gets the answer while the body is still at home."""

import socket
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.kit.platform import RunningPlatform

GIGABYTE = 1_000_000_000


def dialled(platform: RunningPlatform) -> socket.socket:
    parts = urlsplit(platform.url)
    assert parts.hostname is not None
    return socket.create_connection((parts.hostname, parts.port or 80), timeout=30)


def answered(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    got = b""
    while piece := connection.recv(65_536):
        got += piece
    return got


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    "body",
    [
        ("Content-Length: 1000000000",),
        ("Content-Length: 1000000000", "Expect: 100-continue"),
        ("Transfer-Encoding: chunked",),
        ("Transfer-Encoding: chunked", "Expect: 100-continue"),
    ],
)
@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/api/v1/agents", "garbage", 401),
        ("/api/v1/agents", None, 403),
        ("/api/v1/channels/tasks/messages", "garbage", 401),
        ("/nowhere", "garbage", 404),
        ("/health", "garbage", 405),
    ],
)
def test_no_byte_of_the_body_is_waited_for(
    platform: RunningPlatform, path: str, token: str | None, status: int, body: tuple[str, ...]
) -> None:
    token = token or platform.token()
    with closing(dialled(platform)) as connection:
        connection.sendall(head(path, f"Authorization: Bearer {token}", "X-Tenant-Id: nobodys-tenant", *body))

        got = answered(connection)

    assert got.startswith(f"HTTP/1.1 {status} ".encode()), got
    assert b"connection: close" in got
    assert b"100 Continue" not in got


def test_a_body_that_is_told_to_be_too_large_is_refused_at_once(platform: RunningPlatform) -> None:
    with closing(dialled(platform)) as connection:
        connection.sendall(head("/api/v1/agents/auth/challenge", f"Content-Length: {GIGABYTE}"))

        assert answered(connection).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_grows_too_large_is_refused_on_the_way(platform: RunningPlatform) -> None:
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    last = b"1001\r\n" + b"x" * 0x1001 + b"\r\n"
    with closing(dialled(platform)) as connection:
        connection.sendall(head("/api/v1/agents/auth/challenge", "Transfer-Encoding: chunked"))
        connection.sendall(piece * 16 + last)  # A byte over 1 MiB and 4 KiB; the end never comes.

        assert answered(connection).startswith(b"HTTP/1.1 413 ")


def test_a_short_body_that_was_not_read_does_not_end_the_connection(platform: RunningPlatform) -> None:
    with closing(HTTPConnection(urlsplit(platform.url).netloc, timeout=30)) as connection:
        connection.connect()
        first = connection.sock
        for _ in range(3):
            connection.request("POST", "/api/v1/agents", body=b"hello")
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, connection.sock) == (401, first)
