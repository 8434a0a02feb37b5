"""Percent-encoded slashes in paths: `%2F` belongs to its segment (RFC 3986 section 2.2).

Servers hand an application a path that is decoded as a whole, in which `/members/repo%3Aorg%2Fapp` has
become two segments. Here each segment is decoded by itself, and `/` and `%` stay encoded in it until the
route is found.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send


class Paths:
    """Route by the path as the client sent it, segment by segment.

    On AWS Lambda a load balancer tells that path; API Gateway tells a decoded one, which is taken as it is.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] == "http":
            scope = {**scope, "path": _encoded_separators(scope)}
        await self._app(scope, receive, send)


def _encoded_separators(scope: Scope) -> str:
    """The path with every segment decoded, but for the two characters that would be misread."""
    raw = _as_sent(scope)
    if raw is None:
        return str(scope["path"]).replace("%", "%25")
    segments = (unquote(segment) for segment in raw.split("/"))
    return "/".join(segment.replace("%", "%25").replace("/", "%2F") for segment in segments)


def _as_sent(scope: Scope) -> str | None:
    """The path with its percent-encoding, where that is told."""
    raw: bytes | None = scope.get("raw_path")
    if raw is not None:
        return raw.decode("latin-1")
    event: dict[str, Any] = scope.get("aws.event", {})
    if "elb" in event.get("requestContext", {}) and event["path"] and event["path"].isascii():
        return str(event["path"])
    return None


def decoded(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a path that Paths prepared, as the client meant them."""
    return {
        name: value.replace("%2F", "/").replace("%25", "%") if isinstance(value, str) else value
        for name, value in parameters.items()
    }
