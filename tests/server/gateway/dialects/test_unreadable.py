"""What the sender of a frame that cannot be read is told."""

import msgspec
import pytest

from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.dialects.unreadable import UNREADABLE, frame_id, reason


@pytest.mark.parametrize(
    ("message", "known"),
    [
        (b'{"type":"nonsense","id":"1"}', "1"),
        (b'{"type":"nonsense","id":7}', None),
        (b'{"type":"nonsense"}', None),
        (b"{", None),
        (b'{"id":"1","data":' + b"[" * 9000 + b"]" * 9000 + b"}", None),
        (b'{"id":"\xff"}', None),
    ],
)
def test_the_id_is_found_where_it_can_be_read(message: bytes, known: str | None) -> None:
    assert frame_id(message) == known


@pytest.mark.parametrize(
    "message",
    [
        b'{"type":"SECRET"}',
        b'{"type":"SE\'CRET"}',
        b'{"type":"publish","subject":"SECRET","data":' + b"[" * 9000 + b"]" * 9000 + b"}",
    ],
)
def test_the_reason_repeats_nothing_of_the_frame(message: bytes) -> None:
    with pytest.raises(UNREADABLE) as raised:
        NativeDialect().read(message)
    assert "CRET" not in reason(raised.value)
    assert reason(raised.value).startswith("The frame cannot be read: ")


def test_the_reason_is_of_any_length_bounded_by_msgspec() -> None:
    assert reason(msgspec.ValidationError("Expected `str`")) == "The frame cannot be read: Expected `str`"
