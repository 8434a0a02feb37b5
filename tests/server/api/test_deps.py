"""Who is asking."""

from types import SimpleNamespace
from typing import cast

import httpx
import pytest
from fastapi.security import HTTPAuthorizationCredentials
from starlette.requests import Request

from artcafe.server.api.deps import (
    FRESH_SECONDS,
    ApiResources,
    UseCases,
    current_human,
    current_user,
    named_human,
    reader,
)
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.tenant import Role
from artcafe.wire.codes import Code
from tests.kit.api import Api, good, problem
from tests.kit.forwarded import CASES
from tests.kit.issuers import StoppedClock

OLIVIA = User(UserId("olivia"), "olivia@example.com")


@pytest.mark.parametrize(("peer", "lines", "client"), CASES)
async def test_the_client_is_told_over_all_lines_of_the_header(
    api: Api, peer: str, lines: tuple[str, ...], client: str
) -> None:
    headers = [(b"x-forwarded-for", line.encode("latin-1", "replace")) for line in lines]
    request = Request({"type": "http", "headers": headers, "client": (peer, 50_000)})
    token = HTTPAuthorizationCredentials(scheme="Bearer", credentials=api.tokens.give("olivia"))

    user = await current_user(request, api.resources, token)

    assert user.remote == client


class Entrances:
    """As much of the use cases and resources as entering a tenant needs; remembers what was entered."""

    def __init__(self) -> None:
        self.entered: list[tuple[str | None, bool]] = []
        self.calls = 0
        self.clock = StoppedClock()
        self.tenants = self.throttle = self.meter = self

    async def enter(self, user: User, wanted: str | None, *, even_suspended: bool) -> Human:
        """core.Tenants."""
        self.entered.append((wanted, even_suspended))
        return Human(TenantId(wanted or "acme"), user.id, Role.owner, user.email)

    async def api_call(self, tenant: TenantId) -> None:
        """core.Throttle."""

    def count(self, tenant: TenantId, metric: str) -> None:
        """core.Meter."""
        self.calls += 1


async def test_a_tenant_is_entered_once_and_never_taken_for_another() -> None:
    entrances = Entrances()
    cases, resources = cast("UseCases", entrances), cast("ApiResources", entrances)
    request = cast("Request", SimpleNamespace(state=SimpleNamespace()))
    for _ in range(2):
        assert (await current_human(request, cases, resources, OLIVIA, "acme")).tenant == "acme"
    assert (await named_human(request, cases, resources, OLIVIA, "other")).tenant == "other"
    assert (await reader(request, cases, resources, OLIVIA, "other")).tenant == "other"
    assert entrances.entered == [("acme", False), ("other", False), ("other", True)]
    assert entrances.calls == 3


class TestCallsOutsideOfTenants:
    @pytest.fixture
    def few(self, api: Api) -> Api:
        """An API that takes five such calls of a user in a minute."""
        return Api(api.installation, api.app, calls_per_user=5)

    @pytest.mark.parametrize(
        ("user", "method", "path", "status"),
        [
            ("zoe", "GET", "/api/v1/tenants", 200),
            ("zoe", "POST", "/api/v1/tenants", 422),
            ("zoe", "POST", "/api/v1/invitations/accept", 404),
            ("zoe", "GET", "/api/v1/tenants/acme", 403),
            ("zoe", "GET", "/api/v1/agents", 403),
            ("zoe", "POST", "/api/v1/tenants/nowhere/members", 403),
            ("zoe", "GET", "/api/v1/operator/tenants", 403),
            ("olivia", "GET", "/api/v1/tenants", 200),
        ],
    )
    async def test_what_enters_no_tenant_is_counted_for_the_user(
        self, few: Api, user: str, method: str, path: str, status: int
    ) -> None:
        """Whether it is taken or refused, and once for each request."""
        client = few.signed_in(user, None)

        async def call() -> httpx.Response:
            return await client.request(method, path, json=None if method == "GET" else {"token": "x"})

        assert [(await call()).status_code for _ in range(5)] == [status] * 5
        refused = await call()

        assert problem(refused, Code.rate_limited)["retry_after_ms"] == 12_000
        assert refused.headers["retry-after"] == "12"
        few.installation.clock.advance(12.01)
        assert (await call()).status_code == status
        # Others are not touched, nor what the user does in its tenants.
        good(await few.signed_in("nina", None).get("/api/v1/tenants"))
        if user == "olivia":
            good(await few.signed_in("olivia").get("/api/v1/agents"))

    async def test_what_is_done_in_a_tenant_or_by_an_operator_is_not(self, few: Api) -> None:
        olivia, oscar = few.signed_in("olivia"), few.signed_in("oscar", None)
        for _ in range(6):
            good(await olivia.get("/api/v1/tenants/acme"))
            good(await olivia.get("/api/v1/agents"))
            good(await oscar.get("/api/v1/operator/tenants"))

        good(await olivia.get("/api/v1/tenants"))


async def test_a_tenant_is_entered_again_when_the_body_comes_late_and_counted_once() -> None:
    entrances = Entrances()
    cases, resources = cast("UseCases", entrances), cast("ApiResources", entrances)
    request = cast("Request", SimpleNamespace(state=SimpleNamespace()))
    for _ in range(3):
        await current_human(request, cases, resources, OLIVIA, "acme")
        entrances.clock.advance(2 * FRESH_SECONDS)
    assert entrances.entered == [("acme", False)] * 3
    assert entrances.calls == 1
