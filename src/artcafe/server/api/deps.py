"""What the routes are given: the use cases, and who is asking."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from artcafe.server.core.agents import Agents
from artcafe.server.core.channels import Channels
from artcafe.server.core.login import Login
from artcafe.server.core.messages import Messages
from artcafe.server.core.presence import Presence
from artcafe.server.core.tenants import Tenants
from artcafe.server.core.usage import API_CALLS, Meter
from artcafe.server.domain.ids import UserId
from artcafe.server.domain.principal import Human, User
from artcafe.server.ports import Clock, Issuer, TokenVerifier
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """Everything the routes need; made once by the composition root."""

    tenants: Tenants
    agents: Agents
    channels: Channels
    messages: Messages
    login: Login
    presence: Presence
    meter: Meter
    tokens: TokenVerifier
    issuer: Issuer | None
    clock: Clock
    server_name: Callable[[str], str]
    checks: Mapping[str, Callable[[], Awaitable[None]]]
    version: str


def use_cases(request: Request) -> UseCases:
    """The use cases of this application."""
    cases = request.app.state.use_cases
    assert isinstance(cases, UseCases)
    return cases


Cases = Annotated[UseCases, Depends(use_cases)]

_bearer = HTTPBearer(auto_error=False, description="An access token of the configured OIDC issuer.")


async def current_user(
    cases: Cases, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> User:
    """The human behind the bearer token (RFC 6750). Raises unauthorized."""
    if credentials is None:
        raise ArtcafeError(Code.unauthorized, "A bearer token is needed.")
    claims = await cases.tokens.verify(credentials.credentials)
    return User(UserId(claims.subject), claims.email or "", claims.tenant_claim)


CurrentUser = Annotated[User, Depends(current_user)]


async def current_human(
    cases: Cases,
    user: CurrentUser,
    x_tenant_id: Annotated[
        str | None,
        Header(description="Which of your tenants; may be left out when you have one.", max_length=63),
    ] = None,
) -> Human:
    """The user inside a tenant: the header picks among memberships, it never makes one."""
    human = await cases.tenants.enter(user, x_tenant_id)
    cases.meter.count(human.tenant, API_CALLS)
    return human


CurrentHuman = Annotated[Human, Depends(current_human)]


async def named_human(cases: Cases, user: CurrentUser, tenant_id: str) -> Human:
    """The user inside the tenant that the path names."""
    human = await cases.tenants.enter(user, tenant_id)
    cases.meter.count(human.tenant, API_CALLS)
    return human


NamedHuman = Annotated[Human, Depends(named_human)]
