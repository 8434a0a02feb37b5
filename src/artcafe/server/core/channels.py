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
from artcafe.server.ports.events import CountersEnded, Event, Events, StreamsChanged
from artcafe.server.ports.records import ChannelRecords, Directory, DurableRecords, TenantRecords
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import Address, parse_pattern, parse_subject


class Channels:
    """Make, change and delete channels. Deleting one forgets what it said; its subject stays usable."""

    def __init__(
        self,
        *,
        records: ChannelRecords,
        durable: DurableRecords,
        tenants: TenantRecords,
        directory: Directory,
        events: Events,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._records = records
        self._durable = durable
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

        Raises conflict when the id is taken, or when a durable channel's subjects overlap with another one's;
        invalid_subject, quota_exceeded, too_many_channels.
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
        await self._records.create(channel, plan.channels, done, plan.storage_bytes, kept, plan.durable_bytes)
        await self._events.tell(*_told(None, channel))
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

    async def durable_bytes(self, human: Human) -> int:
        """What the durable channels reserve from the plan."""
        require(human, Action.read)
        durable = await self._durable.durable(human.tenant)
        return 0 if durable is None else durable.reserved_bytes

    async def change(
        self, human: Human, channel: ChannelId, fields: Mapping[str, Any], if_match: str | None = None
    ) -> Channel:
        """Set some fields; who is connected feels it at once. Messages that were stored are forgotten with
        the channel's durability.

        Raises not_found, precondition_failed, what `create` raises for a field, and conflict for another
        subject of a channel that is and stays durable: what it holds has the subjects it was stored under.
        """
        require(human, Action.manage_channels)
        fields = self._checked(human.tenant, fields)
        done = self._audit_writer.entry(human, "channel.update", channel, fields)

        rules = await self._directory.rules(human.tenant)
        before: Channel | None = None

        def edit(record: Channel) -> Channel:
            nonlocal before
            before = record
            require_match(record, if_match)
            changed = msgspec.structs.replace(
                record, **fields, version=record.version + 1, updated_at=done.at
            )
            if changed.pattern != record.pattern:
                _require_forgetful(record, changed)
                rules.check_room(changed)
            if changed.durability is not None and record.durability is None:
                changed = msgspec.structs.replace(changed, durable_as=incarnation(done.id))
            return changed

        plan = await self._plan(human.tenant)
        changed = await self._records.change(
            human.tenant, channel, edit, done, plan.storage_bytes, plan.durable_bytes
        )
        await self._events.tell(*_told(before, changed))
        return changed

    async def delete(self, human: Human, channel: ChannelId, if_match: str | None = None) -> Channel:
        """Delete the channel and the rules on it. What it was. Raises not_found, precondition_failed."""
        require(human, Action.manage_channels)
        check = partial(require_match, if_match=if_match)
        done = self._audit_writer.entry(human, "channel.delete", channel)
        gone = await self._records.delete(human.tenant, channel, check, done)
        counters = CountersEnded(human.tenant, (CHANNEL + gone.counted_as,))
        streams = [] if gone.durability is None else [StreamsChanged(human.tenant)]
        await self._events.tell(_changed(gone), counters, *streams)
        return gone


def _told(before: Channel | None, after: Channel) -> list[Event]:
    """What follows from a change. A stream is there before publishers hear of it, and for as long as they may
    not have heard that it goes."""
    if (None if before is None else before.durability) == after.durability:
        return [_changed(after)]
    streams = StreamsChanged(after.tenant)
    return [_changed(after), streams] if after.durability is None else [streams, _changed(after)]


def _changed(channel: Channel) -> Change:
    return Change(channel.tenant, Kind.channel, channel.id)


def _require_forgetful(before: Channel, after: Channel) -> None:
    if before.durability is not None and after.durability is not None:
        raise ArtcafeError(
            Code.conflict,
            "A durable channel keeps its subject, which its stored messages have: set its durability to null"
            " first, which forgets them.",
        )


def _shared(address: Address) -> Address:
    if address.owner is not None or address.platform:
        raise ArtcafeError(
            Code.invalid_subject, "A channel is a shared subject, not an agent's or the platform's."
        )
    return address
