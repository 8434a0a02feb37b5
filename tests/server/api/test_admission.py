"""Who is refused is refused by the head of the request, before its body is read."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from artcafe.server.api.admission import ACTIONS, AdmittingRoute
from artcafe.wire.codes import Code
from tests.kit.api import Api, furnished, good, problem
from tests.kit.asgi import ask, scope_of
from tests.kit.signing import KeyPair

JSON = {"content-type": "application/json"}


def bodies(application: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation that takes a body: method, a concrete path, its description."""
    for path, methods in application.openapi()["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                named = path.replace("{tenant_id}", "acme").replace("{channel_id}", "tasks")
                for name in ("agent_id", "user_id", "key_id"):
                    named = named.replace(f"{{{name}}}", "x")
                yield method.upper(), named, operation


def of_tenants(application: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Those of them that a role decides about."""
    for method, path, operation in bodies(application):
        names = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
        if names & {"tenant_id", "x-tenant-id"} and "operator" not in operation["tags"]:
            yield method, path, operation


def everybody(api: Api) -> httpx.AsyncClient:
    """Who may do everything: an owner, who is an operator of the platform besides."""
    return api.signed_in("olivia", groups=["platform-operators"])


def headers_of(client: httpx.AsyncClient, **more: str) -> dict[str, str]:
    """What this client sends, with a body of a gigabyte to come."""
    return {**client.headers, **JSON, "content-length": "1000000000", **more}


def test_every_route_admits(application: FastAPI) -> None:
    built_in = {"/openapi.json"}
    strangers = {
        context.path
        for context in iter_route_contexts(application.routes)
        if not isinstance(context.original_route, AdmittingRoute)
    }
    assert strangers == built_in


def test_every_role_that_is_needed_for_a_body_is_known_before_it_is_read(application: FastAPI) -> None:
    needed = {operation["operationId"] for _, _, operation in of_tenants(application)}
    assert needed == {name.partition("?")[0] for name in ACTIONS}


@pytest.mark.parametrize("authorization", ["", "Bearer garbage", "Bearer expired"])
async def test_who_has_no_token_is_told_so_before_a_byte_is_read(
    application: FastAPI, authorization: str
) -> None:
    api = await furnished(application)
    protected = [each for each in bodies(application) if "security" in each[2]]

    for method, path, _ in protected:
        scope = scope_of(method, path, headers_of(api.client(authorization=authorization)))
        asked = await ask(api.app, scope, b"x" * 1000, b"x" * 1000)

        assert (asked.status, asked.reads) == (401, 0), path
        assert asked.headers["connection"] == "close"
    assert len(protected) > 10


@pytest.mark.parametrize("user", ["zoe", "vera"], ids=["no member", "a viewer"])
async def test_whose_role_may_not_is_told_so_before_a_byte_is_read(application: FastAPI, user: str) -> None:
    api = await furnished(application)
    doors = list(of_tenants(application))

    for method, path, _ in doors:
        for query in ("", "?as=system"):
            scope = scope_of(method, path + query, headers_of(api.signed_in(user)))
            asked = await ask(api.app, scope, b"x" * 1000, b"x" * 1000)

            assert (asked.status, asked.reads) == (403, 0), path
            assert asked.headers["connection"] == "close"
    assert len(doors) > 5


async def test_a_length_over_the_limit_is_refused_before_a_byte_is_read(application: FastAPI) -> None:
    api = await furnished(application)
    good(await api.signed_in("olivia").post("/api/v1/channels", json={"name": "tasks"}), 201)

    for method, path, _ in bodies(application):
        scope = scope_of(method, path, headers_of(everybody(api)))
        asked = await ask(api.app, scope, b"x" * 1000, b"x" * 1000)

        assert (asked.status, asked.reads) == (413, 0), path
        assert json.loads(asked.body)["code"] == "too_large"


def body_of(path: str) -> bytes:
    """One that the route takes, whatever it is."""
    fields = {
        "/keys/": {"status": "revoked"},
        "/keys": {"public_key": KeyPair().line},
        "/members/": {"role": "viewer"},
        "/members": {"user_id": "x", "role": "viewer"},
        "/invitations": {"role": "viewer"},
        "/legal": {},
    }
    found = next((body for part, body in fields.items() if part in path), {"name": "x"})
    return json.dumps(found).encode()


async def lose(api: Api, lost: str) -> None:
    """Max loses what let him in."""
    if lost == "membership":
        await api.signed_in("olivia").delete("/api/v1/tenants/acme/members/max")
    api.installation.clock.advance(11 if lost == "token" else 1)


@pytest.mark.parametrize(("lost", "status"), [("membership", 403), ("token", 401)])
async def test_what_was_lost_before_the_body_came_is_lost(
    application: FastAPI, lost: str, status: int
) -> None:
    """The head is admitted, and the body may come hours later."""
    api = await furnished(application)
    olivia = api.signed_in("olivia")
    good(await olivia.post("/api/v1/channels", json={"name": "tasks"}), 201)
    for method, path, _ in of_tenants(application):
        await olivia.put("/api/v1/tenants/acme/members/max", json={"role": "owner"})
        head = api.client(authorization=f"Bearer {api.tokens.give('max', seconds=10)}", x_tenant_id="acme")
        body = body_of(path)
        headers = headers_of(head, **{"content-length": f"{len(body)}"})

        asked = await ask(api.app, scope_of(method, path, headers), body, meanwhile=partial(lose, api, lost))

        assert (asked.reads > 0, asked.status) == (True, status), (path, asked.body)


async def test_the_token_and_the_tenant_are_asked_for_once(api: Api, olivia: httpx.AsyncClient) -> None:
    good(await olivia.post("/api/v1/agents", json={"id": "a", "name": "a"}), 201)
    good(await olivia.put("/api/v1/tenants/acme", json={"description": "x"}))

    usage = good(await olivia.get("/api/v1/usage-metrics"))

    assert api.tokens.verifying.calls == 3
    assert usage["totals"]["api_calls_count"] == 3


MEDIA_TYPES = [
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "text/json",
    "application/octet-stream",
    "application/jsonp",
    "application/+json",
    "application",
    "json",
    "application/json, text/plain",
    "application/json; charset=utf-16",
    'application/json; charset="iso-8859-1"',
    "*/*",
]


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
async def test_a_body_of_another_type_is_refused_unread_wherever_there_is_one(
    application: FastAPI, media_type: str
) -> None:
    api = await furnished(application)

    for method, path, _ in bodies(application):
        headers = {**everybody(api).headers, "content-type": media_type, "content-length": "3"}
        asked = await ask(api.app, scope_of(method, path, headers), b"a=b")

        assert (asked.status, asked.reads) == (415, 0), path
        assert json.loads(asked.body)["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json; profile=x",
        "application/problem+json",
        "application/vnd.api+json",
    ],
)
async def test_json_is_taken_by_all_its_names_and_without_one(
    olivia: httpx.AsyncClient, media_type: str | None
) -> None:
    headers = {} if media_type is None else {"content-type": media_type}

    good(await olivia.post("/api/v1/channels", content=b'{"name": "tasks"}', headers=headers), 201)
    good(await olivia.post("/api/v1/channels/tasks/messages", content=b"{}", headers=headers))


async def test_a_compressed_body_is_refused_and_identity_is_none(olivia: httpx.AsyncClient) -> None:
    async def sent(coding: str) -> httpx.Response:
        headers = {**JSON, "content-encoding": coding}
        return await olivia.post("/api/v1/channels", content=b'{"name": "tasks"}', headers=headers)

    for coding in ("gzip", "br", "identity, gzip"):
        problem(await sent(coding), Code.unsupported_media_type)
    good(await sent("identity"), 201)


async def test_a_body_that_is_cut_off_is_the_clients_fault(
    api: Api, olivia: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    good(await olivia.post("/api/v1/channels", json={"name": "tasks"}), 201)
    headers = {**olivia.headers, **JSON, "transfer-encoding": "chunked"}

    for path in ("/api/v1/channels", "/api/v1/channels/tasks/messages"):

        async def gone() -> dict[str, object]:
            return {"type": "http.disconnect"}

        answers: list[Any] = []

        async def send(message: Any, answers: list[Any] = answers) -> None:
            answers.append(message)

        await api.app(scope_of("POST", path, headers), gone, send)

        assert answers[0]["status"] == 400
    assert "fault" not in caplog.text
