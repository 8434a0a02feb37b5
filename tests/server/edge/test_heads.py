"""Heads of requests; tests/kit/http_corpus.py has two hundred more, on a running server."""

import pytest

from artcafe.server.edge.heads import MOST_DIGITS, Head, is_hopeless, read_head
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.http_corpus import WEBSOCKET, counted, post, request


def read(raw: bytes) -> Head:
    return read_head(raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", 100)


def test_what_is_read_of_a_head() -> None:
    head = read(request(b"Content-Length: 12", method=b"POST", target=b"/a%20b?c=d?e"))
    assert (head.method, head.path, head.query, head.minor) == (b"POST", b"/a%20b", b"c=d?e", 1)
    assert (head.length, head.websocket) == (12, False)
    assert read(post(b"Transfer-Encoding: Chunked")).length is None
    assert read(request(version=b"HTTP/1.0")).minor == 0
    assert head.fields == [(b"host", b"localhost"), (b"content-length", b"12")]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"http://localhost/a?b", b"/a", b"b"),
        (b"HTTPS://localhost:1/a", b"/a", b""),
        (b"http://localhost", b"/", b""),
        (b"http://localhost?b", b"/", b"b"),
    ],
)
def test_an_absolute_target_is_as_good_as_a_path(target: bytes, path: bytes, query: bytes) -> None:
    head = read(request(target=target))
    assert (head.path, head.query) == (path, query)


def test_offers_to_upgrade_are_taken_out_and_nothing_else_is() -> None:
    raw = request(b"A: 1", b"Upgrade: h2c", b"UPGRADE:TLS/1.0", b"X-Upgrade: 2", b"Connection: Upgrade")
    left = request(b"A: 1", b"X-Upgrade: 2", b"Connection: Upgrade")
    assert read(raw).raw == left
    assert read(left).raw == left
    assert read(raw).fields == read(left).fields


def test_a_websocket_is_asked_for_by_both_fields_over_http_1_1() -> None:
    lines = WEBSOCKET.rstrip().split(b"\r\n")
    assert read(request(*lines)).websocket
    assert b"Upgrade: websocket" in read(request(*lines)).raw
    assert read(
        request(b"Upgrade: h2c", b"upgrade: WebSocket", b"connection: x", b"Connection: a, UPGRADE")
    ).websocket
    assert read(counted(*lines)).websocket
    assert not read(request(*lines, version=b"HTTP/1.0")).websocket
    assert not read(request(b"Upgrade: websocket", b"Connection: keep-alive")).websocket
    assert not read(request(b"Upgrade: websocket2", b"Connection: Upgrade")).websocket


def test_how_many_fields_there_may_be() -> None:
    assert read_head(request(b"A: 1", b"B: 2"), 3).length == 0
    with pytest.raises(ArtcafeError) as refusal:
        read_head(request(b"A: 1", b"B: 2", b"C: 3"), 3)
    assert refusal.value.code is Code.headers_too_large


def test_the_longest_length() -> None:
    assert read(post(b"Content-Length: " + b"9" * MOST_DIGITS)).length == 10**MOST_DIGITS - 1
    with pytest.raises(ArtcafeError):
        read(post(b"Content-Length: " + b"9" * (MOST_DIGITS + 1)))


@pytest.mark.parametrize(
    ("start", "since", "hopeless"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r", 0, False),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", 23, False),
        (b"\x16\x03\x01", 0, True),
        (b"\n", 0, True),
        (b" GET", 0, True),
        (b"GET / HTTP/1.1\nHost: a", 0, True),
        (b"GET / HTTP/1.1\n", 14, True),
        (b"GET / HTTP/1.1\r\nHost: a\n", 20, True),
    ],
)
def test_what_can_never_become_a_head_is_seen_early(start: bytes, since: int, hopeless: bool) -> None:
    assert is_hopeless(start, since) is hopeless
    assert is_hopeless(bytearray(start), since) is hopeless
