"""How large a body may be, whether it says its length or not."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from artcafe.server.api.limits import DRAINED_BYTES, BodyLimit
from artcafe.wire.codes import Code
from tests.kit.api import MAX_BODY, Api, good, problem
from tests.kit.asgi import ask, scope_of

JSON = {"content-type": "application/json"}


def body_of(size: int) -> bytes:
    """A channel of exactly this many bytes."""
    start, end = b'{"id": "c", "name": "c"', b"}"
    return start + b" " * (size - len(start) - len(end)) + end


async def in_pieces(body: bytes, size: int = 4096) -> AsyncIterator[bytes]:
    """Without a length in front."""
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("size", [MAX_BODY + 1, MAX_BODY * 10])
@pytest.mark.parametrize("length", ["told", "not told"])
async def test_a_body_over_the_limit_is_too_large(olivia: httpx.AsyncClient, size: int, length: str) -> None:
    body = body_of(size)

    answer = await olivia.post(
        "/api/v1/channels", content=body if length == "told" else in_pieces(body), headers=JSON
    )

    problem(answer, Code.too_large)
    assert good(await olivia.get("/api/v1/channels"))["channels"] == []


@pytest.mark.parametrize("length", ["told", "not told"])
async def test_a_body_of_exactly_the_limit_is_taken(olivia: httpx.AsyncClient, length: str) -> None:
    body = body_of(MAX_BODY)
    assert len(body) == MAX_BODY

    answer = await olivia.post(
        "/api/v1/channels", content=body if length == "told" else in_pieces(body), headers=JSON
    )

    assert good(answer, 201)["channel"]["id"] == "c"


async def test_who_has_no_token_is_told_that_first(anyone: httpx.AsyncClient) -> None:
    problem(await anyone.post("/api/v1/channels", content=body_of(MAX_BODY + 1)), Code.unauthorized)


async def test_the_limit_is_the_applications_and_holds_for_forms_too(api: Api) -> None:
    """create_app passes on what it was given."""
    for path in ("/local/token", "/api/v1/agents/auth/challenge"):
        answer = await api.client().post(path, content=b"x" * (MAX_BODY + 1))
        assert f"{MAX_BODY} bytes" in problem(answer, Code.too_large)["detail"]


class Reader:
    """An application that reads a body to its end and answers; `read` is what it got."""

    def __init__(self, *, reads: bool = True) -> None:
        self.read: list[Message] = []
        self._reads = reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        while self._reads and (not self.read or self.read[-1].get("more_body", False)):
            self.read.append(await receive())
        await PlainTextResponse("done")(scope, receive, send)


def said(**headers: str) -> Scope:
    """A request with these headers."""
    return scope_of("POST", "/", {name.replace("_", "-"): value for name, value in headers.items()})


async def test_a_length_over_the_limit_is_refused_before_a_byte_is_read() -> None:
    reader, whole = Reader(), BodyLimit(Reader(), 10)

    with pytest.raises(HTTPException) as refused:
        await ask(BodyLimit(reader, 10), said(content_length="11"), b"x" * 11)

    assert (refused.value.status_code, reader.read) == (413, [])
    assert (await ask(whole, said(content_length="10"), b"x" * 10)).status == 200


async def test_reading_stops_where_the_limit_is_passed() -> None:
    reader = Reader()

    with pytest.raises(HTTPException):
        await ask(BodyLimit(reader, 10), said(transfer_encoding="chunked"), *[b"xxxx"] * 100)

    assert len(reader.read) == 2


@pytest.mark.parametrize("length", ["", "-1", "x", "1e9", "\u00b2"])
async def test_a_length_that_is_no_number_is_the_servers_to_refuse(length: str) -> None:
    assert (await ask(BodyLimit(Reader(), 10), said(content_length=length), b"ab")).status == 200


@pytest.mark.parametrize(
    ("headers", "closes"),
    [
        ({}, False),
        ({"content_length": "0"}, False),
        ({"content_length": f"{DRAINED_BYTES}"}, False),
        ({"content_length": f"{DRAINED_BYTES + 1}"}, True),
        ({"transfer_encoding": "chunked"}, True),
        ({"content_length": "5", "expect": "100-continue"}, True),
    ],
)
async def test_a_connection_with_much_left_unread_is_closed(headers: dict[str, str], *, closes: bool) -> None:
    asked = await ask(BodyLimit(Reader(reads=False), DRAINED_BYTES * 2), said(**headers), b"ab", b"cd")

    assert (asked.reads, "connection" in asked.headers) == (0, closes)


async def test_a_connection_whose_request_was_read_goes_on() -> None:
    for headers in ({"transfer_encoding": "chunked"}, {"content_length": "4", "expect": "100-continue"}):
        asked = await ask(BodyLimit(Reader(), 10), said(**headers), b"ab", b"cd")
        assert "connection" not in asked.headers


async def test_other_things_than_http_pass() -> None:
    seen: list[Scope] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    await ask(BodyLimit(inner, 10), {"type": "lifespan"})

    assert seen == [{"type": "lifespan"}]
