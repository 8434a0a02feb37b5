"""The console in a real browser: signed in through the real page, it shows a tenant live, as text alone."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.kit.browser import Page, browser
from tests.kit.local_proofs import ask
from tests.kit.platform import RunningPlatform, artcafe, environment
from tests.kit.sockets import proven

NewKey = Callable[[], Path]

EVIL = '<img src=x onerror="document.title=1"><script>document.title=2</script>"\'&lt;'


def sign_in_code(platform: RunningPlatform, **wanted: str) -> str:
    """What `artcafe open --code` prints."""
    secret = (platform.data_dir / "issuer" / "secret").read_text().strip()
    answer = ask(platform.url, "/local/code", secret, **wanted)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["code"])


def press(page: Page, selector: str) -> None:
    """Click on what is there, once it is."""
    page.until(f"!!document.querySelector({json.dumps(selector)})?.checkVisibility()")
    page.value(f"document.querySelector({json.dumps(selector)}).click()")


def prove(page: Page, code: str) -> None:
    """Answer the sign-in page."""
    page.until("!!document.getElementById('proof')")
    page.value(f"document.getElementById('proof').value = {json.dumps(code)}")
    press(page, "button.primary")


def sign_in(page: Page, platform: RunningPlatform, **wanted: str) -> None:
    """From the entrance into the house, live."""
    page.open(f"{platform.url}/console/")
    press(page, "#sign-in")
    prove(page, sign_in_code(platform, **wanted))
    page.until("document.getElementById('link')?.textContent === 'Live'")
    if "tenant" in wanted:
        # Whoever has the role here may have others elsewhere: the platform has the tenants of all tests.
        chosen = json.dumps(wanted["tenant"])
        page.value(
            f"(box => {{ box.value = {chosen}; box.dispatchEvent(new Event('change')) }})"
            "(document.getElementById('tenant'))"
        )
        page.until("document.getElementById('link')?.textContent === 'Live'")


def text(page: Page, selector: str) -> str:
    """What is to be read there."""
    return str(page.value(f"document.querySelector({json.dumps(selector)}).innerText"))


async def test_an_agent_comes_speaks_and_goes_before_a_humans_eyes(
    platform: RunningPlatform, tenant: str, new_key: NewKey, tmp_path: Path
) -> None:
    key = new_key()
    platform.make_agent(tenant, "worker", key)
    with platform.rest(tenant) as rest:
        rest.put("/agents/worker", json={"name": EVIL}).raise_for_status()
        rest.post("/channels", json={"id": "tasks", "name": EVIL}).raise_for_status()

    with browser(tmp_path) as page:
        sign_in(page, platform, tenant=tenant, role="member")
        page.until(f"document.getElementById('agents').textContent.includes({json.dumps(EVIL)})")
        page.until("document.getElementById('online').textContent === '0 of 1 online'")
        assert EVIL in text(page, "#agents")
        assert EVIL in text(page, "#channels")
        assert "as member" in text(page, "#role")
        async with proven(platform.ws, tenant, "worker", key) as worker:
            page.until("document.getElementById('online').textContent === '1 of 1 online'")
            await worker.send(type="publish", subject="tasks", data={"note": EVIL})
            page.until("document.querySelectorAll('#events .message').length === 1")
            await worker.send(type="publish", subject="tasks", data=EVIL)
            page.until("document.querySelectorAll('#events .message').length === 2")
            await worker.send(type="publish", subject="tasks", data=None)
            page.until("document.querySelectorAll('#events .message').length === 3")
        page.until("document.getElementById('online').textContent === '0 of 1 online'")
        page.picture(tmp_path / "console.png")
        said = page.value("[...document.querySelectorAll('#events .said')].map(each => each.textContent)")
        elements = page.value("document.querySelectorAll('#house img, #house script').length")
        title, address = page.value("document.title"), page.value("location.href")
        requested, complaints = page.requested, page.complaints

    assert said == [
        "is offline",
        "null",
        EVIL,
        json.dumps({"note": EVIL}, separators=(",", ":")),
        "is online",
    ]
    assert elements == 1  # The brand's own picture.
    assert title == "Console · ArtCafe PubSub"
    assert address == f"{platform.url}/console/"  # Neither code nor state is left in it.
    assert [url for url in requested if not url.startswith((f"{platform.url}/", "data:"))] == []
    assert not [url for url in requested if "eyJ" in url]  # No token is in an address.
    assert complaints == []


def test_a_reload_keeps_the_human_and_signing_out_ends_it(
    platform: RunningPlatform, tenant: str, tmp_path: Path
) -> None:
    with browser(tmp_path) as page:
        sign_in(page, platform, tenant=tenant, role="viewer")
        held = json.loads(page.value("sessionStorage.getItem('artcafe.tokens')"))
        page.open(f"{platform.url}/console/")
        page.until("document.getElementById('link')?.textContent === 'Live'")

        # A token about to end is renewed, and the new one is good.
        page.value(
            f"sessionStorage.setItem('artcafe.tokens', {json.dumps(json.dumps({**held, 'expires': 0}))})"
        )
        page.open(f"{platform.url}/console/")
        page.until("document.getElementById('link')?.textContent === 'Live'")
        renewed = json.loads(page.value("sessionStorage.getItem('artcafe.tokens')"))
        assert renewed["access"] != held["access"]
        assert renewed["refresh"] != held["refresh"]

        press(page, "#sign-out")
        page.until("document.getElementById('entrance').checkVisibility()")
        assert page.value("sessionStorage.getItem('artcafe.tokens')") is None
        form = {
            "grant_type": "refresh_token",
            "client_id": "artcafe-local",
            "refresh_token": renewed["refresh"],
        }
        page.until("performance.getEntriesByName(location.origin + '/local/oauth2/revoke').length === 1")
        complaints = page.complaints

    assert httpx.post(f"{platform.url}/local/oauth2/token", data=form).json()["error"] == "invalid_grant"
    assert complaints == []


def test_an_answer_that_this_tab_did_not_ask_for_signs_nobody_in(
    platform: RunningPlatform, tmp_path: Path
) -> None:
    with browser(tmp_path) as page:
        for answer in ("?code=evil&state=guessed", "?code=evil", "?error=access_denied&state=x"):
            page.open(f"{platform.url}/console/{answer}")
            page.until("document.getElementById('entrance-fault')?.textContent.includes('not for a sign-in')")
            assert page.value("location.search") == ""
            assert page.value("sessionStorage.getItem('artcafe.tokens')") is None

        page.open(f"{platform.url}/console/")
        press(page, "#sign-in")
        page.until("!!document.getElementById('proof')")
        press(page, "button[value=deny]")
        page.until("document.getElementById('entrance-fault')?.textContent.startsWith('You said no')")
        requested = page.requested

    assert not [url for url in requested if urlsplit(url).path == "/local/oauth2/token"]


MISFITS: list[tuple[dict[str, str], str | None, str]] = [
    ({}, "?code=evil&state=guessed", "not for a sign-in from this tab"),
    ({}, "?code=evil&state=STATE&iss=https://evil.example", "another issuer"),
    ({}, "?code=evil&state=STATE", "another issuer"),
    ({}, "?code=evil&state=STATE&iss=http://127.0.0.1/local", "Your sign-in is over"),
    ({"nonce": "other"}, None, "another question"),
    ({"verifier": "x" * 43}, None, "Your sign-in is over"),
]
"""What is changed of a sign-in under way, or the answer that it gets, and what the page says to that."""


def test_an_answer_that_does_not_fit_what_was_asked_signs_nobody_in(
    platform: RunningPlatform, tmp_path: Path
) -> None:
    with browser(tmp_path) as page:
        for changes, query, words in MISFITS:
            page.open(f"{platform.url}/console/")
            press(page, "#sign-in")
            page.until("!!document.getElementById('proof')")
            attempt = json.loads(page.value("sessionStorage.getItem('artcafe.attempt')"))
            held = json.dumps(json.dumps({**attempt, **changes}))
            page.value(f"sessionStorage.setItem('artcafe.attempt', {held})")
            if query is None:
                prove(page, sign_in_code(platform))
            else:
                page.open(f"{platform.url}/console/{query.replace('STATE', attempt['state'])}")

            page.until(
                f"document.getElementById('entrance-fault')?.textContent.includes({json.dumps(words)})"
            )

            assert page.value("sessionStorage.getItem('artcafe.tokens')") is None
            assert page.value("sessionStorage.getItem('artcafe.attempt')") is None  # It is over either way.


@pytest.mark.parametrize("device", [False, True])
def test_the_command_line_signs_in_with_the_browser(
    platform: RunningPlatform, tenant: str, tmp_path: Path, device: bool
) -> None:
    elsewhere = ("--url", platform.url, "--data-dir", str(tmp_path / "elsewhere"))
    login = subprocess.Popen(
        artcafe("login", *elsewhere, *(["--device"] if device else ["--no-browser"])),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert login.stderr is not None
        shown = ""
        while not (address := re.search(r"http\S+", shown)) or (device and "type" not in shown):
            line = login.stderr.readline()
            assert line, shown
            shown += line
        with browser(tmp_path) as page:
            page.open(address[0])
            if device:
                page.until("!!document.getElementById('user_code')")
                code = shown.split()[-1].lower()
                page.value(f"document.getElementById('user_code').value = {json.dumps(code)}")
            prove(page, sign_in_code(platform, tenant=tenant, role="viewer"))
            page.until("/signed in/i.test(document.querySelector('h1 + p')?.parentElement.textContent)")
        out, _ = login.communicate(timeout=30)
    finally:
        login.kill()
        login.communicate()

    assert (login.returncode, out) == (0, f"Signed in at {platform.url}.\n")
    listed = subprocess.run(
        artcafe("agents", "list", *elsewhere, "--tenant", tenant, "--json"),
        capture_output=True,
        env=environment(),
        check=False,
    )
    assert (listed.returncode, json.loads(listed.stdout)) == (0, []), listed.stderr
