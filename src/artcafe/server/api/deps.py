"""The dependencies of routes: the use cases, and the caller's principal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from artcafe.server.api import journal
from artcafe.server.api.pages import PageTokens
from artcafe.server.api.readiness import Readiness, RecentAnswers
from artcafe.server.api.request_ids import request_id
from artcafe.server.core.agents import Agents
from artcafe.server.core.audit import Audit
from artcafe.server.core.channels import Channels
from artcafe.server.core.deletions import Deletions
from artcafe.server.core.durable.history import History
from artcafe.server.core.durable.subscriptions import ChannelSubscriptions
from artcafe.server.core.invitations import Invitations
from artcafe.server.core.legal import Legal
from artcafe.server.core.login import Login
from artcafe.server.core.operations import TenantOperations
from artcafe.server.core.presence.presence import Presence
from artcafe.server.core.publishing.messages import Messages
from artcafe.server.core.sign_in import SignIn
from artcafe.server.core.tenants import Tenants
from artcafe.server.core.throttle import Throttle
from artcafe.server.core.usage import API_CALLS, Meter
from artcafe.server.domain.ids import UserId
from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.sign_in import OAuthClient
from artcafe.server.ports.answers import AnswerRecords
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.identity import Discovery, Issuer, Sealer, TokenVerifier
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

FRESH_SECONDS = 0.1
"""How long it holds within one request who is asking. A request is admitted by its head, and its body may
come hours later, of somebody who has lost the right meanwhile, or for a tenant that took the id meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """The use cases, made once by the composition root; `sign_in` where the embedded issuer is."""

    tenants: Tenants
    deletions: Deletions
    operations: TenantOperations
    invitations: Invitations
    legal: Legal
    audit: Audit
    agents: Agents
    channels: Channels
    messages: Messages
    history: History
    subscriptions: ChannelSubscriptions
    login: Login
    presence: Presence
    meter: Meter
    throttle: Throttle
    sign_in: SignIn | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResources:
    """What the routes need besides use cases, made once by the composition root.

    `answers` and `sealer` keep what creations are answered with, `pages` makes page tokens, `tokens` verifies
    users' tokens. `issuer` is the embedded one, `sign_in_client` and `discovery` say how browsers sign in.
    `server_name` gives this server's name for a Host header, `client_address` the client's address for a
    socket's and the lines of X-Forwarded-For. `observe_request` hears of every answer.
    """

    answers: AnswerRecords
    sealer: Sealer
    pages: PageTokens
    tokens: TokenVerifier
    issuer: Issuer | None
    sign_in_client: OAuthClient | None
    discovery: Discovery | None
    clock: Clock
    server_name: Callable[[str], str]
    client_address: Callable[[str, Sequence[str]], str]
    health: RecentAnswers
    readiness: Readiness
    version: str
    observe_request: journal.ObserveRequest | None = None


async def use_cases(request: Request) -> UseCases:
    """The use cases of this application."""
    cases = request.app.state.use_cases
    assert isinstance(cases, UseCases)
    return cases


async def api_resources(request: Request) -> ApiResources:
    """The resources of this application."""
    resources = request.app.state.resources
    assert isinstance(resources, ApiResources)
    return resources


Cases = Annotated[UseCases, Depends(use_cases)]
Resources = Annotated[ApiResources, Depends(api_resources)]

_bearer = HTTPBearer(auto_error=False, description="An access token of the configured OIDC issuer.")


def remote_address(request: Request, resources: ApiResources) -> str:
    """The client's address: the one that a trusted proxy vouches for, else the socket's."""
    peer = request.client.host if request.client is not None else ""
    return resources.client_address(peer, request.headers.getlist("x-forwarded-for"))


async def current_user(
    request: Request,
    resources: Resources,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> User:
    """The human behind the bearer token (RFC 6750); asked once per request, and again when its body comes
    late. Raises unauthorized."""
    now = resources.clock.monotonic()
    known: User | None = getattr(request.state, "user", None)
    if known is not None and now - request.state.verified < FRESH_SECONDS:
        return known
    remote = remote_address(request, resources)
    try:
        if credentials is None:
            reason = LoginRefusal.no_credentials
            raise ArtcafeError(Code.unauthorized, "A bearer token is needed.", reason=reason)
        claims = await resources.tokens.verify(credentials.credentials)
    except ArtcafeError as error:
        journal.login_refused(request.scope, remote, error, way="token")
        raise
    request.state.verified = now
    request.state.user = user = User(
        UserId(claims.subject),
        claims.email or "",
        claims.tenant_claim,
        remote=remote,
        request=request_id(request.scope) or "",
        groups=claims.groups,
    )
    return user


CurrentUser = Annotated[User, Depends(current_user)]


async def roaming_user(request: Request, cases: Cases, user: CurrentUser) -> User:
    """The user outside of any tenant; such calls are counted for the user. Raises rate_limited."""
    if not getattr(request.state, "counted", False):
        request.state.counted = True
        cases.throttle.user_call(user.id)
    return user


RoamingUser = Annotated[User, Depends(roaming_user)]


async def _enter(
    request: Request,
    cases: UseCases,
    resources: ApiResources,
    user: User,
    wanted: str | None,
    *,
    even_suspended: bool = False,
) -> Human:
    """The user inside a tenant, entered once per request, and again when its body comes late; the one place
    where calls are counted and throttled, once each."""
    asked, now = (wanted, even_suspended), resources.clock.monotonic()
    known: tuple[tuple[str | None, bool], Human, float] | None = getattr(request.state, "entered", None)
    again = known is not None and known[0] == asked
    if known is not None and again and now - known[2] < FRESH_SECONDS:
        return known[1]
    try:
        human = await cases.tenants.enter(user, wanted, even_suspended=even_suspended)
    except ArtcafeError:
        await roaming_user(request, cases, user)  # Whom no tenant lets in uses up no tenant's calls.
        raise
    request.state.entered = asked, human, now
    if not again:
        await cases.throttle.api_call(human.tenant)
        cases.meter.count(human.tenant, API_CALLS)
    return human


async def current_human(
    request: Request,
    cases: Cases,
    resources: Resources,
    user: CurrentUser,
    x_tenant_id: Annotated[
        str | None,
        Header(description="Which of your tenants; may be left out when you have one.", max_length=63),
    ] = None,
) -> Human:
    """The user inside a tenant: the header picks among memberships, it never makes one."""
    return await _enter(request, cases, resources, user, x_tenant_id)


CurrentHuman = Annotated[Human, Depends(current_human)]


async def named_human(
    request: Request, cases: Cases, resources: Resources, user: CurrentUser, tenant_id: str
) -> Human:
    """The user inside the tenant that the path names."""
    return await _enter(request, cases, resources, user, tenant_id)


NamedHuman = Annotated[Human, Depends(named_human)]


async def reader(
    request: Request, cases: Cases, resources: Resources, user: CurrentUser, tenant_id: str
) -> Human:
    """The same, also where the tenant is suspended or being deleted: its members may see that it is."""
    return await _enter(request, cases, resources, user, tenant_id, even_suspended=True)


Reader = Annotated[Human, Depends(reader)]


async def current_operator(request: Request, cases: Cases, user: CurrentUser) -> User:
    """The user as an operator of the platform. Raises forbidden, whatever else is wrong with the request."""
    try:
        cases.operations.require(user)
    except ArtcafeError:
        await roaming_user(request, cases, user)
        raise
    return user


CurrentOperator = Annotated[User, Depends(current_operator)]
