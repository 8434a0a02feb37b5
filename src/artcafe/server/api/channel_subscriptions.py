"""The durable subscriptions of a channel over REST, and its dead letters."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from msgspec import UNSET
from pydantic import BaseModel, Field

from artcafe.server.api.admission import AdmittingRoute
from artcafe.server.api.deps import Cases, CurrentHuman
from artcafe.server.api.pages import Limit
from artcafe.server.domain.ids import ChannelId
from artcafe.server.ports.consumers import ConsumerState
from artcafe.wire.deliveries import DeadLetter
from artcafe.wire.envelopes import decode_envelope

router = APIRouter(route_class=AdmittingRoute, prefix="/api/v1/channels", tags=["channels"])

NAME = r"^[A-Za-z0-9_-]{1,64}$"

Name = Annotated[str, Path(pattern=NAME, description="The name of a durable subscription.")]
Sequence = Annotated[int, Path(ge=1, description="The sequence of a dead letter.")]
Of = Annotated[
    str | None,
    Query(pattern=NAME, description="Those of this durable subscription alone.", examples=["workers"]),
]


class DurableSubscriptionView(BaseModel):
    """A durable subscription: `pending` messages wait, `in_flight` are delivered and not settled,
    `redelivered` of them not for the first time."""

    name: str
    subject: str
    lease_ms: int
    max_deliveries: int
    pending: int
    in_flight: int
    redelivered: int
    created_at: str


class DurableSubscriptionList(BaseModel):
    """All durable subscriptions of a channel."""

    subscriptions: list[DurableSubscriptionView]
    success: bool = True


class DeadLetterView(BaseModel):
    """A message that is not delivered any more. `seq` is the dead letter's own, `message_seq` was the
    message's. `data` is any JSON, as it was published; null for what this platform never publishes."""

    seq: int
    subscription: str
    reason: str
    deliveries: int
    message_seq: int
    subject: str
    sender: str = Field(serialization_alias="from")
    data: Any


class DeadLetterList(BaseModel):
    """A page of dead letters, the oldest first; `after` is for the next request, null where there is no
    more."""

    dead_letters: list[DeadLetterView]
    after: int | None
    success: bool = True


class MessageRetried(BaseModel):
    """The message is stored again, at `seq` of `epoch`."""

    seq: int
    epoch: str
    success: bool = True


class DeadLettersRemoved(BaseModel):
    """How many were removed."""

    removed: int
    success: bool = True


@router.get("/{channel_id}/subscriptions")
async def list_subscriptions(channel_id: str, cases: Cases, human: CurrentHuman) -> DurableSubscriptionList:
    """The durable subscriptions of a durable channel, by name, with what waits in each."""
    states = await cases.subscriptions.states(human, ChannelId(channel_id))
    return DurableSubscriptionList(subscriptions=[_subscription(state) for state in states])


@router.delete("/{channel_id}/subscriptions/{subscription_name}", status_code=204)
async def delete_subscription(
    channel_id: str, subscription_name: Name, cases: Cases, human: CurrentHuman
) -> None:
    """Delete a durable subscription. Clients that have it get `not_durable`; who subscribes by its name later
    makes a new one. Its dead letters stay."""
    await cases.subscriptions.delete(human, ChannelId(channel_id), subscription_name)


@router.get("/{channel_id}/dead-letters")
async def list_dead_letters(
    channel_id: str,
    cases: Cases,
    human: CurrentHuman,
    limit: Limit = 50,
    after: Annotated[int, Query(ge=0, description="Those behind this sequence.")] = 0,
    subscription: Of = None,
) -> DeadLetterList:
    """The messages that were delivered too often, or terminated by a client. Of those that you may not hear
    none is listed, so a page may be short, and not be the last one."""
    page = await cases.subscriptions.dead_letters(human, ChannelId(channel_id), subscription, after, limit)
    return DeadLetterList(
        dead_letters=[_dead_letter(seq, letter) for seq, letter in page.letters], after=page.after
    )


@router.post("/{channel_id}/dead-letters/{seq}/retry")
async def retry_dead_letter(
    channel_id: str, seq: Sequence, cases: Cases, human: CurrentHuman
) -> MessageRetried:
    """Store the message again, as its sender published it, and remove the dead letter. All subscriptions of
    the channel get it."""
    stored = await cases.subscriptions.retry(human, ChannelId(channel_id), seq)
    return MessageRetried(seq=stored.seq, epoch=stored.epoch)


@router.delete("/{channel_id}/dead-letters/{seq}", status_code=204)
async def remove_dead_letter(channel_id: str, seq: Sequence, cases: Cases, human: CurrentHuman) -> None:
    """Remove one dead letter."""
    await cases.subscriptions.remove(human, ChannelId(channel_id), seq)


@router.delete("/{channel_id}/dead-letters")
async def purge_dead_letters(
    channel_id: str, cases: Cases, human: CurrentHuman, subscription: Of = None
) -> DeadLettersRemoved:
    """Remove all dead letters of a channel, or of one durable subscription."""
    return DeadLettersRemoved(
        removed=await cases.subscriptions.purge(human, ChannelId(channel_id), subscription)
    )


def _subscription(state: ConsumerState) -> DurableSubscriptionView:
    return DurableSubscriptionView(
        name=state.name,
        subject=state.rules.subject,
        lease_ms=int(state.rules.lease * 1000),
        max_deliveries=state.rules.max_deliveries,
        pending=state.pending,
        in_flight=state.in_flight,
        redelivered=state.redelivered,
        created_at=state.created,
    )


def _dead_letter(seq: int, letter: DeadLetter) -> DeadLetterView:
    data = None
    if letter.message is not UNSET and letter.sender:
        data = msgspec.json.decode(decode_envelope(letter.message).data)
    return DeadLetterView(
        seq=seq,
        subscription=letter.durable,
        reason=letter.reason,
        deliveries=letter.deliveries,
        message_seq=letter.seq,
        subject=letter.subject,
        sender=letter.sender,
        data=data,
    )
