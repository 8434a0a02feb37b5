"""The registry of open connections: HTTP and WebSockets counted together, in all and by address."""

from typing import Protocol

from artcafe.server import events
from artcafe.server.domain.addresses import network_of
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


class OpenConnection(Protocol):
    """A counted connection.

    `remote` is the client's IP address, and "" where it is not known: behind a trusted proxy until the
    request says it, and on a Unix socket. Such a connection counts in all, but for no address.
    """

    @property
    def remote(self) -> str:
        """It stays the same while the connection is here."""


class Idle(OpenConnection, Protocol):
    """A connection on which the server waits for the client: for a request, or for the rest of one."""

    def evict(self) -> None:
        """Leave the registry and close, now."""

    def shutdown(self) -> None:
        """Close with the answer that is being made, or now where none is."""


class OpenConnections(set[OpenConnection]):
    """uvicorn's set of open connections, which knows how many there may be.

    A connection whose client owes the next bytes holds its place only until somebody else needs it: where
    the bound is reached, the one that has been silent longest makes room. IPv6 addresses count by their
    /64, which one client has all of.
    """

    def __init__(self, most: int, most_per_address: int) -> None:
        super().__init__()
        self.most = most
        self.most_per_address = most_per_address
        self.refused = 0
        self.evicted = 0
        self.retiring = False
        """Each connection takes one request at most from now on: see `retire`."""
        self._fresh: set[OpenConnection] = set()
        self._counts: dict[str, int] = {}
        # Dictionaries keep their order: who is idle longest comes first.
        self._idle: dict[Idle, None] = {}
        self._idle_by_address: dict[str, dict[Idle, None]] = {}

    @property
    def fresh(self) -> int:
        """How many clients connected and have not sent their first request yet."""
        return len(self._fresh)

    def retire(self) -> None:
        """Wait for no second request on any connection: another process takes them now.

        A connection without a request in progress is closed, another one when its answer is sent. From a
        client that connected and has sent no request yet, that one is taken: it cannot know.
        """
        self.retiring = True
        for connection in list(self._idle):
            self._close_if_served(connection)

    def add(self, connection: OpenConnection) -> None:
        """Count it."""
        if connection not in self:
            super().add(connection)
            key = network_of(connection.remote)
            if key:
                self._counts[key] = self._counts.get(key, 0) + 1

    def connected(self, connection: Idle) -> None:
        """Count it; its client owes the first request."""
        self.add(connection)
        self._fresh.add(connection)
        self.idle(connection)

    def discard(self, connection: OpenConnection) -> None:  # type: ignore[override]  # nothing else is asked of it
        """Count it no more; nothing happens when it is not here."""
        if connection not in self:
            return
        super().discard(connection)
        key = network_of(connection.remote)
        if key:
            left = self._counts[key] - 1
            if left:
                self._counts[key] = left
            else:
                del self._counts[key]
        self.busy(connection)

    def idle(self, connection: Idle) -> None:
        """From now on its client owes the next bytes; it may have to make room."""
        self._no_longer_idle(connection)
        self._idle[connection] = None
        key = network_of(connection.remote)
        if key:
            self._idle_by_address.setdefault(key, {})[connection] = None
        if self.retiring:
            self._close_if_served(connection)

    def busy(self, connection: OpenConnection) -> None:
        """Its client waits for the server; nothing happens when it was not idle."""
        self._fresh.discard(connection)
        self._no_longer_idle(connection)

    def _close_if_served(self, connection: Idle) -> None:
        if connection not in self._fresh:
            connection.shutdown()

    def _no_longer_idle(self, connection: OpenConnection) -> None:
        if connection not in self._idle:
            return
        del self._idle[connection]
        key = network_of(connection.remote)
        if key:
            quiet = self._idle_by_address[key]
            del quiet[connection]
            if not quiet:
                del self._idle_by_address[key]

    def count(self, remote: str) -> int:
        """Open connections of this address."""
        return self._counts.get(network_of(remote), 0)

    def make_room(self, remote: str) -> None:
        """Make room for one more connection of this address, by closing an idle one where that is needed.

        Raises ArtcafeError: too_many_connections for the address, unavailable for the whole server.
        """
        key = network_of(remote)
        if key and self._counts.get(key, 0) >= self.most_per_address:
            self._evict(self._idle_by_address.get(key), Code.too_many_connections, remote)
        if len(self) >= self.most:
            self._evict(self._idle, Code.unavailable, remote)

    def _evict(self, idle: dict[Idle, None] | None, code: Code, remote: str) -> None:
        if idle:
            self.evicted += 1
            next(iter(idle)).evict()
            return
        self.refused += 1
        events.note(events.ConnectionRefused(reason=code.name, status=code.http, address=remote))
        raise ArtcafeError(code, "There are too many connections at the moment.", retry_after=1.0)
