"""The gateway of one server process: admits connections, holds them, and closes them."""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial

from artcafe.server.core.inboxes import require_owner
from artcafe.server.core.login import Login
from artcafe.server.core.presence.presence import Presence
from artcafe.server.core.publishing.publisher import MessageServices
from artcafe.server.core.usage import Meter
from artcafe.server.domain.access import Rights
from artcafe.server.domain.change import Change
from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.server.domain.plan import Plan, plan_of
from artcafe.server.domain.principal import AgentPrincipal, Human, Principal
from artcafe.server.domain.revocation import Revocation
from artcafe.server.domain.tenant import require_served
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.fanout.roster import Rosters
from artcafe.server.gateway.hubs import Hubs
from artcafe.server.gateway.limits import GatewayLimits
from artcafe.server.gateway.load import GatewayLoad, load_of
from artcafe.server.gateway.login.agents import AgentLogin
from artcafe.server.gateway.login.humans import DASHBOARD_PATHS, EnterTenant, HumanLogin
from artcafe.server.gateway.login.pending import PendingLogins
from artcafe.server.gateway.presence_publisher import PresencePublisher
from artcafe.server.gateway.reauthorization import Reauthorization
from artcafe.server.gateway.rechecks import Rechecks
from artcafe.server.gateway.registry import ConnectionRegistry
from artcafe.server.gateway.sessions import journal
from artcafe.server.gateway.sessions.agent_session import AgentSession
from artcafe.server.gateway.sessions.authentication import Authenticated
from artcafe.server.gateway.sessions.client import Work
from artcafe.server.gateway.sessions.connection import Connection
from artcafe.server.gateway.sessions.dashboard_session import DashboardSession
from artcafe.server.gateway.sessions.session_services import SessionServices
from artcafe.server.gateway.staggered import each, stagger, supervised
from artcafe.server.gateway.websocket.handshake import Accept, Refuse, Upgrade
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.ports.bus import Bus
from artcafe.server.ports.clock import Clock
from artcafe.server.ports.identity import TokenVerifier
from artcafe.server.ports.records import AgentRecords, Directory
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe.gateway")

BROKEN = 1006
"""RFC 6455 section 7.4.1: a connection that ended without a CLOSE frame."""

MOMENT_SECONDS = 0.5
"""How long a client that is sent away is heard at most."""


