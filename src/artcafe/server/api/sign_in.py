"""The sign-in configuration over REST, for callers without a token: a console, a command line."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import ApiResources, Resources
from artcafe.server.domain.sign_in import Endpoints
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

router = APIRouter(route_class=AdmittingRoute, prefix="/api/v1/auth", tags=["sign-in"])

LOCAL = "/local"
"""Where the embedded issuer answers."""


class SignInConfig(BaseModel):
    """A public client's view of the OIDC issuer: Authorization Code with PKCE (S256), no client secret.

    The last four are null where the issuer has none. With `authorization_response_iss_parameter_supported`
    an answer without `iss` must be refused (RFC 9207).
    """

    issuer: str = Field(examples=["https://issuer.example.com"])
    client_id: str = Field(examples=["4f1k2example"])
    scopes: list[str] = Field(examples=[["openid", "email"]])
    authorization_endpoint: str = Field(examples=["https://acme.auth.example.com/oauth2/authorize"])
    token_endpoint: str = Field(examples=["https://acme.auth.example.com/oauth2/token"])
    device_authorization_endpoint: str | None = None
    end_session_endpoint: str | None = None
    revocation_endpoint: str | None = None
    authorization_response_iss_parameter_supported: bool = False


@router.get("/config")
async def sign_in_config(request: Request, resources: Resources) -> SignInConfig:
    """The issuer's endpoints and the client id for humans' sign-in; none of it is secret."""
    found = await endpoints(request, resources)
    client = resources.sign_in_client
    if found is None or client is None:
        raise ArtcafeError(Code.not_found, "Nothing is set here by which a browser could sign in.")
    return SignInConfig(
        issuer=found.issuer,
        client_id=client.client_id,
        scopes=list(client.scopes),
        authorization_endpoint=found.authorization,
        token_endpoint=found.token,
        device_authorization_endpoint=found.device_authorization,
        end_session_endpoint=found.end_session,
        revocation_endpoint=found.revocation,
        authorization_response_iss_parameter_supported=found.names_itself,
    )


async def endpoints(request: Request, resources: ApiResources) -> Endpoints | None:
    """The issuer's own words, embedded or not. Raises unavailable."""
    if resources.issuer is not None:
        return Endpoints.of(resources.issuer.configuration(own_origin(request, resources) + LOCAL))
    return None if resources.discovery is None else Endpoints.of(await resources.discovery.document())


def own_origin(request: Request, resources: ApiResources) -> str:
    """This server's origin under a name that is certainly its own: never what a client made up."""
    return resources.server_name(request.headers.get("host", "")).replace("ws", "http", 1)
