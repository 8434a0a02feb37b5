"""Every dialect: a frame in which a field stands twice is refused."""

import msgspec
import pytest

from artcafe.server.gateway.dialects.dashboard import DashboardDialect
from artcafe.server.gateway.dialects.dialect import Dialect
from artcafe.server.gateway.dialects.legacy import LegacyDialect, WrappedDialect
from artcafe.server.gateway.dialects.native import NativeDialect

# A field twice: whoever reads the first and whoever reads the last would see two different frames.

TWICE = [
    b'{"type":"publish","subject":"a","subject":"b","data":1}',
    b'{"type":"publish","subject":"a","data":1,"data":2}',
    b'{"type":"publish","subject":"a","data":1,"id":"1","id":"2"}',
    b'{"type":"publish","type":"publish","subject":"a","data":1}',
    b'{"type":"publish","subject":"a","data":1,"dat\\u0061":2}',
    b'{"type":"publish","subject":"a","data":1,"x":1,"x":2}',
    b'{"type":"publish","subject":"a","data":{"n":1},"headers":{"k":"v"},"headers":{"k":"v"}}',
    b'{"type":"subscribe","subject":"a","subject":">"}',
    b'{"type":"unsubscribe","subject":"a","subject":"b"}',
    b'{"type":"ping","id":"1","id":"2"}',
]

ONCE = [
    b'{"type":"publish","subject":"a","data":{"n":1,"n":2}}',
    b'{"type":"publish","subject":"a","data":"' + b'\\"data\\":' * 9 + b'"}',
    b'{"type": "publish", "subject": "a", "data": {"n": 1}, "id": "1", "reply_to": "inbox.a.b"}',
    b'{\n    "type": "publish",\n    "unknown": [1, {}],\n    "subject": "a",\n    "data": '
    + b"9" * 128
    + b"\n}",
    b'{"type":"subscribe","subject":"\\u0061\\u0061\\u0061","queue":null,"id":null}',
    b'{"type":"ping","id":"\\u00e4\\u00e4\\u00e4"}',
]

PRESENCES = [
    b'{"type":"presence","status":"on","metadata":{"n":1e9},"id":"1","id":"2"}',
    b'{"type":"presence","status":"on","status":"off"}',
]


@pytest.mark.parametrize(
    "dialect",
    [NativeDialect(), LegacyDialect(), WrappedDialect(), DashboardDialect()],
    ids=lambda each: each.name,
)
class TestTwice:
    @pytest.mark.parametrize("message", TWICE)
    def test_a_field_that_stands_twice_is_refused(self, dialect: Dialect, message: bytes) -> None:
        with pytest.raises(msgspec.ValidationError, match="twice"):
            dialect.read(message)

    @pytest.mark.parametrize("message", ONCE, ids=range(len(ONCE)))
    def test_however_it_is_written_once_is_enough(self, dialect: Dialect, message: bytes) -> None:
        assert len(dialect.read(message)) == 1

    @pytest.mark.parametrize("message", PRESENCES)
    def test_also_where_values_are_of_any_type(self, dialect: Dialect, message: bytes) -> None:
        with pytest.raises(msgspec.ValidationError):
            dialect.read(message)
