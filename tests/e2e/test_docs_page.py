"""The page for people in a real browser: it shows the API, and asks nobody else for anything."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.kit.browser import browser
from tests.kit.platform import RunningPlatform

SHOWN = "document.querySelectorAll('.opblock').length"


def test_it_shows_every_operation_and_talks_to_this_server_alone(
    platform: RunningPlatform, tmp_path: Path
) -> None:
    description = httpx.get(f"{platform.url}/openapi.json").json()
    operations = {
        f"{method.upper()} {path}" for path, methods in description["paths"].items() for method in methods
    }

    with browser(tmp_path) as page:
        page.open(f"{platform.url}/docs")
        page.until(f"{SHOWN} === {len(operations)}")
        shown = page.value(
            "[...document.querySelectorAll('.opblock-summary')].map(row => "
            "row.querySelector('.opblock-summary-method').textContent + ' ' + "
            "row.querySelector('.opblock-summary-path').dataset.path)"
        )
        title = page.value("document.querySelector('.info .title').firstChild.textContent")
        page.picture(tmp_path / "docs.png")
        requested, complaints = page.requested, page.complaints

    assert set(shown) == operations
    assert title.strip() == description["info"]["title"]
    assert {urlsplit(url).path for url in requested if url.startswith(platform.url)} == {
        "/docs",
        "/docs/start.js",
        "/docs/swagger-ui-bundle.js",
        "/docs/swagger-ui.css",
        "/openapi.json",
    }
    assert [url for url in requested if not url.startswith((f"{platform.url}/", "data:"))] == []
    assert complaints == []


def test_an_operation_is_tried_out_from_the_page(platform: RunningPlatform, tmp_path: Path) -> None:
    """What its own policy must not forbid."""
    with browser(tmp_path) as page:
        page.open(f"{platform.url}/docs")
        row = "document.querySelector('.opblock [data-path=\"/livez\"]')"
        page.until(f"!!{row}")
        page.value(f"{row}.click()")
        for button in (".try-out__btn", ".execute"):
            page.until(f"!!document.querySelector('{button}')")
            page.value(f"document.querySelector('{button}').click()")
        answer = page.until("document.querySelector('.live-responses-table .microlight')?.textContent")
        complaints = page.complaints

    assert json.loads(answer) == {"status": "ok"}
    assert complaints == []
