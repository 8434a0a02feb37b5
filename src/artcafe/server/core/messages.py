"""Publishing from outside a WebSocket."""

from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Raw

from artcafe.server.domain.access import check_publish
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.principal import Human
from artcafe.server.ports import Bus, Clock, TenantRecords
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import Envelope, encode
from artcafe.wire.subjects import parse_subject, to_bus
from artcafe.wire.times import rfc3339


@dataclass(frozen=True, slots=True)
class Published:
    """What a publisher gets back."""

    message_id: str
    timestamp: str


class Messages:
    """Publish as a human. When `publish` returns, the bus has the message."""

    def __init__(
        self,
        *,
        bus: Bus,
        tenants: TenantRecords,
        clock: Clock,
        new_message_id: Callable[[], str],
        count: Callable[[TenantId, str, int], None],
    ) -> None:
        self._bus = bus
        self._tenants = tenants
        self._clock = clock
        self._new_message_id = new_message_id
        self._count = count

    async def publish(self, human: Human, subject: str, data: bytes) -> Published:
        """`data` is one JSON value, already checked. Raises invalid_subject, forbidden, unavailable."""
        address = parse_subject(subject, human.tenant)
        check_publish(human, address)
        tenant = await self._tenants.get(human.tenant)
        if tenant is None:
            raise ArtcafeError(Code.not_found)
        published = Published(self._new_message_id(), rfc3339(self._clock.now()))
        envelope = Envelope(id=published.message_id, timestamp=published.timestamp, data=Raw(data))
        link = await self._bus.link(tenant)
        try:
            link.publish(to_bus(human.sender, address.subject), encode(envelope))
            await link.flush()
        finally:
            self._bus.release(tenant.id)
        self._count(human.tenant, address.subject, len(data))
        return published
