"""Every frame of the WebSocket protocol, typed. docs/protocol.md is its prose.

Frames are JSON objects in text messages. Unknown fields are ignored, unknown types refused.
"""

import json
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from artcafe.wire.deliveries import (
    LEAST_LEASE_MS,
    MAX_IN_FLIGHT,
    MOST_DELIVERIES,
    MOST_LEASE_MS,
    AckDelivery,
    NakDelivery,
    RenewDelivery,
    Settled,
    TermDelivery,
)
from artcafe.wire.discovery import AgentChanged, Agents, Unfollow, Unfollowed, Who
from artcafe.wire.inbox import CloseInbox, ExpiresInMs, InboxClosed, InboxOpened, OpenInbox, Priority

SUBPROTOCOL = "artcafe.v1"

Id = Annotated[str, Meta(min_length=1, max_length=64)]
"""The client's own correlation string; its presence asks for an answer."""

Headers = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=128)], Annotated[str, Meta(max_length=1024)]],
    Meta(max_length=32),
]

Queue = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
"""The name of a queue group. msgspec searches, and `$` would let a newline pass at the end."""

Dedup = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}\Z")]
"""A sender's own name of a message, by which a durable channel knows it again within two minutes."""

Seq = Annotated[int, Meta(ge=0)]
"""A sequence in a durable channel; 0 is the place before the first message."""


class Position(Struct, kw_only=True):
    """A place in a durable channel: behind the message with this sequence, in the channel of this epoch."""

    epoch: Annotated[str, Meta(max_length=64)]
    seq: Seq


# What a client sends.


class Publish(Struct, tag_field="type", tag="publish", omit_defaults=True, kw_only=True):
    """Send `data`, any JSON value, to everybody subscribed to `subject`. With `dedup` it is stored once,
    however often it is sent: in a durable channel.

    With `store` it waits in the inbox of the agent, or human, whose subject it is, and in nothing else
    (wire.inbox); `receipt` lets the sender hear when it is settled."""

    subject: str
    data: Raw
    id: Id | None = None
    headers: Headers | None = None
    reply_to: str | None = None
    dedup: Dedup | None = None
    store: bool = False
    priority: Priority | None = None
    expires_in_ms: ExpiresInMs | None = None
    receipt: bool = False

    @property
    def for_inbox(self) -> bool:
        """Whether it says anything that only what is stored in an inbox may say."""
        return self.store or self.receipt or self.priority is not None or self.expires_in_ms is not None


class Subscribe(Struct, tag_field="type", tag="subscribe", omit_defaults=True, kw_only=True):
    """Receive what matches `subject`; with `queue`, share the messages with the group's other members.

    Within one durable channel, `since` begins with what is stored (wire.since), and `recover` goes on behind
    the last message that came. With `durable` the subscription of this name outlives the connection: whoever
    has it shares its messages, and settles each (wire.deliveries). Who subscribes first decides about
    `lease_ms`, `max_deliveries` and where it begins; `max_in_flight` is each client's own."""

    subject: str
    id: Id | None = None
    queue: Queue | None = None
    since: Seq | Annotated[str, Meta(max_length=64)] | None = None
    recover: Position | None = None
    durable: Queue | None = None
    max_in_flight: Annotated[int, Meta(ge=1, le=MAX_IN_FLIGHT)] | None = None
    lease_ms: Annotated[int, Meta(ge=LEAST_LEASE_MS, le=MOST_LEASE_MS)] | None = None
    max_deliveries: Annotated[int, Meta(ge=1, le=MOST_DELIVERIES)] | None = None


class Unsubscribe(Struct, tag_field="type", tag="unsubscribe", omit_defaults=True, kw_only=True):
    """Stop receiving; `subject`, `queue` and `durable` as they were subscribed. What was delivered of a
    durable subscription can still be settled."""

    subject: str
    id: Id | None = None
    queue: Queue | None = None
    durable: Queue | None = None


class Presence(Struct, tag_field="type", tag="presence", omit_defaults=True, kw_only=True):
    """An agent's status, as told by itself."""

    status: Annotated[str, Meta(max_length=64)]
    metadata: dict[str, Any] = {}
    id: Id | None = None


class Ping(Struct, tag_field="type", tag="ping", omit_defaults=True, kw_only=True):
    """Answered by `pong`."""

    id: Id | None = None


DEFAULT_TIMEOUT_MS = 30_000
MAX_TIMEOUT_MS = 600_000
"""How long a request is open, unless it says so, and at most."""

MAX_REPLIES = 1024


