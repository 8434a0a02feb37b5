"""Envelopes: messages and replies as they travel on the bus, and how they become frames."""

from functools import lru_cache

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from artcafe.wire.frames import Headers, ReplyError


class Envelope(Struct, omit_defaults=True, kw_only=True):
    """A message on the bus: already JSON, `data` as the publisher wrote it. `reply_to` is the last field:
    `reply_address_of` finds it there."""

    id: str
    timestamp: str
    data: Raw
    headers: Headers | None = None
    reply_to: str | None = None


class InboxEnvelope(Struct, omit_defaults=True, kw_only=True):
    """A message as an inbox stores it: the short subject to which it was published, its proven sender,
    whether that wants a receipt, and its envelope."""

    subject: str
    sender: str
    receipt: bool = False
    message: Envelope


decode_inbox_envelope = msgspec.json.Decoder(InboxEnvelope).decode
decode_envelope = msgspec.json.Decoder(Envelope).decode


class ReplyEnvelope(Struct, tag_field="type", tag="reply", omit_defaults=True, kw_only=True):
    """A reply on the bus, at the reply address of its request. `source` names the connection that replies."""

    source: str
    id: str = ""
    timestamp: str = ""
    data: Raw | UnsetType = UNSET
    headers: Headers | None = None
    error: ReplyError | None = None
    end: bool = True


_BEFORE_REPLY = b',"reply_to":"inbox._'
_FIELD_AT, _ADDRESS_AT = -63, -50
"""Where the field of a reply address begins in an encoded envelope, and where the address does."""


def is_request(envelope: bytes) -> bool:
    """Whether an envelope, as `encode` writes one, has a reply address. The quotes of the field are not
    escaped, so they are in no value; and in `data` it would not be followed by a single brace."""
    return envelope.endswith(b'"}') and envelope[_FIELD_AT:].startswith(_BEFORE_REPLY)


def reply_address_of(envelope: bytes) -> str:
    """The reply address of an envelope of which `is_request` is true."""
    return envelope[_ADDRESS_AT:-2].decode()


def stamp(timestamp: str) -> bytes:
    """The encoded timestamp of the platform's own envelopes; one moment has one."""
    return b'","timestamp":"' + timestamp.encode() + b'","data":'


def envelope(message_id: str, stamp: bytes, data: bytes | Raw) -> bytes:
    """The encoding of an Envelope without headers and reply_to, as nearly every one is. The id is the
    platform's own: plain ASCII."""
    return b"".join((b'{"id":"', message_id.encode(), stamp, data, b"}"))


# Most messages are on the subject, and by the sender, of another one.
@lru_cache(maxsize=1024)
def opening(subject: str, sender: str) -> bytes:
    """The text that replaces an encoded envelope's brace in the delivered `message` frame.

    `subject` and `sender` must have passed the grammar of wire.subjects, and the envelope must come from
    `encode(Envelope)`: nothing here is escaped or checked again.
    """
    return b'{"type":"message","subject":"%b","from":"%b",' % (
        subject.encode("ascii"),
        sender.encode("ascii"),
    )


def splice(subject: str, sender: str, envelope: bytes) -> bytes:
    """The delivered `message` frame; `opening` says of what."""
    return opening(subject, sender) + envelope[1:]
