"""The two dialects of clients of the original service, and how their frames become those of wire.frames.

Everything that is legacy ends here: behind a dialect there are only the frames of wire.frames.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from artcafe.server.domain.ids import HUMAN_PREFIX, PLATFORM_SENDER, TenantId
from artcafe.server.gateway.dialects.dialect import RewritingDialect, require_readable_data
from artcafe.server.gateway.dialects.envelope import EncodedEnvelope
from artcafe.wire import frames
from artcafe.wire.envelopes import splice
from artcafe.wire.frames import encode, require_once, require_once_each
from artcafe.wire.payload import doubtful

MAX_SUBJECTS = 256
"""Subjects that one frame may name."""

CORRELATION = "correlation-id"
"""The header in which a dialect's own correlation id travels."""


class _Named(Struct, omit_defaults=True, kw_only=True):
    """A frame about subjects, under any of the names that clients have for them."""

    id: frames.Id | None = None
    subject: str | None = None
    channel: str | None = None
    topic: str | None = None
    subjects: Annotated[list[str], Meta(max_length=MAX_SUBJECTS)] = []

    def named(self) -> list[str]:
        """The subjects of the frame: one at least, MAX_SUBJECTS at most."""
        one = self.subject or self.channel or self.topic
        named = self.subjects if one is None else [one, *self.subjects]
        if not named:
            raise msgspec.ValidationError("Object missing required field `subject`")
        if len(named) > MAX_SUBJECTS:
            raise msgspec.ValidationError(f"Expected at most {MAX_SUBJECTS} subjects in all")
        return named


class Publish(_Named, tag_field="type", tag="publish", omit_defaults=True, kw_only=True):
    """As frames.Publish, under any names."""

    data: Raw | UnsetType = UNSET
    message: Raw | UnsetType = UNSET
    payload: Raw | UnsetType = UNSET
    headers: frames.Headers | None = None
    reply_to: str | None = None


class Subscribe(_Named, tag_field="type", tag="subscribe", omit_defaults=True, kw_only=True):
    """As frames.Subscribe, under any names."""

    queue: frames.Queue | None = None


class Unsubscribe(_Named, tag_field="type", tag="unsubscribe", omit_defaults=True, kw_only=True):
    """As frames.Unsubscribe, under any names."""

    queue: frames.Queue | None = None


class _Presence(Struct, tag_field="type", tag="presence", kw_only=True):
    id: frames.Id | None = None
    status: Annotated[str, Meta(max_length=64)] = "online"
    capabilities: list[Any] | None = None
    metadata: dict[str, Any] = {}


class Ping(Struct, tag_field="type", tag="ping", omit_defaults=True, kw_only=True):
    """As frames.Ping."""

    id: frames.Id | None = None


class _Heartbeat(Struct, tag_field="type", tag="heartbeat", omit_defaults=True, kw_only=True):
    id: frames.Id | None = None


class _Nested(Struct, kw_only=True):
    """The envelope that clients of dialect B put around their payload."""

    payload: Raw
    correlation_id: Annotated[str, Meta(max_length=1024)] | None = None
    reply_to: str | None = None


_read_said = msgspec.json.Decoder(Publish | Subscribe | Unsubscribe | _Presence | Ping | _Heartbeat).decode
_read_nested = msgspec.json.Decoder(_Nested).decode
_read_object = msgspec.json.Decoder(dict[str, Raw]).decode


class LegacyDialect(RewritingDialect):
    """Dialect A, and how both legacy dialects are read.

    Field names are accepted generously. Its handlers read who sent a message, and when, inside
    `data` when that is an object.
    """

    name = "legacy"

    def read(self, message: bytes) -> Sequence[frames.ClientFrame]:
        """The frames that a message stands for: `subjects` stand for one each."""
        said = _read_said(message)
        match said:
            case _Presence():
                require_once_each(message)
                metadata = said.metadata
                if said.capabilities is not None:
                    metadata = {**metadata, "capabilities": said.capabilities}
                presence = frames.Presence(status=said.status, metadata=metadata, id=said.id)
                require_readable_data(presence)
                return (presence,)
            case _Heartbeat():
                require_once(message, said)
                return (frames.Ping(id=said.id),)
        require_once(message, said)
        return named(said, message)

    def answer(self, frame: Struct) -> Struct | None:
        """As it is, without what these clients do not know: a welcome, places in durable channels."""
        match frame:
            case frames.Welcome():
                return None
            case frames.Subscribed():
                return frames.Subscribed(subject=frame.subject, id=frame.id)
            case frames.Ack():
                return frames.Ack(id=frame.id, message_id=frame.message_id)
        return frame

    def message(self, tenant: TenantId, subject: str, sender: str, envelope: EncodedEnvelope) -> bytes:
        """`data` with the proven sender and tenant, and the timestamp where it has none."""
        decoded = envelope.decoded
        try:
            fields = _read_object(decoded.data)
        except msgspec.ValidationError:
            return splice(subject, sender, envelope.payload)  # Not an object: no place for the fields.
        fields["agent_id"] = Raw(encode(sender))
        fields["tenant_id"] = Raw(encode(tenant))
        fields.setdefault("timestamp", Raw(encode(decoded.timestamp)))
        return splice(subject, sender, encode(msgspec.structs.replace(decoded, data=Raw(encode(fields)))))


