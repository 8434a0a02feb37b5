"""Which proxy is asked for which address, over everything that an environment may say."""

import pytest

from artcafe.client.endpoint import WebSocketAddress
from artcafe.client.proxies import is_this_machine, proxy_for
from artcafe.client.rest import Rest
from artcafe.client.transport import DialError, dial
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.http_proxy import http_proxy

FAR = ("http://a.example", "https://a.example:8443/x", "ws://a.example", "wss://a.example/api")
NEAR = ("http://127.0.0.1:8000", "ws://localhost", "https://[::1]:8443", "wss://127.0.0.9")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing of the tester's own proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_without_one_nobody_stands_between() -> None:
    assert [proxy_for(url) for url in (*FAR, *NEAR)] == [None] * 8


@pytest.mark.parametrize("lower", [True, False])
def test_each_scheme_has_its_own_and_all_is_for_the_rest(
    environment: pytest.MonkeyPatch, *, lower: bool
) -> None:
    for name, value in {"HTTP_PROXY": "http://one:3128", "ALL_PROXY": "http://user:pass@all:3128"}.items():
        environment.setenv(name.lower() if lower else name, value)

    assert [proxy_for(url) for url in FAR] == [
        "http://one:3128",
        "http://user:pass@all:3128",
        "http://one:3128",
        "http://user:pass@all:3128",
    ]


def test_a_proxy_without_a_scheme_is_one_of_http(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "proxy.example:3128")

    assert proxy_for("wss://a.example") == "http://proxy.example:3128"


@pytest.mark.parametrize(
    "proxy",
    [
        "socks://127.0.0.1:1",
        "socks5://127.0.0.1:1",
        "socks5h://user:hunter2@127.0.0.1:1",
        "gopher://x",
        "http://",
        "http://proxy:port",
        "http://proxy:99999",
        "http://[::1",
        "://",
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_one_that_cannot_be_used_is_told_by_its_variable_alone(
    environment: pytest.MonkeyPatch, proxy: str, variable: str
) -> None:
    environment.setenv(variable, proxy)

    for url in ("https://a.example", "wss://a.example"):
        with pytest.raises(ArtcafeError) as refused:
            proxy_for(url)
        assert refused.value.code is Code.bad_request
        assert variable in refused.value.message
        assert "hunter2" not in refused.value.message
        assert "\n" not in refused.value.message
    for url in NEAR:
        assert proxy_for(url) is None, "this machine is asked without"


@pytest.mark.parametrize("no", ["a.example", ".example", "*", "b.example, a.example"])
def test_what_no_proxy_names_is_asked_without(environment: pytest.MonkeyPatch, no: str) -> None:
    environment.setenv("ALL_PROXY", "socks://127.0.0.1:1")
    environment.setenv("NO_PROXY", no)

    assert [proxy_for(url) for url in FAR] == [None] * 4


async def test_requests_and_connections_go_through_the_proxy_that_is_named(
    environment: pytest.MonkeyPatch,
) -> None:
    async with http_proxy() as proxy:
        environment.setenv("ALL_PROXY", proxy.url)
        async with Rest("http://a.invalid", "token") as rest:
            with pytest.raises(ArtcafeError):
                await rest.tenants()
        with pytest.raises(DialError):
            await dial(
                WebSocketAddress.of("wss://b.invalid", "/ws/dashboard"),
                tls=None,
                user_agent="test",
                max_frame_bytes=1024,
                seconds=10.0,
                clock=lambda: 0.0,
            )
        assert proxy.asked == [
            "GET http://a.invalid/api/v1/tenants HTTP/1.1",
            "CONNECT b.invalid:443 HTTP/1.1",
        ]


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("127.0.0.1", True),
        ("127.0.0.9", True),
        ("localhost", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("a.example", False),
        ("", False),
    ],
)
def test_this_machine_is_known(host: str, *, near: bool) -> None:
    assert is_this_machine(host) is near
