"""Every route, for everybody: what is let through is what this page says, and nothing else.

The page is written by hand and not read from domain.access, so that a row flipped there fails here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from artcafe.server.domain.access import ALLOWED, Action
from artcafe.server.domain.tenant import Role
from tests.kit.api import Api, furnished, good
from tests.kit.local_proofs import NONCE, PROOF
from tests.kit.signing import KeyPair

PUBLIC, SIGNED_IN, OPERATOR = "public", "signed in", "operator"

LOWEST = {
    "read": "viewer",
    "manage_agents": "member",
    "manage_channels": "member",
    "publish": "member",
    "publish_as_system": "admin",
    "read_audit": "admin",
    "change_tenant": "admin",
    "manage_members": "admin",
    "delete_tenant": "owner",
}
"""The lowest role that may do each thing."""

ROLES = ["viewer", "member", "admin", "owner"]

PEOPLE = {"viewer": "vera", "member": "mia", "admin": "adam", "owner": "olivia"}
"""Who has which role in `acme`. Nina owns another tenant, Zoe is nowhere, Oscar is an
operator of the platform and in no tenant, and so is Gwen by a group."""


@dataclass(frozen=True)
class Door:
    """A route, what it needs, and a request that opens it for whoever has that."""

    method: str
    path: str
    needs: str
    body: dict[str, Any] | None = None
    named: dict[str, str] = field(default_factory=dict)
    query: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}{self.query}"


V1, TENANT = "/api/v1", "/api/v1/tenants/{tenant_id}"
KEY_PAIR = KeyPair()
KEY = {"agent_id": "a1", "key_id": KEY_PAIR.fingerprint[7:].replace("+", "-").replace("/", "_")}
A1, TASKS, MONA = {"agent_id": "a1"}, {"channel_id": "tasks"}, {"user_id": "mona"}
WORKERS, FIRST = TASKS | {"subscription_name": "workers"}, TASKS | {"seq": "1"}
CHALLENGE = {"tenant_id": "acme", "agent_id": "a1"}

DOORS = [
    Door("GET", "/livez", PUBLIC),
    Door("GET", "/readyz", PUBLIC),
    Door("GET", "/health", PUBLIC),
    Door("GET", f"{V1}/health", PUBLIC),
    Door("GET", f"{V1}/legal/versions", PUBLIC),
    Door("POST", f"{V1}/agents/auth/challenge", PUBLIC, CHALLENGE),
    Door("POST", f"{V1}/auth/agent/challenge", PUBLIC, CHALLENGE),
    Door("POST", f"{V1}/agents/auth/verify", PUBLIC, {**CHALLENGE, "challenge": "x", "response": "x"}),
    Door("POST", f"{V1}/auth/agent/verify", PUBLIC, {**CHALLENGE, "challenge": "x", "response": "x"}),
    Door("GET", f"{V1}/auth/config", PUBLIC),
    Door("POST", "/local/challenge", PUBLIC, {"nonce": NONCE}),
    Door("POST", "/local/token", PUBLIC, PROOF),
    Door("POST", "/local/code", PUBLIC, PROOF),
    Door("GET", "/local/oauth2/authorize", PUBLIC),
    Door("POST", "/local/oauth2/authorize", PUBLIC),
    Door("GET", "/local/oauth2/device", PUBLIC),
    Door("POST", "/local/oauth2/device", PUBLIC),
    Door("POST", "/local/oauth2/token", PUBLIC),
    Door("POST", "/local/oauth2/device_authorization", PUBLIC),
    Door("POST", "/local/oauth2/revoke", PUBLIC),
    Door("GET", "/local/.well-known/jwks.json", PUBLIC),
    Door("GET", "/local/.well-known/openid-configuration", PUBLIC),
    Door("POST", f"{V1}/tenants", SIGNED_IN, {"name": "new"}),
    Door("GET", f"{V1}/tenants", SIGNED_IN),
    Door("POST", f"{V1}/invitations/accept", SIGNED_IN, {"token": "acme.x.y"}),
    Door("GET", TENANT, "read"),
    Door("PUT", TENANT, "change_tenant", {"description": "x"}),
    Door("DELETE", TENANT, "delete_tenant"),
    Door("GET", f"{TENANT}/members", "read"),
    Door("POST", f"{TENANT}/members", "manage_members", {"user_id": "new", "role": "viewer"}),
    Door("GET", f"{TENANT}/members/{{user_id}}", "read", named=MONA),
    Door("PUT", f"{TENANT}/members/{{user_id}}", "manage_members", {"role": "viewer"}, MONA),
    Door("DELETE", f"{TENANT}/members/{{user_id}}", "manage_members", named=MONA),
    Door("GET", f"{TENANT}/invitations", "manage_members"),
    Door("POST", f"{TENANT}/invitations", "manage_members", {"role": "viewer"}),
    Door("DELETE", f"{TENANT}/invitations/{{invitation_id}}", "manage_members", named={"invitation_id": "x"}),
    Door("GET", f"{TENANT}/metrics", "read"),
    Door("GET", f"{TENANT}/legal", "read"),
    Door("POST", f"{TENANT}/legal", "change_tenant", {}),
    Door("GET", f"{V1}/audit", "read_audit"),
    Door("GET", f"{V1}/agents", "read"),
    Door("POST", f"{V1}/agents", "manage_agents", {"name": "new", "public_key": KeyPair().line}),
    Door("GET", f"{V1}/agents/{{agent_id}}", "read", named=A1),
    Door("PUT", f"{V1}/agents/{{agent_id}}", "manage_agents", {"name": "x"}, A1),
    Door("DELETE", f"{V1}/agents/{{agent_id}}", "manage_agents", named=A1),
    Door("GET", f"{V1}/agents/{{agent_id}}/keys", "read", named=A1),
    Door("POST", f"{V1}/agents/{{agent_id}}/keys", "manage_agents", {"public_key": KeyPair().line}, A1),
    Door("PUT", f"{V1}/agents/{{agent_id}}/keys/{{key_id}}", "manage_agents", {"status": "revoked"}, KEY),
    Door("DELETE", f"{V1}/agents/{{agent_id}}/keys/{{key_id}}", "manage_agents", named=KEY),
    Door("GET", f"{V1}/channels", "read"),
    Door("POST", f"{V1}/channels", "manage_channels", {"name": "new"}),
    Door("GET", f"{V1}/channels/{{channel_id}}", "read", named=TASKS),
    Door("PUT", f"{V1}/channels/{{channel_id}}", "manage_channels", {"name": "x"}, TASKS),
    Door("DELETE", f"{V1}/channels/{{channel_id}}", "manage_channels", named=TASKS),
    Door("GET", f"{V1}/channels/{{channel_id}}/messages", "read", named=TASKS),
    Door("GET", f"{V1}/channels/{{channel_id}}/subscriptions", "read", named=TASKS),
    Door(
        "DELETE",
        f"{V1}/channels/{{channel_id}}/subscriptions/{{subscription_name}}",
        "manage_channels",
        named=WORKERS,
    ),
    Door("GET", f"{V1}/channels/{{channel_id}}/dead-letters", "read", named=TASKS),
    Door("DELETE", f"{V1}/channels/{{channel_id}}/dead-letters", "manage_channels", named=TASKS),
    Door("DELETE", f"{V1}/channels/{{channel_id}}/dead-letters/{{seq}}", "manage_channels", named=FIRST),
    Door("POST", f"{V1}/channels/{{channel_id}}/dead-letters/{{seq}}/retry", "manage_channels", named=FIRST),
    Door("POST", f"{V1}/channels/{{channel_id}}/messages", "publish", {}, TASKS),
    Door("POST", f"{V1}/channels/{{channel_id}}/messages", "publish_as_system", {}, TASKS, "?as=system"),
    Door("GET", f"{V1}/operator/log", OPERATOR),
    Door("GET", f"{V1}/operator/tenants", OPERATOR),
    Door("GET", f"{V1}/operator/tenants/{{tenant_id}}", OPERATOR),
    Door("PATCH", f"{V1}/operator/tenants/{{tenant_id}}", OPERATOR, {"status": "active"}),
    Door("GET", f"{V1}/usage-metrics", "read"),
    Door("GET", f"{V1}/usage-metrics/billing", "read"),
]

PROVES_SOMETHING_ELSE = {f"{V1}/agents/auth/verify", f"{V1}/auth/agent/verify"}
"""Public, and refused all the same to whom does not prove what they ask for."""

ASSETS = {
    *("/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/openapi.json"),
    *("/", "/console", "/console/", "/console/{name}"),
}
"""The description of the API, the page that shows it, and the console: the same for everybody."""


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every method and path that the application answers."""
    for context in iter_route_contexts(app.routes):
        for method in sorted((context.methods or {"GET"}) - {"HEAD"}):
            yield method, f"{context.path}"


