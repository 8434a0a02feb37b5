"""The console's files, and what a browser may do with them."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from artcafe.wire.codes import Code
from tests.kit.api import problem
from tests.kit.tree import SOURCE
from tests.server.api.test_sign_in import POOL, with_issuer

FOLDER = SOURCE / "console"


async def test_the_page_may_talk_to_this_server_and_the_issuer_alone(application: FastAPI) -> None:
    api = await with_issuer(application, POOL, "the-client")

    page = await api.client().get("/console/")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].split("; ") == [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self' wss://pubsub.example.com https://acme.auth.example",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ]


async def test_the_page_is_there_while_the_issuer_is_away(application: FastAPI) -> None:
    api = await with_issuer(application, None, "the-client")

    assert (await api.client().get("/console/")).status_code == 200


@pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda file: file.name)
async def test_every_file_is_served_as_what_it_is(anyone: httpx.AsyncClient, file: Path) -> None:
    path = "/console/" if file.name == "index.html" else f"/console/{file.name}"
    kinds = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

    answer = await anyone.get(path)

    assert answer.content == file.read_bytes()
    assert answer.headers["content-type"].partition(";")[0] == kinds[file.suffix]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "name", ["index.html", "none.js", "..%2fpy.typed", "%2e%2e", "x%00.js", "__init__.py", "STYLE.css"]
)
async def test_nothing_else_is(anyone: httpx.AsyncClient, name: str) -> None:
    problem(await anyone.get(f"/console/{name}"), Code.not_found)


async def test_without_the_slash_it_is_shown_the_way(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.get("/console")

    assert (answer.status_code, answer.headers["location"]) == (308, "console/")
