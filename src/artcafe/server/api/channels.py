"""Channels over REST, and publishing into them."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from artcafe.server.api.deps import Cases, CurrentHuman
from artcafe.server.api.fields import chosen
from artcafe.server.domain.channel import Channel
from artcafe.server.domain.ids import ChannelId
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

router = APIRouter(prefix="/api/v1/channels", tags=["channels"])

_check_object = msgspec.json.Decoder(dict[str, Any]).decode


class ChannelFields(BaseModel):
    """What may be set on a channel; what is left out stays as it is."""

    name: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    description: Annotated[str, Field(max_length=1024)] | None = None
    metadata: dict[str, Any] | None = None


class NewChannel(ChannelFields):
    """A channel to make. `id` is its subject, made from the name when it is left out."""

    id: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=128)]


class ChannelView(BaseModel):
    """A channel."""

    id: str
    tenant_id: str
    name: str
    description: str | None
    status: str
    metadata: dict[str, Any]
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, channel: Channel) -> "ChannelView":
        """What members see of a channel."""
        fields = {name: getattr(channel, name) for name in cls.model_fields if name != "tenant_id"}
        return cls(tenant_id=channel.tenant, **fields)


class OneChannel(BaseModel):
    """A channel."""

    channel: ChannelView
    success: bool = True


class ChannelList(BaseModel):
    """A page of channels; the end is reached when `next_token` is null."""

    channels: list[ChannelView]
    next_token: str | None


class MessagePublished(BaseModel):
    """The bus has the message."""

    message_id: str
    timestamp: str
    success: bool = True


@router.get("")
async def list_channels(
    cases: Cases,
    human: CurrentHuman,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    next_token: Annotated[str | None, Query(max_length=1024)] = None,
) -> ChannelList:
    """A page of channels, by id."""
    page = await cases.channels.list(human, limit, next_token)
    return ChannelList(channels=[ChannelView.of(channel) for channel in page.items], next_token=page.cursor)


@router.post("", status_code=201)
async def create_channel(body: NewChannel, cases: Cases, human: CurrentHuman) -> OneChannel:
    """Make a channel."""
    return OneChannel(
        channel=ChannelView.of(await cases.channels.create(human, body.id, chosen(body, ChannelFields)))
    )


@router.get("/{channel_id}")
async def get_channel(channel_id: str, cases: Cases, human: CurrentHuman) -> OneChannel:
    """One channel."""
    return OneChannel(channel=ChannelView.of(await cases.channels.get(human, ChannelId(channel_id))))


@router.put("/{channel_id}")
async def update_channel(
    channel_id: str, body: ChannelFields, cases: Cases, human: CurrentHuman
) -> OneChannel:
    """Set some fields."""
    changed = await cases.channels.change(human, ChannelId(channel_id), chosen(body, ChannelFields))
    return OneChannel(channel=ChannelView.of(changed))


@router.delete("/{channel_id}", status_code=204)
async def delete_channel(channel_id: str, cases: Cases, human: CurrentHuman) -> None:
    """Delete a channel."""
    await cases.channels.delete(human, ChannelId(channel_id))


@router.post(
    "/{channel_id}/messages",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}, "example": {"city": "Rome"}}},
        }
    },
)
async def publish_message(
    channel_id: str, request: Request, cases: Cases, human: CurrentHuman
) -> MessagePublished:
    """Publish a JSON object into a channel, as yourself. It is forwarded as it was written."""
    channel = await cases.channels.get(human, ChannelId(channel_id))
    body = await request.body()
    try:
        # Forwarded unchanged, so it is read once as what receivers will read it as.
        _check_object(body.decode())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ArtcafeError(Code.validation_failed, "The body must be one JSON object.") from None
    published = await cases.messages.publish(human, channel.id, body)
    return MessagePublished(message_id=published.message_id, timestamp=published.timestamp)
