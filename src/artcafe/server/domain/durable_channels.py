"""The durable channels of one tenant: which may stand beside each other, and what they reserve."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from artcafe.server.domain.channel import ChannelRule
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import overlap

MOST_CHANNELS: Final = 256
"""Durable channels of one tenant: each takes a file handle and some 80 KB of a nats-server."""


@dataclass(frozen=True, slots=True)
class DurableChannels:
    """The durable channels of a tenant, and whether these are all: a channel that cannot be read may be
    another one."""

    channels: Sequence[ChannelRule]
    whole: bool = True

    @property
    def reserved_bytes(self) -> int:
        """What they reserve from the plan."""
        return sum(each.durability.max_bytes for each in self.channels if each.durability is not None)


def check_durable(channel: ChannelRule, known: DurableChannels, most_bytes: int | None) -> None:
    """Check that a durable channel may stand beside the others, in place of the known one of its id.

    Raises conflict where a subject would belong to two durable channels: then there would be two orders of
    its messages. Raises quota_exceeded for a reservation beyond `most_bytes` (None: without a bound), unless
    it gets smaller, and for more than MOST_CHANNELS.
    """
    durability = channel.durability
    if durability is None:
        return
    others = [other for other in known.channels if other.id != channel.id]
    before = DurableChannels([other for other in known.channels if other.id == channel.id]).reserved_bytes
    for other in others:
        if overlap(other.pattern, channel.pattern):
            raise ArtcafeError(
                Code.conflict,
                f"Its subjects overlap with those of the durable channel {other.id}, {other.pattern}: a"
                " subject belongs to one durable channel at most.",
            )
    if len(others) >= MOST_CHANNELS:
        raise ArtcafeError(Code.quota_exceeded, f"A tenant has {MOST_CHANNELS} durable channels at most.")
    if most_bytes is None:
        return
    free = max(0, most_bytes - DurableChannels(others).reserved_bytes)
    if durability.max_bytes > max(before, free):
        raise ArtcafeError(
            Code.quota_exceeded,
            f"The plan has {most_bytes} bytes for durable channels; {free} of them are free for this one.",
        )
