"""The page for people: from this server alone, and able to run under its own strict policy."""

import re
from importlib.resources import files

import httpx
import pytest

ASSETS = files("fastapi_offline") / "static"


async def page(anyone: httpx.AsyncClient) -> httpx.Response:
    """The page, without a token."""
    answer = await anyone.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer


async def test_everything_that_the_page_names_is_served_here(anyone: httpx.AsyncClient) -> None:
    named = re.findall(r'(?:src|href)="([^"]+)"', (await page(anyone)).text)

    assert named == ["data:,", "docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/start.js"]
    for address in named[1:]:
        answer = await anyone.get(f"/{address}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(
            "text/css" if address.endswith(".css") else "text/javascript"
        )


async def test_the_page_runs_under_a_policy_that_lets_nothing_in_from_elsewhere(
    anyone: httpx.AsyncClient,
) -> None:
    answer = await page(anyone)

    policy = dict(
        directive.strip().split(" ", 1) for directive in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert {source for sources in policy.values() for source in sources.split()} == {
        "'none'",
        "'self'",
        "'unsafe-inline'",
        "data:",
    }
    assert "unsafe" not in policy["script-src"]
    assert re.findall(r"<script[^>]*>([^<]*)</script>", answer.text) == ["", ""]


async def test_it_starts_with_the_description_of_this_server(anyone: httpx.AsyncClient) -> None:
    script = (await anyone.get("/docs/start.js")).text

    [address] = re.findall(r'url: "([^"]+)"', script)
    assert (await anyone.get(f"/{address}")).json()["openapi"].startswith("3.1")
    assert "http" not in script


@pytest.mark.parametrize("name", ["swagger-ui-bundle.js", "swagger-ui.css"])
async def test_the_large_files_are_those_of_the_package_and_are_kept(
    anyone: httpx.AsyncClient, name: str
) -> None:
    answer = await anyone.get(f"/docs/{name}")

    assert answer.content == (ASSETS / name).read_bytes()
    assert answer.headers["cache-control"] == "public, max-age=86400"
    assert answer.headers["etag"]


@pytest.mark.parametrize("path", ["/docs", "/docs/start.js"])
async def test_what_may_change_with_a_release_is_asked_for_again(
    anyone: httpx.AsyncClient, path: str
) -> None:
    assert (await anyone.get(path)).headers["cache-control"] == "no-cache"
