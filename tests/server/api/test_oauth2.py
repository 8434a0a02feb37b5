"""The embedded issuer as browsers and programs meet it, and what attackers try there (RFC 9700)."""

import base64
import json
import re
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI

from artcafe.server.domain.sign_in import OAuthClient
from artcafe.server.identity.dev_issuer import LOCAL_CLIENT
from artcafe.wire.codes import Code
from tests.kit.api import Api, furnished, good, problem
from tests.kit.local_issuer import ISSUER, furnished_with_issuer
from tests.kit.local_proofs import PROOF, prove
from tests.server.domain.test_sign_in import CHALLENGE, VERIFIER

HOME = "https://pubsub.example.com"
"""What tests.kit.api says the server is called."""

AUTHORIZE, TOKEN, DEVICE = (f"/local/oauth2/{name}" for name in ("authorize", "token", "device"))
CALLBACK = "http://127.0.0.1:34567/callback"
ASKED = {
    "response_type": "code",
    "client_id": LOCAL_CLIENT,
    "redirect_uri": CALLBACK,
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": "the-state",
    "nonce": "the-nonce",
    "scope": "openid email",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("local") / "issuer"


@pytest.fixture
async def api(application: FastAPI, directory: Path) -> Api:
    """As `artcafe up` has it."""
    api = await furnished_with_issuer(application, directory)
    api.sign_in_client = OAuthClient(LOCAL_CLIENT, ("openid", "email"))
    api.__post_init__()
    return api


@pytest.fixture
async def proof(anyone: httpx.AsyncClient, directory: Path) -> str:
    """A sign-in code, made from the secret."""
    secret = (directory / "secret").read_text().strip()
    return str(good(await prove(anyone, "/local/code", secret))["code"])


def hidden(page: httpx.Response) -> dict[str, str]:
    """The fields that a form carries."""
    return {
        unescape(name): unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text)
    }


def told(answer: httpx.Response) -> dict[str, str]:
    """What a redirect tells the client."""
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith(f"{CALLBACK}?")
    return {name: value for name, [value] in parse_qs(urlsplit(answer.headers["location"]).query).items()}


async def allowed(anyone: httpx.AsyncClient, proof: str, **changes: str) -> dict[str, str]:
    """Through the page, as a browser goes."""
    page = await anyone.get(AUTHORIZE, params=ASKED | changes)
    assert page.status_code == 200, page.text
    form = {**hidden(page), "proof": proof, "decision": "allow"}
    return told(await anyone.post(AUTHORIZE, data=form, headers={"origin": HOME}))


async def exchanged(anyone: httpx.AsyncClient, code: str, **changes: str) -> httpx.Response:
    """Ask for the tokens of a code."""
    form = {
        "grant_type": "authorization_code",
        "client_id": LOCAL_CLIENT,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        "code": code,
    }
    return await anyone.post(TOKEN, data=form | changes)


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return found


async def test_from_the_page_to_tokens(anyone: httpx.AsyncClient, proof: str) -> None:
    answer = await allowed(anyone, proof)
    assert answer.keys() == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("the-state", ISSUER)

    response = await exchanged(anyone, answer["code"])
    tokens = good(response)

    assert response.headers["cache-control"] == "no-store"
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    access, identity = claims(tokens["access_token"]), claims(tokens["id_token"])
    assert (access["sub"], access["token_use"], access["iss"]) == ("local-owner", "access", ISSUER)
    assert (identity["aud"], identity["nonce"], identity["token_use"]) == (LOCAL_CLIENT, "the-nonce", "id")
    renewed = good(
        await anyone.post(
            TOKEN,
            data={
                "grant_type": "refresh_token",
                "client_id": LOCAL_CLIENT,
                "refresh_token": tokens["refresh_token"],
            },
        )
    )
    assert renewed["refresh_token"] != tokens["refresh_token"]


