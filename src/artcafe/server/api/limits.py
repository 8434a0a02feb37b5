"""How large a request body may be, before anything reads it."""

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from artcafe.server.api.errors import problem
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


class BodyLimit:
    """Refuse bodies over `limit` bytes with too_large, whether they say their length or not."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if said.isdigit() and int(said) > self._limit:
            await self._refuse(scope, receive, send)
            return
        # A body that does not say its length is held until its end or the limit, so that the
        # application never begins on one that turns out too large.
        if b"transfer-encoding" in dict(scope["headers"]):
            try:
                body = await self._whole(receive)
            except ClientDisconnect:
                return  # Nobody is left to answer, and the beginning of a body is not a body.
            if body is None:
                await self._refuse(scope, receive, send)
                return
            receive = _Replay(body, receive)
        await self._app(scope, receive, send)

    async def _whole(self, receive: Receive) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part = message.get("body", b"")
            size += len(part)
            if size > self._limit:
                return None
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = problem(ArtcafeError(Code.too_large, f"A body has {self._limit} bytes at most."), scope)
        await refusal(scope, receive, send)


class _Replay:
    """Gives a body that was read already, then what comes after it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        return await self._receive()
