"""The REST API over an installation in memory, called in this process, and who calls it."""

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
from fastapi import FastAPI

from artcafe.server.api.application import create_app
from artcafe.server.api.deps import ApiResources, UseCases
from artcafe.server.api.pages import PageTokens
from artcafe.server.api.readiness import Check, Readiness, RecentAnswers
from artcafe.server.core.sign_in import SignIn
from artcafe.server.core.throttle import Throttle
from artcafe.server.domain.addresses import client_address
from artcafe.server.domain.ids import UserId
from artcafe.server.domain.sign_in import OAuthClient
from artcafe.server.domain.tenant import Role
from artcafe.server.identity.sealing import AesSealer
from artcafe.server.ports.identity import Discovery, Issuer
from artcafe.server.process import new_id
from artcafe.server.store.answers import AnswerTable
from artcafe.server.store.table import Table
from artcafe.wire.codes import Code
from tests.kit.forwarded import PROXIES
from tests.kit.installation import ACME, OTHER, SECRET, Installation
from tests.kit.tokens import KnownTokens

MAX_BODY = 20_000
SERVER = "wss://pubsub.example.com"

MEMBERS = {"adam": Role.admin, "mia": Role.member, "vera": Role.viewer}
"""Who is in `acme` besides its owner `olivia`. `nina` owns `acme-2`, `zoe` is nowhere."""


@dataclass
class Api:
    """The application, and the installation behind it. `checks` are what health asks.

    To make an application takes FastAPI longer than most tests take: one may be given, and is put
    before this installation until it is given to another Api.
    """

    installation: Installation
    application: FastAPI | None = None
    issuer: Issuer | None = None
    sign_in: SignIn | None = None
    sign_in_client: OAuthClient | None = None
    discovery: Discovery | None = None
    checks: dict[str, Check] = field(default_factory=dict)
    calls_per_user: int = 100_000
    readiness: Readiness = field(init=False)
    hosts: list[str] = field(default_factory=list)
    tokens: KnownTokens = field(init=False)
    app: FastAPI = field(init=False)
    cases: UseCases = field(init=False)
    resources: ApiResources = field(init=False)

    def __post_init__(self) -> None:
        process = self.installation.process
        self.tokens = KnownTokens(self.installation.clock.now)
        self.readiness = Readiness(self.checks)
        self.checks |= {"bus": self.installation.bus.ping, "store": self.installation.memory.ping}
        cases = UseCases(
            tenants=process.tenants,
            deletions=process.deletions,
            operations=process.operations,
            invitations=process.invitations,
            legal=process.legal,
            audit=process.audit,
            agents=process.agents,
            channels=process.channels,
            messages=process.messages,
            history=process.history,
            subscriptions=process.subscriptions,
            login=process.login,
            presence=process.presence,
            meter=process.meter,
            throttle=Throttle(process.directory, self.installation.clock, self.calls_per_user),
            sign_in=self.sign_in,
        )
        resources = ApiResources(
            answers=AnswerTable(Table(self.installation.store)),
            sealer=AesSealer(SECRET, os.urandom),
            pages=PageTokens(SECRET),
            tokens=self.tokens,
            issuer=self.issuer,
            sign_in_client=self.sign_in_client,
            discovery=self.discovery,
            clock=self.installation.clock,
            server_name=self._server_name,
            client_address=partial(client_address, proxies=PROXIES),
            health=RecentAnswers(self.checks, self.installation.clock.monotonic),
            readiness=self.readiness,
            version="1.2.3",
        )
        self.app = self.application or create_app(cases, resources, MAX_BODY, new_id)
        self.cases = self.app.state.use_cases = cases
        self.resources = self.app.state.resources = resources

    def _server_name(self, host: str) -> str:
        self.hosts.append(host)
        return SERVER

    def client(self, **headers: str) -> httpx.AsyncClient:
        """A client with these headers; `_` in a name is written `-`. Faults are answers, as in production."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://api.example.com",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )

    def signed_in(
        self,
        user: str,
        tenant: str | None = "acme",
        claim: str | None = None,
        groups: Collection[str] = (),
    ) -> httpx.AsyncClient:
        """A client with the user's token, in a tenant unless it is None."""
        token = self.tokens.give(user, tenant_claim=claim, groups=groups)
        headers = {"authorization": f"Bearer {token}"}
        return self.client(**headers, **({} if tenant is None else {"x_tenant_id": tenant}))


async def furnished(
    application: FastAPI | None = None,
    issuer: Issuer | None = None,
    installation: Installation | None = None,
) -> Api:
    """An API with two tenants and the people of MEMBERS, over an empty installation (None: in memory)."""
    installation = installation or await Installation.open()
    olivia = await installation.make_tenant(ACME, "olivia")
    await installation.make_tenant(OTHER, "nina")
    for user, role in MEMBERS.items():
        await installation.process.tenants.put_member(olivia, UserId(user), role, f"{user}@example.com")
    return Api(installation, application, issuer)


def problem(answer: httpx.Response, code: Code, status: int | None = None) -> dict[str, Any]:
    """Check that this is a whole problem document of this error (RFC 9457), and give it."""
    assert answer.status_code == (status or code.http), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code.name, body
    assert body["status"] == answer.status_code
    assert body["type"] == "about:blank"
    assert isinstance(body["title"], str)
    assert body["title"]
    assert isinstance(body["detail"], str)
    assert body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert set(body) <= {"type", "title", "status", "code", "detail", "request_id", "retry_after_ms"}
    assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)
    return body


def good(answer: httpx.Response, status: int = 200) -> Any:
    """Check the status and give the JSON."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()
