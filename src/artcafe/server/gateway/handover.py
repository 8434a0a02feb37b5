"""Where uvicorn hands a connection over: here it waits until the endpoint has decided."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol, cast

from artcafe.server.domain.addresses import Networks
from artcafe.server.gateway.handshake import Accept, Endpoint, Refuse, Upgrade, read_upgrade
from artcafe.server.gateway.peer import Limits
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe.gateway")


class ServerState(Protocol):
    """What uvicorn shares with its protocols.

    When it stops, it calls `shutdown` on every connection, then waits for connections and tasks to
    go: whatever is added here must leave by itself.
    """

    connections: set[Any]
    tasks: set[asyncio.Task[None]]
    default_headers: list[tuple[bytes, bytes]]


Admit = Callable[[asyncio.Transport, Upgrade, Accept, bytes], None]
"""Takes the transport over, with the bytes that came early, and leaves a protocol of its own on it."""


class Handover(asyncio.Protocol):
    """One request to upgrade.

    uvicorn calls `connection_made`, then `data_received` with the whole request, spelt anew, and
    then makes this the transport's protocol. Until somebody is admitted, the connection is here.
    """

    def __init__(
        self, endpoint: Endpoint, admit: Admit, limits: Limits, proxies: Networks, state: ServerState
    ) -> None:
        self._endpoint = endpoint
        self._admit = admit
        self._limits = limits
        self._proxies = proxies
        self._state = state
        self._early: bytes | None = None
        self._task: asyncio.Task[None] | None = None
        self._abort: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio.Protocol: uvicorn hands over a socket whose next bytes are an upgrade request."""
        self._transport = cast("asyncio.Transport", transport)
        self._state.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """asyncio.Protocol: the request, whole, as uvicorn rebuilt it; then whatever came too early."""
        if self._early is not None:
            # The client did not wait for the answer, which RFC 6455 section 4.1 forbids. One read of
            # this is kept; only a client that does wait is noticed when it leaves.
            self._early += data
            self._transport.pause_reading()
            return
        self._early = b""
        peername = self._transport.get_extra_info("peername")
        upgrade = read_upgrade(data, peername[0] if peername else "", self._proxies)
        if isinstance(upgrade, Refuse):
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
        if self._transport.is_closing():
            return
        self._transport.write(answer.response(self._state.default_headers))
        self._transport.close()
        loop = asyncio.get_running_loop()
        self._abort = loop.call_later(self._limits.close_seconds, self._transport.abort)