async def test_the_page_is_no_ground_for_another_pages_frame_or_script(anyone: httpx.AsyncClient) -> None:
    page = await anyone.get(AUTHORIZE, params=ASKED | {"state": "<script>alert(1)</script>\"'"})
    assert page.status_code == 200, page.headers

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:34567;" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert "<script>alert" not in page.text
    assert hidden(page)["state"] == "<script>alert(1)</script>\"'"


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1:8000/console/"},
        {"redirect_uri": f"{HOME}/console/?x"},
        {"redirect_uri": ""},
        {"client_id": "another"},
    ],
)
@pytest.mark.parametrize("decision", [None, "allow", "deny"])
async def test_nothing_is_ever_sent_to_an_address_that_is_not_ours(
    anyone: httpx.AsyncClient, proof: str, changes: dict[str, str], decision: str | None
) -> None:
    asked = ASKED | changes
    if decision is None:
        answer = await anyone.get(AUTHORIZE, params=asked)
    else:
        answer = await anyone.post(AUTHORIZE, data={**asked, "decision": decision, "proof": proof})

    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "evil" not in answer.text + str(answer.headers)


async def test_the_console_is_answered_at_its_own_address(anyone: httpx.AsyncClient, proof: str) -> None:
    form = ASKED | {"redirect_uri": f"{HOME}/console/", "proof": proof, "decision": "allow"}
    answer = await anyone.post(AUTHORIZE, data=form, headers={"origin": HOME})

    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{HOME}/console/?code=")


@pytest.mark.parametrize("method", ["plain", ""])
async def test_without_pkce_there_is_no_code(anyone: httpx.AsyncClient, proof: str, method: str) -> None:
    form = ASKED | {"code_challenge_method": method, "proof": proof, "decision": "allow"}

    answer = told(await anyone.post(AUTHORIZE, data=form))

    assert (answer["error"], answer["state"], answer["iss"]) == ("invalid_request", "the-state", ISSUER)
    assert "code" not in answer


async def test_who_has_no_sign_in_code_is_asked_again(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.post(AUTHORIZE, data=ASKED | {"proof": "guessed", "decision": "allow"})

    assert answer.status_code == 401
    assert "location" not in answer.headers
    assert 'role="alert"' in answer.text
    assert "guessed" not in answer.text
    assert hidden(answer) == ASKED


@pytest.mark.parametrize("decision", ["deny", ""])
async def test_a_no_is_told_to_the_client_and_spends_nothing(
    anyone: httpx.AsyncClient, proof: str, decision: str
) -> None:
    answer = told(await anyone.post(AUTHORIZE, data=ASKED | {"proof": proof, "decision": decision}))
    assert (answer["error"], answer["state"]) == ("access_denied", "the-state")

    assert "code" in await allowed(anyone, proof)


@pytest.mark.parametrize("path", [AUTHORIZE, DEVICE])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:34567"])
async def test_another_sites_form_is_refused(
    anyone: httpx.AsyncClient, proof: str, path: str, origin: str
) -> None:
    form = ASKED | {"proof": proof, "decision": "allow"}

    problem(await anyone.post(path, data=form, headers={"origin": origin}), Code.forbidden)

    assert "code" in await allowed(anyone, proof)


async def test_a_code_is_good_once_and_for_its_verifier(anyone: httpx.AsyncClient, proof: str) -> None:
    code = (await allowed(anyone, proof))["code"]

    for changes in (
        {"code_verifier": "y" * 43},
        {"code_verifier": ""},
        {"redirect_uri": "http://127.0.0.1:1/callback"},
    ):
        refused = await exchanged(anyone, code, **changes)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert (await exchanged(anyone, code)).status_code == 200
    again = await exchanged(anyone, code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_id": "another"}, "invalid_client"),
        ({"client_id": ""}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}, "expired_token"),
    ],
)
async def test_what_cannot_be_exchanged(
    anyone: httpx.AsyncClient, changes: dict[str, str], error: str
) -> None:
    answer = await exchanged(anyone, "x", **changes)

    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"grant_type":"refresh_token"}', "application/json"),
        (b"a=1&a=2", "application/x-www-form-urlencoded"),
        (b"a=%ff", "application/x-www-form-urlencoded"),
        (b"a=" + b"x" * 17_000, "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % n for n in range(40)), "application/x-www-form-urlencoded"),
    ],
)
@pytest.mark.parametrize("path", [TOKEN, AUTHORIZE, DEVICE])
async def test_what_is_no_form(anyone: httpx.AsyncClient, path: str, body: bytes, kind: str) -> None:
    answer = await anyone.post(path, content=body, headers={"content-type": kind})

    assert answer.status_code == 400
    if path == TOKEN:
        assert answer.json()["error"] == "invalid_request"


