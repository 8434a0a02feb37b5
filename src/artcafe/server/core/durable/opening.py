"""Opens a durable channel for a human: its tenant's link, and what the human may hear."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from artcafe.server.domain.access import Rights
from artcafe.server.domain.channel import ChannelRule
from artcafe.server.domain.ids import ChannelId
from artcafe.server.domain.policy import Policy
from artcafe.server.domain.principal import Human
from artcafe.server.ports.bus import Bus, Link
from artcafe.server.ports.records import Directory
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import parse_pattern


async def durable_channel(
    directory: Directory, human: Human, channel_id: ChannelId
) -> tuple[ChannelRule, Rights]:
    """A durable channel that a human may subscribe to, and what else the human may hear. Raises not_found,
    not_durable, forbidden."""
    rules = await directory.rules(human.tenant)
    channel = next((each for each in rules.channels if each.id == channel_id), None)
    if channel is None:
        raise ArtcafeError(Code.not_found)
    if channel.durability is None:
        raise ArtcafeError(Code.not_durable, "The channel stores nothing.")
    rights = Rights(human, Policy(), rules)
    rights.check_subscribe(parse_pattern(channel.pattern, human.tenant), queue=False)
    return channel, rights


@asynccontextmanager
async def tenant_link(bus: Bus, directory: Directory, human: Human) -> AsyncIterator[Link]:
    """The link of the human's tenant, for as long as the block lasts. Raises not_found, unavailable."""
    tenant = await directory.tenant(human.tenant)
    if tenant is None:
        raise ArtcafeError(Code.not_found)
    link = await bus.link(tenant)
    try:
        yield link
    finally:
        bus.release(tenant.id)
