"""HEAD is GET without a body, wherever GET is."""

import httpx
import pytest

from artcafe.wire.codes import Code
from tests.kit.api import Api, good

PATHS = [
    "/",
    "/livez",
    "/readyz",
    "/health",
    "/api/v1/health",
    "/openapi.json",
    "/docs",
    "/docs/start.js",
    "/docs/swagger-ui.css",
    "/console",
    "/console/",
    "/console/console.js",
    "/local/oauth2/authorize",
    "/api/v1/legal/versions",
    "/api/v1/tenants",
    "/api/v1/tenants/acme",
    "/api/v1/tenants/acme/members/vera",
    "/api/v1/agents",
    "/api/v1/agents/a1",
    "/api/v1/audit",
    "/nowhere",
]

_OF_THE_MOMENT = {"x-request-id", "date"}


@pytest.mark.parametrize("path", PATHS)
async def test_the_answer_has_the_status_and_headers_of_get_and_no_body(
    olivia: httpx.AsyncClient, path: str
) -> None:
    got, head = await olivia.get(path), await olivia.head(path)

    assert head.status_code == got.status_code
    assert head.content == b""
    kept = {name: value for name, value in got.headers.items() if name not in _OF_THE_MOMENT}
    assert {name: value for name, value in head.headers.items() if name not in _OF_THE_MOMENT} == kept
    assert int(head.headers["content-length"]) == len(got.content)


async def test_where_there_is_no_get_there_is_no_head(olivia: httpx.AsyncClient) -> None:
    answer = await olivia.head("/api/v1/invitations/accept")

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.content == b""


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/health", "GET, HEAD"),
        ("/api/v1/agents", "GET, HEAD, POST"),
        ("/api/v1/agents/a1", "DELETE, GET, HEAD, PUT"),
        ("/api/v1/invitations/accept", "POST"),
        ("/api/v1/tenants/acme/members/repo%3Aorg%2Fapp", "DELETE, GET, HEAD, PUT"),
    ],
)
async def test_allow_names_every_method_of_the_path(
    olivia: httpx.AsyncClient, path: str, allowed: str
) -> None:
    for method in ("PATCH", "OPTIONS", "TRACE"):
        answer = await olivia.request(method, path)

        assert (answer.status_code, answer.headers["allow"]) == (405, allowed), method
        assert answer.json()["code"] == Code.method_not_allowed.name


async def test_nothing_is_changed_by_head(api: Api, olivia: httpx.AsyncClient) -> None:
    good(await olivia.post("/api/v1/agents", json={"id": "a1", "name": "a1"}), 201)
    before = good(await olivia.get("/api/v1/agents/a1"))

    await olivia.head("/api/v1/agents/a1")

    assert good(await olivia.get("/api/v1/agents/a1")) == before