async def test_a_device_is_signed_in_from_another_screen(anyone: httpx.AsyncClient, proof: str) -> None:
    begun = good(
        await anyone.post(f"{DEVICE}_authorization", data={"client_id": LOCAL_CLIENT, "scope": "email"})
    )
    assert begun["verification_uri"] == f"{HOME}{DEVICE}"
    poll = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "client_id": LOCAL_CLIENT,
        "device_code": begun["device_code"],
    }
    waiting = await anyone.post(TOKEN, data=poll)
    assert waiting.json()["error"] == "authorization_pending"
    page = await anyone.get(begun["verification_uri_complete"].removeprefix(HOME))
    assert f'value="{begun["user_code"]}"' in page.text

    wrong = await anyone.post(
        DEVICE, data={"user_code": begun["user_code"], "proof": "x", "decision": "allow"}
    )
    assert wrong.status_code == 401
    done = await anyone.post(
        DEVICE, data={"user_code": begun["user_code"], "proof": proof, "decision": "allow"}
    )

    assert done.status_code == 200
    assert "signed in" in done.text
    assert "access_token" in good(await anyone.post(TOKEN, data=poll))


async def test_a_device_page_says_no_script_of_its_address(anyone: httpx.AsyncClient) -> None:
    page = await anyone.get(DEVICE, params={"user_code": '"><script>x'})

    assert "<script>x" not in page.text


async def test_a_device_is_denied(anyone: httpx.AsyncClient, proof: str) -> None:
    begun = good(await anyone.post(f"{DEVICE}_authorization", data={"client_id": LOCAL_CLIENT}))
    said = {"user_code": begun["user_code"], "decision": "deny"}

    assert "Nothing was done" in (await anyone.post(DEVICE, data=said)).text
    assert "denied" in (await anyone.post(DEVICE, data={**said, "proof": proof})).text

    poll = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "client_id": LOCAL_CLIENT,
        "device_code": begun["device_code"],
    }
    assert (await anyone.post(TOKEN, data=poll)).json()["error"] == "access_denied"


async def test_signing_out_ends_the_refresh_token(anyone: httpx.AsyncClient, proof: str) -> None:
    tokens = good(await exchanged(anyone, (await allowed(anyone, proof))["code"]))
    form = {"client_id": LOCAL_CLIENT, "token": tokens["refresh_token"]}

    assert (await anyone.post("/local/oauth2/revoke", data=form)).status_code == 200

    renew = {
        "grant_type": "refresh_token",
        "client_id": LOCAL_CLIENT,
        "refresh_token": tokens["refresh_token"],
    }
    assert (await anyone.post(TOKEN, data=renew)).json()["error"] == "invalid_grant"
    assert (await anyone.post("/local/oauth2/revoke", data={"client_id": "x"})).status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", AUTHORIZE),
        ("POST", AUTHORIZE),
        ("GET", DEVICE),
        ("POST", DEVICE),
        ("POST", TOKEN),
        ("POST", f"{DEVICE}_authorization"),
        ("POST", "/local/oauth2/revoke"),
        ("POST", "/local/code"),
    ],
)
async def test_where_another_issuer_signs_humans_in_there_is_none_of_it(
    application: FastAPI, method: str, path: str
) -> None:
    anyone = (await furnished(application)).client()
    body: dict[str, Any] = {"json": PROOF} if path == "/local/code" else {"data": ASKED}

    answer = await anyone.request(method, path, **({} if method == "GET" else body))

    problem(answer, Code.not_found)


async def test_the_secret_makes_the_code_and_nothing_else_does(anyone: httpx.AsyncClient) -> None:
    for wrong in ("", "x", "x" * 43):
        problem(await prove(anyone, "/local/code", wrong), Code.unauthorized)
