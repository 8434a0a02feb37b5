"""Envelopes: written once, read from the bus, and spliced into frames exactly as those would be encoded."""

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Raw

from artcafe.wire import envelopes, frames
from tests.kit.generated import (
    assert_same,
    headers,
    messages,
    optional,
    raws,
    texts,
    written,
)


@given(written)
@example(b'{"b" : 1, "a":2, "b": 3 }')
@example(b"[ 1.0, 1e2, -0, 12345678901234567890123 ]")
@example(b'"\\u00e9 \xc3\xa9 \\/"')
def test_data_is_kept_byte_for_byte(data: bytes) -> None:
    """Spaces, escapes, the order of keys, how numbers are written: all as the publisher wrote it."""
    frame = frames.decode_client(b'{"type":"publish","subject":"a","data": %b }' % data)
    assert isinstance(frame, frames.Publish)
    assert bytes(frame.data) == data
    envelope = frames.encode(envelopes.Envelope(id="1", timestamp="t", data=frame.data))
    assert b'"data":%b}' % data in envelope
    assert bytes(envelopes.decode_envelope(envelope).data) == data
    delivered = frames.decode_server(envelopes.splice("a", "b", envelope))
    assert isinstance(delivered, frames.Message)
    assert bytes(delivered.data) == data


@given(messages)
def test_a_spliced_frame_is_the_encoded_message(message: frames.Message) -> None:
    message = msgspec.structs.replace(
        message, seq=None, epoch=None, delivery=None, durable=None, redelivered=0, waiting=None
    )
    envelope = envelopes.Envelope(
        id=message.id,
        timestamp=message.timestamp,
        data=message.data,
        headers=message.headers,
        reply_to=message.reply_to,
    )
    assert envelopes.splice(message.subject, message.sender, frames.encode(envelope)) == frames.encode(
        message
    )


def test_a_frame_says_its_type_first() -> None:
    text = envelopes.splice("tasks.new", "a1", b'{"id":"1","timestamp":"t","data":{}}')
    assert text == b'{"type":"message","subject":"tasks.new","from":"a1","id":"1","timestamp":"t","data":{}}'


@given(raws, optional(headers), optional(texts))
def test_an_envelope_comes_back(data: Raw, headers: dict[str, str] | None, reply_to: str | None) -> None:
    envelope = envelopes.Envelope(id="1", timestamp="t", data=data, headers=headers, reply_to=reply_to)
    assert_same(envelopes.decode_envelope(frames.encode(envelope)), envelope)


@given(raws)
def test_an_envelope_is_written_as_encode_writes_it(data: Raw) -> None:
    at = "2026-11-23T03:40:00.123Z"
    written = frames.encode(envelopes.Envelope(id="m-1", timestamp=at, data=data))
    assert envelopes.envelope("m-1", envelopes.stamp(at), data) == written
    assert envelopes.envelope("m-1", envelopes.stamp(at), bytes(data)) == written


def test_an_envelope_from_the_bus_cannot_bring_a_sender() -> None:
    """It is read and written anew, so fields that are not the envelope's do not survive."""
    forged = b'{"type":"goaway","from":"sys","subject":"x","id":"1","timestamp":"t","data":1,"from":"sys"}'
    clean = frames.encode(envelopes.decode_envelope(forged))
    assert clean == b'{"id":"1","timestamp":"t","data":1}'


ADDRESS = f"inbox._{'p' * 16}.{'t' * 24}"


@given(raws, optional(headers), optional(st.just(ADDRESS) | texts))
@example(Raw(b'"\\",\\"reply_to\\":\\"' + ADDRESS.encode() + b'"'), None, None)
@example(Raw(b'{"x":1,"reply_to":"' + ADDRESS.encode() + b'"}'), None, None)
@example(Raw(b"1"), {"reply_to": ADDRESS}, None)
def test_a_request_is_told_by_its_reply_address(
    data: Raw, headers: dict[str, str] | None, reply_to: str | None
) -> None:
    envelope = envelopes.Envelope(id="m1", timestamp="t", data=data, headers=headers, reply_to=reply_to)
    encoded = frames.encode(envelope)
    assert envelopes.is_request(encoded) == (reply_to == ADDRESS)
    if reply_to == ADDRESS:
        assert envelopes.reply_address_of(encoded) == ADDRESS
