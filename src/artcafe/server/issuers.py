"""Who signs humans in: the embedded issuer, or the one that is configured."""

import secrets

import httpx

from artcafe.server.core.sign_in import SignIn
from artcafe.server.domain.sign_in import SCOPES, Client
from artcafe.server.identity.dev_issuer import LOCAL_CLIENT, LocalIssuer
from artcafe.server.identity.discovery import IssuerDiscovery
from artcafe.server.identity.sealing import AesSealer
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.records import SignInRecords
from artcafe.server.process import new_id
from artcafe.server.settings import Settings

LOCAL_ISSUER = "http://127.0.0.1/local"
"""The embedded issuer's name. It has no port, so that tokens outlive a change of the port."""


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


def sign_in_client(settings: Settings) -> Client | None:
    """The client by which humans sign in with a browser, if that is set."""
    if settings.issuer is None:
        return Client(LOCAL_CLIENT, tuple(sorted(SCOPES, reverse=True)))
    if settings.sign_in_client_id is None:
        return None
    return Client(settings.sign_in_client_id, tuple(settings.oidc_sign_in_scopes.split()))


def discovery(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> IssuerDiscovery | None:
    """What the configured issuer says of itself. Raises ValueError for an endpoint that is not safe."""
    if settings.issuer is None:
        return None
    given = {
        "authorization_endpoint": settings.oidc_authorization_endpoint,
        "token_endpoint": settings.oidc_token_endpoint,
    }
    return IssuerDiscovery(
        settings.issuer,
        http,
        clock,
        given={name: url for name, url in given.items() if url is not None},
        allow_insecure_loopback=settings.oidc_allow_loopback_http,
    )
