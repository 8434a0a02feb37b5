"""The bytes that a subscriber gets, and what of the bus never becomes bytes."""

import json
from typing import Any

import pytest
from msgspec import Raw

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects.dialect import Dialect
from artcafe.server.gateway.dialects.envelope import EncodedEnvelope, reencoded
from artcafe.server.gateway.dialects.legacy import LegacyDialect
from artcafe.server.gateway.dialects.native import NativeDialect
from artcafe.server.gateway.dialects.rendering import DialectEncoder, Encoder, MessageBatch
from artcafe.wire.envelopes import Envelope
from artcafe.wire.frames import encode
from tests.kit.scripted_peer import texts, unframed

ACME = TenantId("acme")
AT = "2026-11-23T12:00:00.000Z"


def batch(data: bytes, **fields: Any) -> MessageBatch:
    """A message, as somebody on another process published it."""
    return MessageBatch([reencoded(encode(Envelope(id="m1", timestamp=AT, data=Raw(data), **fields)))])


def several(count: int) -> MessageBatch:
    """Messages that came one after the other: m0, m1 and so on, each with its number for data."""
    envelopes = [Envelope(id=f"m{n}", timestamp=AT, data=Raw(b"%d" % n)) for n in range(count)]
    return MessageBatch([reencoded(encode(envelope)) for envelope in envelopes])


def framed(message: MessageBatch, form: str, dialect: Dialect) -> bytes:
    """Its only frame, for who subscribed in this form to what `planner` says on `tasks.new`."""
    encoded = message.encoded(dialect.encoder(ACME, form + "tasks.new", "planner"))
    assert encoded.count == 1
    assert encoded.each(message) == [("m1", encoded.joined)]
    return encoded.joined


def names(message: MessageBatch, dialect: Dialect) -> list[str]:
    """The messages that are told in a dialect."""
    encoded = message.encoded(dialect.encoder(ACME, "x", "planner"))
    each = encoded.each(message)
    assert encoded.count == len(each)
    assert encoded.joined == b"".join(framed for _, framed in each)
    return [name for name, _ in each]


def legacy_data(data: bytes) -> bytes:
    """What the older clients find in `data`, byte by byte."""
    text = unframed(framed(batch(data), "", LegacyDialect()))
    head = b'{"type":"message","subject":"tasks.new","from":"planner","id":"m1","timestamp":"%b","data":'
    head = head % AT.encode()
    assert text.startswith(head)
    assert text.endswith(b"}")
    return text[len(head) : -1]


# The bytes.


def test_the_whole_frame_byte_by_byte() -> None:
    message = batch(b'{ "n" : 1 }', headers={"trace": "7"}, reply_to="inbox.planner.1")
    text = (
        b'{"type":"message","subject":"tenant.acme.tasks.new","from":"planner","id":"m1",'
        b'"timestamp":"2026-11-23T12:00:00.000Z","data":{ "n" : 1 },"headers":{"trace":"7"},'
        b'"reply_to":"inbox.planner.1"}'
    )
    assert (
        framed(message, "tenant.acme.", NativeDialect()) == b"\x81\x7e" + len(text).to_bytes(2, "big") + text
    )


@pytest.mark.parametrize(
    "data", [b"null", b'"Wie hei\xc3\x9ft du?"', b"1.50", b"[ ]", b'{"b":1,"a":2,"b":3}', b'"\\u00fc\\/"']
)
def test_data_stays_the_publishers_bytes(data: bytes) -> None:
    assert unframed(framed(batch(data), "", NativeDialect())).endswith(b'"data":' + data + b"}")


def test_each_shape_is_built_once_and_its_bytes_are_shared() -> None:
    message = batch(b'{"n":1}')
    encoders = [
        dialect.encoder(ACME, form + "x", "planner")
        for form in ("", "tenant.acme.", "channels.acme.")
        for dialect in (NativeDialect(), LegacyDialect())
    ]
    encoded_batches = [message.encoded(encoder) for encoder in encoders]
    assert len({encoded.joined for encoded in encoded_batches}) == 6
    assert all(
        message.encoded(encoder) is encoded
        for encoder, encoded in zip(encoders, encoded_batches, strict=True)
    )


