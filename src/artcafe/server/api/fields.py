"""What a request sets on a record."""

import re
from datetime import date
from typing import Annotated, Any

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from artcafe.wire.subjects import MAX_BYTES, PATTERN_SCHEMA

MAX_JSON_BYTES = 16 * 1024
"""What one field of free JSON takes at most, as it is encoded."""

SubjectPattern = Annotated[
    str, Field(max_length=MAX_BYTES, pattern=PATTERN_SCHEMA, examples=["tasks.*"], title="Pattern")
]
"""A pattern of subjects: `*` is one token, a last `>` the rest."""

Email = Annotated[
    str,
    Field(
        max_length=254,
        pattern=r"^[^@\x00-\x20\x7f-\xa0]+@[^@\x00-\x20\x7f-\xa0]+$",
        examples=["ada@example.com"],
    ),
]
"""Something like an address: it is for people to read."""


def _written_out(text: object) -> object:
    if not isinstance(text, str) or re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is None:
        raise ValueError("a date is written 2026-11-24")
    return text


Date = Annotated[date, BeforeValidator(_written_out)]
"""A day. Pydantic alone would take a number too, as seconds since 1970."""


def _small(value: Any) -> Any:
    try:
        plain = value.model_dump() if isinstance(value, BaseModel) else value
        size = len(msgspec.json.encode(plain))
    except (ValueError, RecursionError):
        raise ValueError("this cannot be kept as JSON: lone surrogates, too deep, or no number") from None
    if size > MAX_JSON_BYTES:
        raise ValueError(f"this has {size} bytes as JSON, and {MAX_JSON_BYTES} at most are kept")
    return value


SmallJson = AfterValidator(_small)
"""What a record keeps of a client's own, MAX_JSON_BYTES of JSON at most."""

JsonObject = Annotated[dict[str, Any], SmallJson, Field(examples=[{"team": "travel"}])]
"""Whatever the client likes to keep with a record: MAX_JSON_BYTES of JSON at most."""


def chosen(
    body: BaseModel, among: type[BaseModel], clearable: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The fields of `among` that the body was sent with; null clears what is clearable, and says nothing
    elsewhere."""
    given = body.model_dump(include=set(among.model_fields), exclude_unset=True)
    return {name: value for name, value in given.items() if value is not None or name in clearable}
