"""Channels: named subjects that humans see."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from artcafe.server.domain.access import Action, require
from artcafe.server.domain.channel import Channel
from artcafe.server.domain.ids import ChannelId, TenantId, slug
from artcafe.server.domain.plan import plan_named
from artcafe.server.domain.principal import Human
from artcafe.server.ports import ChannelRecords, Clock, Page, TenantRecords
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import parse_subject
from artcafe.wire.times import rfc3339


class Channels:
    """Make, change and delete channels. Deleting one forgets its description; the subject stays usable."""

    def __init__(
        self,
        *,
        records: ChannelRecords,
        tenants: TenantRecords,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._records = records
        self._tenants = tenants
        self._clock = clock
        self._new_id = new_id

    async def create(self, human: Human, wanted: str | None, fields: Mapping[str, Any]) -> Channel:
        """A new channel. `wanted` is its id and so its subject; else one is made from the name.

        Raises conflict when the id is taken, invalid_subject, quota_exceeded.
        """
        require(human, Action.manage_channels)
        name = slug(fields["name"])
        identifier = self._id(human.tenant, wanted or name or self._new_id())
        await self._check_quota(human.tenant)
        if wanted is None and await self._records.get(human.tenant, identifier) is not None:
            identifier = self._id(human.tenant, f"{name}-{self._new_id()[-6:]}")
        at = rfc3339(self._clock.now())
        channel = Channel(id=identifier, tenant=human.tenant, created_at=at, updated_at=at, **fields)
        await self._records.create(channel)
        return channel

    def _id(self, tenant: TenantId, text: str) -> ChannelId:
        address = parse_subject(text, tenant)
        if address.owner is not None or address.platform:
            raise ArtcafeError(
                Code.invalid_subject, "A channel is a shared subject, not an agent's or the platform's."
            )
        return ChannelId(address.subject)

    async def _check_quota(self, tenant: TenantId) -> None:
        record = await self._tenants.get(tenant)
        if record is None:
            raise ArtcafeError(Code.not_found)
        limit = plan_named(record.subscription_tier).channels
        if limit is not None and await self._records.count(tenant) >= limit:
            raise ArtcafeError(Code.quota_exceeded, f"The plan has {limit} channels.")

    async def get(self, human: Human, channel: ChannelId) -> Channel:
        """Raises not_found."""
        require(human, Action.read)
        record = await self._records.get(human.tenant, channel)
        if record is None:
            raise ArtcafeError(Code.not_found)
        return record

    async def list(self, human: Human, limit: int, cursor: str | None) -> Page[Channel]:
        """A page of channels in byte order of their ids."""
        require(human, Action.read)
        return await self._records.list(human.tenant, limit, cursor)

    async def change(self, human: Human, channel: ChannelId, fields: Mapping[str, Any]) -> Channel:
        """Set some fields. Raises not_found."""
        require(human, Action.manage_channels)
        at = rfc3339(self._clock.now())

        def edit(record: Channel) -> Channel:
            return msgspec.structs.replace(record, **fields, version=record.version + 1, updated_at=at)

        return await self._records.change(human.tenant, channel, edit)

    async def delete(self, human: Human, channel: ChannelId) -> None:
        """Raises not_found."""
        require(human, Action.manage_channels)
        await self._records.delete(human.tenant, channel)
