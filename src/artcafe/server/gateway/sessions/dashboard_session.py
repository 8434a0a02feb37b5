"""The session of a dashboard: adds previews and agents' presence to an agent's session."""

from artcafe.server.domain.access import Action, Rights, allows
from artcafe.server.domain.principal import Human
from artcafe.server.domain.rate import TokenBucket
from artcafe.server.gateway.dialects.dashboard import (
    PREVIEW,
    DashboardConnected,
    EndPreview,
    PresenceDialect,
    Preview,
    PreviewDialect,
    Renew,
    Renewed,
)
from artcafe.server.gateway.dialects.dialect import Dialect, IncomingFrame
from artcafe.server.gateway.fanout.hub import TenantHub
from artcafe.server.gateway.fanout.subscriber import Subscriber
from artcafe.server.gateway.sessions.agent_session import AgentSession
from artcafe.server.gateway.sessions.client import Client, Work
from artcafe.server.gateway.sessions.session_services import SessionServices
from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.subjects import parse_pattern
from artcafe.wire.times import rfc3339

RENEWALS_PER_SECOND = 0.1
RENEWALS_AT_ONCE = 5
"""Newer tokens that one connection may bring: each costs a signature and a look into the store."""

PRESENCE = "presence.*"

SHARED = ">"

OWN = "agents.*.>"
"""What is said to agents directly; for whom manages agents."""


class DashboardSession(AgentSession):
    """A human on one connection. The preview and the presence of agents are views of their own: a message
    that several of them show comes once for each."""

    answers = False

    def __init__(
        self,
        human: Human,
        rights: Rights,
        *,
        client: Client,
        dialect: Dialect,
        hub: TenantHub,
        limits: frames.Limits,
        services: SessionServices,
    ) -> None:
        super().__init__(
            human, rights, client=client, dialect=dialect, hub=hub, limits=limits, services=services
        )
        self._preview = Subscriber(client, PreviewDialect())
        self._presences = Subscriber(client, PresenceDialect())
        self.subscribers = (*self.subscribers, self._preview, self._presences)
        self._preview.filter(rights.hears)
        self._clock.read()
        self._renewals = TokenBucket(RENEWALS_PER_SECOND, RENEWALS_AT_ONCE, self._clock.monotonic)
        self._presences.filter(lambda _: False)  # Until the client is told that it is in.

    @property
    def human(self) -> Human:
        """The human."""
        assert isinstance(self.principal, Human)
        return self.principal

    async def begin(self, connection: str, heartbeat_seconds: float) -> None:
        """Listen to agents coming and going, then tell the client that it is in. Raises unavailable."""
        await self._show(self._presences, PRESENCE)
        human = self.human
        self._answers.send(
            DashboardConnected(
                tenant_id=human.tenant, tenant=human.tenant, user_id=human.user, role=human.role
            )
        )
        self._presences.filter(self._rights.hears)

    def _handle(self, frame: IncomingFrame) -> Work | None:
        match frame:
            case Preview():
                self._charge()
                return self._begin_preview(frame)
            case EndPreview():
                self._charge()
                return self._end_preview(frame)
            case Renew():
                self._clock.read()
                wait = self._renewals.spend(self._clock.monotonic)
                if wait > 0.0:
                    raise ArtcafeError(Code.rate_limited, retry_after=wait)
                self._charge()
                return self._renew(frame)
        return super()._handle(frame)

    async def _begin_preview(self, frame: Preview) -> None:
        try:
            await self._show(self._preview, SHARED)
            if allows(self.human, Action.manage_agents):
                await self._show(self._preview, OWN)
        except ArtcafeError as error:
            self._answers.refuse(error, frame.id)
        else:
            self._answers.send(frames.Subscribed(subject=PREVIEW, id=frame.id))

    async def _end_preview(self, frame: EndPreview) -> None:
        await self.hub.leave(self._preview)
        self._answers.send(frames.Unsubscribed(subject=PREVIEW, id=frame.id))

    async def _show(self, subscriber: Subscriber, pattern: str) -> None:
        address = parse_pattern(pattern, self.principal.tenant)
        self._rights.check_subscribe(address, queue=False)
        await self.hub.subscribe(subscriber, pattern, address, None)

    async def _renew(self, frame: Renew) -> None:
        try:
            expires = await self._client.renew(frame.token)
        except ArtcafeError as error:
            self._answers.refuse(error, frame.id)
        else:
            self._answers.send(Renewed(expires_at=rfc3339(expires), id=frame.id))
