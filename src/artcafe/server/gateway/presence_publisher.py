"""Publishes which agents come online and go offline, in one task of the gateway."""

import asyncio
import logging
from collections.abc import Mapping

from artcafe.server.core.presence.presence import Presence
from artcafe.server.core.publishing.publisher import MessageServices, platform_publisher
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.ports.bus import Bus
from artcafe.server.ports.records import Directory
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe.gateway")

GATHER_SECONDS = 0.05
"""How long changes are gathered before they are announced together."""

SHARE = 4
"""After an announcement that took a while it rests this many times as long: many who come at once are
told in few, large steps."""

IDLE_SECONDS = 1.0
"""How often it looks whether something is about to expire, or failed and is due again."""

TELL_SECONDS = 2.0
"""How long one tenant's bus may keep the other tenants waiting."""

FAREWELL_SECONDS = 3.0
"""How long the last announcement may take."""


class PresencePublisher:
    """Announces the presence of this process, and publishes on `presence.{agent}` what follows from it."""

    def __init__(
        self,
        presence: Presence,
        directory: Directory,
        bus: Bus,
        services: MessageServices,
        max_bytes: int,
    ) -> None:
        self._presence = presence
        self._directory = directory
        self._bus = bus
        self._services = services
        self._max_bytes = max_bytes
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """An agent connected or disconnected."""
        self._changed.set()

    async def run(self) -> None:
        """Announce until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                pass  # What is about to expire wakes nobody.
            else:
                await asyncio.sleep(GATHER_SECONDS)
            self._changed.clear()
            began = loop.time()
            done = await self.announce()
            await asyncio.sleep(SHARE * (loop.time() - began) if done else IDLE_SECONDS)

    async def finish(self) -> None:
        """Announce for the last time. Where the bus does not answer, the rows are written at least."""
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                done = await self.announce()
        except TimeoutError:
            done = False
        if not done:
            try:
                await self._presence.announce()
            except ArtcafeError as error:
                LOG.error("who was online here is believed for a while: %s", error)

    async def announce(self) -> bool:
        """Announce what changed; whether all of it could be told. What could not is due again."""
        try:
            await self._presence.announce(self.tell)
        except ArtcafeError as error:
            LOG.warning("who is online is not told now: %s", error)
            return False
        except Exception:
            # Supervision: this task outlives a fault, or nobody would be announced any more.
            LOG.exception("fault in an announcement")
            return False
        return True

    async def tell(self, tenant: TenantId, news: Mapping[AgentId, bool]) -> None:
        """Publish who came and went (presence.Tell). Nothing happens when the tenant is gone or suspended."""
        record = await self._directory.tenant(tenant)
        if record is None or record.suspended:
            return
        try:
            async with asyncio.timeout(TELL_SECONDS):
                link = await self._bus.link(record)
                try:
                    publisher = platform_publisher(self._services, tenant, self._max_bytes, link)
                    for agent, online in news.items():
                        publisher.publish(f"presence.{agent}", self._event(agent, online), None, None)
                    await link.flush()
                finally:
                    self._bus.release(tenant)
        except TimeoutError:
            raise ArtcafeError(Code.unavailable, "The bus does not answer.") from None

    def _event(self, agent: AgentId, online: bool) -> bytes:
        clock = self._services.clock
        clock.read()
        return frames.encode(
            {"agent_id": agent, "status": "online" if online else "offline", "timestamp": clock.text}
        )
