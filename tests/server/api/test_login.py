"""The challenge over REST: what is answered to whom, and that a refusal says nothing."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from artcafe.server.core.login import LIFETIME
from artcafe.wire.challenge import Challenge, check_before_signing
from artcafe.wire.codes import Code
from tests.kit.api import SERVER, Api, good, problem
from tests.kit.signing import KeyPair

CHALLENGE = ["/api/v1/agents/auth/challenge", "/api/v1/auth/agent/challenge"]
VERIFY = ["/api/v1/agents/auth/verify", "/api/v1/auth/agent/verify"]
WHO = {"tenant_id": "acme", "agent_id": "a1"}


@pytest.fixture
async def key(olivia: httpx.AsyncClient) -> KeyPair:
    """The key of the agent `a1`."""
    pair = KeyPair()
    body = {"id": "a1", "name": "a1", "public_key": pair.line}
    good(await olivia.post("/api/v1/agents", json=body), 201)
    return pair


async def challenge(client: httpx.AsyncClient, **who: str) -> str:
    """A challenge's text."""
    return str(good(await client.post(CHALLENGE[0], json={**WHO, **who}))["challenge"])


def answered(text: str, key: KeyPair, **changes: str) -> dict[str, str]:
    """The answer of an honest client, but for the changes."""
    return {**WHO, "challenge": text, "response": key.sign(text), **changes}


@pytest.mark.parametrize("path", CHALLENGE)
async def test_a_challenge_needs_no_token_and_says_until_when(
    api: Api, anyone: httpx.AsyncClient, path: str
) -> None:
    issued = good(await anyone.post(path, json=WHO, headers={"host": "evil.example.com"}))

    assert set(issued) == {"challenge", "expires_at", "tenant_id", "agent_id"}
    assert (issued["tenant_id"], issued["agent_id"]) == ("acme", "a1")
    assert issued["expires_at"] == "2025-11-24T16:00:30.000Z"
    text = issued["challenge"]
    parsed = check_before_signing(text, server=SERVER, tenant="acme", agent="a1")
    assert parsed.expires == int(api.installation.clock.now()) + LIFETIME
    # The composition root decides what the host header may mean.
    assert api.hosts == ["evil.example.com"]


@pytest.mark.parametrize("path", VERIFY)
async def test_the_right_signature_is_valid_once(anyone: httpx.AsyncClient, key: KeyPair, path: str) -> None:
    text = await challenge(anyone)
    body = answered(text, key)

    verified = good(await anyone.post(path, json=body))

    assert set(verified) == {"valid", "message", "token"}
    assert verified["valid"] is True
    assert verified["token"] is None
    assert isinstance(verified["message"], str)
    for again in VERIFY:
        problem(await anyone.post(again, json=body), Code.unauthorized)


async def test_a_challenge_for_nobody_looks_like_any_other(anyone: httpx.AsyncClient, key: KeyPair) -> None:
    real = await anyone.post(CHALLENGE[0], json=WHO)
    nobody = await anyone.post(CHALLENGE[0], json={"tenant_id": "nowhere", "agent_id": "nobody"})

    assert real.status_code == nobody.status_code == 200
    assert set(real.json()) == set(nobody.json())
    assert Challenge.parse(nobody.json()["challenge"]) is not None


async def test_every_refusal_is_the_same_answer(api: Api, anyone: httpx.AsyncClient, key: KeyPair) -> None:
    used = await challenge(anyone)
    await anyone.post(VERIFY[0], json=answered(used, key))
    fresh = await challenge(anyone)
    other = await challenge(anyone, tenant_id="acme-2")
    expired = await challenge(anyone)
    parsed = Challenge.parse(fresh)
    assert parsed is not None
    attempts = {
        "never issued": answered(replace(parsed, nonce="A" * 43).text(), key),
        "malformed": answered(fresh.replace("nonce=", "nonce=A"), key),
        "used before": answered(used, key),
        "another key": answered(fresh, KeyPair()),
        "no signature": answered(fresh, key, response=""),
        "an unknown agent": answered(fresh, key, agent_id="nobody"),
        "an unknown tenant": answered(fresh, key, tenant_id="nowhere"),
        "another tenant": answered(other, key),
        "no agent's name": answered(fresh, key, agent_id="a.b"),
        "a reserved name": answered(fresh, key, agent_id="sys"),
        "no tenant's name": answered(fresh, key, tenant_id="#"),
        "chosen by the client": answered("7c9e6679-7425-40de-944b-e07fc1f90ae7", key),
        "empty": answered("", key),
    }

    same = {"x-request-id": "the-same"}
    answers = [await anyone.post(VERIFY[0], json=body, headers=same) for body in attempts.values()]
    api.installation.clock.advance(LIFETIME + 1)
    answers.append(await anyone.post(VERIFY[0], json=answered(expired, key), headers=same))

    for answer in answers:
        problem(answer, Code.unauthorized)
        assert answer.content == answers[0].content
        assert dict(answer.headers) == dict(answers[0].headers)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tenant_id": "acme"},
        {"agent_id": "a1"},
        {"tenant_id": "x" * 64, "agent_id": "a1"},
        {"tenant_id": "acme", "agent_id": "a.b"},
        {"tenant_id": "ac\nme", "agent_id": "a1"},
        {"tenant_id": "acme", "agent_id": "a1\nexpires=9"},
        {"tenant_id": "acme", "agent_id": "presence"},
        {"tenant_id": "", "agent_id": ""},
        {"tenant_id": 7, "agent_id": "a1"},
    ],
    ids=str,
)
async def test_who_could_not_be_an_agent_gets_no_challenge(
    anyone: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    problem(await anyone.post(CHALLENGE[0], json=body), Code.validation_failed)


@pytest.mark.parametrize(
    "change",
    [{"challenge": "x" * 2049}, {"response": "x" * 16_385}, {"challenge": "\ud800"}, {"response": None}],
    ids=lambda change: ascii(change)[:30],
)
async def test_an_answer_out_of_range_is_not_even_checked(
    api: Api, anyone: httpx.AsyncClient, key: KeyPair, change: dict[str, Any]
) -> None:
    body = {**answered(await challenge(anyone), key), **change}

    answer = await anyone.post(
        VERIFY[0], content=json.dumps(body), headers={"content-type": "application/json"}
    )

    problem(answer, Code.validation_failed)
    assert api.installation.process.verifier.tried == []


async def test_a_tenant_that_allows_it_takes_a_challenge_of_the_clients_once(
    anyone: httpx.AsyncClient, olivia: httpx.AsyncClient, key: KeyPair
) -> None:
    chosen = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
    await olivia.put("/api/v1/tenants/acme", json={"allow_client_challenge": True})

    assert good(await anyone.post(VERIFY[0], json=answered(chosen, key)))["valid"] is True
    problem(await anyone.post(VERIFY[0], json=answered(chosen, key)), Code.unauthorized)
