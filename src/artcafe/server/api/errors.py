"""Errors over HTTP: problem documents (RFC 9457) made from the error table, and nothing else."""

import logging
import math

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe.api")

MEDIA_TYPE = "application/problem+json"

_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")

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
    """What every error answer looks like."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    retry_after_ms: int | None = None


def problem(error: ArtcafeError, headers: dict[str, str] | None = None) -> Response:
    """The answer for an error."""
    headers = dict(headers or {})
    retry_after_ms = None
    if error.retry_after is not None:
        retry_after_ms = math.ceil(error.retry_after * 1000)
        headers["retry-after"] = str(math.ceil(error.retry_after))
    elif error.code is Code.unavailable:
        headers["retry-after"] = "1"
    if error.code.http == 401:
        headers.setdefault("www-authenticate", "Bearer")
    body = Problem(
        title=error.code.name.replace("_", " "),
        status=error.code.http,
        code=error.code.name,
        detail=error.message,
        retry_after_ms=retry_after_ms,
    )
    return JSONResponse(
        body.model_dump(exclude_none=True), error.code.http, headers=headers, media_type=MEDIA_TYPE
    )


def install(app: FastAPI) -> None:
    """Answer every error of the application as a problem document."""
    app.add_exception_handler(ArtcafeError, _on_artcafe)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(Exception, _on_fault)


async def _on_artcafe(_: Request, error: Exception) -> Response:
    assert isinstance(error, ArtcafeError)
    return problem(error)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _BY_STATUS.get(error.status_code, Code.bad_request)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        # Starlette names the methods of the first matching route only; RFC 9110 section 10.2.1 wants all.
        headers["Allow"] = ", ".join(_methods(request))
    return problem(ArtcafeError(code), headers)


def _methods(request: Request) -> list[str]:
    """The methods that some route takes for the path of the request."""
    return [
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


async def _on_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # Locations and rules, never the input: it may hold a secret or text that JSON cannot carry.
    faults = "; ".join(
        f"{'.'.join(str(step) for step in fault['loc'])}: {fault['msg']}" for fault in error.errors()
    )
    text = faults.encode("ascii", "replace").decode()[:1000]
    return problem(ArtcafeError(Code.validation_failed, text))


async def _on_fault(request: Request, error: Exception) -> Response:
    LOG.error("fault in %s %s", request.method, request.url.path, exc_info=error)
    return problem(ArtcafeError(Code.internal))
