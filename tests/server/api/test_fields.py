"""Which fields a request sets."""

from pydantic import BaseModel

from artcafe.server.api.fields import chosen


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
