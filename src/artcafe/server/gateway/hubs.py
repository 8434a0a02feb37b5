"""The hubs of the tenants that have sessions on this process, one each."""

from collections.abc import Callable

from artcafe.server.core.publishing.publisher import MessageServices, platform_publisher
from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.sessions.client import Work
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.ports.bus import Link


class Hubs:
    """Makes a tenant's hub for its first session, and forgets it with its last one."""

    def __init__(
        self,
        scheduler: TurnScheduler,
        services: MessageServices,
        *,
        process: str,
        max_bytes: int,
        start: Callable[[Work], None],
    ) -> None:
        """`process` and `start` are TenantHub's; what the platform says in a tenant has at most
        `max_bytes`."""
        self._scheduler = scheduler
        self._services = services
        self._process = process
        self._max_bytes = max_bytes
        self._start = start
        self._hubs: dict[TenantId, TenantHub] = {}
        self.gaps = 0
        """How often a hub may have missed messages."""

    def __len__(self) -> int:
        return len(self._hubs)

    def enter(self, tenant: TenantId, link: Link) -> TenantHub:
        """The tenant's hub on this link, for one more session."""
        hub = self._hubs.get(tenant)
        if hub is None or hub.link is not link:
            platform = platform_publisher(self._services, tenant, self._max_bytes, link)
            hub = self._hubs[tenant] = TenantHub(
                tenant,
                link,
                self._scheduler,
                process=self._process,
                start=self._start,
                announce=lambda subject, data: platform.publish(subject, data, None, None),
            )
        hub.sessions += 1
        return hub

    def leave(self, hub: TenantHub) -> None:
        """A session of a hub is gone."""
        hub.sessions -= 1
        if hub.sessions == 0 and self._hubs.get(hub.tenant) is hub:
            del self._hubs[hub.tenant]
            self._start(hub.requests.close())
            self._start(hub.inboxes.close())

    def missed(self) -> set[TenantHub]:
        """The hubs that may have missed messages since this was last asked."""
        missed = {hub for hub in self._hubs.values() if hub.missed()}
        self.gaps += len(missed)
        return missed

    def waiting(self) -> int:
        """How many messages wait to be delivered, of all tenants."""
        return sum(hub.waiting() for hub in self._hubs.values())
