"""A channel: a named subject that humans see, describe and publish into."""

from typing import Any

from msgspec import Struct

from artcafe.server.domain.ids import ChannelId, TenantId


class Channel(Struct, frozen=True, kw_only=True):
    """The channel `tasks` is the subject `tasks` of its tenant."""

    id: ChannelId
    tenant: TenantId
    name: str
    description: str | None = None
    status: str = "active"
    metadata: dict[str, Any] = {}
    version: int = 1
    created_at: str
    updated_at: str
