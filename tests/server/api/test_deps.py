"""Who is asking."""

from types import SimpleNamespace
from typing import cast

import pytest
from fastapi.security import HTTPAuthorizationCredentials
from starlette.requests import Request

from artcafe.server.api.deps import UseCases, current_human, current_user, named_human, reader
from artcafe.server.domain.ids import TenantId, UserId
from artcafe.server.domain.principal import Human, User
from artcafe.server.domain.tenant import Role
from tests.kit.api import Api
from tests.kit.forwarded import CASES

OLIVIA = User(UserId("olivia"), "olivia@example.com")


@pytest.mark.parametrize(("peer", "lines", "client"), CASES)
async def test_the_client_is_told_over_all_lines_of_the_header(
    api: Api, peer: str, lines: tuple[str, ...], client: str
) -> None:
    headers = [(b"x-forwarded-for", line.encode("latin-1", "replace")) for line in lines]
    request = Request({"type": "http", "headers": headers, "client": (peer, 50_000)})
    token = HTTPAuthorizationCredentials(scheme="Bearer", credentials=api.tokens.give("olivia"))

    user = await current_user(request, api.cases, token)

    assert user.remote == client


class Entrances:
    """As much of the use cases as entering a tenant needs; remembers what was entered."""

    def __init__(self) -> None:
        self.entered: list[tuple[str | None, bool]] = []
        self.calls = 0
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
    cases = cast("UseCases", entrances)
    request = cast("Request", SimpleNamespace(state=SimpleNamespace()))
    for _ in range(2):
        assert (await current_human(request, cases, OLIVIA, "acme")).tenant == "acme"
    assert (await named_human(request, cases, OLIVIA, "other")).tenant == "other"
    assert (await reader(request, cases, OLIVIA, "other")).tenant == "other"
    assert entrances.entered == [("acme", False), ("other", False), ("other", True)]
    assert entrances.calls == 3
