"""How large a body may be, whether it says its length or not."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from artcafe.server.api.limits import BodyLimit
from artcafe.wire.codes import Code
from tests.kit.api import MAX_BODY, Api, good, problem

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


async def test_too_large_is_told_to_whoever_asks(anyone: httpx.AsyncClient) -> None:
    problem(await anyone.post("/api/v1/channels", content=body_of(MAX_BODY + 1)), Code.too_large)


class Inner:
    """An application that answers with what it read."""

    def __init__(self) -> None:
        self.read: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        while not self.read or self.read[-1].get("more_body", False):
            self.read.append(await receive())


def said(**headers: str) -> Scope:
    """An HTTP request with these headers."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "POST", "path": "/", "headers": raw}


async def run(scope: Scope, *messages: Message) -> tuple[Inner, list[Any], int]:
    """What the application read, what was sent, and how many messages were left unread."""
    inner, sent, waiting = Inner(), [], list(messages)

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await BodyLimit(inner, 10)(scope, receive, send)
    return inner, sent, len(waiting)


def piece(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


GONE: Message = {"type": "http.disconnect"}


async def test_a_length_over_the_limit_is_refused_before_a_byte_is_read() -> None:
    inner, sent, unread = await run(said(content_length="11"), piece(b"x" * 11, more=False))

    assert inner.read == []
    assert sent[0]["status"] == 413
    assert unread == 1


async def test_reading_stops_at_the_limit() -> None:
    pieces = [piece(b"xxxx") for _ in range(100)]

    inner, sent, unread = await run(said(transfer_encoding="chunked"), *pieces)

    assert inner.read == []
    assert sent[0]["status"] == 413
    assert unread == 97


async def test_a_body_in_pieces_reaches_the_application_whole() -> None:
    inner, _, _ = await run(
        said(transfer_encoding="chunked"), piece(b"ab"), piece(b""), piece(b"cd", more=False)
    )

    assert inner.read == [piece(b"abcd", more=False)]


async def test_a_body_that_is_cut_off_never_reaches_the_application() -> None:
    """Else its beginning would be taken for the whole: `{"amount": 1` … `0}`."""
    inner, sent, _ = await run(said(transfer_encoding="chunked"), piece(b"ab"), GONE)

    assert inner.read == []
    assert sent == []


@pytest.mark.parametrize("length", ["", "-1", "x", "1e9", "\u00b2"])
async def test_a_length_that_is_no_number_is_the_servers_to_refuse(length: str) -> None:
    inner, _, _ = await run(said(content_length=length), piece(b"ab", more=False))

    assert len(inner.read) == 1


async def test_other_things_than_http_pass() -> None:
    inner, _, _ = await run({"type": "lifespan"}, {"type": "lifespan.startup"})

    assert inner.read == [{"type": "lifespan.startup"}]


async def test_the_limit_is_the_applications(api: Api) -> None:
    """create_app passes on what it was given."""
    answer = await api.client().post("/local/token", content=b"x" * (MAX_BODY + 1))

    assert f"{MAX_BODY} bytes" in problem(answer, Code.too_large)["detail"]
