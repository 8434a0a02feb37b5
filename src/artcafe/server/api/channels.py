"""Channels over REST, and publishing into them."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import Cases, CurrentHuman, Resources, UseCases
from artcafe.server.api.etags import IfMatch, set_tag
from artcafe.server.api.fields import Body, Integral, JsonObject, SubjectPattern, chosen
from artcafe.server.api.once import CreateOnce, Creation
from artcafe.server.api.pages import Limit, NextToken, Order
from artcafe.server.api.unreadable import tell_unreadable
from artcafe.server.domain import listing
from artcafe.server.domain.access import WHO, Action, require
from artcafe.server.domain.channel import Channel
from artcafe.server.domain.durability import (
    DEFAULT_BYTES,
    LEAST_AGE_SECONDS,
    LEAST_BYTES,
    MOST_AGE_SECONDS,
    MOST_BYTES,
    MOST_MESSAGES,
    Durability,
    WhenFull,
)
from artcafe.server.domain.ids import ChannelId
from artcafe.server.domain.principal import Human
from artcafe.server.domain.usage import CHANNEL
from artcafe.server.ports.answers import Keep
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import SUBJECT_SCHEMA

router = APIRouter(route_class=AdmittingRoute, prefix="/api/v1/channels", tags=["channels"])

Name = Annotated[str, Field(min_length=1, max_length=128, examples=["Tasks"])]


Audience = Annotated[
    list[Annotated[str, Field(pattern=WHO, examples=["planner"])]],
    Field(max_length=1000, examples=[["planner", "role:admin"]]),
]

CLEARABLE = frozenset(
    {"description", "subject", "max_message_bytes", "publishers", "subscribers", "durability"}
)


class DurabilityFields(Body):
    """How long messages are stored, and what happens when there is no room for another one: the oldest go, or
    it is refused with `channel_full`. A message goes with the first of the bounds that it passes; null is no
    bound. `max_bytes` is reserved from the plan's `max_durable_bytes`."""

    max_bytes: Annotated[int, Field(ge=LEAST_BYTES, le=MOST_BYTES), Integral] = DEFAULT_BYTES
    max_age_seconds: (
        Annotated[int, Field(ge=LEAST_AGE_SECONDS, le=MOST_AGE_SECONDS, examples=[86_400]), Integral] | None
    ) = None
    max_messages: Annotated[int, Field(ge=1, le=MOST_MESSAGES, examples=[100_000]), Integral] | None = None
    when_full: Literal["drop_oldest", "refuse"] = "drop_oldest"

    def durability(self) -> Durability:
        """The same, as the use cases take it."""
        return Durability(
            max_bytes=self.max_bytes,
            max_age_seconds=self.max_age_seconds,
            max_messages=self.max_messages,
            when_full=WhenFull(self.when_full),
        )


class ChannelFields(Body):
    """The fields to set on a channel; a field left out stays unchanged, null clears it where that is allowed.

    `subject` is a pattern; a channel without one is the subject of its id. `publishers` and
    `subscribers` are who may: ids of agents, and `role:member` for humans of that role and those above.
    Without a list everybody may whom role and policy let.

    With `durability` the channel's messages are stored; it is set as a whole. Subjects of two durable
    channels do not overlap, and a durable channel keeps its subject. Null forgets what is stored.
    """

    name: Name | None = None
    subject: SubjectPattern | None = None
    description: Annotated[str, Field(max_length=1024)] | None = None
    metadata: JsonObject | None = None
    max_message_bytes: Annotated[int, Field(ge=1, le=2**31), Integral] | None = None
    publishers: Audience | None = None
    subscribers: Audience | None = None
    durability: DurabilityFields | None = None

    def fields(self) -> dict[str, Any]:
        """The given fields, as the use cases take them."""
        fields = chosen(self, ChannelFields, CLEARABLE)
        if "subject" in fields:
            fields["subject"] = fields["subject"] or ""
        if self.durability is not None:
            fields["durability"] = self.durability.durability()
        return fields


class NewChannel(ChannelFields):
    """A channel to make. `id` is made from the name when it is left out."""

    id: (
        Annotated[str, Field(min_length=1, max_length=255, pattern=SUBJECT_SCHEMA, examples=["tasks"])] | None
    ) = None
    name: Name


class DurabilityView(BaseModel):
    """How long the messages of a durable channel are stored; null is no bound."""

    max_bytes: int
    max_age_seconds: int | None
    max_messages: int | None
    when_full: str

    @classmethod
    def of(cls, durability: Durability) -> "DurabilityView":
        """A durability as members see it."""
        return cls(
            max_bytes=durability.max_bytes,
            max_age_seconds=durability.max_age_seconds,
            max_messages=durability.max_messages,
            when_full=durability.when_full.value,
        )


class ChannelView(BaseModel):
    """A channel; without `durability` its messages are not stored. `subscriber_count` are the subscriptions
    that reach it now, `active_subscribers` the agents that hold them; `total_messages` are all that it ever
    had."""

    id: str
    tenant_id: str
    name: str
    subject: str
    description: str | None
    status: str
    metadata: dict[str, Any]
    max_message_bytes: int | None
    publishers: list[str] | None
    subscribers: list[str] | None
    durability: DurabilityView | None
    subscriber_count: int
    active_subscribers: int
    total_messages: int
    last_message_at: str | None
    created_at: str
    updated_at: str


class OneChannel(BaseModel):
    """A channel."""

    channel: ChannelView
    success: bool = True


