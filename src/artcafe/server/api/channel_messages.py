"""The messages of a channel over REST: publishing, and what a durable channel stores."""

import hashlib
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import Cases, CurrentHuman
from artcafe.server.api.once import key_header
from artcafe.server.api.pages import Limit
from artcafe.server.core.durable.history import HistoryQuery
from artcafe.server.domain.ids import ChannelId
from artcafe.server.ports.streams import StoredMessage
from artcafe.wire.codes import Code
from artcafe.wire.envelopes import decode_envelope
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.payload import require_readable
from artcafe.wire.subjects import MAX_BYTES, SUBJECT_SCHEMA, from_bus

router = APIRouter(route_class=AdmittingRoute, prefix="/api/v1/channels", tags=["channels"])

_check_object = msgspec.json.Decoder(dict[str, Any]).decode


class MessagePublished(BaseModel):
    """The bus has the message. In a durable channel, and there alone, it has a place: it is stored at
    `seq` of `epoch`; a `duplicate` was stored there before."""

    message_id: str
    timestamp: str
    seq: int | None = None
    epoch: str | None = None
    duplicate: bool | None = None
    success: bool = True


class StoredMessageView(BaseModel):
    """A message that a channel stores. `data` is any JSON, as it was published."""

    seq: int
    subject: str
    sender: str = Field(serialization_alias="from")
    id: str
    timestamp: str
    data: Any
    headers: dict[str, str] | None
    reply_to: str | None


class MessageList(BaseModel):
    """A page of what a channel stores, in its order. The channel holds sequences from `first_seq` to
    `last_seq`. `after` and `before` are for the next request in either direction; null where there is no
    more."""

    messages: list[StoredMessageView]
    epoch: str
    first_seq: int
    last_seq: int
    after: int | None
    before: int | None
    success: bool = True


@router.post(
    "/{channel_id}/messages",
    response_model_exclude_none=True,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}, "example": {"city": "Rome"}}},
        }
    },
)
async def publish_message(
    channel_id: str,
    request: Request,
    cases: Cases,
    human: CurrentHuman,
    subject: Annotated[
        str | None,
        Query(
            max_length=MAX_BYTES,
            pattern=SUBJECT_SCHEMA,
            description="One of the channel's subjects, where it has several.",
            examples=["tasks.new"],
        ),
    ] = None,
    sender: Annotated[
        Literal["user", "system"], Query(alias="as", description="As yourself, or as the platform.")
    ] = "user",
    idempotency_key: Annotated[
        str | None,
        key_header(
            "A name of yours for this message: a durable channel stores it once "
            "within two minutes, however often it comes.",
            example="6f1c2f4e-order-17",
        ),
    ] = None,
) -> MessagePublished:
    """Publish a JSON object into a channel. It is forwarded as it was written; the answer means that the
    bus has it, as an `ack` on a WebSocket does: that it is stored, in a durable channel. What receivers could
    not read is refused with `bad_frame`:
    more than 60 levels, a number of more than 128 characters, or one that no double holds."""
    channel = await cases.channels.get(human, ChannelId(channel_id))
    body = await request.body()
    require_readable(body)
    try:
        # Forwarded unchanged, so it is read once as what receivers will read it as.
        _check_object(body.decode())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ArtcafeError(Code.validation_failed, "The body must be one JSON object.") from None
    dedup = None
    if idempotency_key is not None and channel.durability is not None:
        dedup = hashlib.sha256(idempotency_key.encode()).hexdigest()
    published = await cases.messages.publish(
        human, channel.concrete(subject), body, dedup=dedup, system=sender == "system"
    )
    stored = published.stored
    return MessagePublished(
        message_id=published.message_id,
        timestamp=published.timestamp,
        seq=None if stored is None else stored.seq,
        epoch=None if stored is None else stored.epoch,
        duplicate=None if stored is None else stored.duplicate,
    )


@router.get("/{channel_id}/messages")
async def list_messages(
    channel_id: str,
    cases: Cases,
    human: CurrentHuman,
    limit: Limit = 50,
    after: Annotated[int | None, Query(ge=0, description="Those behind this sequence.")] = None,
    before: Annotated[int | None, Query(ge=1, description="Those before this sequence.")] = None,
    since: Annotated[
        str | None,
        Query(
            max_length=64,
            description="Those from here on: a sequence, a time (RFC 3339), a duration up to now (`30s`, "
            "`10m`, `1h`, `7d`), `last` or `all`.",
            examples=["1h"],
        ),
    ] = None,
    subject: Annotated[
        str | None,
        Query(max_length=MAX_BYTES, description="Those on subjects of this pattern.", examples=["tasks.new"]),
    ] = None,
    sender: Annotated[
        str | None,
        Query(
            alias="from",
            pattern=r"^[A-Za-z0-9_-]{1,64}$",
            description="Those of this sender.",
            examples=["planner"],
        ),
    ] = None,
) -> MessageList:
    """What a durable channel stores: the last messages, or those after or before a sequence, or since a
    place. Of those that you may not hear none is listed, so a page may be short, and not be the last one."""
    query = HistoryQuery(after, before, since, subject, sender, limit)
    page = await cases.history.page(human, ChannelId(channel_id), query)
    return MessageList(
        messages=[view for each in page.messages if (view := _message(each)) is not None],
        epoch=page.state.epoch,
        first_seq=page.state.first,
        last_seq=page.state.last,
        after=page.after,
        before=page.before,
    )


def _message(stored: StoredMessage) -> StoredMessageView | None:
    """None for what this platform never publishes."""
    try:
        sender, subject = from_bus(stored.subject)
        envelope = decode_envelope(stored.payload)
        data = msgspec.json.decode(envelope.data)
    except (ValueError, RecursionError):
        return None
    return StoredMessageView(
        seq=stored.seq,
        subject=subject,
        sender=sender,
        id=envelope.id,
        timestamp=envelope.timestamp,
        data=data,
        headers=envelope.headers,
        reply_to=envelope.reply_to,
    )
