"""The field types and the base class of request bodies."""

import re
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from artcafe.server.domain.tenant import Role
from artcafe.wire.names import unknown_fields
from artcafe.wire.subjects import MAX_BYTES, PATTERN_SCHEMA

MAX_JSON_BYTES = 16 * 1024
"""What one field of free JSON takes at most, as it is encoded."""

OF_THE_ORIGINAL: dict[str, frozenset[str]] = {
    "NewTenant": frozenset({"trial_days", "terms_acceptance"}),
}
"""Fields that clients of the original service send and that mean nothing here, by the name of the body.
They are taken and ignored; everything else that is not known is refused."""


class Body(BaseModel):
    """The base of request bodies, at every level: values have exactly the described types (`true` and `"1"`
    are no numbers), and an unknown field is refused, since a rule with a typo would have no effect."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        ignored = OF_THE_ORIGINAL.get(cls.__name__, frozenset())
        fields = {name: value for name, value in given.items() if name not in ignored}
        said = unknown_fields(fields, cls.model_fields)
        if said is not None:
            raise ValueError(said)
        return fields


def _integral(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Integral = BeforeValidator(_integral)
"""Of an integer: `13.0` is one too, as JSON Schema has it (Validation section 6.1.1). It stands last, so that
the bounds stay in the description."""

RoleName = Annotated[Role, Field(strict=False)]
"""A role by its name: strictly, only the enum's own members would be one."""

StatusName = Literal["active", "suspended"]
"""A status that can be set, by its name."""

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
