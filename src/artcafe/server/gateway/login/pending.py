"""The registry of pending logins, bounded in number and time, with recent revocations."""

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

from artcafe.server.domain.login_refusal import LoginRefusal
from artcafe.server.domain.principal import Principal
from artcafe.server.domain.revocation import Revocation
from artcafe.server.gateway.sessions.connection import Connection
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

LOGIN_SECONDS = 30.0
"""How long a connection may take to prove its agent."""

REMEMBER_SECONDS = 60.0
"""How long a revocation is remembered, for logins that began before it."""


class PendingLogins:
    """Logins that are not decided: connections that opened, and clients still at the endpoint.

    No more than `most` at once, and `most_per_address` from one address. Times are of ports.Clock's
    `monotonic`.
    """

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._connections: dict[Connection, None] = {}
        self._by_address: Counter[str] = Counter()
        self._revocations: deque[tuple[float, Revocation]] = deque()

    def require_room(self, remote: str) -> None:
        """Raises too_many_connections when no more may log in from this address."""
        if self._by_address.total() >= self._most or self._by_address[remote] >= self._most_per_address:
            raise ArtcafeError(
                Code.too_many_connections, "Too many connections wait for their login.", retry_after=1.0
            )

    @contextmanager
    def counted(self, remote: str) -> Iterator[None]:
        """Count a client at the endpoint for the time of the block. Raises too_many_connections."""
        self.require_room(remote)
        self._by_address[remote] += 1
        try:
            yield
        finally:
            self._uncount(remote)

    def add(self, connection: Connection) -> None:
        """A socket opened."""
        self._connections[connection] = None
        self._by_address[connection.remote] += 1

    def discard(self, connection: Connection) -> None:
        """It is admitted, or gone. Nothing happens when it was discarded before."""
        if connection in self._connections:
            del self._connections[connection]
            self._uncount(connection.remote)

    def __iter__(self) -> Iterator[Connection]:
        """The connections, as they are now."""
        return iter(tuple(self._connections))

    def __len__(self) -> int:
        """How many there are."""
        return len(self._connections)

    def __bool__(self) -> bool:
        """Whether there is any connection."""
        return bool(self._connections)

    def late(self, now: float) -> list[Connection]:
        """The connections that took too long."""
        return [connection for connection in self if now - connection.since > LOGIN_SECONDS]

    def revoked(self, revocation: Revocation, now: float) -> None:
        """Remember a revocation: a client whose login is pending may have shown its key before."""
        while self._revocations and now - self._revocations[0][0] > REMEMBER_SECONDS:
            self._revocations.popleft()
        self._revocations.append((now, revocation))

    def require_right(self, connection: Connection, principal: Principal) -> None:
        """Raises unauthorized for a client that left, or lost its right while its login was pending."""
        if any(
            at >= connection.since and revocation.covers(principal) for at, revocation in self._revocations
        ):
            raise ArtcafeError(Code.unauthorized, reason=LoginRefusal.revoked_meanwhile)
        if connection.gone():
            raise ArtcafeError(Code.unauthorized, reason=LoginRefusal.left_meanwhile)

    def _uncount(self, remote: str) -> None:
        self._by_address[remote] -= 1
        if self._by_address[remote] == 0:
            del self._by_address[remote]
