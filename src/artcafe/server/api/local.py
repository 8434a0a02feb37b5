"""The embedded issuer over HTTP: its keys, and tokens for the owner of the machine."""

import hmac
import secrets
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator

from artcafe.server.api import journal
from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import ApiResources, Cases, Resources, UseCases
from artcafe.server.api.examples import VALUES
from artcafe.server.api.fields import Body, RoleName
from artcafe.server.api.sign_in import LOCAL, own_origin
from artcafe.server.core.sign_in import SignIn
from artcafe.server.domain.ids import PATTERN, TenantId
from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.server.domain.operators import local_user
from artcafe.server.domain.principal import User
from artcafe.server.domain.sign_in import PROOF_SECONDS
from artcafe.server.domain.tenant import Role
from artcafe.server.ports.identity import Issuer
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.local_proof import CHALLENGE, NONCE, SECONDS, ProofExchange, address

router = APIRouter(route_class=AdmittingRoute, prefix=LOCAL, tags=["embedded sign-in"])

LIFETIME = 12 * 3600


class Hello(Body):
    """`nonce` is 32 random bytes of the caller's, base64url without padding."""

    nonce: Annotated[str, Field(pattern=NONCE)]


class LocalChallenge(BaseModel):
    """The challenge for a proof of the secret, good for half a minute, with the platform's own proof."""

    challenge: str
    proof: str


class TokenRequest(Body):
    """`proof` tells that the caller knows the secret in the data directory, which its owner alone can read
    and which is never sent. `nonce` and `challenge` are those of `/local/challenge`, good once.

    Without a tenant the token is the installation's first user's; with a tenant and a role it is a
    user's who has exactly that role there, and with a tenant and an `email` that of the member who has this
    address. A role and an address together are refused.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "nonce": VALUES["nonce"],
                    "challenge": VALUES["TokenRequest.challenge"],
                    "proof": VALUES["proof"],
                    "tenant": "acme",
                    "role": "viewer",
                }
            ]
        }
    )

    nonce: Annotated[str, Field(pattern=NONCE)]
    challenge: Annotated[str, Field(pattern=CHALLENGE)]
    proof: Annotated[str, Field(max_length=64)]
    tenant: Annotated[str, Field(pattern=PATTERN)] | None = None
    role: RoleName | None = None
    email: Annotated[str, Field(max_length=255)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_the_secret(cls, given: object) -> object:
        if isinstance(given, dict) and "secret" in given:
            raise ValueError("The secret is not sent any more: use an artcafe command of this release.")
        return given

    def wanted(self) -> dict[str, str]:
        """The purpose of the proof."""
        named = {"tenant": self.tenant, "role": self.role, "email": self.email}
        return {name: f"{value}" for name, value in named.items() if value is not None}


class AccessToken(BaseModel):
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


def _issuer(resources: ApiResources) -> Issuer:
    if resources.issuer is None:
        raise ArtcafeError(Code.not_found, "This installation signs humans in with its OIDC issuer.")
    return resources.issuer


def _sign_in(cases: UseCases) -> SignIn:
    if cases.sign_in is None:
        raise ArtcafeError(Code.not_found, "This installation signs humans in with its OIDC issuer.")
    return cases.sign_in


@router.get("/.well-known/openid-configuration")
async def configuration(request: Request, resources: Resources) -> dict[str, object]:
    """The issuer's discovery document."""
    return _issuer(resources).configuration(own_origin(request, resources) + LOCAL)


@router.get("/.well-known/jwks.json")
async def jwks(resources: Resources) -> dict[str, object]:
    """The public keys."""
    return _issuer(resources).jwks()


@router.post("/challenge")
async def local_challenge(body: Hello, request: Request, resources: Resources) -> LocalChallenge:
    """A challenge for a caller that can read the data directory, with a proof that this platform can."""
    sign, exchange = _issuer(resources).sign, _exchange(body.nonce, request)
    expires = int(resources.clock.now()) + SECONDS
    challenge = exchange.challenge(sign, secrets.token_urlsafe(32), expires)
    return LocalChallenge(challenge=challenge, proof=exchange.of_platform(sign, challenge))


@router.post("/token")
async def token(body: TokenRequest, request: Request, cases: Cases, resources: Resources) -> AccessToken:
    """A token for a caller that can read the data directory."""
    user = await _chosen(body, "/token", request, cases, resources)
    minted = _issuer(resources).mint(user.id, email=user.email, lifetime_seconds=LIFETIME, tenant=body.tenant)
    return AccessToken(access_token=minted, expires_in=LIFETIME, user=user.id, tenant=body.tenant)


@router.post("/code")
async def sign_in_code(
    body: TokenRequest, request: Request, cases: Cases, resources: Resources
) -> SignInCode:
    """A code to be shown on the sign-in page, for a caller that can read the data directory; good once."""
    user = await _chosen(body, "/code", request, cases, resources)
    return SignInCode(code=await _sign_in(cases).proof(user), expires_in=PROOF_SECONDS)


def _exchange(nonce: str, request: Request) -> ProofExchange:
    return ProofExchange(nonce, address(*request.scope["server"]))


async def _is_proven(
    body: TokenRequest, path: str, request: Request, cases: UseCases, resources: ApiResources
) -> bool:
    """Whether the caller knows the secret, wants this of this address, and wants it for the first time."""
    sign, exchange = _issuer(resources).sign, _exchange(body.nonce, request)
    expires = int(body.challenge.partition(".")[0])
    proof = exchange.of_caller(sign, body.challenge, LOCAL + path, body.wanted())
    return (
        exchange.is_ours(sign, body.challenge)
        and expires > resources.clock.now()
        and hmac.compare_digest(proof.encode(), body.proof.encode("utf-8", "surrogatepass"))
        and await _sign_in(cases).answer(body.challenge, expires)
    )


async def _chosen(
    body: TokenRequest, path: str, request: Request, cases: UseCases, resources: ApiResources
) -> User:
    """The user that is wanted, made a member where that is wanted too. Raises unauthorized, not_found."""
    if not await _is_proven(body, path, request, cases, resources):
        refusal = ArtcafeError(
            Code.unauthorized,
            "This is no proof: of another secret, or over a challenge for another address or of long ago.",
            reason=LoginRefusal.bad_secret,
        )
        journal.login_refused(
            request.scope, journal.address(request.scope, resources.client_address), refusal, way="sign_in"
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