def test_messages_that_came_together_are_one_piece_in_their_order() -> None:
    message = several(40)
    assert names(message, NativeDialect()) == [f"m{n}" for n in range(40)]
    encoded = message.encoded(NativeDialect().encoder(ACME, "x", "planner"))
    assert [json.loads(text)["data"] for text in texts(encoded.joined)] == list(range(40))


def test_a_writer_goes_on_with_messages_of_other_sizes() -> None:
    encoder = NativeDialect().encoder(ACME, "x", "planner")
    for size in (1, 1, 200, 1, 70_000):
        encoded = batch(b'"' + b"x" * size + b'"').encoded(encoder)
        assert len(json.loads(unframed(encoded.joined))["data"]) == size


def test_what_a_dialect_cannot_say_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    class Even(NativeDialect):
        name = "even"

        def encoder(self, tenant: TenantId, subject: str, sender: str) -> Encoder:
            return DialectEncoder(self.name, self.message, tenant, subject, sender)

        def message(self, tenant: TenantId, subject: str, sender: str, envelope: EncodedEnvelope) -> bytes:
            if int(envelope.decoded.data) % 2:
                raise RecursionError("odd")
            return b"even"

    message = several(4)
    assert names(message, Even()) == ["m0", "m2"]
    assert names(message, NativeDialect()) == ["m0", "m1", "m2", "m3"]
    assert [record.message for record in caplog.records] == [
        "tenant acme: even cannot be told a message: odd"
    ] * 2


# The dialect of the older clients.


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (b"{}", b'{"agent_id":"planner","tenant_id":"acme","timestamp":"%b"}' % AT.encode()),
        (
            b'{"n": [1, 2] }',
            b'{"n":[1, 2],"agent_id":"planner","tenant_id":"acme","timestamp":"%b"}' % AT.encode(),
        ),
        (
            b'{"timestamp":null,"n":1}',
            b'{"timestamp":null,"n":1,"agent_id":"planner","tenant_id":"acme"}',
        ),
        (
            '{"größe":"ü","\\u00e4":"\\u00e4","timestamp":"mine"}'.encode(),
            '{"größe":"ü","ä":"\\u00e4","timestamp":"mine","agent_id":"planner","tenant_id":"acme"}'.encode(),
        ),
    ],
    ids=["empty", "values as they are", "their timestamp", "not ASCII"],
)
def test_legacy_clients_find_the_sender_in_objects(data: bytes, seen: bytes) -> None:
    assert legacy_data(data) == seen


@pytest.mark.parametrize(
    "data",
    [
        b'{"agent_id":"liar","tenant_id":"other","timestamp":1}',
        b'{"agent_id":"liar","agent_id":"liar2","tenant_id":"other","timestamp":1,"tenant_id":{}}',
        b'{"agent\\u005fid":"liar","\\u0074enant_id":"other","timestamp":1}',
    ],
    ids=["plain", "twice", "escaped"],
)
def test_the_proven_sender_wins_over_what_the_payload_says(data: bytes) -> None:
    pairs = json.loads(legacy_data(data), object_pairs_hook=list)
    assert sorted(pairs) == [("agent_id", "planner"), ("tenant_id", "acme"), ("timestamp", 1)]


@pytest.mark.parametrize("data", [b"null", b"[{}]", b'"{}"', b"12e3", b"true", b'"\xc3\xbc"'])
def test_other_values_stay_as_they_are_for_legacy_clients(data: bytes) -> None:
    assert legacy_data(data) == data


# What is not ours.


def test_no_field_of_the_payload_shadows_ours() -> None:
    payload = (
        b'{"type":"welcome","subject":"sys.alarm","from":"sys","id":"1","timestamp":"t","data":1,'
        b'"extra":true,"from":"root","fr\\u006fm":"root","data":2,"id":"2"}'
    )
    encoded = MessageBatch([reencoded(payload)]).encoded(NativeDialect().encoder(ACME, "x", "planner"))
    pairs = json.loads(unframed(encoded.joined), object_pairs_hook=list)
    assert pairs == [
        ("type", "message"),
        ("subject", "x"),
        ("from", "planner"),
        ("id", "2"),
        ("timestamp", "t"),
        ("data", 2),
    ]
