"""What comes by the bus is read and written anew; what this process wrote is taken as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from artcafe.server.gateway.dialects.envelope import NOT_OURS, EncodedEnvelope, id_of, reencoded
from artcafe.wire.envelopes import Envelope
from artcafe.wire.frames import encode


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"hello",
        b'{"id":"1","timestamp":"t"}',
        b'{"id":1,"timestamp":"t","data":1}',
        b'{"id":"1","timestamp":"t","data":1}{}',
        b'{"id":"1","timestamp":"t","data":1,"headers":{"a":1}}',
        b'{"id":"1","timestamp":"t","data":"\xff"}',
        b'{"id":"1","timestamp":"t","data":{"\xed\xa0\x80":1}}',
        b'{"id":"\xff","timestamp":"t","data":1}',
        b'{"id":"1","timestamp":"t","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_a_payload_that_is_not_ours_is_no_letter(payload: bytes) -> None:
    """`data` that is not UTF-8 would end the WebSocket of everybody who gets it."""
    with pytest.raises(NOT_OURS):
        reencoded(payload)


def test_what_arrived_is_written_anew() -> None:
    payload = b'{ "data" : [ 1 ] , "from":"root","id":"1","timestamp":"t","id":"2" }'
    assert reencoded(payload) == b'{"id":"2","timestamp":"t","data":[ 1 ]}'


def test_what_was_written_here_stays_and_can_be_read() -> None:
    envelope = Envelope(id="1", timestamp="t", data=Raw(b"1"), headers={"a": "b"}, reply_to="inbox.a.1")
    encoded = EncodedEnvelope(encode(envelope))
    assert encoded.payload == encode(envelope)
    assert encoded.decoded == envelope
    assert encoded.decoded is encoded.decoded


@given(st.text() | st.sampled_from(['","timestamp":"', '"', "\\", '\\"']), st.text())
def test_an_id_is_found_without_reading_whatever_stands_in_it(name: str, other: str) -> None:
    first, second = (encode(Envelope(id=each, timestamp="t", data=Raw(b"1"))) for each in (name, other))
    assert id_of(first) == encode(name)[1:-1]
    assert (id_of(first) == id_of(second)) is (name == other)


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"id":"1"}', b' {"id":"1","timestamp":"t","data":1}'])
def test_what_is_no_envelope_of_ours_has_no_identity(payload: bytes) -> None:
    assert id_of(payload) is None
