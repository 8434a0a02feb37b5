"""Publishes which agents come online and go offline, in one task of the gateway."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping

import msgspec

from artcafe.server.core.presence.presence import Presence
from artcafe.server.core.presence.questions import PresenceQuestion
from artcafe.server.core.publishing.publisher import MessageServices, platform_publisher
from artcafe.server.domain.ids import AgentId, TenantId
from artcafe.server.ports.bus import Bus
from artcafe.server.ports.leases import HeldTenant, Lease
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
"""How often it looks whether something failed and is due again."""

CLEARED_AT_ONCE = 16
"""Tenants at once in which the agents of a process that is gone are told."""

TELL_SECONDS = 2.0
"""How long one tenant's bus may keep the other tenants waiting."""

FAREWELL_SECONDS = 3.0
"""How long the last announcement may take."""

_read_question = msgspec.json.Decoder(PresenceQuestion).decode


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

    async def hold(self) -> None:
        """Renew the lease of this process, and see whose is over (Presence.hold). Raises unavailable."""
        await self._presence.hold()
        if self._presence.due:
            self._changed.set()

    def asked(self, payload: bytes) -> bytes | None:
        """Answer what another process asks about the connections here (core.presence.questions)."""
        try:
            question = _read_question(payload)
        except (ValueError, RecursionError) as error:
            LOG.error("a question cannot be read, so it is not answered: %s", error)
            return None
        return self._presence.answer(question)

    async def run(self) -> None:
        """Announce who comes and goes here, and who went with a process that is gone, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                pass  # What failed wakes nobody.
            else:
                await asyncio.sleep(GATHER_SECONDS)
            self._changed.clear()
            began = loop.time()
            done = await self.announce()
            done = await self.clear() and done
            await asyncio.sleep(SHARE * (loop.time() - began) if done else IDLE_SECONDS)

    async def finish(self) -> None:
        """Announce for the last time. Where the bus does not answer, the rows are written at least."""
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                done = await self.announce()
        except TimeoutError:
            done = False
        try:
            if not done:
                await self._presence.announce()
            await self._presence.leave()
        except ArtcafeError as error:
            LOG.error("who was online here is told to be gone when another process notices it: %s", error)

    async def announce(self) -> bool:
        """Announce what changed; whether all of it could be told. What could not is due again."""
        return await self._done(self._presence.announce(self.tell))

    async def clear(self) -> bool:
        """Tell who went with the processes that are gone, as far as it is for this one to tell; whether all
        of it could be told. What could not is due again."""
        return await self._done(self._clear())

    async def _clear(self) -> None:
        for lease, tenants in await self._presence.taken_over():
            turn = asyncio.Semaphore(CLEARED_AT_ONCE)

            async def clear(held: HeldTenant, lease: Lease = lease, turn: asyncio.Semaphore = turn) -> bool:
                async with turn:
                    return await self._done(self._presence.clear(lease, held, self.tell))

            if all(await asyncio.gather(*map(clear, tenants))):
                await self._presence.forget(lease)

    async def _done(self, work: Coroutine[None, None, None]) -> bool:
        """Whether it could be done."""
        try:
            await work
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