class ChannelList(BaseModel):
    """A page of channels; the end is reached when `next_token` is null."""

    channels: list[ChannelView]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class _Live:
    """Live figures of channels, by channel or by the name under which its messages are counted."""

    audience: Mapping[ChannelId, tuple[int, int]]
    messages: Mapping[str, int]
    last: Mapping[ChannelId, str]

    def view(self, channel: Channel) -> ChannelView:
        """A channel as members see it."""
        subscriptions, agents = self.audience.get(channel.id, (0, 0))
        return ChannelView(
            id=channel.id,
            tenant_id=channel.tenant,
            name=channel.name,
            subject=channel.pattern,
            description=channel.description,
            status=channel.status,
            metadata=channel.metadata,
            max_message_bytes=channel.max_message_bytes,
            publishers=channel.publishers,
            subscribers=channel.subscribers,
            durability=None if channel.durability is None else DurabilityView.of(channel.durability),
            subscriber_count=subscriptions,
            active_subscribers=agents,
            total_messages=self.messages.get(channel.counted_as, 0),
            last_message_at=_since(channel, self.last.get(channel.id)),
            created_at=channel.created_at,
            updated_at=channel.updated_at,
        )


async def _live(cases: UseCases, human: Human, channels: list[Channel]) -> _Live:
    tenant, ids = human.tenant, [channel.id for channel in channels]
    audience = await cases.presence.audience(tenant, {channel.id: channel.pattern for channel in channels})
    only = channels[0].counted_as if len(channels) == 1 else ""
    messages = await cases.meter.ever(tenant, CHANNEL, only)
    last = await cases.meter.last_spoken(tenant, ids)
    return _Live(audience, messages, last)


def _since(channel: Channel, spoken: str | None) -> str | None:
    """A time at which a channel spoke; None before it was made: that was another one of its id."""
    return spoken if spoken is not None and spoken >= channel.created_at else None


async def _one(cases: UseCases, human: Human, response: Response, channel: Channel) -> OneChannel:
    set_tag(response, channel)
    return OneChannel(channel=(await _live(cases, human, [channel])).view(channel))


class ChannelQuery(BaseModel):
    """The filter of a list of channels; every given condition has to match."""

    q: Annotated[str | None, Field(max_length=128, description="Part of the name or id.")] = None
    order: Annotated[Order, Field(description="The field to sort by; `-` the other way round.")] = "id"

    def keep(self, channel: Channel) -> bool:
        """Whether a channel is asked for."""
        text = (self.q or "").lower()
        return text in channel.name.lower() or text in channel.id.lower()


@router.get("")
async def list_channels(
    cases: Cases,
    resources: Resources,
    human: CurrentHuman,
    asked: Annotated[ChannelQuery, Depends()],
    response: Response,
    limit: Limit = 50,
    next_token: NextToken = None,
) -> ChannelList:
    """List channels, a page at a time. By id a page may be short and still have a next one."""
    of = f"channels {asked.model_dump_json()}"
    query = listing.Query(
        limit=limit,
        cursor=resources.pages.open(human.tenant, of, next_token),
        order=asked.order,
        keep=asked.keep,
    )
    page = await cases.channels.list(human, query)
    tell_unreadable(response, page)
    live = await _live(cases, human, page.items)
    return ChannelList(
        channels=[live.view(channel) for channel in page.items],
        next_token=resources.pages.seal(human.tenant, of, page.cursor),
    )


@router.post("", status_code=201)
async def create_channel(
    body: NewChannel, cases: Cases, human: CurrentHuman, response: Response, once: CreateOnce
) -> OneChannel:
    """Make a channel."""

    async def make(keep: Keep[Channel]) -> Channel:
        return await cases.channels.create(human, body.id, body.fields(), keep)

    async def view(channel: Channel) -> OneChannel:
        return await _one(cases, human, response, channel)

    check = partial(require, human, Action.manage_channels)
    return await once(human, body, Creation(kind=OneChannel, check=check, make=make, view=view))


@router.get("/{channel_id}")
async def get_channel(channel_id: str, cases: Cases, human: CurrentHuman, response: Response) -> OneChannel:
    """Get one channel."""
    return await _one(cases, human, response, await cases.channels.get(human, ChannelId(channel_id)))


@router.put("/{channel_id}")
async def update_channel(
    channel_id: str,
    body: ChannelFields,
    cases: Cases,
    human: CurrentHuman,
    response: Response,
    if_match: IfMatch = None,
) -> OneChannel:
    """Set some fields; a new rule applies to live connections at once."""
    # All that is shown is read before: what fails afterwards would make an error of a change that is stored.
    known = await cases.channels.get(human, ChannelId(channel_id))
    live = await _live(cases, human, [known])
    changed = await cases.channels.change(human, known.id, body.fields(), if_match)
    if changed.pattern != known.pattern:
        with suppress(
            ArtcafeError
        ):  # Who listens to the new subject is not known now: it is shown as it was.
            live = await _live(cases, human, [changed])
    set_tag(response, changed)
    return OneChannel(channel=live.view(changed))


@router.delete("/{channel_id}", status_code=204)
async def delete_channel(
    channel_id: str, cases: Cases, human: CurrentHuman, if_match: IfMatch = None
) -> None:
    """Delete a channel, the rules on it and what it stored; its subject can be used as before it was made."""
    await cases.channels.delete(human, ChannelId(channel_id), if_match)
