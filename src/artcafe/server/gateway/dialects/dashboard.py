"""The dialects of dashboards: the frames of the original service's dashboards, and additions.

Three kinds of messages are told apart by their dialects: what a dashboard subscribed to, what it sees
in a preview of everything, and the coming and going of agents.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from artcafe.server.domain.ids import PLATFORM_SENDER, TenantId
from artcafe.server.gateway.dialects import legacy
from artcafe.server.gateway.dialects.dialect import IncomingFrame, RewritingDialect, require_readable_data
from artcafe.server.gateway.dialects.envelope import EncodedEnvelope
from artcafe.wire import frames
from artcafe.wire.deliveries import AckDelivery, NakDelivery, RenewDelivery, TermDelivery
from artcafe.wire.discovery import Unfollow, Who
from artcafe.wire.frames import encode, require_once
from artcafe.wire.inbox import CloseInbox, OpenInbox

PREVIEW = "topic_preview"
"""The name under which a preview is confirmed."""


# What a dashboard asks for besides what agents do.


class Preview(Struct, tag_field="type", tag="subscribe_topic_preview", omit_defaults=True, kw_only=True):
    """See every message of the tenant."""

    id: frames.Id | None = None


class EndPreview(Struct, tag_field="type", tag="unsubscribe_topic_preview", omit_defaults=True, kw_only=True):
    """See them no more."""

    id: frames.Id | None = None


class Renew(Struct, tag_field="type", tag="auth", omit_defaults=True, kw_only=True):
    """Go on with a newer token of the same user."""

    token: str
    id: frames.Id | None = None


_read_said = msgspec.json.Decoder(
    legacy.Publish
    | legacy.Subscribe
    | legacy.Unsubscribe
    | legacy.Ping
    | frames.Request
    | frames.Cancel
    | Who
    | Unfollow
    | OpenInbox
    | CloseInbox
    | AckDelivery
    | NakDelivery
    | RenewDelivery
    | TermDelivery
    | Preview
    | EndPreview
    | Renew
).decode


# What only a dashboard is told.


class DashboardConnected(Struct, tag_field="type", tag="connected", kw_only=True):
    """The human is in."""

    tenant_id: str
    tenant: str
    user_id: str
    role: str


class Renewed(Struct, tag_field="type", tag="renewed", omit_defaults=True, kw_only=True):
    """The connection lives until then, RFC 3339."""

    expires_at: str
    id: str | None = None


class _Subscribed(Struct, tag_field="type", tag="subscribed", omit_defaults=True):
    topic: str
    id: str | None = None


class _Unsubscribed(Struct, tag_field="type", tag="unsubscribed", omit_defaults=True):
    topic: str
    id: str | None = None


class _Message(Struct, tag_field="type", tag="message", kw_only=True):
    topic: str
    payload: Raw
    sender: str = msgspec.field(name="from")
    id: str
    timestamp: str


class _InboxMessage(Struct, tag_field="type", tag="message", omit_defaults=True, kw_only=True):
    topic: str
    payload: Raw
    sender: str = msgspec.field(name="from")
    id: str
    timestamp: str
    headers: dict[str, str] | None = None
    reply_to: str | None = None
    delivery: str | None = None
    redelivered: int = 0
    waiting: int | None = None


class _ChannelMessage(Struct, tag_field="type", tag="channel_message", kw_only=True):
    subject: str
    data: Raw
    sender: str = msgspec.field(name="from")
    id: str
    timestamp: str


class _PreviewMessage(Struct, tag_field="type", tag="topic_preview_message", kw_only=True):
    subject: str
    topic: str
    data: Raw
    size: int
    sender: str = msgspec.field(name="from")
    id: str
    timestamp: str


class _AgentEvent(Struct):
    type: str
    topic: str
    data: Raw
    timestamp: str


class _State(Struct):
    status: Literal["online", "offline"]


_read_state = msgspec.json.Decoder(_State).decode


class DashboardDialect(RewritingDialect):
    """dialect.Dialect: what a dashboard asks for, and what it subscribed to."""

    name = "dashboard"

    def read(self, message: bytes) -> Sequence[IncomingFrame]:
        """The frames that a message stands for, one for each subject it names."""
        said = _read_said(message)
        require_once(message, said)
        if isinstance(said, frames.Request | frames.Cancel):
            require_readable_data(said)
            return (said,)
        if isinstance(said, legacy.Publish | legacy.Subscribe | legacy.Unsubscribe | legacy.Ping):
            return legacy.named(said, message)
        return (said,)

    def answer(self, frame: Struct) -> Struct | None:
        """Subscriptions are of topics; the rest is as it is."""
        match frame:
            case frames.Subscribed():
                return _Subscribed(frame.subject, frame.id)
            case frames.Unsubscribed():
                return _Unsubscribed(frame.subject, frame.id)
            case frames.Message():  # Of the inbox.
                return _InboxMessage(
                    topic=frame.subject,
                    payload=frame.data,
                    sender=frame.sender,
                    id=frame.id,
                    timestamp=frame.timestamp,
                    headers=frame.headers,
                    reply_to=frame.reply_to,
                    delivery=frame.delivery,
                    redelivered=frame.redelivered,
                    waiting=frame.waiting,
                )
        return frame

    def message(self, tenant: TenantId, subject: str, sender: str, envelope: EncodedEnvelope) -> bytes:
        """Who subscribed to a channel by its full name gets it as one."""
        decoded = envelope.decoded
        if subject.startswith((f"channels.{tenant}.", f"tenant.{tenant}.channel.")):
            return encode(
                _ChannelMessage(
                    subject=subject,
                    data=decoded.data,
                    sender=sender,
                    id=decoded.id,
                    timestamp=decoded.timestamp,
                )
            )
        return encode(
            _Message(
                topic=subject,
                payload=decoded.data,
                sender=sender,
                id=decoded.id,
                timestamp=decoded.timestamp,
            )
        )


class PreviewDialect(DashboardDialect):
    """How a message looks in a preview."""

    name = "preview"

    def message(self, tenant: TenantId, subject: str, sender: str, envelope: EncodedEnvelope) -> bytes:
        """With the size of its data, in bytes."""
        decoded = envelope.decoded
        return encode(
            _PreviewMessage(
                subject=subject,
                topic=subject,
                data=decoded.data,
                size=len(decoded.data),
                sender=sender,
                id=decoded.id,
                timestamp=decoded.timestamp,
            )
        )


class PresenceDialect(DashboardDialect):
    """How agents come and go, and what they say of themselves."""

    name = "presence"

    def message(self, tenant: TenantId, subject: str, sender: str, envelope: EncodedEnvelope) -> bytes:
        """The platform tells who is online; whatever else comes is what somebody says of an agent."""
        decoded = envelope.decoded
        kind = "presence"
        if sender == PLATFORM_SENDER:
            with suppress(msgspec.ValidationError):
                kind = _read_state(decoded.data).status
        return encode(_AgentEvent(f"agent.{kind}", subject, decoded.data, decoded.timestamp))
