"""The frames of deliveries: what a client says about a message of a durable subscription.

Each names the `delivery` of the `message` frame, which is valid on its own connection until it is settled.
"""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

Correlation = Annotated[str, Meta(min_length=1, max_length=64)]
"""frames.Id."""

Token = Annotated[str, Meta(min_length=1, max_length=64)]
"""The `delivery` of a message."""

MAX_DELAY_MS = 86_400_000

MAX_IN_FLIGHT = 256
DEFAULT_IN_FLIGHT = 16
"""Deliveries of one subscription that a client has not settled, at most."""

LEAST_LEASE_MS, MOST_LEASE_MS = 1_000, 3_600_000
DEFAULT_LEASE_MS = 30_000
"""How long a client may keep a delivery before others get it."""

MOST_DELIVERIES = 100
DEFAULT_DELIVERIES = 5
"""How often a message is delivered before it is a dead letter."""


class AckDelivery(Struct, tag_field="type", tag="ack", omit_defaults=True, kw_only=True):
    """It is done: it is not delivered again."""

    delivery: Token
    id: Correlation | None = None


class NakDelivery(Struct, tag_field="type", tag="nak", omit_defaults=True, kw_only=True):
    """It is given back: it is delivered again, after a delay."""

    delivery: Token
    delay_ms: Annotated[int, Meta(ge=0, le=MAX_DELAY_MS)] = 0
    id: Correlation | None = None


class RenewDelivery(Struct, tag_field="type", tag="progress", omit_defaults=True, kw_only=True):
    """It is being worked on: its lease begins anew."""

    delivery: Token
    id: Correlation | None = None


class TermDelivery(Struct, tag_field="type", tag="term", omit_defaults=True, kw_only=True):
    """It cannot be done, by anybody: it becomes a dead letter."""

    delivery: Token
    reason: Annotated[str, Meta(max_length=1024)] = ""
    id: Correlation | None = None


DeliveryFrame = AckDelivery | NakDelivery | RenewDelivery | TermDelivery


class Settled(Struct, tag_field="type", tag="settled", kw_only=True):
    """The answer to `ack`, `nak`, `progress` and `term` with an id: it is done."""

    id: str
    delivery: str


class DeadLetter(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A message that is not delivered any more: where it stood, why it is dead, and its envelope, without
    which it is announced."""

    subject: str
    sender: str = field(name="from")
    seq: int
    durable: str
    deliveries: int
    reason: str
    message: Raw | UnsetType = UNSET


decode_dead_letter = msgspec.json.Decoder(DeadLetter).decode
