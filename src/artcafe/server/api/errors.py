"""Errors over HTTP: problem documents (RFC 9457) made from the error table, and nothing else."""

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match
from starlette.types import Scope

from artcafe.server.api import journal
from artcafe.server.api.request_ids import edge_headers, request_id
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.problem import MEDIA_TYPE, document
from artcafe.wire.problem import headers as headers_of

LOG = logging.getLogger("artcafe.api")


_BY_STATUS = {
    400: Code.bad_request,
    401: Code.unauthorized,
    403: Code.forbidden,
    404: Code.not_found,
    405: Code.method_not_allowed,
    413: Code.too_large,
    415: Code.unsupported_media_type,
    422: Code.validation_failed,
    503: Code.unavailable,
}


class Problem(BaseModel):
    """The body of every error response."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    retry_after_ms: int | None = None


def problem(error: ArtcafeError, scope: Scope, headers: dict[str, str] | None = None) -> Response:
    """The answer for an error in the request with this ASGI scope."""
    status = error.code.http
    journal.refused(scope, error.code)
    return JSONResponse(
        document(error, status, request_id(scope)),
        status,
        headers={**headers_of(error, status), **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def install(app: FastAPI) -> None:
    """Answer every error of the application as a problem document."""
    app.add_exception_handler(ArtcafeError, _on_artcafe)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(Exception, _on_fault)


async def _on_artcafe(request: Request, error: Exception) -> Response:
    assert isinstance(error, ArtcafeError)
    return problem(error, request.scope)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _BY_STATUS.get(error.status_code, Code.bad_request)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        # Starlette names the methods of the first matching route only; RFC 9110 section 10.2.1 wants all.
        headers["Allow"] = ", ".join(_methods(request))
    message = error.detail if code is Code.too_large else None
    return problem(ArtcafeError(code, message), request.scope, headers)


def _methods(request: Request) -> list[str]:
    """The methods that some route takes for the path of the request. HEAD is where GET is (Heads)."""
    found = {
        method
        for method in journal.METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    }
    return sorted(found | {"HEAD"} if "GET" in found else found)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # Locations and rules, never the input: it may hold a secret or text that JSON cannot carry.
    faults = "; ".join(
        f"{'.'.join(str(step) for step in fault['loc'])}: {fault.get('ctx', {}).get('error') or fault['msg']}"
        for fault in error.errors()
    )
    text = faults.encode("ascii", "replace").decode()[:1000]
    return problem(ArtcafeError(Code.validation_failed, text), request.scope)


async def _on_fault(request: Request, error: Exception) -> Response:
    scope = request.scope
    LOG.error("fault in %s %r, request %s", scope["method"], scope["path"], request_id(scope), exc_info=error)
    # Answered outside of every middleware, so the headers of RequestIds are put here.
    return problem(ArtcafeError(Code.internal), scope, edge_headers(scope))
