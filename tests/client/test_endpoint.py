"""Addresses: what is dialled, and what the server must call itself."""

import pytest

from artcafe.client.endpoint import Endpoint
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

PATH = "/api/v1/ws/agent/planner?tenant_id=acme"


@pytest.mark.parametrize(
    ("url", "server", "dialled"),
    [
        ("ws://127.0.0.1:8000", "ws://127.0.0.1:8000", "ws://127.0.0.1:8000" + PATH),
        ("http://localhost:8000/", "ws://localhost:8000", "ws://localhost:8000" + PATH),
        ("https://Pubsub.Example.com", "wss://pubsub.example.com", "wss://pubsub.example.com" + PATH),
        ("wss://pubsub.example.com:443", "wss://pubsub.example.com", "wss://pubsub.example.com" + PATH),
        ("ws://example.com:80", "ws://example.com", "ws://example.com" + PATH),
        ("ws://example.com:443", "ws://example.com:443", "ws://example.com:443" + PATH),
        ("wss://h/api/v1", "wss://h", "wss://h" + PATH),
        ("wss://h/api/v1/ws/agent/other", "wss://h", "wss://h" + PATH),
        ("wss://h/messages/", "wss://h", "wss://h/messages" + PATH),
        ("wss://h/messages/api/v1/", "wss://h", "wss://h/messages" + PATH),
        ("ws://[::1]:8000", "ws://[::1]:8000", "ws://[::1]:8000" + PATH),
        ("wss://bücher.example", "wss://xn--bcher-kva.example", "wss://xn--bcher-kva.example" + PATH),
    ],
)
def test_an_address_is_read(url: str, server: str, dialled: str) -> None:
    endpoint = Endpoint.parse(url, tenant="acme", agent="planner")
    assert (endpoint.server, endpoint.url) == (server, dialled)
    assert endpoint.secure == server.startswith("wss")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "localhost",
        "ftp://h",
        "ws://",
        "ws://h:port",
        "ws://h:99999",
        "ws://[::1",
        "wss://user:secret@h",
        "wss://h?token=1",
        "wss://h#x",
        f"wss://{'a' * 64}.example",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ArtcafeError) as caught:
        Endpoint.parse(url, tenant="acme", agent="planner")
    assert caught.value.code is Code.validation_failed
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("tenant", "agent"), [("", "a"), ("a", ""), ("a/b", "c"), ("a", "b?c"), ("a", "x" * 65), ("a\n", "b")]
)
def test_names_that_could_write_another_address_are_refused(tenant: str, agent: str) -> None:
    with pytest.raises(ArtcafeError) as caught:
        Endpoint.parse("wss://h", tenant=tenant, agent=agent)
    assert caught.value.code is Code.validation_failed