class HeartbeatAck(Struct, tag_field="type", tag="heartbeat_ack"):
    """What dialect B gets for its heartbeat."""

    timestamp: str


class _Source(Struct):
    agent_id: str
    type: str


class _WrappedEnvelope(Struct, omit_defaults=True, kw_only=True):
    id: str
    timestamp: str
    version: str
    tenant_id: str
    source: _Source
    type: str
    payload: Raw
    correlation_id: str | None = None
    reply_to: str | None = None


class _Delivered(Struct, tag_field="type", tag="message"):
    subject: str
    message: _WrappedEnvelope


class WrappedDialect(LegacyDialect):
    """Dialect B: the payload travels in an envelope inside the frame."""

    name = "wrapped"

    def answer(self, frame: Struct) -> Struct | None:
        """Errors and heartbeats; these clients expect no other answer."""
        if isinstance(frame, frames.Pong):
            return HeartbeatAck(frame.timestamp)
        return frame if isinstance(frame, frames.Error | frames.Goaway) else None

    def message(self, tenant: TenantId, subject: str, sender: str, envelope: EncodedEnvelope) -> bytes:
        """The envelope of the field, written anew around the payload."""
        decoded = envelope.decoded
        kind = "agent"
        if sender == PLATFORM_SENDER:
            kind = "system"
        elif sender.startswith(HUMAN_PREFIX):
            kind = "user"
        written = _WrappedEnvelope(
            id=decoded.id,
            timestamp=decoded.timestamp,
            version="1.0",
            tenant_id=tenant,
            source=_Source(sender, kind),
            type="message",
            payload=decoded.data,
            correlation_id=(decoded.headers or {}).get(CORRELATION),
            reply_to=decoded.reply_to,
        )
        return encode(_Delivered(subject, written))


def named(said: Publish | Subscribe | Unsubscribe | Ping, message: bytes) -> Sequence[frames.ClientFrame]:
    """The frames that a frame, read from `message`, stands for: `subjects` stand for one each."""
    match said:
        case Publish():
            published = _published(said)
            if doubtful(message):
                require_readable_data(published[0])
            return published
        case Subscribe():
            return [frames.Subscribe(subject=name, id=said.id, queue=said.queue) for name in said.named()]
        case Unsubscribe():
            return [frames.Unsubscribe(subject=name, id=said.id, queue=said.queue) for name in said.named()]
        case Ping():
            return (frames.Ping(id=said.id),)


def _published(said: Publish) -> list[frames.Publish]:
    """The same message on each of the subjects: `data`, or the payload of the envelope in `message`, or
    `message` or `payload` themselves."""
    data, headers, reply_to = said.data, said.headers, said.reply_to
    if not isinstance(data, Raw) and isinstance(said.message, Raw):
        if _holds_payload(said.message):
            nested = _read_nested(said.message)
            data, reply_to = nested.payload, nested.reply_to or reply_to
            if nested.correlation_id is not None:
                headers = {**(headers or {}), CORRELATION: nested.correlation_id}
        else:
            data = said.message
    if not isinstance(data, Raw):
        data = said.payload
    if not isinstance(data, Raw):
        raise msgspec.ValidationError("Object missing required field `data`")
    return [
        frames.Publish(subject=subject, data=data, id=said.id, headers=headers, reply_to=reply_to)
        for subject in said.named()
    ]


def _holds_payload(message: Raw) -> bool:
    try:
        return "payload" in _read_object(message)
    except msgspec.ValidationError:
        return False
