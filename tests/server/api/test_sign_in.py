"""What is told about signing in to whoever has no token yet."""

from collections.abc import Mapping
from pathlib import Path

from fastapi import FastAPI

from artcafe.server.domain.sign_in import OAuthClient
from artcafe.server.identity.dev_issuer import LOCAL_CLIENT, LocalIssuer
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.api import Api, furnished, good, problem
from tests.kit.installation import counting
from tests.kit.issuers import StoppedClock

POOL = {
    "issuer": "https://issuer.example",
    "authorization_endpoint": "https://acme.auth.example/oauth2/authorize",
    "token_endpoint": "https://acme.auth.example/oauth2/token",
    "end_session_endpoint": "https://acme.auth.example/logout",
}


class Said:
    """ports.Discovery, of a fixed document."""

    def __init__(self, document: Mapping[str, object] | None) -> None:
        self._document = document

    async def document(self) -> Mapping[str, object]:
        if self._document is None:
            raise ArtcafeError(Code.unavailable)
        return self._document


async def with_issuer(application: FastAPI, document: Mapping[str, object] | None, client: str | None) -> Api:
    api = await furnished(application)
    api.discovery = Said(document)
    api.sign_in_client = None if client is None else OAuthClient(client, ("openid", "email"))
    api.__post_init__()
    return api


async def test_the_issuers_own_words_and_our_client(application: FastAPI) -> None:
    api = await with_issuer(application, POOL, "the-client")

    assert good(await api.client().get("/api/v1/auth/config")) == {
        **POOL,
        "client_id": "the-client",
        "scopes": ["openid", "email"],
        "device_authorization_endpoint": None,
        "revocation_endpoint": None,
        "authorization_response_iss_parameter_supported": False,
    }


async def test_without_a_client_or_endpoints_there_is_nothing_to_tell(application: FastAPI) -> None:
    for document, client in ((POOL, None), ({"issuer": "x"}, "the-client")):
        api = await with_issuer(application, document, client)
        problem(await api.client().get("/api/v1/auth/config"), Code.not_found)
    problem(await (await furnished(application)).client().get("/api/v1/auth/config"), Code.not_found)


async def test_an_issuer_that_is_away_is_said_to_be(application: FastAPI) -> None:
    api = await with_issuer(application, None, "the-client")

    problem(await api.client().get("/api/v1/auth/config"), Code.unavailable)


async def test_the_embedded_issuer_is_under_the_name_that_is_certainly_ours(
    application: FastAPI, tmp_path: Path
) -> None:
    issuer = LocalIssuer.open(tmp_path / "i", "http://127.0.0.1/local", StoppedClock(), counting("jti"))
    api = await furnished(application, issuer)
    api.sign_in_client = OAuthClient(LOCAL_CLIENT, ("openid",))
    api.__post_init__()

    config = good(await api.client(host="evil.example").get("/api/v1/auth/config"))

    assert config["token_endpoint"] == "https://pubsub.example.com/local/oauth2/token"
    assert config["authorization_response_iss_parameter_supported"] is True
    assert "evil" not in f"{config}"
