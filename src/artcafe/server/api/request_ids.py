"""The headers of every response: the request's id, and the security headers for browsers."""

import re
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"

_GIVEN = re.compile(rb"[A-Za-z0-9._-]{1,64}")


def request_id(scope: Scope) -> str | None:
    """The id of this request; None where no RequestIds stands in front."""
    named: str | None = scope.get("state", {}).get("request_id")
    return named


class RequestIds:
    """Give every request an id: the client's X-Request-Id when it is one sound word, else a new one.

    It is `request.state.request_id`, and goes back with the answer. No answer is sniffed for another
    type than it says, and none is kept by a cache unless it says how long.
    """

    def __init__(self, app: ASGIApp, new_id: Callable[[], str]) -> None:
        self._app = app
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == HEADER.encode()]
        sound = len(given) == 1 and _GIVEN.fullmatch(given[0])
        scope.setdefault("state", {})["request_id"] = given[0].decode() if sound else self._new_id()

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in edge_headers(scope).items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, marked)


def edge_headers(scope: Scope) -> dict[str, str]:
    """The headers that every answer to this request has, unless it says otherwise."""
    named = request_id(scope)
    return {
        **({} if named is None else {HEADER: named}),
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }
