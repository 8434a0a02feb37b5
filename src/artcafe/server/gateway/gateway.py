"""The gateway of one server process: who may come in, who is in, who must go."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import msgspec

from artcafe.server.core.login import Login
from artcafe.server.core.presence import Presence
from artcafe.server.core.usage import AGENT, Meter
from artcafe.server.domain.ids import AgentId, TenantId, agent_id, tenant_id
from artcafe.server.domain.plan import Plan, plan_named
from artcafe.server.domain.principal import AgentPrincipal
from artcafe.server.domain.revocation import Revocation
from artcafe.server.gateway.arrivals import Arrivals
from artcafe.server.gateway.connection import Connection
from artcafe.server.gateway.dialects import Dialect, Legacy, Plain, Wrapped
from artcafe.server.gateway.handshake import Accept, Refuse, Upgrade
from artcafe.server.gateway.hub import Member, TenantHub
from artcafe.server.gateway.session import Session, Work
from artcafe.server.ports import Bus, Clock, Link, TenantRecords
from artcafe.wire import frames
from artcafe.wire.challenge import Challenge
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe.gateway")

AGENT_PATH = "/api/v1/ws/agent/"

OLDER_AGENT_PATH = "/ws/agent/"
"""Where clients of dialect B connect."""

RECHECK_SECONDS = 60.0
"""How often the store is asked whether who is connected still may be: a revocation told while the bus
was away reaches nobody."""

_read_revocation = msgspec.json.Decoder(Revocation).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits:
    """What one process takes."""

    max_payload_bytes: int
    max_subscriptions: int
    max_agent_connections: int
    max_pending_logins: int
    max_pending_logins_per_address: int
    heartbeat_seconds: float


class Gateway:
    """Holds every connection of this process. Runs inside `async with`; everything it started ends there."""

    def __init__(
        self,
        *,
        login: Login,
        tenants: TenantRecords,
        presence: Presence,
        meter: Meter,
        bus: Bus,
        clock: Clock,
        limits: GatewayLimits,
        server_name: Callable[[str], str],
        new_connection_id: Callable[[], str],
        new_message_id: Callable[[], str],
        jitter: Callable[[], float],
    ) -> None:
        self._login = login
        self._tenants = tenants
        self._presence = presence
        self._meter = meter
        self._bus = bus
        self._clock = clock
        self._limits = limits
        self._server_name = server_name
        self._new_connection_id = new_connection_id
        self._new_message_id = new_message_id
        self._jitter = jitter
        self._tasks = asyncio.TaskGroup()
        self._arrivals = Arrivals(limits.max_pending_logins, limits.max_pending_logins_per_address)
        self._inside: dict[tuple[TenantId, AgentId], dict[Connection, AgentPrincipal]] = {}
        self._hubs: dict[TenantId, TenantHub] = {}
        self._next_check = clock.monotonic() + RECHECK_SECONDS
        self._stopping = self._over = False
        self._empty = asyncio.Event()

    async def __aenter__(self) -> "Gateway":
        await self._tasks.__aenter__()
        self._sweeper = self._tasks.create_task(self._sweep())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._send_away()
        self._over = True
        self._sweeper.cancel()
        await self._tasks.__aexit__(None, None, None)

    @property
    def heartbeat_seconds(self) -> float:
        """How long a client may be silent before it is asked."""
        return self._limits.heartbeat_seconds

    # In.

    async def endpoint(self, upgrade: Upgrade) -> Accept | Refuse:
        """Decide about a client that wants to come in (handshake.Endpoint)."""
        if self._stopping:
            raise ArtcafeError(Code.unavailable, "The server is stopping.", retry_after=1.0)
        path, older = _place(upgrade.path)
        tenant, agent = _who(upgrade, path)
        ours = frames.SUBPROTOCOL in upgrade.protocols
        dialect = Plain() if ours else older
        text, signature = (_one(upgrade, name) for name in ("challenge", "signature"))
        connection_id = self._new_connection_id()
        make = partial(
            Connection,
            self,
            connection_id=connection_id,
            remote=upgrade.remote,
            since=self._clock.monotonic(),
            dialect=dialect,
        )
        if text is not None and signature is not None:
            with self._arrivals.counted(upgrade.remote):
                principal = await self._login.answer_text(tenant, agent, text, signature)
            connection = make(principal=principal)
        elif ours:
            self._arrivals.require_room(upgrade.remote)
            server = self._server_name(upgrade.host)
            challenge = self._login.challenge(server, tenant, agent, connection_id)
            connection = make(challenge=challenge)
        else:
            raise ArtcafeError(
                Code.unauthorized,
                f"Offer the subprotocol {frames.SUBPROTOCOL}, or bring challenge and signature.",
            )
        return Accept(connection, frames.SUBPROTOCOL if ours else None)

    def opened(self, connection: Connection) -> None:
        """A socket opened; it is pending until its agent is admitted."""
        self._arrivals.add(connection)
        if self._stopping:  # It was at the endpoint when everybody was sent away.
            self._go_away(connection)

    async def prove(self, challenge: Challenge, auth: frames.Auth) -> AgentPrincipal:
        """Check the answer to a challenge. Raises unauthorized."""
        return await self._login.answer(challenge, auth.signature, auth.key)

    async def admit(self, connection: Connection, principal: AgentPrincipal) -> Session:
        """Let a proven agent in. Raises unauthorized, too_many_connections, unavailable."""
        tenant = principal.tenant
        record = await self._tenants.get(tenant)
        if record is None or connection.gone() or self._arrivals.lost_its_right(connection, principal):
            raise ArtcafeError(Code.unauthorized)
        plan = plan_named(record.subscription_tier)
        self._require_room(principal, plan)
        # From here on a revocation finds the connection.
        self._arrivals.discard(connection)
        connection.admitted = principal
        self._inside.setdefault((tenant, principal.agent), {})[connection] = principal
        self._presence.arrived(tenant, principal.agent)
        self._meter.count(tenant, AGENT + principal.agent)
        link = await self._bus.link(record)
        if connection.gone():
            self._bus.release(tenant)
            raise ArtcafeError(Code.unauthorized)
        return Session(
            principal=principal,
            client=connection,
            hub=self._hub(tenant, link),
            member=Member(connection, connection.dialect),
            dialect=connection.dialect,
            limits=frames.Limits(
                max_payload_bytes=self._limits.max_payload_bytes,
                messages_per_second=plan.messages_per_second,
                subscriptions=self._limits.max_subscriptions,
            ),
            clock=self._clock,
            new_message_id=self._new_message_id,
            count=partial(self._meter.message, tenant),
            start=self.start,
        )

    def _require_room(self, principal: AgentPrincipal, plan: Plan) -> None:
        here = self._inside.get((principal.tenant, principal.agent), {})
        if len(here) >= self._limits.max_agent_connections:
            raise ArtcafeError(Code.too_many_connections, "The agent has its limit of connections.")
        if plan.connections is not None and self._presence.here(principal.tenant) >= plan.connections:
            raise ArtcafeError(Code.too_many_connections, "The tenant has its plan's limit of connections.")

    def _hub(self, tenant: TenantId, link: Link) -> TenantHub:
        hub = self._hubs.get(tenant)
        if hub is None or hub.link is not link:
            hub = self._hubs[tenant] = TenantHub(tenant, link)
        hub.sessions += 1
        return hub

    # Out.

    def closed(self, connection: Connection) -> None:
        """A socket is gone: forget it at once, clean up behind it."""
        self._arrivals.discard(connection)
        principal = connection.admitted
        if principal is not None:
            key = (principal.tenant, principal.agent)
            self._presence.left(*key)
            del self._inside[key][connection]
            if not self._inside[key]:
                del self._inside[key]
        if not self._arrivals and not self._inside:
            self._empty.set()
        if connection.session is not None:
            self.start(self._clean_up(connection.session))

    async def _clean_up(self, session: Session) -> None:
        tenant, hub = session.principal.tenant, session.hub
        try:
            await hub.leave(session.member)
        finally:
            hub.sessions -= 1
            if hub.sessions == 0 and self._hubs.get(tenant) is hub:
                del self._hubs[tenant]
            self._bus.release(tenant)

    # Must go.

    def revoked(self, _: str, payload: bytes) -> None:
        """Hear a revocation (the control topic): close what it covers, at once."""
        try:
            revocation = _read_revocation(payload)
        except (ValueError, RecursionError) as error:
            LOG.error("a revocation cannot be read, so nobody is closed by it: %s", error)
            return
        self._arrivals.revoked(revocation, self._clock.monotonic())
        covered = [
            connection
            for (tenant, agent), connections in self._inside.items()
            if tenant == revocation.tenant
            for connection, principal in connections.items()
            if revocation.covers(agent, principal.fingerprint)
        ]
        _for_each(covered, lambda connection: connection.end(revocation.code))
        if revocation.agent is None:
            self._meter.forget(revocation.tenant)
            self.start(self._bus.drop(revocation.tenant))

    async def stop(self, within: float) -> None:
        """Take nobody in any more, send everybody away, wait `within` seconds at most until they went."""
        self._empty.clear()
        if self._send_away():
            with suppress(TimeoutError):  # Who does not go is cut by the server's own shutdown.
                async with asyncio.timeout(within):
                    await self._empty.wait()

    def _send_away(self) -> bool:
        """Take nobody in any more and send everybody away; whether there was anybody."""
        self._stopping = True
        everybody = [*self._arrivals, *self._everybody_inside()]
        _for_each(everybody, self._go_away)
        return bool(everybody)

    def _go_away(self, connection: Connection) -> None:
        connection.go_away(round(2000 * self._jitter()))

    def _everybody_inside(self) -> list[Connection]:
        return [connection for connections in self._inside.values() for connection in connections]

    async def _sweep(self) -> None:
        """Close who does not answer: one task for all connections."""
        heartbeat = self._limits.heartbeat_seconds
        tick = min(1.0, heartbeat / 2)
        next_beat = self._clock.monotonic() + heartbeat
        while True:
            await asyncio.sleep(tick)
            now = self._clock.monotonic()
            _for_each(self._arrivals.late(now), lambda connection: connection.end(Code.login_timeout))
            self._tell_of_gaps()
            if now >= next_beat:
                next_beat = now + heartbeat
                _for_each(self._everybody_inside(), Connection.beat)
            if now >= self._next_check:
                self._next_check = math.inf
                self.start(self._recheck())

    def _tell_of_gaps(self) -> None:
        """Close who subscribed and may have missed messages while the bus was away: never a silent loss."""
        missed = {hub for hub in self._hubs.values() if hub.missed()}
        if missed:
            _for_each(self._everybody_inside(), lambda connection: connection.bus_was_away(missed))

    async def _recheck(self) -> None:
        try:
            for (tenant, agent), connections in tuple(self._inside.items()):
                # Who comes while the store is asked may come by a key that the answer does not have yet.
                before = tuple(connections.items())
                keys = await self._login.keys(tenant, agent)
                for connection, principal in before:
                    if keys is None:
                        connection.end(Code.removed)
                    elif principal.fingerprint not in keys:
                        connection.end(Code.key_revoked)
        finally:
            self._next_check = self._clock.monotonic() + RECHECK_SECONDS

    # Tasks.

    def start(self, work: Work) -> None:
        """Run work as a task of the gateway's; a failure of it is logged and ends nothing else.

        Once the gateway is being left it is not run: what it would clean up is being closed as well.
        """
        if self._over:
            work.close()
        else:
            self._tasks.create_task(_supervised(work))


async def _supervised(work: Work) -> None:
    try:
        await work
    except ArtcafeError as error:
        LOG.warning("work behind a connection failed: %s", error)
    except Exception:
        # Task supervision: one connection's fault ends no other's.
        LOG.exception("fault in work behind a connection")


def _for_each(connections: Iterable[Connection], act: Callable[[Connection], None]) -> None:
    """Do this to all of them: a fault of one connection protects no other from its end."""
    for connection in connections:
        try:
            act(connection)
        except Exception:
            LOG.exception("fault in connection %s", connection.id)


def _place(path: str) -> tuple[str, Dialect]:
    """The path that a client came to, and what is spoken there by who offers no subprotocol."""
    for prefix, dialect in ((AGENT_PATH, Legacy()), (OLDER_AGENT_PATH, Wrapped())):
        if path.startswith(prefix):
            return prefix, dialect
    raise ArtcafeError(Code.not_found, "There is no WebSocket here.")


def _who(upgrade: Upgrade, path: str) -> tuple[TenantId, AgentId]:
    try:
        tenant = tenant_id(_one(upgrade, "tenant_id") or upgrade.headers.get("x-tenant-id", ""))
        return tenant, agent_id(upgrade.path.removeprefix(path))
    except ArtcafeError:
        # As little as for an agent that does not exist.
        raise ArtcafeError(Code.unauthorized) from None


def _one(upgrade: Upgrade, name: str) -> str | None:
    values = upgrade.query.get(name)
    return values[0] if values else None
