"""Publishes messages that do not come over a WebSocket."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec import Raw

from artcafe.server.domain.access import Rights, platform_permission
from artcafe.server.domain.ids import PLATFORM_SENDER, TenantId
from artcafe.server.domain.policy import Policy
from artcafe.server.domain.principal import Human
from artcafe.server.ports.bus import Bus
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.records import Directory
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import Envelope, encode
from artcafe.wire.subjects import parse_subject, to_bus
from artcafe.wire.times import rfc3339


@dataclass(frozen=True, slots=True)
class Published:
    """The receipt of a published message."""

    message_id: str
    timestamp: str


class Messages:
    """Publish as a human or, for who may, as the platform. When `publish` returns, the bus has it."""

    def __init__(
        self,
        *,
        bus: Bus,
        directory: Directory,
        clock: Clock,
        new_message_id: Callable[[], str],
        count: Callable[[TenantId, str, Sequence[str], int], None],
    ) -> None:
        self._bus = bus
        self._directory = directory
        self._clock = clock
        self._new_message_id = new_message_id
        self._count = count

    async def publish(self, human: Human, subject: str, data: bytes, *, system: bool = False) -> Published:
        """`data` is one JSON value, already checked.

        Raises invalid_subject, forbidden, too_many_channels, too_large; unavailable when nothing was sent;
        outcome_unknown when the bus may have it, or get it later.
        """
        address = parse_subject(subject, human.tenant)
        tenant = await self._directory.tenant(human.tenant)
        if tenant is None:
            raise ArtcafeError(Code.not_found)
        rules = await self._directory.rules(tenant.id)
        if system:
            permission = platform_permission(human, address, rules)
        else:
            permission = Rights(human, Policy(), rules).publish(address)
        if permission.max_bytes is not None and len(data) > permission.max_bytes:
            raise ArtcafeError(Code.too_large, f"The channel takes {permission.max_bytes} bytes at most.")
        sender = PLATFORM_SENDER if system else human.sender
        link = await self._bus.link(tenant)
        try:
            # Numbered as it is published: subscribers go by the order (domain.message_id).
            published = Published(self._new_message_id(), rfc3339(self._clock.now()))
            envelope = Envelope(id=published.message_id, timestamp=published.timestamp, data=Raw(data))
            link.publish(to_bus(sender, address.subject), encode(envelope))
            self._count(tenant.id, human.counted_as, permission.channels, len(data))
            try:
                await link.flush()
            except ArtcafeError:
                # It was taken: it is on its way, or waits in the link until the bus is back.
                raise ArtcafeError(Code.outcome_unknown) from None
        finally:
            self._bus.release(tenant.id)
        return published