class Gateway:
    """Holds every connection of this process. Runs inside `async with`; everything it started ends there."""

    def __init__(
        self,
        *,
        login: Login,
        tokens: TokenVerifier,
        enter: EnterTenant,
        directory: Directory,
        presence: Presence,
        agents: AgentRecords,
        meter: Meter,
        messages: MessageServices,
        bus: Bus,
        scheduler: TurnScheduler,
        clock: Clock,
        limits: GatewayLimits,
        allowed_origins: Collection[str],
        server_name: Callable[[str], str],
        new_connection_id: Callable[[], str],
        process: str,
        jitter: Callable[[], float],
    ) -> None:
        """`messages` has a TurnClock of this scheduler; `process` is what the ids of its messages begin with
        (domain.message_id)."""
        self._directory = directory
        self._presence = presence
        self._meter = meter
        self._bus = bus
        self._clock = clock
        self._services = SessionServices(
            messages=messages,
            start=self.start,
            rosters=Rosters(presence, agents.listed, clock.monotonic, self.start),
            said=presence.said,
            require_owner=partial(require_owner, directory),
        )
        self._limits = limits
        self._new_connection_id = new_connection_id
        self._jitter = jitter
        self._tasks = asyncio.TaskGroup()
        self._pending_logins = PendingLogins(limits.max_pending_logins, limits.max_pending_logins_per_address)
        self._agents = AgentLogin(login, self._pending_logins, server_name)
        self._humans = HumanLogin(tokens, enter, self._pending_logins, allowed_origins)
        self.presence_publisher = PresencePublisher(
            presence, directory, bus, self._services.messages, limits.max_payload_bytes
        )
        self._registry = ConnectionRegistry()
        self._reauthorization = Reauthorization(directory, self._humans, self._registry, bus, self.start)
        self._hubs = Hubs(
            scheduler,
            self._services.messages,
            process=process,
            max_bytes=limits.max_payload_bytes,
            start=self.start,
        )
        self._rechecks = Rechecks(self._reauthorization.recheck, clock.monotonic, self.start)
        self._leaving = self._stopping = self._over = False
        self._empty = asyncio.Event()

    async def __aenter__(self) -> "Gateway":
        await self._tasks.__aenter__()
        works = (self._sweep(), self.presence_publisher.run())
        self._chores = [self._tasks.create_task(work) for work in works]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._send_away()
        self._over = True
        for chore in self._chores:
            chore.cancel()
        self._services.rosters.end()
        await self._tasks.__aexit__(None, None, None)
        # Whoever is still here is cut with the server: it is counted, told to be gone, and logged.
        for connection in [*self._pending_logins, *self._registry]:
            connection.closed(BROKEN)
        await self.presence_publisher.finish()

    @property
    def heartbeat_seconds(self) -> float:
        """How long a client may be silent before it is asked."""
        return self._limits.heartbeat_seconds

    # Admission.

    async def endpoint(self, upgrade: Upgrade) -> Accept | Refuse:
        """Decide about a client that wants to come in (handshake.Endpoint)."""
        if self._stopping:
            raise ArtcafeError(Code.unavailable, "The server is stopping.", retry_after=1.0)
        # Taken before the proof is checked: a revocation that is heard from now on counts against it.
        since = self._clock.monotonic()
        connection_id = self._new_connection_id()
        dashboard = upgrade.path in DASHBOARD_PATHS
        with journal.refusals(upgrade, connection_id, dashboard=dashboard):
            if dashboard:
                admission = await self._humans.enter(upgrade)
            else:
                admission = await self._agents.enter(upgrade, connection_id)
        claim = journal.claimed(upgrade, dashboard=dashboard)
        connection = Connection(
            self, admission, claim, connection_id=connection_id, remote=upgrade.remote, since=since
        )
        return Accept(connection, admission.protocol)

    def opened(self, connection: Connection) -> None:
        """A socket opened; it is pending until its client is admitted."""
        self._pending_logins.add(connection)
        if self._stopping:  # It was at the endpoint when everybody was sent away.
            self._go_away(connection)

    async def admit(self, connection: Connection, authenticated: Authenticated) -> AgentSession:
        """Admit an authenticated client.

        Raises unauthorized, forbidden, suspended, too_many_connections, unavailable.
        """
        principal = authenticated.principal
        tenant = principal.tenant
        record = await self._directory.tenant(tenant)
        if record is None:
            raise ArtcafeError(Code.unauthorized, reason=LoginRefusal.unknown_tenant)
        self._pending_logins.require_right(connection, principal)
        require_served(record, LoginRefusal.tenant_suspended)
        self._require_room(principal, plan_of(record))
        # From here on a revocation or a change finds the connection.
        self._pending_logins.discard(connection)
        connection.authorization.admit(principal, authenticated.expires)
        self._registry.add(connection)
        self._registry.know(tenant, plan_of(record).name)
        if isinstance(principal, AgentPrincipal):
            self._presence.arrived(tenant, principal.agent, connection)
            self.presence_publisher.wake()
            self._meter.active(tenant, principal.counted_as)
        link = await self._bus.link(record)
        try:
            principal, rights, plan = await self._reauthorization.now(connection, principal)
            self._pending_logins.require_right(connection, principal)
        except BaseException:
            self._bus.release(tenant)
            raise
        session = self._session(connection, principal, rights, plan, self._hubs.enter(tenant, link))
        if authenticated.cancellations:
            session.tell_cancellations()
        return session

    def _session(
        self, connection: Connection, principal: Principal, rights: Rights, plan: Plan, hub: TenantHub
    ) -> AgentSession:
        limits = frames.Limits(
            max_payload_bytes=self._limits.max_payload_bytes,
            messages_per_second=plan.messages_per_second,
            subscriptions=self._limits.max_subscriptions,
        )
        dialect, services = connection.dialect, self._services
        if isinstance(principal, Human):
            return DashboardSession(
                principal,
                rights,
                client=connection,
                dialect=dialect,
                hub=hub,
                limits=limits,
                services=services,
            )
        return AgentSession(
            principal, rights, client=connection, dialect=dialect, hub=hub, limits=limits, services=services
        )

    def _require_room(self, principal: Principal, plan: Plan) -> None:
        if self._registry.count(principal) >= self._limits.max_agent_connections:
            raise ArtcafeError(Code.too_many_connections, "There is a limit of connections for each.")
        if isinstance(principal, Human) or plan.connections is None:
            return  # A plan counts agents.
        if self._presence.here(principal.tenant) >= plan.connections:
            raise ArtcafeError(Code.too_many_connections, "The tenant has its plan's limit of connections.")

    async def renew(self, connection: Connection, token: str) -> int:
        """Take a newer token of the same human; until when the connection lives then, in Unix seconds.

        What a token grants ends with it: of an older one nothing is taken.
        """
        human = connection.principal
        assert isinstance(human, Human)
        authorization = connection.authorization
        renewed, expires = await self._humans.renewed(human, token)
        if authorization.renew(renewed, expires):
            await self._reauthorization.renewed(connection)
        assert authorization.expires is not None
        return authorization.expires

    # The end of a connection.

    def closed(self, connection: Connection, code: int) -> None:
        """A socket is gone: forget it at once, clean up behind it."""
        self._pending_logins.discard(connection)
        self._forget(connection)
        journal.disconnected(connection, code, self._clock.monotonic() - connection.since)
        if not self._pending_logins and not self._registry:
            self._empty.set()
        if connection.session is not None:
            self.start(self._clean_up(connection.session))

    def _forget(self, connection: Connection) -> None:
        """Count it out, and what was delivered to it."""
        self._count_delivered(connection)
        principal = self._registry.remove(connection)
        if isinstance(principal, AgentPrincipal):
            self._presence.left(principal.tenant, principal.agent, connection)
            self.presence_publisher.wake()

    async def _clean_up(self, session: AgentSession) -> None:
        tenant, hub = session.principal.tenant, session.hub
        try:
            await session.leave()
        finally:
            self._hubs.leave(hub)
            if hub.sessions == 0:
                self._services.rosters.close(tenant, hub.link)
            self._bus.release(tenant)

    # Counted.

    def load(self) -> GatewayLoad:
        """What it holds now; counted in a time that grows with its connections."""
        return load_of(self._registry, self._pending_logins, self._hubs)

    def count_delivered(self) -> None:
        """Hand what was delivered to agents to the meter, before it is flushed."""
        for connection in self._registry:
            self._count_delivered(connection)

    def _count_delivered(self, connection: Connection) -> None:
        principal, session = connection.principal, connection.session
        if session is not None:
            delivered = session.inbox.delivered() + sum(each.delivered() for each in session.subscribers)
            connection.frames_out += delivered
            if delivered and isinstance(principal, AgentPrincipal):
                self._meter.received(principal.tenant, principal.counted_as, delivered)

    # Closing.

    def revoked(self, revocation: Revocation) -> None:
        """Hear of a revocation: close what it covers, at once."""
        self._pending_logins.revoked(revocation, self._clock.monotonic())
        covered = [
            connection
            for connection in self._registry.tenant(revocation.tenant)
            if connection.principal is not None and revocation.covers(connection.principal)
        ]
        each(covered, lambda connection: connection.end(revocation.code))
        if revocation.agent is None:
            each(covered, self._count_delivered)
            self._meter.forget(revocation.tenant)
            self.start(self._bus.drop(revocation.tenant))

    def changed(self, change: Change) -> None:
        """Hear of a change: whoever it concerns lives by the rights and limits that follow from it."""
        self._reauthorization.changed(change)
        self._services.rosters.changed(change)

    def words_missed(self) -> None:
        """Ask about everybody, soon: revocations and changes may have been told unheard. Whatever `directory`
        remembers was forgotten before."""
        self._reauthorization.words_missed()
        self._services.rosters.words_missed()
        self._rechecks.hurry()

    async def ready(self) -> None:
        """Raises unavailable once this process is going to stop: whoever balances is to leave it out."""
        if self._leaving:
            raise ArtcafeError(Code.unavailable, "The server is stopping.")

    async def stop(self, within: float, *, notice: float = 0.0) -> None:
        """Stop in three steps: for `notice` seconds only `ready` tells of it; then nobody is taken in any
        more, and everybody is sent away, in any order and spread over half of `within` seconds, so that
        they do not all come to another server at once; until they went, `within` seconds at most. Each is
        heard for a moment more, so what it is publishing gets its answer."""
        self._leaving = True
        await asyncio.sleep(notice)
        self._stopping = True
        self._empty.clear()
        everybody = [*self._pending_logins, *self._registry]
        with suppress(TimeoutError):  # Who does not go is cut by the server's own shutdown.
            async with asyncio.timeout(within):
                go = partial(self._go_away, moment=min(MOMENT_SECONDS, within / 8))
                await stagger(everybody, go, within / 2, self._jitter)
                if self._pending_logins or self._registry:
                    await self._empty.wait()

    def _send_away(self) -> None:
        """Take nobody in any more and send everybody away, at once."""
        self._leaving = self._stopping = True
        each([*self._pending_logins, *self._registry], self._go_away)

    def _go_away(self, connection: Connection, moment: float = 0.0) -> None:
        connection.go_away(round(2000 * self._jitter()), moment)

    async def _sweep(self) -> None:
        """Close who does not answer: one task for all connections."""
        heartbeat = self._limits.heartbeat_seconds
        tick = min(1.0, heartbeat / 2)
        next_beat = self._clock.monotonic() + heartbeat
        while True:
            await asyncio.sleep(tick)
            now = self._clock.monotonic()
            each(self._pending_logins.late(now), lambda connection: connection.end(Code.login_timeout))
            each(self._expired(), lambda connection: connection.end(Code.token_expired))
            self._tell_of_gaps()
            if now >= next_beat:
                next_beat = now + heartbeat
                each(self._registry, Connection.beat)
            self._rechecks.tick()

    def _expired(self) -> list[Connection]:
        now = self._clock.now()
        return [connection for connection in self._registry if connection.authorization.expired(now)]

    def _tell_of_gaps(self) -> None:
        """Close who subscribed and may have missed messages while the bus was away: never a silent loss."""
        missed = self._hubs.missed()
        if missed:
            each(self._registry, lambda connection: connection.bus_was_away(missed))

    # Tasks.

    def start(self, work: Work) -> None:
        """Run work as a task of the gateway's; a failure of it is logged and ends nothing else.

        Once the gateway is being left it is not run: what it would clean up is being closed as well.
        """
        if self._over:
            work.close()
        else:
            self._tasks.create_task(supervised(work))
