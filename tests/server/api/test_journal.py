"""What is logged of REST: each refused or failed request with its id, and logins by it."""

import logging
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from artcafe.server.api.journal import MatchedRoute, RequestLog
from artcafe.server.api.request_ids import RequestIds
from artcafe.server.core.login import LIFETIME
from artcafe.server.events import Event
from artcafe.wire.codes import Code
from tests.kit.api import Api, good, problem
from tests.kit.signing import KeyPair

WHO = {"tenant_id": "acme", "agent_id": "a1"}
VERIFY = "/api/v1/agents/auth/verify"


@pytest.fixture(autouse=True)
def _at_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "artcafe")


def noted(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, Any]]:
    """The events of this name that were logged, as their fields but for how long it took."""
    found: list[Event] = [r.__dict__["event"] for r in caplog.records if "event" in r.__dict__]
    return [
        {field: value for field, value in each.fields().items() if field != "ms"}
        for each in found
        if each.name == name
    ]


async def test_a_refused_request_is_logged_by_its_route_with_who_asked_and_its_id(
    olivia: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await olivia.get("/api/v1/agents/ghost?token=secret")
    problem(answer, Code.not_found)

    [request] = noted(caplog, "request")
    assert request == {
        "method": "GET",
        "route": "/api/v1/agents/{agent_id}",
        "status": 404,
        "code": "not_found",
        "tenant": "acme",
        "human": "olivia",
        "address": "127.0.0.1",
        "request": answer.headers["x-request-id"],
    }


async def test_what_is_answered_well_is_logged_at_debug_alone(
    olivia: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    good(await olivia.get("/api/v1/agents"))
    assert noted(caplog, "request") == []

    caplog.set_level(logging.DEBUG, "artcafe")
    good(await olivia.get("/api/v1/agents"))
    [request] = noted(caplog, "request")
    assert (request["status"], request["route"], "code" in request) == (200, "/api/v1/agents", False)


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/nowhere", "/nowhere"),
        ("/nowhere/" + "k" * 25 + "/x", "/nowhere/*/x"),
        ("/a%20b/c%0Ad/%1b%5B2J", "/*/*/*"),
        ("/x" * 1_000, "/x" * 9),
    ],
)
async def test_a_path_without_a_route_is_logged_without_what_might_be_a_secret(
    anyone: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, path: str, logged: str
) -> None:
    await anyone.get(f"{path}?token=secret")

    [request] = noted(caplog, "request")
    assert (request["path"], request["status"], "route" in request) == (logged, 404, False)


async def test_a_method_that_nobody_knows_is_one_kind(
    anyone: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    for method in ("BREW", "SECRET"):
        await anyone.request(method, "/livez")

    assert {request["method"] for request in noted(caplog, "request")} == {"other"}


async def test_a_fault_is_logged_as_a_request_too(
    api: Api, olivia: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    api.tokens.verifying.failure = ZeroDivisionError("why")
    answer = await olivia.get("/api/v1/agents")
    problem(answer, Code.internal)

    [request] = noted(caplog, "request")
    assert (request["status"], request["code"]) == (500, "internal")
    assert request["request"] == answer.headers["x-request-id"]
    assert [r.levelname for r in caplog.records] == ["ERROR", "ERROR"]


async def test_a_body_that_is_refused_unread_is_logged(
    anyone: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    problem(await anyone.post("/local/token", content=b"x" * 100_000), Code.too_large)

    [request] = noted(caplog, "request")
    assert (request["status"], request["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("headers", "code", "reason"),
    [
        ({}, "unauthorized", "no_credentials"),
        ({"authorization": "Bearer nobody.knows.it"}, "unauthorized", None),
        ({"authorization": "Bearer expired"}, "token_expired", None),
    ],
)
async def test_a_refused_token_is_a_refused_login(
    anyone: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
    headers: dict[str, str],
    code: str,
    reason: str | None,
) -> None:
    answer = await anyone.get("/api/v1/agents", headers=headers)
    assert answer.status_code == 401

    [refusal] = noted(caplog, "login_refused")
    assert refusal.pop("reason", None) == reason
    assert refusal == {
        "way": "token",
        "code": code,
        "address": "127.0.0.1",
        "request": answer.headers["x-request-id"],
    }
    assert noted(caplog, "request")[0]["code"] == code


async def test_a_stranger_with_a_bad_body_is_one_refused_login(
    anyone: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    problem(await anyone.post("/api/v1/agents", content=b"{"), Code.unauthorized)

    assert len(noted(caplog, "login_refused")) == 1


async def test_a_verified_signature_is_a_login_and_a_refused_one_says_why_to_the_log_alone(
    api: Api, olivia: httpx.AsyncClient, anyone: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    key = KeyPair()
    made = {"id": "a1", "name": "a1", "public_key": key.line}
    good(await olivia.post("/api/v1/agents", json=made), 201)
    text = str(good(await anyone.post("/api/v1/agents/auth/challenge", json=WHO))["challenge"])
    answer = {**WHO, "challenge": text, "response": key.sign(text)}

    accepted = await anyone.post(VERIFY, json=answer)
    replayed = await anyone.post(VERIFY, json=answer)
    unnamed = await anyone.post(VERIFY, json={**answer, "tenant_id": "no name", "agent_id": "sys"})
    api.installation.clock.advance(LIFETIME + 1)

    assert problem(replayed, Code.unauthorized)["detail"] == Code.unauthorized.value.when
    [login] = noted(caplog, "login_accepted")
    assert login == {
        "way": "rest",
        "tenant": "acme",
        "agent": "a1",
        "key": key.fingerprint,
        "address": "127.0.0.1",
        "request": good(accepted) and accepted.headers["x-request-id"],
    }
    first, second = noted(caplog, "login_refused")
    assert (first["way"], first["reason"], first["agent"]) == ("rest", "challenge_replayed", "a1")
    assert (second["reason"], second.get("tenant"), second["agent"]) == ("bad_name", None, "sys")
    assert second["request"] == unnamed.headers["x-request-id"]
    assert key.sign(text) not in caplog.text


async def test_the_address_is_the_one_that_trusted_proxies_vouch_for(
    anyone: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await anyone.get("/nowhere", headers={"x-forwarded-for": "203.0.113.9"})

    assert noted(caplog, "request")[0]["address"] == "203.0.113.9"


async def test_every_answer_is_observed_by_its_route_template() -> None:
    seen: list[tuple[str, str | None, int]] = []
    app = FastAPI()

    @app.get("/agents/{agent}")
    async def agent(agent: str) -> str:
        if agent == "broken":
            raise RuntimeError("a fault of ours")
        return agent

    ticks = iter(range(1000))
    app.add_middleware(MatchedRoute)
    app.add_middleware(
        RequestLog,
        address=lambda peer, _: peer,
        monotonic=lambda: float(next(ticks)),
        observe=lambda method, route, status, seconds, _: seen.append((method, route, status + int(seconds))),
    )
    app.add_middleware(RequestIds, new_id=lambda: "r")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for path in ("/agents/a1", "/agents/broken", "/nowhere"):
            await client.get(path)
        await client.request("BREW", "/agents/a1")
    assert seen == [
        ("GET", "/agents/{agent}", 201),
        ("GET", "/agents/{agent}", 501),
        ("GET", None, 405),
        ("other", "/agents/{agent}", 406),
    ]
