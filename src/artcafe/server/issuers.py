"""Builds the token verifier and the operators from the settings: embedded or configured issuer."""

import secrets

import httpx

from artcafe.server.core.sign_in import SignIn
from artcafe.server.domain.operators import Operators, local_user
from artcafe.server.domain.sign_in import SCOPES, OAuthClient
from artcafe.server.domain.tenant import Role
from artcafe.server.identity.dev_issuer import JWKS_PATH, LOCAL_CLIENT, LocalIssuer
from artcafe.server.identity.discovery import IssuerDiscovery
from artcafe.server.identity.oidc import OidcConfig, OidcVerifier, discover
from artcafe.server.identity.sealing import AesSealer
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.records import SignInRecords
from artcafe.server.process import Place, new_id
from artcafe.server.settings import Settings

LOCAL_ISSUER = "http://127.0.0.1/local"
"""The embedded issuer's name. It has no port, so that tokens outlive a change of the port."""


def http_client(settings: Settings) -> httpx.AsyncClient:
    """The HTTP client for the issuer: it uses a proxy of the environment, unless the issuer is this machine
    or the platform.

    Raises ValueError for a proxy, or a file of OpenSSL's variables, that cannot be used.
    """
    outside = settings.issuer is not None
    try:
        return httpx.AsyncClient(timeout=5.0, trust_env=outside, mounts=dict.fromkeys(_NEAR))
    except OSError as error:
        raise ValueError(
            f"SSLKEYLOGFILE, SSL_CERT_FILE or SSL_CERT_DIR names what cannot be used: {error.strerror}."
        ) from error
    except (ValueError, ImportError) as error:
        raise ValueError(
            "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names a proxy that cannot be used: "
            "http:// and https:// ones can."
        ) from error


_NEAR = ("all://localhost", "all://127.0.0.1", "all://[::1]")


ENDPOINTS_SET = ("authorization_endpoint", "token_endpoint")
"""What an operator may set, so that the issuer need not be asked for it."""


def trusted(settings: Settings, url: str, jwks_url: str | None, *, embedded: bool) -> OidcConfig:
    """The trust in tokens: those of the configured issuer, which has its keys at `jwks_url`, or with
    `embedded` those of the platform's own, which answers at `url`. Raises ValueError."""
    if settings.issuer is not None:
        return OidcConfig(
            issuer=settings.issuer,
            jwks_url=jwks_url or "",
            client_ids=settings.client_ids,
            audiences=settings.audiences,
            token_use_required=settings.cognito_user_pool_id is not None,
            tenant_claim=settings.oidc_tenant_claim,
            group_claim=settings.oidc_group_claim,
            allow_insecure_loopback=settings.oidc_allow_loopback_http,
        )
    if not embedded:
        raise ValueError(
            "Humans need an issuer of tokens: set ARTCAFE_OIDC_ISSUER, or AWS_REGION with "
            "COGNITO_USER_POOL_ID. The local issuer is for `artcafe up` alone."
        )
    return OidcConfig(
        issuer=LOCAL_ISSUER,
        jwks_url=f"{url}/local{JWKS_PATH}",
        client_ids=frozenset({LOCAL_CLIENT}),
        audiences=frozenset(),
        token_use_required=True,
        tenant_claim=settings.oidc_tenant_claim,
        allow_insecure_loopback=True,
    )


def operators(settings: Settings, issuer: LocalIssuer | None) -> Operators:
    """The operators: those of the settings, and the owner of the machine where its own issuer signs humans
    in."""
    return settings.operators_with(*([] if issuer is None else [local_user(Role.owner)]))


def local_issuer(settings: Settings, clock: Clock, *, embedded: bool) -> LocalIssuer | None:
    """The issuer of `artcafe up`, unless one is configured. Raises ValueError, OSError."""
    if not embedded or settings.issuer is not None:
        return None
    return LocalIssuer.open(settings.data_dir / "issuer", LOCAL_ISSUER, clock, new_id)


def local_sign_in(issuer: LocalIssuer | None, records: SignInRecords, clock: Clock) -> SignIn | None:
    """Its use cases."""
    if issuer is None:
        return None
    return SignIn(
        issuer=issuer,
        sealer=AesSealer(issuer.derived("codes and refresh tokens"), secrets.token_bytes),
        records=records,
        clock=clock,
        random=secrets.token_bytes,
        new_id=new_id,
    )


def sign_in_client(settings: Settings) -> OAuthClient | None:
    """The client by which humans sign in with a browser, if that is set."""
    if settings.issuer is None:
        return OAuthClient(LOCAL_CLIENT, tuple(sorted(SCOPES, reverse=True)))
    if settings.sign_in_client_id is None:
        return None
    return OAuthClient(settings.sign_in_client_id, tuple(settings.oidc_sign_in_scopes.split()))


def discovery(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> IssuerDiscovery | None:
    """The discovery of the configured issuer. Raises ValueError for an endpoint that is not safe."""
    if settings.issuer is None:
        return None
    given = {name: getattr(settings, f"oidc_{name}") for name in ENDPOINTS_SET}
    return IssuerDiscovery(
        settings.issuer,
        http,
        clock,
        given={name: url for name, url in given.items() if url is not None},
        allow_insecure_loopback=settings.oidc_allow_loopback_http,
    )


async def token_verifier(
    settings: Settings, place: Place, http: httpx.AsyncClient, clock: Clock, *, embedded: bool
) -> OidcVerifier:
    """The verifier of humans' tokens. Raises ValueError without an issuer, and unavailable."""
    jwks_url = settings.oidc_jwks_url
    if settings.issuer is not None and jwks_url is None:
        near = settings.oidc_allow_loopback_http
        jwks_url = await discover(http, settings.issuer, allow_insecure_loopback=near)
    config = trusted(settings, place.url, jwks_url, embedded=embedded)
    return OidcVerifier(config, http, clock)
