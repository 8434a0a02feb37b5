"""Publishes as a human over REST, or as the platform."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn

from msgspec import Struct

from artcafe.server.core.publishing.publisher import (
    MessageServices,
    Permit,
    Publisher,
    Store,
    platform_publisher,
)
from artcafe.server.domain.access import Rights, platform_permission
from artcafe.server.domain.channel_rules import ChannelRules
from artcafe.server.domain.ids import PLATFORM_SENDER, TenantId
from artcafe.server.domain.plan import plan_of
from artcafe.server.domain.policy import Policy
from artcafe.server.domain.principal import Human
from artcafe.server.domain.rate import TokenBucket, message_bucket
from artcafe.server.domain.recent import Recent
from artcafe.server.domain.tenant import TenantRules
from artcafe.server.ports.bus import Bus
from artcafe.server.ports.records import Directory
from artcafe.server.ports.streams import Stored
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import encode
from artcafe.wire.subjects import parse_subject

MAX_BUCKETS = 20_000
"""Humans whose rate is remembered: whoever has not published for longest is forgotten, and may send two
seconds' worth again."""


def _refuse(error: ArtcafeError, *_: object) -> NoReturn:
    """Link.publish and Streams.store of a link that there is not."""
    raise error


@dataclass(frozen=True, slots=True)
class Published:
    """The receipt of a published message: with a place where a durable channel stored it."""

    message_id: str
    timestamp: str
    stored: Stored | None = None


class Messages:
    """Publish as a human or, for who may, as the platform. When `publish` returns, the bus has it.

    Each human may publish as fast as on a connection, whatever is published on connections: the plan's
    messages per second in each tenant, two seconds' worth at once, on each process. `max_bytes` bounds the
    data where no channel takes less.
    """

    def __init__(self, *, bus: Bus, directory: Directory, services: MessageServices, max_bytes: int) -> None:
        self._bus = bus
        self._directory = directory
        self._services = services
        self._max_bytes = max_bytes
        self._buckets = Recent(MAX_BUCKETS)

    async def publish(
        self, human: Human, subject: str, data: bytes, *, dedup: str | None = None, system: bool = False
    ) -> Published:
        """`data` is one JSON value, already checked. `dedup` is Publisher's.

        Raises invalid_subject, not_found for a tenant that is gone; as Publisher.publish; as Streams.store;
        unavailable when nothing was sent; outcome_unknown when the bus may have it, or get it later.
        """
        parse_subject(subject, human.tenant)  # What can be no subject is refused before anything is read.
        tenant = await self._directory.tenant(human.tenant)
        if tenant is None:
            raise ArtcafeError(Code.not_found)
        rules = await self._directory.rules(tenant.id)
        try:
            link = await self._bus.link(tenant)
        except ArtcafeError as away:
            # Refused as well, but what is wrong with the message itself is told first.
            self._publisher(
                human, tenant, rules, partial(_refuse, away), partial(_refuse, away), system=system
            ).publish(subject, data, None, None, dedup)
            raise
        try:
            publisher = self._publisher(human, tenant, rules, link.publish, link.streams.store, system=system)
            message_id = publisher.publish(subject, data, None, None, dedup)
            published = Published(message_id, self._services.clock.text)
            if publisher.receipt is not None:
                return replace(published, stored=await publisher.receipt)
            try:
                await link.flush()
            except ArtcafeError:
                # It was taken: it is on its way, or waits in the link until the bus is back.
                raise ArtcafeError(Code.outcome_unknown) from None
        finally:
            self._bus.release(tenant.id)
        return published

    async def announce(self, tenant: TenantId, said: Struct, *, subject: str) -> None:
        """Publish what the platform says of itself to a tenant; a tenant that is gone hears nothing.

        Raises unavailable.
        """
        rules = await self._directory.tenant(tenant)
        if rules is None:
            return
        link = await self._bus.link(rules)
        try:
            publisher = platform_publisher(self._services, tenant, self._max_bytes, link)
            publisher.publish(subject, encode(said), None, None)
        finally:
            self._bus.release(tenant)

    def _publisher(
        self,
        human: Human,
        tenant: TenantRules,
        rules: ChannelRules,
        publish_there: Callable[[str, bytes], bool],
        store_there: Store,
        *,
        system: bool,
    ) -> Publisher:
        sender = human.sender
        permit: Permit = Rights(human, Policy(), rules).publish
        if system:
            sender, permit = PLATFORM_SENDER, partial(platform_permission, human, rules=rules)
        return Publisher(
            self._services,
            tenant=human.tenant,
            sender=sender,
            counted_as=human.counted_as,
            permit=permit,
            max_bytes=self._max_bytes,
            bucket=self._bucket(human, plan_of(tenant).messages_per_second),
            publish_there=publish_there,
            store_there=store_there,
        )

    def _bucket(self, human: Human, messages_per_second: int) -> TokenBucket:
        """The bucket of a human in a tenant, full once more when the plan has another rate."""
        key = (human.tenant, human.user)
        bucket: TokenBucket | None = self._buckets.get(key)
        if bucket is None or bucket.rate != messages_per_second:
            self._services.clock.read()
            bucket = message_bucket(messages_per_second, self._services.clock.monotonic)
            self._buckets.put(key, bucket)
        return bucket
