"""Logs REST requests that were refused or failed, and logins over REST (server.events)."""

import logging
import re
from collections.abc import Callable, Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from artcafe.server import events
from artcafe.server.api.request_ids import request_id
from artcafe.server.domain.ids import PATTERN
from artcafe.server.ports.tracing import TRACEPARENT
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

ClientAddress = Callable[[str, Sequence[str]], str]
"""The client's IP address, of the socket's peer and the values of X-Forwarded-For."""

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")

_ID = re.compile(PATTERN)
_WORD = re.compile(r"[A-Za-z0-9._-]{0,24}")
"""A segment of a path that is a word and no key, token or signature: those are longer."""


ObserveRequest = Callable[[str, str | None, int, float, str | None], None]
"""Called with each answer that begins: the method, or `other`; the route's template, or None; the status; the
seconds since the request; its header `traceparent`."""


class RequestLog:
    """Logs each request that is answered with 4xx or 5xx, and at DEBUG every other one; `observe` hears of
    all."""

    def __init__(
        self,
        app: ASGIApp,
        address: ClientAddress,
        monotonic: Callable[[], float],
        observe: ObserveRequest | None = None,
    ) -> None:
        self._app = app
        self._address = address
        self._monotonic = monotonic
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = self._monotonic()

        def note(status: int, code: str | None) -> None:
            seconds = self._monotonic() - began
            if self._observe is not None:
                traceparent = Headers(scope=scope).get(TRACEPARENT)
                self._observe(_method(scope), scope["state"].get("route"), status, seconds, traceparent)
            if status >= 400 or events.LOG.isEnabledFor(logging.DEBUG):
                self._note(scope, status, code, seconds)

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                refusal = scope["state"].get("refusal")
                note(message["status"], None if refusal is None else refusal.name)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            # It is answered outside of every middleware (errors.py), where it is logged with its traceback.
            note(Code.internal.http, Code.internal.name)
            raise

    def _note(self, scope: Scope, status: int, code: str | None, seconds: float) -> None:
        headers = Headers(scope=scope)
        user, human, route = (scope["state"].get(name) for name in ("user", "human", "route"))
        given = headers.get("x-tenant-id", "")
        events.note(
            events.Request(
                method=_method(scope),
                route=route,
                path=None if route is not None else _masked(scope["path"]),
                status=status,
                code=code,
                ms=round(seconds * 1000, 1),
                tenant=human.tenant if human else given if _ID.fullmatch(given) else None,
                human=user.id if user else None,
                address=address(scope, self._address),
                request=request_id(scope),
            )
        )


class MatchedRoute:
    """Tells RequestLog which route answers. It stands next to the routes, behind whoever hands them another
    scope than the one that RequestLog has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""

        async def told(message: Message) -> None:
            _tell_route(scope)
            await send(message)

        try:
            await self._app(scope, receive, told)
        except Exception:
            _tell_route(scope)
            raise


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in METHODS else "other"


def _tell_route(scope: Scope) -> None:
    scope.setdefault("state", {})["route"] = getattr(scope.get("route"), "path", None)


def address(scope: Scope, client_address: ClientAddress) -> str:
    """The IP address of the client of this request."""
    peer = scope.get("client")
    return client_address(peer[0] if peer else "", Headers(scope=scope).getlist("x-forwarded-for"))


def refused(scope: Scope, code: Code) -> None:
    """Remember for the log with which error this request is answered."""
    scope.setdefault("state", {})["refusal"] = code


def login_refused(
    scope: Scope,
    client: str,
    error: ArtcafeError,
    *,
    way: str,
    tenant: str | None = None,
    agent: str | None = None,
) -> None:
    """Log a refused login over REST; `client` is the address."""
    events.note(
        events.LoginRefused(
            way=way,
            code=error.code.name,
            reason=error.reason,
            tenant=tenant if tenant is not None and _ID.fullmatch(tenant) else None,
            agent=agent if agent is not None and _ID.fullmatch(agent) else None,
            address=client,
            request=request_id(scope),
        )
    )


def _masked(path: str) -> str:
    """A path that no route has: what may be a secret in it is left out."""
    return "/".join(part if _WORD.fullmatch(part) else "*" for part in path.split("/")[:10])
