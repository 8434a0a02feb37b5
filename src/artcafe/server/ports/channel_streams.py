"""The set of streams on the bus: one for each durable channel of a tenant, as the store says."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from artcafe.server.domain.durable_channels import DurableChannels
from artcafe.server.domain.tenant import TenantRules

ReadDurable = Callable[[], Awaitable[DurableChannels | None]]
"""Reads the durable channels of a tenant as they are stored at that moment; None where it never had any."""


@dataclass(frozen=True, slots=True)
class KeptStreams:
    """How many streams were made, changed and deleted, and how many the bus refused to make or change."""

    made: int = 0
    changed: int = 0
    deleted: int = 0
    refused: int = 0

    def __add__(self, other: "KeptStreams") -> "KeptStreams":
        return KeptStreams(
            self.made + other.made,
            self.changed + other.changed,
            self.deleted + other.deleted,
            self.refused + other.refused,
        )


NO_STREAMS = KeptStreams()
"""Nothing was done."""


class ChannelStreams(Protocol):
    """Which streams there are: one for each durable channel of a tenant. The store is the source of truth."""

    async def keep(self, tenant: TenantRules, durable: ReadDurable) -> KeptStreams:
        """Make the streams that are missing, change those that differ, and delete those of no channel; what
        was done. When it returns, the streams are those of the channels as they were stored at some moment
        since it was called, whoever else does the same; but for what the bus refused, which is logged.

        Nothing is deleted where the channels could not all be read, or the tenant never had durable ones.
        Raises unavailable, also for a tenant that is suspended: then some of it may have been done.
        """

    async def empty_inbox(self, tenant: TenantRules, owner: str) -> None:
        """Remove what waits in an inbox; nothing happens where there is none. Raises unavailable."""
