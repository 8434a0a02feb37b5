"""JSON that two readers could read as two things is read as none."""

import json
from typing import Any

import httpx
import pytest

from artcafe.wire.codes import Code
from tests.kit.api import good, problem

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "a", "name": "b"}',
        b'{"name": "a", "policy": {"publish": {"allow": []}}, "policy": {}}',
        b'{"name": "a", "policy": {"publish": {"allow": [], "allow": null}}}',
        b'{"name": "a", "metadata": {"x": 1, "x": 2}}',
        b'{"name": "a", "metadata": [{"x": 1, "\\u0078": 2}]}',
    ],
)
async def test_a_name_that_stands_twice_is_refused(olivia: httpx.AsyncClient, body: bytes) -> None:
    answer = await olivia.post("/api/v1/agents", content=body, headers=JSON)

    assert "twice" in problem(answer, Code.validation_failed)["detail"]
    assert good(await olivia.get("/api/v1/agents"))["agents"] == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
async def test_what_is_no_number_is_refused(olivia: httpx.AsyncClient, number: str) -> None:
    body = f'{{"name": "a", "metadata": {{"n": {number}}}}}'.encode()

    answer = await olivia.post("/api/v1/agents", content=body, headers=JSON)

    assert "numbers" in problem(answer, Code.validation_failed)["detail"]


async def test_the_text_is_utf_8_with_or_without_a_byte_order_mark(olivia: httpx.AsyncClient) -> None:
    text = '{"name": "\u00e4"}'

    for encoding in ("utf-16", "utf-32", "latin-1"):
        answer = await olivia.post("/api/v1/agents", content=text.encode(encoding), headers=JSON)
        assert answer.status_code in {400, 422}, encoding
    for encoding in ("utf-8", "utf-8-sig"):
        good(await olivia.post("/api/v1/agents", content=text.encode(encoding), headers=JSON), 201)


HALVES = [r"\ud800", r"\uDBFF", r"\udc00", r"\uDFFF", r"\ud800\ud800\udc00", r"\udc00\ud800", r"\\\ud800x"]


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("key", [{}, {"idempotency-key": "k"}], ids=["without-key", "with-key"])
async def test_half_of_a_character_is_refused_wherever_it_stands(
    olivia: httpx.AsyncClient, half: str, key: dict[str, str]
) -> None:
    for body in (
        f'{{"name": "a{half}"}}',
        f'{{"name": "a", "id": "{half}"}}',
        f'{{"name": "a", "metadata": {{"x": ["{half}"]}}}}',
        f'{{"name": "a", "metadata": {{"{half}": 1}}}}',
        f'{{"name": "a", "{half}": 1}}',
    ):
        answer = await olivia.post("/api/v1/agents", content=body.encode(), headers={**JSON, **key})
        assert "lone surrogate" in problem(answer, Code.validation_failed)["detail"], body
    assert good(await olivia.get("/api/v1/agents"))["agents"] == []
    good(await olivia.post("/api/v1/agents", json={"name": "a"}, headers=key), 201)


@pytest.mark.parametrize("key", [{}, {"idempotency-key": "k"}], ids=["without-key", "with-key"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/agents/x/keys", {"public_key": "\ud800"}),
        ("/api/v1/channels", {"name": "x", "description": "\ud800"}),
        ("/api/v1/channels/x/messages", {"x": "\ud800"}),
        ("/api/v1/tenants", {"name": "\ud800"}),
        ("/api/v1/tenants/acme/members", {"user_id": "otto", "email": "\ud800@example.com"}),
        ("/api/v1/tenants/acme/invitations", {"email": "\ud800@example.com"}),
    ],
    ids=lambda given: given.rpartition("/")[2] if isinstance(given, str) else "",
)
async def test_half_of_a_character_is_refused_by_every_route(
    olivia: httpx.AsyncClient, path: str, body: dict[str, Any], key: dict[str, str]
) -> None:
    await olivia.post("/api/v1/agents", json={"id": "x", "name": "x"})
    await olivia.post("/api/v1/channels", json={"id": "x", "name": "x"})

    answer = await olivia.post(path, content=json.dumps(body).encode(), headers={**JSON, **key})

    problem(answer, Code.validation_failed)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\uD83D\uDE00\ud83d\ude00", "\U0001f600\U0001f600"),
        (r"\\ud800", r"\ud800"),
        (r"\\\\udc00", r"\\udc00"),
        (r"\n\\n\u0020ud800", "\n\\n ud800"),
    ],
)
async def test_whole_characters_are_read(olivia: httpx.AsyncClient, text: str, meant: str) -> None:
    body = f'{{"name": "a", "metadata": {{"x": "{text}"}}}}'.encode()

    made = good(await olivia.post("/api/v1/agents", content=body, headers=JSON), 201)

    assert made["agent"]["metadata"] == {"x": meant}
