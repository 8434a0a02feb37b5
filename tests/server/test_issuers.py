"""Who signs humans in, by the settings."""

from pathlib import Path

import httpx
import pytest

from artcafe.server.issuers import discovery, local_issuer, sign_in_client
from artcafe.server.process import SystemClock
from artcafe.server.settings import load

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
