"""Re-evaluates the permissions of live connections after a change."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from functools import partial

from artcafe.server.domain.access import Rights
from artcafe.server.domain.agent import AgentRules
from artcafe.server.domain.change import Change, Kind
from artcafe.server.domain.ids import TenantId
from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.server.domain.plan import Plan, plan_of
from artcafe.server.domain.policy import Policy
from artcafe.server.domain.principal import AgentPrincipal, Human, Principal
from artcafe.server.domain.tenant import TenantRules, require_served
from artcafe.server.gateway.login.humans import HumanLogin
from artcafe.server.gateway.registry import ConnectionRegistry
from artcafe.server.gateway.sessions.agent_session import AgentSession
from artcafe.server.gateway.sessions.client import Work
from artcafe.server.gateway.sessions.connection import Connection
from artcafe.server.gateway.staggered import each, supervised
from artcafe.server.ports.bus import Bus
from artcafe.server.ports.records import Directory
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe.gateway")

RETRY_SECONDS = 1.0
"""When rights are asked for again that could not be read."""

RECHECKED_AT_ONCE = 8
"""About how many connections the store is asked at once when everybody is asked about."""


class Reauthorization:
    """Reads the rights and limits of connections. `start` runs work as a task of the gateway's."""

    def __init__(
        self,
        directory: Directory,
        humans: HumanLogin,
        registry: ConnectionRegistry,
        bus: Bus,
        start: Callable[[Work], None],
    ) -> None:
        self._directory = directory
        self._humans = humans
        self._registry = registry
        self._bus = bus
        self._start = start

    async def now(self, connection: Connection, principal: Principal) -> tuple[Principal, Rights, Plan]:
        """Who it is, what it may and by which limits: read again where a change came meanwhile, or a newer
        token.

        Raises unauthorized for an agent that is gone or disabled, or whose key is not active any more,
        forbidden for who is no member any more, suspended, unreadable_record and unavailable.
        """
        while True:
            version = connection.authorization.version
            principal = connection.principal or principal
            record = await self._served(principal.tenant)
            policy = Policy()
            if isinstance(principal, Human):
                principal = await self._humans.again(principal)
            else:
                policy = (await self._admissible(principal)).policy
            rules = await self._directory.rules(principal.tenant)
            if connection.authorization.version == version:
                return principal, Rights(principal, policy, rules), plan_of(record)

    async def _admissible(self, principal: AgentPrincipal) -> AgentRules:
        """Raises unauthorized for an agent that is gone or disabled, or whose key is not active any more."""
        agent = await self._directory.agent(principal.tenant, principal.agent)
        if agent is None:
            raise ArtcafeError(Code.unauthorized, reason=LoginRefusal.unknown_agent)
        if not agent.enabled:
            raise ArtcafeError(Code.unauthorized, reason=LoginRefusal.agent_disabled)
        if all(key.fingerprint != principal.fingerprint for key in agent.active_keys()):
            raise ArtcafeError(Code.unauthorized, reason=LoginRefusal.revoked_meanwhile)
        return agent

    async def _served(self, tenant: TenantId) -> TenantRules:
        """Raises unauthorized for a tenant that is gone, suspended."""
        record = await self._directory.tenant(tenant)
        if record is None:
            raise ArtcafeError(Code.unauthorized, reason=LoginRefusal.unknown_tenant)
        require_served(record)
        return record

    def changed(self, change: Change) -> None:
        """Let everybody whom a change concerns live by the rights and limits that follow from it."""
        if change.kind is Kind.tenant:
            here = self._registry.tenant(change.tenant)
            for connection in here:
                connection.authorization.change()
            if here:
                self._start(self._tenant_changed(change.tenant))
            return
        for connection in self._registry.tenant(change.tenant):
            if connection.principal is not None and _concerns(change, connection.principal):
                connection.authorization.change()
                if connection.session is not None and connection.authorization.begin_refresh():
                    self._start(self._refresh(connection, connection.session))

    async def renewed(self, connection: Connection) -> None:
        """A connection was renewed: what its newer token grants counts when this returns.

        Where a change is being read for the connection already, it counts as soon as that is done.
        """
        if connection.session is not None and connection.authorization.begin_refresh():
            await self._refresh(connection, connection.session)

    def words_missed(self) -> None:
        """Read again what is being read of anybody's rights: it may be from before a change that was told
        unheard. About those of whom nothing is being read `recheck` asks."""
        for connection in self._registry:
            connection.authorization.change()

    async def recheck(self) -> None:
        """Ask about everybody, whatever was told, RECHECKED_AT_ONCE at a time. While the store is away it
        waits for it."""
        waiting = iter(self._registry)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(RECHECKED_AT_ONCE):
                tasks.create_task(self._recheck(waiting))

    async def _recheck(self, waiting: Iterator[Connection]) -> None:
        """Ask about one after the other of those who wait, which others take from, too."""
        for connection in waiting:
            if connection.session is not None and connection.authorization.begin_refresh():
                await supervised(self._refresh(connection, connection.session))
            await asyncio.sleep(0)  # What is remembered takes no turn of its own: messages come in between.

    async def _tenant_changed(self, tenant: TenantId) -> None:
        """Close who is connected to a tenant that is suspended or deleted; let others live by its limits."""
        while here := self._registry.tenant(tenant):
            try:
                record = await self._served(tenant)
            except ArtcafeError as error:
                if error.code is Code.unavailable:
                    LOG.warning("the tenant %s cannot be read now: %s", tenant, error)
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                if error.code is not Code.unreadable_record:
                    each(self._registry.tenant(tenant), partial(_end, error))
                    await self._bus.drop(tenant)
                return
            plan = plan_of(record)
            self._registry.know(tenant, plan.name)
            rate = plan.messages_per_second
            for connection in here:
                if connection.session is not None:
                    connection.session.set_rate(rate)
            return

    async def _refresh(self, connection: Connection, session: AgentSession) -> None:
        try:
            work = await self._apply(connection, session)
        finally:
            connection.authorization.end_refresh()
        if work is not None:
            await work

    async def _apply(self, connection: Connection, session: AgentSession) -> Work | None:
        """Let a connection live by its rights as they are now, as soon as they can be read."""
        while not connection.gone():
            try:
                principal, rights, plan = await self.now(connection, session.principal)
            except ArtcafeError as error:
                if error.code is not Code.unavailable:
                    _end(error, connection)
                    return None
                LOG.warning("the rights of connection %s cannot be read now: %s", connection.id, error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                connection.authorization.refreshed(principal)
                session.set_rate(plan.messages_per_second)
                return session.rights_changed(principal, rights)
        return None


def _end(refusal: ArtcafeError, connection: Connection) -> None:
    """Close who would be refused for this now."""
    if refusal.code in {Code.suspended, Code.unreadable_record}:
        connection.end(refusal.code)
    elif refusal.reason == LoginRefusal.revoked_meanwhile:
        connection.end(Code.key_revoked)
    else:
        connection.end(Code.removed)


def _concerns(change: Change, principal: Principal) -> bool:
    match change.kind:
        case Kind.channel:
            return True
        case Kind.agent:
            return isinstance(principal, AgentPrincipal) and principal.agent == change.id
        case Kind.member:
            return isinstance(principal, Human) and principal.user == change.id
    return False
