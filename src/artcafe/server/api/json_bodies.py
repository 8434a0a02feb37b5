"""JSON request bodies: accepted media types (RFC 8259), and refusal of ambiguous documents."""

import json
import re
from typing import Any, NoReturn

from starlette.datastructures import Headers
from starlette.requests import Request

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

_CHARSETS = {"utf-8", "utf8", "us-ascii"}

_ESCAPES = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u(?P<lone>[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)
"""Escapes in JSON, a pair of surrogates as one; `lone` is half of a character (RFC 8259 section 8.2)."""


def require_json(headers: Headers) -> None:
    """Raises unsupported_media_type for a body that says it is something else than JSON in UTF-8.

    `application/json` and every `application/…+json` are JSON. A body without a Content-Type is taken for
    it, as older clients send it; a content coding is not understood.
    """
    if any(coding.strip().lower() != "identity" for coding in headers.getlist("content-encoding")):
        raise ArtcafeError(Code.unsupported_media_type, "A body comes without a Content-Encoding.")
    if any(not _is_json(value) for value in headers.getlist("content-type")):
        raise ArtcafeError(Code.unsupported_media_type)


def _is_json(content_type: str) -> bool:
    kind, *parameters = content_type.lower().split(";")
    main, _, sub = kind.strip().partition("/")
    if main != "application" or not (sub == "json" or (sub.endswith("+json") and len(sub) > len("+json"))):
        return False
    named = (parameter.strip().partition("=") for parameter in parameters)
    return all(value.strip('"') in _CHARSETS for name, _, value in named if name == "charset")


class JsonRequest(Request):
    """A request whose JSON is read as every receiver reads it: in UTF-8, no name twice in one object, no
    numbers that are none, and no half of a character, which no UTF-8 has."""

    async def json(self) -> Any:
        """Raises json.JSONDecodeError, and UnicodeDecodeError for what is not UTF-8."""
        text = (await self.body()).decode("utf-8-sig")

        if any(escape["lone"] for escape in _ESCAPES.finditer(text)):
            raise json.JSONDecodeError("a lone surrogate is no character", text, 0)

        def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            found = dict(pairs)
            if len(found) != len(pairs):
                raise json.JSONDecodeError("a name stands twice in an object", text, 0)
            return found

        def refuse(_: str) -> NoReturn:
            raise json.JSONDecodeError("NaN and Infinity are no numbers", text, 0)

        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
