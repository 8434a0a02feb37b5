"""Every answer is marked: with the id of its request, and against sniffing and caching."""

import re
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from artcafe.server.api.request_ids import RequestIds, edge_headers, request_id
from artcafe.wire.codes import Code
from tests.kit.api import MAX_BODY, Api, good, problem

MADE = re.compile(r"[0-9a-f]{32}")

CALLS = [
    ("GET", "/livez", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/api/v1/agents", 401),
    ("GET", "/nowhere", 404),
    ("PATCH", "/livez", 405),
    ("OPTIONS", "/api/v1/agents", 405),
    ("POST", "/local/token", 422),
]


@pytest.mark.parametrize(("method", "path", "status"), CALLS)
async def test_every_answer_has_an_id_of_its_own(
    anyone: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answers = [await anyone.request(method, path) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [status, status]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert all(map(MADE.fullmatch, ids))
    assert ids[0] != ids[1]


@pytest.mark.parametrize("given", ["7", "Call_7.of-ours", "x" * 64])
async def test_a_sound_id_of_the_client_is_kept(anyone: httpx.AsyncClient, given: str) -> None:
    answer = await anyone.get("/nowhere", headers={"x-request-id": given})

    assert problem(answer, Code.not_found)["request_id"] == given
    assert answer.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize(
    "given",
    [[b""], [b"x" * 65], [b"two words"], [b"a,b"], [b"\xe4"], [b"a\tb"], [b'"'], [b"a", b"b"], [b"a"] * 2],
)
async def test_anything_else_is_replaced(anyone: httpx.AsyncClient, given: list[bytes]) -> None:
    answer = await anyone.get("/nowhere", headers=[(b"x-request-id", value) for value in given])

    assert MADE.fullmatch(str(problem(answer, Code.not_found)["request_id"]))


async def test_a_body_that_is_refused_unread_has_one_too(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.post("/local/token", content=b"x" * (MAX_BODY + 1), headers={"x-request-id": "big"})

    assert problem(answer, Code.too_large)["request_id"] == "big"


@pytest.mark.parametrize(("method", "path", "status"), CALLS)
async def test_nothing_is_sniffed_kept_or_given_to_other_origins(
    anyone: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    """Whoever puts the API before browsers of another origin says so in the proxy."""
    asking = {"origin": "https://elsewhere.example", "access-control-request-method": "POST"}

    answer = await anyone.request(method, path, headers=asking)

    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_good_answers_of_the_api_are_not_kept_by_caches(api: Api) -> None:
    answer = await api.signed_in("olivia").get("/api/v1/agents")

    good(answer)
    assert answer.headers["cache-control"] == "no-store"


class Inner:
    """An application that answers with headers of its own, and remembers whom it served."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.headers = headers
        self.served: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        self.served.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": list(self.headers)})
        await send({"type": "http.response.body", "body": b"x"})


async def run(inner: Inner, scope: Scope) -> list[Any]:
    """What was sent."""
    sent = []

    async def receive() -> Message:
        raise AssertionError("nothing of the request's body is read")

    async def send(message: Message) -> None:
        sent.append(message)

    await RequestIds(inner, lambda: "made")(scope, receive, send)
    return sent


async def test_what_an_answer_says_itself_is_left() -> None:
    sent = await run(Inner((b"cache-control", b"max-age=5")), {"type": "http", "headers": []})

    assert dict(sent[0]["headers"]) == {
        b"cache-control": b"max-age=5",
        b"x-request-id": b"made",
        b"x-content-type-options": b"nosniff",
    }
    assert sent[1] == {"type": "http.response.body", "body": b"x"}


async def test_the_application_reads_the_id_from_the_state_of_the_request() -> None:
    inner = Inner()

    await run(inner, {"type": "http", "headers": [(b"x-request-id", b"call-7")], "state": {"other": 1}})

    assert inner.served[0]["state"] == {"other": 1, "request_id": "call-7"}
    assert request_id(inner.served[0]) == "call-7"


async def test_other_things_than_http_pass_as_they_are() -> None:
    inner, scope = Inner(), {"type": "lifespan"}

    sent = await run(inner, scope)

    assert inner.served == [{"type": "lifespan"}]
    assert sent[0]["headers"] == []


def test_without_the_middleware_there_is_no_id() -> None:
    assert request_id({"type": "http"}) is None
    assert "x-request-id" not in edge_headers({"type": "http"})
