"""Channels: named subjects that humans see."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from artcafe.server.domain.access import Action, check_audience, require
from artcafe.server.domain.audit import AuditWriter
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.channel import Channel
from artcafe.server.domain.ids import ChannelId, TenantId, slug
from artcafe.server.domain.listing import Page, Query, page_of
from artcafe.server.domain.plan import Plan, plan_of
from artcafe.server.domain.principal import Human
from artcafe.server.domain.usage import CHANNEL, incarnation
from artcafe.server.domain.version import require_match
from artcafe.server.ports.answers import Keep, keep_nothing
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.events import CountersEnded, Events
from artcafe.server.ports.records import ChannelRecords, Directory, TenantRecords
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import Address, parse_pattern, parse_subject


class Channels:
    """Make, change and delete channels. Deleting one forgets what it said; its subject stays usable."""

    def __init__(
        self,
        *,
        records: ChannelRecords,
        tenants: TenantRecords,
        directory: Directory,
        events: Events,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._records = records
        self._tenants = tenants
        self._directory = directory
        self._events = events
        self._new_id = new_id
        self._audit_writer = AuditWriter(clock.now, new_id)

    async def create(
        self,
        human: Human,
        wanted: str | None,
        fields: Mapping[str, Any],
        keep: Keep[Channel] = keep_nothing,
    ) -> Channel:
        """A new channel. `wanted` is its id and so its subject; else one is made from the name.

        Raises conflict when the id is taken, invalid_subject, quota_exceeded, too_many_channels.
        """
        require(human, Action.manage_channels)
        name = slug(fields["name"])
        identifier = self._id(human.tenant, wanted or name or self._new_id())
        plan = await self._plan(human.tenant)
        if wanted is None and await self._records.get(human.tenant, identifier) is not None:
            identifier = self._id(human.tenant, f"{name}-{self._new_id()[-6:]}")
        fields = self._checked(human.tenant, fields)
        done = self._audit_writer.entry(human, "channel.create", identifier, fields)
        channel = Channel(
            id=identifier,
            tenant=human.tenant,
            incarnation=incarnation(done.id),
            created_at=done.at,
            updated_at=done.at,
            **fields,
        )
        (await self._directory.rules(human.tenant)).check_room(channel)
        kept = await keep(channel)
        await self._records.create(channel, plan.channels, done, plan.storage_bytes, kept)
        await self._events.tell(_changed(human, identifier))
        return channel

    def _checked(self, tenant: TenantId, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields as they are stored. Raises invalid_subject, forbidden, validation_failed."""
        for audience in (fields.get("publishers"), fields.get("subscribers")):
            check_audience(audience or [])
        if not fields.get("subject"):
            return dict(fields)
        return {**fields, "subject": _shared(parse_pattern(fields["subject"], tenant)).subject}

    def _id(self, tenant: TenantId, text: str) -> ChannelId:
        return ChannelId(_shared(parse_subject(text, tenant)).subject)

    async def _plan(self, tenant: TenantId) -> Plan:
        record = await self._tenants.rules(tenant)
        if record is None:
            raise ArtcafeError(Code.not_found)
        return plan_of(record)

    async def get(self, human: Human, channel: ChannelId) -> Channel:
        """Raises not_found."""
        require(human, Action.read)
        record = await self._records.get(human.tenant, channel)
        if record is None:
            raise ArtcafeError(Code.not_found)
        return record

    async def list(self, human: Human, query: Query[Channel]) -> Page[Channel]:
        """A page of channels. Raises bad_request for a cursor that no page of this list gave."""
        require(human, Action.read)
        return await page_of(query, self._records.listed(human.tenant))

    async def count(self, human: Human) -> int:
        """How many channels there are."""
        require(human, Action.read)
        return await self._records.count(human.tenant)

    async def change(
        self, human: Human, channel: ChannelId, fields: Mapping[str, Any], if_match: str | None = None
    ) -> Channel:
        """Set some fields; who is connected feels it at once.

        Raises not_found, precondition_failed, and what `create` raises for a field.
        """
        require(human, Action.manage_channels)
        fields = self._checked(human.tenant, fields)
        done = self._audit_writer.entry(human, "channel.update", channel, fields)

        rules = await self._directory.rules(human.tenant)

        def edit(record: Channel) -> Channel:
            require_match(record, if_match)
            changed = msgspec.structs.replace(
                record, **fields, version=record.version + 1, updated_at=done.at
            )
            if changed.pattern != record.pattern:
                rules.check_room(changed)
            return changed

        plan = await self._plan(human.tenant)
        changed = await self._records.change(human.tenant, channel, edit, done, plan.storage_bytes)
        await self._events.tell(_changed(human, channel))
        return changed

    async def delete(self, human: Human, channel: ChannelId, if_match: str | None = None) -> Channel:
        """Delete the channel and the rules on it. What it was. Raises not_found, precondition_failed."""
        require(human, Action.manage_channels)
        check = partial(require_match, if_match=if_match)
        done = self._audit_writer.entry(human, "channel.delete", channel)
        gone = await self._records.delete(human.tenant, channel, check, done)
        counters = CountersEnded(human.tenant, (CHANNEL + gone.counted_as,))
        await self._events.tell(_changed(human, channel), counters)
        return gone


def _changed(human: Human, channel: ChannelId) -> Change:
    return Change(human.tenant, Kind.channel, channel)


def _shared(address: Address) -> Address:
    if address.owner is not None or address.platform:
        raise ArtcafeError(
            Code.invalid_subject, "A channel is a shared subject, not an agent's or the platform's."
        )
    return address
