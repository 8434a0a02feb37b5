"""Logs the life of a WebSocket: connection, login or refusal, end (server.events)."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from artcafe.server import events
from artcafe.server.domain.ids import PATTERN
from artcafe.server.domain.principal import AgentPrincipal, Principal
from artcafe.server.gateway.sessions.authentication import DASHBOARD, IN_BAND, IN_URL, Claim
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

_ID = re.compile(PATTERN)


class LoggedConnection(Protocol):
    """The interface of a connection for the log."""

    @property
    def id(self) -> str:
        """Its identifier."""
        ...

    @property
    def remote(self) -> str:
        """The client's IP address."""
        ...

    @property
    def claim(self) -> Claim:
        """Who the client says to be."""
        ...

    @property
    def principal(self) -> Principal | None:
        """Who it is."""
        ...

    @property
    def frames_in(self) -> int:
        """Messages that came."""
        ...

    @property
    def frames_out(self) -> int:
        """Messages that were sent."""
        ...

    @property
    def login_ms(self) -> float | None:
        """Milliseconds since it began to prove who it is."""
        ...

    @property
    def ended_by(self) -> Code | None:
        """The error that this server closed it for."""
        ...


class LoggedUpgrade(Protocol):
    """The interface of a request to upgrade for the log."""

    @property
    def path(self) -> str:
        """The path, percent-decoded."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers by their lower-case names."""
        ...

    @property
    def remote(self) -> str:
        """The client's IP address."""
        ...

    def parameter(self, name: str) -> str | None:
        """The first of this name in the query."""
        ...


def claimed(upgrade: LoggedUpgrade, *, dashboard: bool) -> Claim:
    """Who a client says to be; what is no identifier is left out, for it may be anything."""
    tenant = _identifier(upgrade.parameter("tenant_id") or upgrade.headers.get("x-tenant-id", ""))
    if dashboard:
        return Claim(DASHBOARD, tenant)
    way = IN_BAND if upgrade.parameter("signature") is None else IN_URL
    return Claim(way, tenant, _identifier(upgrade.path.rpartition("/")[2]))


@contextmanager
def refusals(upgrade: LoggedUpgrade, connection_id: str, *, dashboard: bool) -> Iterator[None]:
    """Log an ArtcafeError by which a client is refused before the upgrade."""
    try:
        yield
    except ArtcafeError as error:
        if error.code is Code.not_found:
            events.note(
                events.HandshakeRefused(status=error.code.http, code=error.code.name, address=upgrade.remote)
            )
        else:
            _login_refused(error, claimed(upgrade, dashboard=dashboard), upgrade.remote, connection_id)
        raise


def connected(connection: LoggedConnection) -> None:
    """A WebSocket opened."""
    claim = connection.claim
    events.note(
        events.Connected(
            way=claim.way,
            tenant=claim.tenant,
            agent=claim.agent,
            address=connection.remote,
            connection=connection.id,
        )
    )


def login_refused(connection: LoggedConnection, error: ArtcafeError) -> None:
    """The login of a client on an open connection is refused."""
    _login_refused(error, connection.claim, connection.remote, connection.id, connection.login_ms)


def login_accepted(connection: LoggedConnection, principal: Principal) -> None:
    """A client is logged in."""
    agent = principal if isinstance(principal, AgentPrincipal) else None
    events.note(
        events.LoginAccepted(
            way=connection.claim.way,
            ms=connection.login_ms,
            tenant=principal.tenant,
            agent=None if agent is None else agent.agent,
            human=None if isinstance(principal, AgentPrincipal) else principal.user,
            key=None if agent is None else agent.fingerprint,
            address=connection.remote,
            connection=connection.id,
        )
    )


def slow_consumer(connection: LoggedConnection, queued: int) -> None:
    """A client is closed because it does not read."""
    tenant, agent, human = _who(connection)
    events.note(
        events.SlowConsumer(
            queued=queued,
            tenant=tenant,
            agent=agent,
            human=human,
            address=connection.remote,
            connection=connection.id,
        )
    )


def throttled(connection: LoggedConnection, code: Code) -> None:
    """A frame is refused, or a client closed, because of its rate."""
    tenant, agent, human = _who(connection)
    events.note(
        events.Throttled(
            code=code.name,
            tenant=tenant,
            agent=agent,
            human=human,
            address=connection.remote,
            connection=connection.id,
        )
    )


def disconnected(connection: LoggedConnection, code: int, seconds: float) -> None:
    """A WebSocket is gone."""
    tenant, agent, human = _who(connection)
    events.note(
        events.Disconnected(
            code=code,
            error=None if connection.ended_by is None else connection.ended_by.name,
            seconds=round(seconds, 3),
            frames_in=connection.frames_in,
            frames_out=connection.frames_out,
            tenant=tenant,
            agent=agent,
            human=human,
            address=connection.remote,
            connection=connection.id,
        )
    )


def _login_refused(
    error: ArtcafeError, claim: Claim, remote: str, connection: str, ms: float | None = None
) -> None:
    events.note(
        events.LoginRefused(
            way=claim.way,
            code=error.code.name,
            reason=error.reason,
            ms=ms,
            tenant=claim.tenant,
            agent=claim.agent,
            address=remote,
            connection=connection,
        )
    )


def _who(connection: LoggedConnection) -> tuple[str | None, str | None, str | None]:
    """Tenant, agent and human: the proven ones, else those that were claimed."""
    principal = connection.principal
    if principal is None:
        return connection.claim.tenant, connection.claim.agent, None
    if isinstance(principal, AgentPrincipal):
        return principal.tenant, principal.agent, None
    return principal.tenant, None, principal.user


def _identifier(text: str) -> str | None:
    return text if _ID.fullmatch(text) else None
