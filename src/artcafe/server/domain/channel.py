"""A channel: a named subject, or pattern of subjects, that humans see, describe and put rules on."""

import hashlib
from typing import Any

from msgspec import Struct

from artcafe.server.domain.durability import Durability
from artcafe.server.domain.ids import ChannelId, TenantId
from artcafe.server.domain.usage import counted_as
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import matches, parse_subject


class ChannelRule(Struct, frozen=True, kw_only=True):
    """The part of a channel that decides about messages: logins read those of all the tenant's channels.

    The channel `tasks` is the subject `tasks` of its tenant, unless it was given another pattern.

    `publishers` and `subscribers` say who may: ids of agents, and `role:member` for humans of that role
    and those above it. Without a list everybody may whom role and policy let. A subject that several
    channels match is for whom all of them let, and takes what the smallest of them takes.
    """

    id: ChannelId
    tenant: TenantId
    incarnation: str = ""
    """Tells it from those that had the id before and were deleted; empty where it is older than the field."""
    subject: str = ""
    max_message_bytes: int | None = None
    publishers: list[str] | None = None
    subscribers: list[str] | None = None
    durability: Durability | None = None
    """Its messages are stored; None: they are not."""
    durable_as: str = ""
    """Tells its stream from those that it had before it was not durable for a while; empty for the first."""

    @property
    def stream(self) -> str:
        """The name of its stream (ports.streams), which no other channel has, before it or after it, nor this
        one when it was durable before."""
        named = f"{self.id}#{self.incarnation}"
        if self.durable_as:
            named = f"{named}#{self.durable_as}"
        return f"CH_{hashlib.sha256(named.encode()).hexdigest()[:32]}"

    @property
    def counted_as(self) -> str:
        """The name of its counter, which no channel has after it; its id, up to the first `#`."""
        return counted_as(self.id, self.incarnation)

    @property
    def pattern(self) -> str:
        """The subjects of the channel, in their short form."""
        return self.subject or self.id

    @property
    def has_many(self) -> bool:
        """Whether it has more than one subject."""
        return not {"*", ">"}.isdisjoint(self.pattern)

    def concrete(self, subject: str | None) -> str:
        """The subject to publish to: the one that is named, if it is the channel's, else the only one.

        Raises invalid_subject.
        """
        if subject is None:
            if self.has_many:
                raise ArtcafeError(
                    Code.invalid_subject, f"The channel has many subjects, {self.pattern}: name one of them."
                )
            return self.pattern
        short = parse_subject(subject, self.tenant).subject
        if not matches(self.pattern, short):
            raise ArtcafeError(Code.invalid_subject, f"The channel's subjects are {self.pattern}.")
        return short


class Channel(ChannelRule, frozen=True, kw_only=True):
    """A channel with everything that is known of it."""

    name: str
    description: str | None = None
    status: str = "active"
    metadata: dict[str, Any] = {}
    version: int = 1
    created_at: str
    updated_at: str
