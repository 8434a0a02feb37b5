"""Requests to upgrade, read and refused, without a socket."""

import json

import pytest

from artcafe.server.gateway.websocket.handshake import Refuse, Upgrade, read_upgrade
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.forwarded import CASES, PROXIES

SOUND = {
    "host": "pubsub.example",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def head(target: str = "/", method: str = "GET", more: str = "", **headers: str | None) -> bytes:
    """A request to upgrade as uvicorn spells it; None leaves a header out."""
    named = SOUND | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value is not None)
    return f"{method} {target} HTTP/1.1\r\n{lines}{more}\r\n".encode("latin-1", "replace")


def read(request: bytes) -> Upgrade:
    upgrade = read_upgrade(request, "192.0.2.1")
    assert isinstance(upgrade, Upgrade)
    return upgrade


def refused(request: bytes) -> Refuse:
    refuse = read_upgrade(request, "192.0.2.1")
    assert isinstance(refuse, Refuse)
    assert json.loads(refuse.problem)["status"] == refuse.status
    return refuse


def test_what_an_upgrade_says() -> None:
    upgrade = read(
        head(
            "/api/v1/ws/agent/a%20b?tenant_id=acme&signature=a%2Bb%3D&empty=",
            sec_websocket_protocol="artcafe.v1, other",
            more="X-Twice: one\r\nx-twice:  two \r\n",
        )
    )
    assert upgrade.path == "/api/v1/ws/agent/a b"
    assert upgrade.query == {"tenant_id": ["acme"], "signature": ["a+b="], "empty": [""]}
    assert upgrade.protocols == ("artcafe.v1", "other")
    assert upgrade.headers["x-twice"] == "one, two"
    assert upgrade.host == "pubsub.example"
    assert upgrade.remote == "192.0.2.1"


def test_secrets_stay_out_of_the_repr() -> None:
    assert "hush" not in repr(read(head("/?signature=hush", authorization="Bearer hush")))


def test_an_absolute_target() -> None:
    upgrade = read(head("http://pubsub.example/ws?x=1"))
    assert (upgrade.path, upgrade.query) == ("/ws", {"x": ["1"]})


def test_two_slashes_are_a_path() -> None:
    assert read(head("//elsewhere/ws")).path == "//elsewhere/ws"


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "OPTIONS"])
def test_only_get(method: str) -> None:
    refuse = refused(head(method=method))
    assert refuse.status == 405
    assert refuse.headers["allow"] == "GET"


@pytest.mark.parametrize("version", [None, "", "8", "12", "13, 8", "14"])
def test_only_version_13(version: str | None) -> None:
    refuse = refused(head(sec_websocket_version=version))
    assert refuse.status == 426
    assert refuse.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize("key", [None, "", "short", "AAAA", "AAAAAAAAAAAAAAAAAAAAA\u00e9==", "A" * 400])
def test_the_key_is_16_bytes(key: str | None) -> None:
    assert refused(head(sec_websocket_key=key)).status == 400


def test_one_host() -> None:
    assert refused(head(host=None)).status == 400
    assert refused(head(more="host: other\r\n")).status == 400


def test_no_body() -> None:
    assert refused(head(content_length="5")).status == 400
    assert refused(head(transfer_encoding="chunked")).status == 400
    read(head(content_length="0"))


def test_a_target_that_cannot_be_read() -> None:
    assert refused(head("http://[::1/ws")).status == 400
    assert refused(head("/?" + "&".join(f"p{n}=" for n in range(33)))).status == 400


@pytest.mark.parametrize(("peer", "lines", "client"), CASES)
def test_the_client_is_told_over_all_lines_of_the_header(
    peer: str, lines: tuple[str, ...], client: str
) -> None:
    more = "".join(f"x-forwarded-for: {line}\r\n" for line in lines)

    upgrade = read_upgrade(head(more=more), peer, PROXIES)

    assert isinstance(upgrade, Upgrade)
    assert upgrade.remote == client


def test_a_refusal_is_the_problem_document_of_rest() -> None:
    error = ArtcafeError(Code.too_many_connections, "Too many connections.", retry_after=1.5)
    status, *lines = Refuse.because(error).response([(b"date", b"today")]).decode().split("\r\n")
    assert status == "HTTP/1.1 429 Too Many Requests"
    assert {"date: today", "connection: close", "retry-after: 2"} <= set(lines)
    assert json.loads(lines[-1]) == {
        "type": "about:blank",
        "title": "too many connections",
        "status": 429,
        "code": "too_many_connections",
        "detail": "Too many connections.",
        "retry_after_ms": 1500,
    }
    assert f"content-length: {len(lines[-1])}" in lines


def test_a_401_says_how_to_log_in() -> None:
    assert Refuse.because(ArtcafeError(Code.unauthorized)).headers["www-authenticate"] == "Bearer"


def test_the_first_of_several_parameters_counts() -> None:
    upgrade = Upgrade("/", {"a": ["1", "2"], "b": []}, {}, (), "192.0.2.1", "example.com")
    assert [upgrade.parameter(name) for name in ("a", "b", "c")] == ["1", None, None]
