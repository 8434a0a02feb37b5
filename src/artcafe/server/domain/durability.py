"""Durable channels: how long their messages are kept, and what happens when they are full."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

LEAST_BYTES: Final = 64 * 1024
MOST_BYTES: Final = 2**40
DEFAULT_BYTES: Final = 8 * 1024 * 1024
"""Bounds of `max_bytes`, and what it is unless given."""

LEAST_AGE_SECONDS: Final = 120
"""The time within which a repeated message is recognised: none is forgotten before."""

MOST_AGE_SECONDS: Final = 10 * 366 * 86_400
MOST_MESSAGES: Final = 10**12


class WhenFull(StrEnum):
    """What happens to a message for which there is no room."""

    drop_oldest = "drop_oldest"
    """The oldest messages make room."""
    refuse = "refuse"
    """It is refused with channel_full."""


class Durability(Struct, frozen=True, kw_only=True):
    """Messages are stored, and kept until one of the bounds is reached: `max_age_seconds` (None: no bound),
    `max_messages` (None: no bound), `max_bytes`, which always bounds, and is reserved from the plan."""

    max_bytes: int = DEFAULT_BYTES
    max_age_seconds: int | None = None
    max_messages: int | None = None
    when_full: WhenFull = WhenFull.drop_oldest
