"""Who signs humans in, by the settings."""

from pathlib import Path

import httpx
import pytest

from artcafe.server.issuers import discovery, http_client, local_issuer, sign_in_client
from artcafe.server.process import SystemClock
from artcafe.server.settings import load
from tests.kit.http_proxy import http_proxy
from tests.kit.issuers import new_key, running_issuer

POOL = {"oidc_issuer": "https://issuer.example"}


def test_the_local_issuer_is_there_in_embedded_mode_alone(tmp_path: Path) -> None:
    assert local_issuer(load(data_dir=tmp_path), SystemClock(), embedded=False) is None
    configured = load(data_dir=tmp_path, oidc_client_ids="a", **POOL)
    assert local_issuer(configured, SystemClock(), embedded=True) is None
    assert list(tmp_path.iterdir()) == []
    assert local_issuer(load(data_dir=tmp_path), SystemClock(), embedded=True) is not None


@pytest.mark.parametrize(
    ("given", "client"),
    [
        ({"oidc_client_ids": "a"}, "a"),
        ({"oidc_client_ids": "a,b"}, None),
        ({"oidc_client_ids": "a,b", "oidc_sign_in_client_id": "b"}, "b"),
        ({"oidc_audiences": "api"}, None),
        ({"cognito_client_id": "c"}, "c"),
    ],
)
def test_the_client_of_browsers_is_the_only_one_or_the_one_that_is_named(
    given: dict[str, str], client: str | None
) -> None:
    found = sign_in_client(load(**POOL, **given))

    assert (None if found is None else found.client_id) == client


def test_what_is_asked_for_can_be_set() -> None:
    found = sign_in_client(load(oidc_client_ids="a", oidc_sign_in_scopes="openid api/all", **POOL))

    assert found is not None
    assert found.scopes == ("openid", "api/all")


async def test_the_embedded_issuer_is_not_discovered_and_an_unsafe_endpoint_is_a_fault() -> None:
    async with httpx.AsyncClient(verify=False) as http:
        assert discovery(load(), http, SystemClock()) is None
        with pytest.raises(ValueError, match="token_endpoint"):
            discovery(
                load(oidc_client_ids="a", oidc_token_endpoint="http://a.example/", **POOL),
                http,
                SystemClock(),
            )


async def test_an_issuer_is_asked_through_a_proxy_and_this_machine_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    async with http_proxy() as proxy, running_issuer({"k1": new_key()}) as issuer:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        settings = load(oidc_issuer="https://issuer.example", oidc_audiences="api")
        async with http_client(settings) as client:
            assert (await client.get(issuer.jwks_url)).status_code == 200
            assert (await client.get("http://a.invalid/keys")).status_code == 502
        assert proxy.asked == ["GET http://a.invalid/keys HTTP/1.1"]
        monkeypatch.setenv("HTTP_PROXY", "socks://x")
        async with http_client(load()) as client:
            assert (await client.get(issuer.jwks_url)).status_code == 200
