"""The protocol of a socket that the HTTP edge passed on, until the endpoint has decided."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol, cast

from artcafe.server import events
from artcafe.server.domain.addresses import Networks
from artcafe.server.gateway.websocket.handshake import Accept, Endpoint, Refuse, Upgrade, read_upgrade
from artcafe.server.gateway.websocket.peer import SocketLimits
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe.gateway")


class Connections(Protocol):
    """The open connections, each with its client's IP address as `remote`; "" counts for no address."""

    def add(self, connection: Any) -> None:
        """Count it."""

    def discard(self, connection: Any) -> None:
        """Count it no more."""

    def make_room(self, remote: str) -> None:
        """Raises ArtcafeError(too_many_connections or unavailable) where this address has no room for one."""


class ServerState(Protocol):
    """What uvicorn shares with its protocols.

    When it stops, it calls `shutdown` on every connection, then waits for connections and tasks to
    go: whatever is added here must leave by itself.
    """

    connections: Connections
    tasks: set[asyncio.Task[None]]
    default_headers: list[tuple[bytes, bytes]]


Admit = Callable[[asyncio.Transport, Upgrade, Accept, bytes], None]
"""Takes the transport over, with the bytes that came early, and leaves a protocol of its own on it."""


class UpgradeProtocol(asyncio.Protocol):
    """One request to upgrade.

    The HTTP edge calls `connection_made`, then `data_received` with the whole head of the request,
    and again with whatever came behind it. Until somebody is admitted, the connection is here.
    """

    def __init__(
        self, endpoint: Endpoint, admit: Admit, limits: SocketLimits, proxies: Networks, state: ServerState
    ) -> None:
        self._endpoint = endpoint
        self._admit = admit
        self._limits = limits
        self._proxies = proxies
        self._state = state
        self.remote = ""
        self._early: bytes | None = None
        self._refused = False
        self._task: asyncio.Task[None] | None = None
        self._abort: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio.Protocol: here is a socket whose next bytes are an upgrade request."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """asyncio.Protocol: the head of the request, whole; then whatever came too early."""
        if self._refused:
            return
        if self._early is not None:
            # The client did not wait for the answer, which RFC 6455 section 4.1 forbids. One read of
            # this is kept; only a client that does wait is noticed when it leaves.
            self._early += data
            self._transport.pause_reading()
            return
        self._early = b""
        peername = self._transport.get_extra_info("peername")
        upgrade = read_upgrade(data, peername[0] if peername else "", self._proxies)
        if not isinstance(upgrade, Refuse):
            upgrade = self._with_a_place(upgrade)
        self._state.connections.add(self)
        if isinstance(upgrade, Refuse):
            events.note(
                events.HandshakeRefused(status=upgrade.status, address=peername[0] if peername else "")
            )
            self._refuse(upgrade)
            return
        # A task beside those of REST requests: uvicorn waits for them when it stops, or cancels them.
        self._task = asyncio.get_running_loop().create_task(self._decide(upgrade))
        self._state.tasks.add(self._task)
        self._task.add_done_callback(self._state.tasks.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio.Protocol: the client left before it was answered, or was refused."""
        self._state.connections.discard(self)
        if self._task is not None:
            self._task.cancel()
        if self._abort is not None:
            self._abort.cancel()

    def shutdown(self) -> None:
        """Called by uvicorn when it stops."""
        self._refuse(Refuse.because(ArtcafeError(Code.going_away)))

    def _with_a_place(self, upgrade: Upgrade) -> Upgrade | Refuse:
        """Take a place among the connections of the client, whose address is known only now."""
        try:
            self._state.connections.make_room(upgrade.remote)
        except ArtcafeError as error:
            return Refuse.because(error)
        self.remote = upgrade.remote
        return upgrade

    async def _decide(self, upgrade: Upgrade) -> None:
        try:
            async with asyncio.timeout(self._limits.handshake_seconds):
                answer = await self._endpoint(upgrade)
            if isinstance(answer, Accept):
                self._accept(upgrade, answer)
                return
        except ArtcafeError as error:
            answer = Refuse.because(error)
        except TimeoutError:
            LOG.warning("the endpoint took longer than %s s", self._limits.handshake_seconds)
            answer = Refuse.because(ArtcafeError(Code.unavailable))
        except Exception:
            LOG.exception("the endpoint failed")
            answer = Refuse.because(ArtcafeError(Code.internal))
        self._refuse(answer)

    def _accept(self, upgrade: Upgrade, answer: Accept) -> None:
        if self._transport.is_closing():
            return
        if answer.protocol is not None and answer.protocol not in upgrade.protocols:
            raise ValueError("the endpoint chose a subprotocol that the client did not offer")
        self._transport.resume_reading()
        self._admit(self._transport, upgrade, answer, self._early or b"")
        self._state.connections.discard(self)

    def _refuse(self, answer: Refuse) -> None:
        if self._transport.is_closing() or self._refused:
            return
        self._transport.write(answer.response(self._state.default_headers))
        # What the client still sends is read and dropped until it hangs up: closing at once would make the
        # kernel answer it with a reset that overtakes the refusal.
        self._refused = True
        self._transport.resume_reading()
        loop = asyncio.get_running_loop()
        self._abort = loop.call_later(self._limits.close_seconds, self._transport.abort)
        try:
            self._transport.write_eof()
        except OSError:
            self._transport.abort()
