"""An error as an HTTP response: a problem document (RFC 9457)."""

import math

from artcafe.wire.errors import ArtcafeError

MEDIA_TYPE = "application/problem+json"


def document(error: ArtcafeError, status: int, request_id: str | None = None) -> dict[str, object]:
    """The body of the answer; the id is that of the request, where it has one."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": error.code.name.replace("_", " "),
        "status": status,
        "code": error.code.name,
        "detail": error.message,
    }
    if error.retry_after is not None:
        body["retry_after_ms"] = math.ceil(error.retry_after * 1000)
    if request_id is not None:
        body["request_id"] = request_id
    return body


def headers(error: ArtcafeError, status: int) -> dict[str, str]:
    """The headers of the response: the time to retry after (RFC 9110 section 10.2.3), the accepted
    credentials (section 11.6.1)."""
    named = {}
    if error.retry_after is not None:
        named["retry-after"] = str(math.ceil(error.retry_after))
    elif status == 503:
        named["retry-after"] = "1"
    if status == 401:
        named["www-authenticate"] = "Bearer"
    return named
