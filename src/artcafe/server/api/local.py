"""The embedded installation's own issuer over HTTP: its keys, and tokens for who owns the machine."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from artcafe.server.api import journal
from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import Cases, UseCases
from artcafe.server.api.fields import Body, RoleName
from artcafe.server.api.sign_in import LOCAL, own_origin
from artcafe.server.domain.ids import PATTERN, TenantId
from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.server.domain.operators import local_user
from artcafe.server.domain.principal import User
from artcafe.server.domain.sign_in import PROOF_SECONDS
from artcafe.server.domain.tenant import Role
from artcafe.server.ports.identity import Issuer
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

router = APIRouter(route_class=AdmittingRoute, prefix=LOCAL, tags=["embedded sign-in"])

LIFETIME = 12 * 3600


class TokenRequest(Body):
    """`secret` stands in the data directory, readable by its owner alone.

    Without a tenant the token is the installation's first user's; with a tenant and a role it is a
    user's who has exactly that role there, and with a tenant and an `email` that of the member who has this
    address. A role and an address together are refused.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"secret": "the-secret", "tenant": "acme", "role": "viewer"}]}
    )

    secret: Annotated[str, Field(max_length=256)]
    tenant: Annotated[str, Field(pattern=PATTERN)] | None = None
    role: RoleName | None = None
    email: Annotated[str, Field(max_length=255)] | None = None


class Token(BaseModel):
    """An access token (RFC 6749 section 5.1)."""

    access_token: str
    token_type: str = "Bearer"
    expires_in: int
    user: str
    tenant: str | None


class SignInCode(BaseModel):
    """`code` proves at the sign-in page that somebody owns the machine; `expires_in` is in seconds."""

    code: str = Field(examples=["BCDF-GHJK-LMNP-QRST-VWXZ"])
    expires_in: int = Field(examples=[PROOF_SECONDS])


def _issuer(cases: UseCases) -> Issuer:
    if cases.issuer is None:
        raise ArtcafeError(Code.not_found, "This installation signs humans in with its OIDC issuer.")
    return cases.issuer


@router.get("/.well-known/openid-configuration")
async def configuration(request: Request, cases: Cases) -> dict[str, object]:
    """Where everything is."""
    return _issuer(cases).configuration(own_origin(request, cases) + LOCAL)


@router.get("/.well-known/jwks.json")
async def jwks(cases: Cases) -> dict[str, object]:
    """The public keys."""
    return _issuer(cases).jwks()


@router.post("/token")
async def token(body: TokenRequest, request: Request, cases: Cases) -> Token:
    """A token for whoever can read the data directory."""
    issuer = _issuer(cases)
    user = await _chosen(body, issuer, request, cases)
    minted = issuer.mint(user.id, email=user.email, lifetime_seconds=LIFETIME, tenant=body.tenant)
    return Token(access_token=minted, expires_in=LIFETIME, user=user.id, tenant=body.tenant)


@router.post("/code")
async def sign_in_code(body: TokenRequest, request: Request, cases: Cases) -> SignInCode:
    """A code to be shown on the sign-in page, for whoever can read the data directory; good once."""
    user = await _chosen(body, _issuer(cases), request, cases)
    if cases.sign_in is None:
        raise ArtcafeError(Code.not_found, "This installation signs humans in with its OIDC issuer.")
    return SignInCode(code=await cases.sign_in.proof(user), expires_in=PROOF_SECONDS)


async def _chosen(body: TokenRequest, issuer: Issuer, request: Request, cases: UseCases) -> User:
    """The user that is wanted, made a member where that is wanted too. Raises unauthorized, not_found."""
    if not issuer.secret_matches(body.secret):
        refusal = ArtcafeError(
            Code.unauthorized,
            "The secret is not the one of this installation.",
            reason=LoginRefusal.bad_secret,
        )
        journal.login_refused(
            request.scope, journal.address(request.scope, cases.client_address), refusal, way="sign_in"
        )
        raise refusal
    tenant = None if body.tenant is None else TenantId(body.tenant)
    if body.email is not None:
        return await _known(body.email, tenant, body.role, cases)
    role = body.role or Role.owner
    user = User(local_user(role), f"{role}@localhost", tenant)
    if tenant is not None:
        await cases.tenants.admit(tenant, user, role)
    return user


async def _known(email: str, tenant: TenantId | None, role: Role | None, cases: UseCases) -> User:
    """The member with this address; nobody becomes one by it."""
    if tenant is None or role is not None:
        raise ArtcafeError(
            Code.validation_failed, "An address is of somebody in a tenant: name the tenant, and no role."
        )
    return await cases.tenants.addressed(tenant, email)