async def house(application: FastAPI) -> Api:
    """Everybody and everything that the doors need."""
    api = await furnished(application)
    olivia = api.signed_in("olivia")
    await olivia.post(f"{V1}/tenants/acme/members", json={"user_id": "mona", "role": "viewer"})
    key = KEY_PAIR.line
    good(await olivia.post(f"{V1}/agents", json={"id": "a1", "name": "a1", "public_key": key}), 201)
    good(await olivia.post(f"{V1}/channels", json={"id": "tasks", "name": "Tasks"}), 201)
    return api


async def knock(client: httpx.AsyncClient, door: Door) -> int:
    """The status that this client gets at a door of `acme`."""
    path = door.path.format(**{"tenant_id": "acme", **door.named})
    async with client:
        answer = await client.request(door.method, path + door.query, json=door.body)
    return answer.status_code


def test_every_route_is_on_this_page(application: FastAPI) -> None:
    found = set(routes(application))

    listed = {(door.method, door.path) for door in DOORS}
    assert {(method, path) for method, path in found if path not in ASSETS} == listed
    assert {path for _, path in found if path in ASSETS} == ASSETS


@pytest.mark.parametrize("door", DOORS, ids=str)
async def test_who_may_come_in(application: FastAPI, door: Door) -> None:
    assert await mistakes(application, door) == []


