"""Requests that are handed to an application as a server would, and what the application read of them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope


@dataclass
class Asked:
    """What came of one request. `reads` counts how often the application asked for its body."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    reads: int = 0


def scope_of(method: str, target: str, headers: Mapping[str, str]) -> Scope:
    """The scope that a server makes of a request's head; `target` is percent-encoded."""
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("api.example.com", 80),
    }


async def _at_once() -> None:
    """Nothing happens in between."""


async def ask(
    app: ASGIApp, scope: Scope, *body: bytes, meanwhile: Callable[[], Awaitable[object]] = _at_once
) -> Asked:
    """Hand this request over; the body comes in these pieces, and then the client is gone. What happens
    `meanwhile`, happens between the head and the body."""
    asked, pieces = Asked(), list(body)

    async def receive() -> Message:
        if asked.reads == 0:
            await meanwhile()
        asked.reads += 1
        if not pieces:
            return {"type": "http.disconnect"}
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            asked.status = message["status"]
            raw: list[tuple[bytes, bytes]] = message["headers"]
            asked.headers = {name.decode(): value.decode() for name, value in raw}
        else:
            given: Any = message["body"]
            asked.body += given

    await app(scope, receive, send)
    return asked
