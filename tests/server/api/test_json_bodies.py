"""JSON that two readers could read as two things is read as none."""

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