async def mistakes(application: FastAPI, door: Door) -> list[str]:
    """Whoever is let in and should not be, and the other way round."""
    found = []
    api = await house(application)
    for name, client in {
        "nobody": api.client(),
        "garbage": api.client(authorization="Bearer garbage", x_tenant_id="acme"),
        "expired": api.client(authorization="Bearer expired", x_tenant_id="acme"),
    }.items():
        status = await knock(client, door)
        if (status == 401) != (door.needs != PUBLIC or door.path in PROVES_SOMETHING_ELSE):
            found.append(f"{name}: {status}")
    for name in ("nina", "zoe"):
        status = await knock(api.signed_in(name, "acme"), door)
        if (status == 403) != (door.needs not in {PUBLIC, SIGNED_IN}):
            found.append(f"{name}: {status}")
    for name, client in {
        "oscar": api.signed_in("oscar", "acme"),
        "gwen": api.signed_in("gwen", "acme", groups=["platform-operators"]),
    }.items():
        status = await knock(client, door)
        if (status == 403) != (door.needs not in {PUBLIC, SIGNED_IN, OPERATOR}):
            found.append(f"{name}: {status}")
    for role in ROLES:
        found += await mistaken(await house(application), role, door)
    return found


async def mistaken(api: Api, role: str, door: Door) -> list[str]:
    """The same for a member of this role."""
    status = await knock(api.signed_in(PEOPLE[role]), door)
    return [f"{role}: {status}"] if (status == 403) == may(role, door.needs) else []


def may(role: str, needs: str) -> bool:
    """What this page says."""
    if needs in {PUBLIC, SIGNED_IN}:
        return True
    if needs == OPERATOR:
        return False  # No role in a tenant is one on the platform.
    return ROLES.index(role) >= ROLES.index(LOWEST[needs])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", LOWEST)
async def test_a_flipped_row_of_the_table_is_noticed(
    application: FastAPI, monkeypatch: pytest.MonkeyPatch, role: str, action: str
) -> None:
    doors = [door for door in DOORS if door.needs == action]
    houses = [await house(application) for _ in doors]
    monkeypatch.setitem(ALLOWED, Role(role), ALLOWED[Role(role)] ^ {Action(action)})

    assert doors
    for api, door in zip(houses, doors, strict=True):
        application.state.use_cases = api.cases
        application.state.resources = api.resources
        assert await mistaken(api, role, door)


def test_the_page_knows_every_action_and_role() -> None:
    assert {action.value for action in Action} == set(LOWEST)
    assert {role.value for role in Role} == set(ROLES)


OF_ACME = [door for door in DOORS if door.named and door.method != "POST" and "user_id" not in door.named]


@pytest.mark.parametrize("door", OF_ACME, ids=str)
async def test_what_another_tenant_has_is_not_even_there(application: FastAPI, door: Door) -> None:
    """Being an owner at home opens nothing next door."""
    api = await house(application)
    before = await everything(api)

    path = door.path.format(**{"tenant_id": "acme-2", **door.named})
    answer = await api.signed_in("nina", "acme-2").request(door.method, path + door.query, json=door.body)

    assert answer.status_code == 404
    assert await everything(api) == before


async def everything(api: Api) -> list[str]:
    """Every item of `acme`."""
    page = await api.installation.memory.query(f"T#{await api.installation.partition()}", "", 1000, None)
    return [f"{item}" for item in page.items]
