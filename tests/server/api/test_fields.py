"""Which fields a request sets."""

from datetime import date
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from artcafe.server.api.fields import MAX_JSON_BYTES, Date, Email, JsonObject, chosen


class Fields(BaseModel):
    name: str | None = None
    website: str | None = None


class New(Fields):
    id: str | None = None


def test_only_what_was_sent_is_set() -> None:
    assert chosen(New(id="x", name="N"), Fields) == {"name": "N"}


def test_null_clears_what_is_clearable_and_says_nothing_elsewhere() -> None:
    body = Fields.model_validate({"name": None, "website": None})
    assert chosen(body, Fields) == {}
    assert chosen(body, Fields, frozenset({"website"})) == {"website": None}


def test_a_day_is_written_out() -> None:
    assert TypeAdapter(Date).validate_python("2026-11-24") == date(2026, 11, 24)


@pytest.mark.parametrize("value", ["0", 0, "1764000000", "2026-11-24T00:00:00", "2026-1-1", "2026-02-30", ""])
def test_anything_else_is_no_day_and_is_not_repeated(value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Date).validate_python(value)

    [fault] = refused.value.errors()
    assert value in {"", "0", 0} or str(value) not in fault["msg"]


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("ada@example.com", True),
        ("ädä@exämple.com", True),
        ("a@b@c", False),
        ("a b@c", False),
        ("a@b\x85", False),
        ("a@b\n", False),
        ("@b", False),
    ],
)
def test_an_email_is_something_like_an_address(text: str, taken: bool) -> None:
    if taken:
        assert TypeAdapter(Email).validate_python(text) == text
    else:
        with pytest.raises(ValidationError):
            TypeAdapter(Email).validate_python(text)


def test_free_json_is_taken_up_to_its_limit_as_it_is_encoded() -> None:
    largest = {"n": "ä" * ((MAX_JSON_BYTES - len('{"n":""}')) // 2)}

    assert TypeAdapter(JsonObject).validate_python(largest) == largest


@pytest.mark.parametrize(
    "value",
    [
        {"n": "ä" * (MAX_JSON_BYTES // 2)},
        {f"{n}": 1 for n in range(3000)},
        {"n": "\ud800"},
        {"n": [2**70] * 2000},
    ],
    ids=["long", "wide", "surrogate", "numbers"],
)
def test_free_json_beyond_it_is_refused_and_not_repeated(value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(JsonObject).validate_python(value)

    [fault] = refused.value.errors(include_input=False)
    assert len(fault["msg"]) < 120


def test_free_json_that_is_too_deep_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(20_000):
        deep = {"n": deep}

    with pytest.raises(ValidationError):
        TypeAdapter(JsonObject).validate_python(deep)
