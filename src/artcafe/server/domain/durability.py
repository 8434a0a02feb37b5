"""Durable channels: how long their messages are kept, and what happens when they are full."""

from enum import StrEnum

from msgspec import Struct


class WhenFull(StrEnum):
    """What happens to a message for which there is no room."""

    drop_oldest = "drop_oldest"
    """The oldest messages make room."""
    refuse = "refuse"
    """It is refused with channel_full."""


class Durability(Struct, frozen=True, kw_only=True):
    """Messages are stored, and kept until one of the bounds is reached: `max_age_seconds` (None: no bound),
    `max_messages` (None: no bound), `max_bytes`, which always bounds, and is reserved from the plan."""

    max_bytes: int
    max_age_seconds: int | None = None
    max_messages: int | None = None
    when_full: WhenFull = WhenFull.drop_oldest
