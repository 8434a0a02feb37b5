"""The limit on request bodies, and the handling of unread ones."""

from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DRAINED_BYTES = 2 * 1024 * 1024
"""An unread body of at most this length is read and thrown away, and the connection goes on."""


class BodyLimit:
    """Refuse bodies over `limit` bytes with 413, when they are read: at once with a Content-Length, else
    as soon as they are over.

    Nothing is read before the application asks, so who is refused for another reason is told so after the
    head of the request. The connection is closed after an answer that left a body unread, unless that is
    known to be short.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(Headers(scope=scope), self._limit, receive)

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start" and body.is_left:
                MutableHeaders(scope=message)["connection"] = "close"
            await send(message)

        await self._app(scope, body.receive, answered)


class _Body:
    """The body of one request, counted as it is read."""

    def __init__(self, headers: Headers, limit: int, receive: Receive) -> None:
        said = headers.get("content-length", "")
        self._told = int(said) if said.isascii() and said.isdigit() else 0
        # Who waits for 100 (Continue) may not send the body at all after another answer.
        self._open_end = "transfer-encoding" in headers or "expect" in headers
        self._limit = limit
        self._receive = receive
        self._size = 0
        self._whole = False

    @property
    def is_left(self) -> bool:
        """Whether more of it may come than is worth waiting for."""
        return not self._whole and (self._open_end or self._told > DRAINED_BYTES)

    async def receive(self) -> Message:
        """ASGI's receive. Raises HTTPException (413)."""
        if self._told > self._limit:
            raise self._too_large()
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > self._limit:
            raise self._too_large()
        self._whole = not message.get("more_body", False)
        return message

    def _too_large(self) -> HTTPException:
        # FastAPI lets this pass; anything else that is raised while it reads becomes a 400.
        return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body has {self._limit} bytes at most.")
