"""Generated values, frames and their parts, for tests of properties (hypothesis)."""

import json
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import Raw

from artcafe.wire import frames

# What JSON can say, and how people write it: with and without spaces, escaped and not.
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
written = st.builds(
    lambda value, indent, escaped: json.dumps(value, indent=indent, ensure_ascii=escaped).encode(),
    values,
    st.sampled_from([None, 2]),
    st.booleans(),
)
raws = written.map(Raw)
texts = st.text(max_size=20)
ids = st.text(min_size=1, max_size=64)
headers = st.dictionaries(st.text(min_size=1, max_size=12), texts, max_size=4)
tokens = st.text("abcXYZ019_-", min_size=1, max_size=8)
subjects = st.lists(tokens, min_size=1, max_size=5).map(".".join)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


messages = st.builds(
    frames.Message,
    subject=subjects,
    sender=tokens,
    id=texts,
    timestamp=texts,
    data=raws,
    headers=optional(headers),
    reply_to=optional(texts),
    seq=optional(st.integers(0, 2**53)),
    epoch=optional(texts),
    delivery=optional(texts),
    durable=optional(texts),
    redelivered=st.integers(0, 100),
    waiting=optional(st.integers(0, 1000)),
)


def plain(frame: msgspec.Struct) -> dict[str, Any]:
    """A frame as its fields, Raw data as bytes: two Raw never compare equal by themselves."""
    fields = {field: getattr(frame, field) for field in frame.__struct_fields__}
    return {name: bytes(value) if isinstance(value, Raw) else value for name, value in fields.items()}


def assert_same(one: msgspec.Struct, other: msgspec.Struct) -> None:
    assert type(one) is type(other)
    assert plain(one) == plain(other)
