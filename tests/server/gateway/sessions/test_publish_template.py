"""A template and reading the frame whole never tell different things."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from artcafe.server.gateway.dialects.legacy import LegacyDialect
from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.sessions.publish_template import PublishTemplate, template_of
from artcafe.wire.frames import Publish

BEGINS = b'{"type":"publish","subject":"a.b","data":'


def read(message: bytes) -> Publish:
    """The frame, as everybody's first message is read."""
    [frame] = NativeDialect().read(message)
    assert isinstance(frame, Publish)
    return frame


def learned(message: bytes) -> PublishTemplate:
    """What is learned from a message."""
    found = template_of(message, read(message))
    assert found is not None
    return found


@pytest.mark.parametrize(
    "data", [b"1", b'"x"', b'{"a": [1, 2.50]}', b"null", '"ü"'.encode(), b"[" * 60 + b"]" * 60]
)
def test_what_differs_in_its_data_alone_is_read_from_there(data: bytes) -> None:
    known = learned(BEGINS + b"0}")
    assert known.subject == "a.b"
    assert known.data(BEGINS + data + b"}") == data


@pytest.mark.parametrize(
    "message",
    [
        BEGINS + b"}",
        BEGINS + b"1",
        BEGINS + b"1,2}",
        BEGINS + b"1 }",
        BEGINS + b" 1}",
        BEGINS + b'1,"id":"7"}',
        BEGINS + b'1,"data":2}',
        BEGINS + b"{}}}",
        BEGINS + b'"\n"}',
        BEGINS + b"[" * 600 + b"]" * 600 + b"}",
        BEGINS.replace(b"a.b", b"a.c") + b"1}",
        BEGINS[:-3],
        b"}",
        b"",
    ],
)
def test_what_takes_more_than_a_glance_is_left(message: bytes) -> None:
    assert learned(BEGINS + b"0}").data(message) is None


@pytest.mark.parametrize(
    "message",
    [
        b'{"type":"publish","data":"a","subject":"a"}',
        b'{"type":"publish","data":1,"subject":"a","x":1}',
        b'{"type":"publish","subject":"a","data":1,"x":{"data":1}}',
        b'{"type":"publish","subject":"a","data":1,"x,\\"data":1}',
        b'{"type":"publish","subject":"a","data":1,"xdata":1}',
        b'{"type":"publish","subject":"a","data":1 }',
        b'{"type":"publish","subject":"a","data": 1}',
        b'{"type":"publish","subject":"a","id":"1","data":1}',
        b'{"type":"publish","subject":"a","headers":{"a":"b"},"data":1}',
        b'{"type":"publish","subject":"a","reply_to":"inbox.a.1","data":1}',
    ],
)
def test_nothing_is_learned_where_the_data_is_not_the_last_field_or_not_the_only_one(message: bytes) -> None:
    assert template_of(message, read(message)) is None


names = st.sampled_from(["data", "a", '"', ","])
plain = st.none() | st.booleans() | st.integers() | st.sampled_from(["", "data", ',"data":', "}", "\\", "ü"])
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)
data_last = st.permutations(["type", "subject", "x"]).map(lambda names: [*names, "data"])
any_order = st.permutations(["type", "subject", "x", "data"])


def json_of(value: object) -> bytes:
    """Without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


@given(data_last | any_order, values, values, values, st.binary(max_size=3))
@example(["type", "subject", "x", "data"], 1, "b", None, b"")
@example(["type", "subject", "x", "data"], 1, 2, ',"data":', b",")
def test_it_tells_what_reading_tells_or_nothing(
    order: list[str], first: object, second: object, other: object, noise: bytes
) -> None:
    fields = {"type": "publish", "subject": "a.b", "x": other}
    message, following = (
        json_of({name: {**fields, "data": data}[name] for name in order}) for data in (first, second)
    )
    known = template_of(message, read(message))
    assert (known is not None) == (order[-1] == "data")
    if known is None:
        return
    assert known.data(following) == json_of(second)
    for text in (following[:-1] + noise + b"}", following[:-1] + b',"data":1}', following + noise):
        data = known.data(text)
        if data is not None:
            for dialect in (NativeDialect(), LegacyDialect()):
                [frame] = dialect.read(text)
                assert isinstance(frame, Publish)
                assert (frame.subject, bytes(frame.data), frame.id) == (known.subject, data, None)
