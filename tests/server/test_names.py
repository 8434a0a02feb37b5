"""What a server is called: never what a client says."""

import pytest

from artcafe.server.names import server_name
from artcafe.server.process import Place
from artcafe.server.settings import load


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000"])
def test_on_loopback_every_loopback_name_is_the_servers(host: str) -> None:
    assert server_name(load(), Place("127.0.0.1", 8000))(host) == f"ws://{host}"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8000",
        "localhost:9000",
        "localhost",
        "",
        "localhost:8000@evil.example",
        "user@localhost:8000",
        "localhost:8000/path",
        "localhost:8000\nserver=x",
    ],
)
def test_a_name_that_a_client_made_up_is_never_signed(host: str) -> None:
    """An agent that signed a relay's name could be logged in elsewhere by the relay."""
    assert server_name(load(), Place("127.0.0.1", 8000))(host) == "ws://127.0.0.1:8000"


def test_the_public_url_is_the_name_whatever_the_host_says() -> None:
    name = server_name(load(public_url="wss://pubsub.example.com"), Place("127.0.0.1", 8000))
    assert name("localhost:8000") == "wss://pubsub.example.com"
