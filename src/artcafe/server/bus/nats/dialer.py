"""Makes the connections of a link: tries its servers in order, and paces the attempts."""

import logging
import ssl
from collections.abc import Callable, Sequence

from artcafe.server.bus.nats.connection import NatsConnection, NotConnectedError
from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.bus.nats.greeting import Info
from artcafe.server.bus.nats.refusals import Refusal
from artcafe.server.bus.nats.servers import ServerAddress, ServerPool

_STEADY_SECONDS, _PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 0.02, 2.0

LOG = logging.getLogger(__name__)


class Dialer:
    """Connects with the same credentials, name and TLS each time, to any server that the pool knows."""

    def __init__(
        self,
        servers: ServerPool,
        credentials: NatsCredentials,
        name: str,
        *,
        jitter: Callable[[], float],
        echo: bool,
        tls: ssl.SSLContext | None,
        refused: Callable[[], object],
    ) -> None:
        """As for NatsLink."""
        self._servers = servers
        self._credentials = credentials
        self._name = name
        self._jitter = jitter
        self._echo = echo
        self._tls = tls
        self._refused = refused
        self._server = servers.order()[0]  # Where the last connection led.
        self._attempt = 0
        self._share = 1.0

    @property
    def known(self) -> Sequence[ServerAddress]:
        """The servers that are known, in the order in which they are tried."""
        return self._servers.order()

    async def connect(self, answered: Callable[[], None]) -> NatsConnection:
        """Try every known server once. `answered` is as for NatsConnection.

        Raises what the last server tried raised: NotConnectedError, OSError or ValueError; and what `jitter`
        raises, so that no fault in it is met between two attempts.
        """
        self._share = 0.5 + self._jitter()
        failure: Exception = NotConnectedError("no server is known")
        for server in self._servers.order():
            connection = NatsConnection(answered)
            try:
                await connection.open(server, self._credentials, self._name, self._tls, echo=self._echo)
            except (NotConnectedError, OSError, ValueError) as error:
                self._servers.failed(server)
                LOG.debug("%s cannot connect to %s: %s", self._name, server, error)
                failure = error
                if connection.refusal is Refusal.login:
                    self._refused()
            else:
                self._server = server
                return connection
        raise failure

    def ended(self, seconds: float) -> None:
        """The last connection ended after so many seconds: its server is tried last next time."""
        self._servers.failed(self._server)
        if seconds >= _STEADY_SECONDS:
            self._attempt = 0

    def learn(self, info: Info) -> None:
        """Take the servers that the connected one announces."""
        # A server that is going to stop announces the others only; else none means that it announces none.
        if info.connect_urls or info.ldm:
            self._servers.learn(self._server, info.connect_urls)

    def pause(self) -> float:
        """Returns how many seconds to wait before the next attempt: more after each, unless a connection
        lasted."""
        pause = min(_PAUSE_SECONDS * 2.0**self._attempt, _LONGEST_PAUSE_SECONDS)
        self._attempt = min(self._attempt + 1, 10)
        return pause * self._share