class Request(Struct, tag_field="type", tag="request", omit_defaults=True, kw_only=True):
    """Publish `data` to `subject` with a reply address that the server makes, and get what is answered there.

    The reply of one responder, or a stream of them; with `max_replies`, one reply each of so many
    responders, as far as they come within `timeout_ms`.
    """

    subject: str
    data: Raw
    id: Id
    timeout_ms: Annotated[int, Meta(ge=1, le=MAX_TIMEOUT_MS)] = DEFAULT_TIMEOUT_MS
    max_replies: Annotated[int, Meta(ge=1, le=MAX_REPLIES)] | None = None
    headers: Headers | None = None


class ReplyError(Struct, omit_defaults=True, kw_only=True):
    """The error of who was asked: a code of its own choice, and words for people."""

    code: Annotated[str, Meta(min_length=1, max_length=64)]
    message: Annotated[str, Meta(max_length=1024)] = ""


class Reply(Struct, tag_field="type", tag="reply", omit_defaults=True, kw_only=True):
    """Answer a request: `to` is the `reply_to` of the message. It is the last reply unless `end` is false.

    `error` ends it, and has no data beside it; without either it is the end of a stream.
    """

    to: str
    data: Raw | UnsetType = UNSET
    end: bool = True
    error: ReplyError | None = None
    headers: Headers | None = None
    id: Id | None = None


class Cancel(Struct, tag_field="type", tag="cancel", omit_defaults=True, kw_only=True):
    """End the request with the id `request`; it is answered with `cancelled`."""

    request: Id
    id: Id | None = None


ClientFrame = (
    Publish | Subscribe | Unsubscribe | Presence | Ping | Request | Reply | Cancel
    | AckDelivery | NakDelivery | RenewDelivery | TermDelivery | Who | Unfollow | OpenInbox | CloseInbox
)  # fmt: skip

CANCELLATIONS = "cancellations"
"""The feature of clients that know the frame `cancelled`."""


class ClientInfo(Struct, omit_defaults=True, kw_only=True):
    """The client's name and version, for people who read logs, and what it knows of the protocol."""

    name: Annotated[str, Meta(max_length=64)] = ""
    version: Annotated[str, Meta(max_length=64)] = ""
    features: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=32)] = []
    """Frames of the server that older clients do not know, and this one does; unknown names are ignored."""


class Auth(Struct, tag_field="type", tag="auth", omit_defaults=True, kw_only=True):
    """The answer to `challenge`: an armored SSHSIG, or with `format: raw` a base64 signature.

    `key` is the fingerprint of the signing key; without it every active key of the agent is tried.
    """

    signature: Annotated[str, Meta(max_length=16384)]
    format: Literal["sshsig", "raw"] = "sshsig"
    key: Annotated[str, Meta(max_length=128)] | None = None
    client: ClientInfo | None = None


# What the server sends.


class Challenge(Struct, tag_field="type", tag="challenge", kw_only=True):
    """Sign `text` in the SSHSIG namespace `namespace` before `expires_at`."""

    namespace: str
    nonce: str
    expires_at: str
    text: str


class Limits(Struct, kw_only=True):
    """The limits of this connection."""

    max_payload_bytes: int
    messages_per_second: int
    subscriptions: int


class Welcome(Struct, tag_field="type", tag="welcome", kw_only=True):
    """The login succeeded: from here on the connection is the session."""

    tenant: str
    agent: str
    connection: str
    server_time: str
    heartbeat_seconds: float
    limits: Limits


class Message(Struct, tag_field="type", tag="message", omit_defaults=True, kw_only=True):
    """A delivered message. `from` is the sender that the server proved, never a claim of the payload. One of
    a durable channel has a sequence, in an epoch of the channel. One of a `durable` subscription or of an
    inbox is to be settled by its `delivery`, and was `redelivered` so often before. Behind one of an inbox,
    so many more are `waiting`."""

    subject: str
    sender: str = msgspec.field(name="from")
    id: str
    timestamp: str
    data: Raw
    headers: dict[str, str] | None = None
    reply_to: str | None = None
    seq: int | None = None
    epoch: str | None = None
    delivery: str | None = None
    durable: str | None = None
    redelivered: int = 0
    waiting: int | None = None


class Ack(Struct, tag_field="type", tag="ack", omit_defaults=True, kw_only=True):
    """The bus has the message; with `seq` and `epoch` it is stored there. A `duplicate` was stored there
    before, and is not delivered again."""

    id: str
    message_id: str
    seq: int | None = None
    epoch: str | None = None
    duplicate: bool = False


