"""ETag and If-Match: optimistic concurrency over HTTP (RFC 9110 sections 8.8.3 and 13.1.1).

A tag names the version of what can be set on a record. What a view shows besides, such as who is online,
changes without it.
"""

from typing import Annotated

from fastapi import Header, Response

from artcafe.server.domain.version import Versioned, tag

IfMatch = Annotated[
    str | None,
    Header(
        max_length=1024,
        description="The ETag that was read: refused with 412 when somebody changed the record since.",
        examples=['"1-5d41402a"'],
    ),
]


def set_tag(response: Response, record: Versioned) -> None:
    """Answer with the record's tag."""
    response.headers["etag"] = tag(record)