class NotRecovered(StrEnum):
    """The reasons why a subscription does not go on where it was to begin."""

    epoch = "epoch"
    """The channel is another one: nothing that it holds was delivered before."""
    gone = "gone"
    """What followed is not stored any more: it goes on with the oldest message that is."""
    ahead = "ahead"
    """The channel never came so far: what followed is lost, and it goes on with what is published now."""


class Subscribed(Struct, tag_field="type", tag="subscribed", omit_defaults=True, kw_only=True):
    """From here on what matches is delivered: within a durable channel, what comes behind `seq` of `epoch`.

    `last` is how far the channel had come: what is stored up to it comes first. `recovered` answers `since`
    and `recover`: whether it goes on where it was asked to. Of a durable subscription it says the rules."""

    subject: str
    id: str | None = None
    epoch: str | None = None
    seq: int | None = None
    last: int | None = None
    recovered: bool | None = None
    reason: NotRecovered | None = None
    durable: str | None = None
    lease_ms: int | None = None
    max_deliveries: int | None = None


class Unsubscribed(Struct, tag_field="type", tag="unsubscribed", omit_defaults=True, kw_only=True):
    """From here on nothing more is delivered for this subscription."""

    subject: str
    id: str | None = None


class Pong(Struct, tag_field="type", tag="pong", omit_defaults=True, kw_only=True):
    """The answer to `ping`, with the server's time."""

    timestamp: str
    id: str | None = None


class Error(Struct, tag_field="type", tag="error", omit_defaults=True, kw_only=True):
    """Something was refused. `code` is a name of the error table, `id` the frame's, where it had one."""

    code: str
    message: str
    id: str | None = None
    retry_after_ms: int | None = None
    details: dict[str, Any] | None = None


class RequestReply(Struct, tag_field="type", tag="reply", omit_defaults=True, kw_only=True):
    """A reply to the request with this id. With `end` it is over, and nothing more comes.

    `from`, the proven sender, is there unless it is the end alone. `error` is how one of several refused.
    """

    id: str
    sender: str | None = msgspec.field(name="from", default=None)
    timestamp: str | None = None
    data: Raw | UnsetType = UNSET
    headers: dict[str, str] | None = None
    error: ReplyError | None = None
    end: bool = False


class Cancelled(Struct, tag_field="type", tag="cancelled", kw_only=True):
    """A request that was delivered is over: its replies are refused from now on. `reason` is `cancelled`,
    `gone` (who asked is), `timeout`, or `answered` (by another one)."""

    reply_to: str
    reason: str


class Goaway(Struct, tag_field="type", tag="goaway", kw_only=True):
    """The server is about to close this connection; come back after the delay."""

    reason: str
    reconnect_after_ms: int


ServerFrame = (
    Challenge | Welcome | Message | Ack | Subscribed | Unsubscribed | Pong | Error | Goaway
    | RequestReply | Cancelled | Settled | Agents | AgentChanged | Unfollowed | InboxOpened | InboxClosed
)  # fmt: skip

encode = msgspec.json.encode
decode_client = msgspec.json.Decoder(ClientFrame).decode
decode_auth = msgspec.json.Decoder(Auth).decode
decode_server = msgspec.json.Decoder(ServerFrame).decode

SHORTEST_FIELD = 9
"""Bytes that a field takes at least where others stand before it: `,"id":"1"`, or `,"data":1`."""


_read_pairs = json.JSONDecoder(object_pairs_hook=list, parse_int=str, parse_float=str).decode


_EMPTY_PUBLISH = 39
"""Bytes of `{"type":"publish","subject":"","data":}`."""

_EMPTY_ID = 8
"""Bytes of `,"id":""`."""


def require_once(message: bytes, read: Struct) -> None:
    """Raise msgspec's ValidationError when a field stands twice in a message that was `read`.

    For frames without a value of any type, but for Raw ones: written anew, those are as short as they
    can be, so a message that is hardly longer has no room for another field, and is not read again.
    """
    if type(read) is Publish:
        # Nearly every frame is one; this is at most what it takes written anew, and told without doing so.
        least = _EMPTY_PUBLISH + len(read.subject) + len(read.data)
        if read.id is not None:
            least += _EMPTY_ID + len(read.id)
        if len(message) - least < SHORTEST_FIELD:
            return
    if len(message) - len(encode(read)) >= SHORTEST_FIELD:
        require_once_each(message)


def require_once_each(message: bytes) -> None:
    """The same for any message that is a JSON object."""
    fields = _read_pairs(message.decode())
    if len({name for name, _ in fields}) < len(fields):
        raise msgspec.ValidationError("a field stands in it twice")
