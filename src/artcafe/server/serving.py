"""One serving process: the platform behind a listening socket, from its start to its shutdown."""

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from importlib import import_module

import uvicorn

from artcafe.server.app import VERSION, Platform
from artcafe.server.edge.connections import OpenConnections
from artcafe.server.edge.limits import HttpLimits
from artcafe.server.edge.protocol import http_protocol
from artcafe.server.names import trusted_proxies
from artcafe.server.process import SystemClock
from artcafe.server.settings import Settings
from artcafe.server.telemetry.exposition import Exposition
from artcafe.server.telemetry.telemetry import TRACING, Telemetry

LOG = logging.getLogger("artcafe")

FILES_FOR_THE_REST = 64
"""Open files beside the connections of clients, at least: the store, links to the bus, logs."""

SCRAPERS = 16
"""Open connections to the port of `/metrics`."""

FRESH_SECONDS = 1.0
"""How long a process whose place is taken waits for the first request of clients that it accepted before."""


class Server(uvicorn.Server):
    """uvicorn, which tells when it answers and when it stops, and sends WebSockets away first."""

    def __init__(
        self,
        settings: Settings,
        opened: Platform,
        ready: Callable[[], None],
        stopping: Callable[[], None],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                opened.app,
                ws=opened.websocket,
                http=http_protocol(http_limits(settings), trusted_proxies(settings)),
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=round(settings.drain_seconds) + 1,
            )
        )
        most, most_per_address = connection_bounds(settings, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        self._connections = OpenConnections(most, most_per_address)
        self.server_state.connections = self._connections  # type: ignore[assignment]  # uvicorn's is a set of what it knows
        self.fault: Exception | None = None
        """Why it stops, where somebody else found a reason."""
        self._gateway = opened.gateway
        self._drain_seconds = settings.drain_seconds
        self._notice_seconds = settings.drain_notice_seconds
        self._ready = ready
        self._stopping = stopping
        self._replaced = False

    def stop(self, number: int) -> None:
        """Begin to stop, as for this signal; a second SIGINT cuts it short."""
        self.handle_exit(number, None)

    def replaced(self) -> None:
        """Begin to stop, because another process accepts on the same sockets: first stop accepting."""
        self._replaced = self.should_exit = True

    def renew(self) -> None:
        """Go on: one process alone cannot take its own place."""
        LOG.warning("SIGHUP renews workers, and there are none (--workers); restart instead")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn would raise a signal again once it is done, and so end the process before the rest is
        stopped and written; ours are handled for the whole life of the process."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        # What is loaded by now stays. The collector would go through these hundred thousand objects again
        # and again while connections come, which is a fifth of what a login costs.
        gc.collect()
        gc.freeze()
        # Each connection makes some hundred objects that stay; 700 of them, the default, would call it for
        # every few logins.
        gc.set_threshold(10_000)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Send the agents away while the bus still carries what they sent, then stop listening."""
        self._stopping()
        if self._replaced:
            await self._hand_over(sockets or [])
        await self._gateway.stop(self._drain_seconds, notice=0.0 if self._replaced else self._notice_seconds)
        await super().shutdown(sockets)

    async def _hand_over(self, sockets: list[socket.socket]) -> None:
        """Leave whoever connects to the process that listens on the same sockets by now.

        Who was accepted here is served first: refused with 503 he would think that the service is away.
        """
        for server in self.servers:
            server.close()
        for each in sockets:
            each.close()  # The sockets themselves stay open, in other processes.
        self._connections.retire()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FRESH_SECONDS):
                while True:
                    await asyncio.sleep(0.02)  # First, since who was accepted is known a turn later.
                    if not self._connections.fresh:
                        break


def telemetry_of(settings: Settings) -> Telemetry | None:
    """What measures this process, and traces what it does; None where nobody wants either."""
    tracing = None
    if settings.otlp_endpoint is not None:
        tracing = import_module(TRACING).Tracing(
            settings.otlp_endpoint, settings.trace_ratio, SystemClock(), VERSION
        )
    if tracing is None and settings.metrics_port is None:
        return None
    return Telemetry(SystemClock(), VERSION, tracing)


class MetricsServer(uvicorn.Server):
    """uvicorn on the port of `/metrics`: a process of its own as far as clients are concerned, and no
    WebSockets."""

    def __init__(self, settings: Settings, exposition: Exposition) -> None:
        super().__init__(
            uvicorn.Config(
                exposition,
                ws="none",
                http=http_protocol(http_limits(settings), ()),
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            )
        )
        self.server_state.connections = OpenConnections(SCRAPERS, SCRAPERS)  # type: ignore[assignment]  # as above

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As Server."""
        yield

    async def run_until_cancelled(self, listener: socket.socket) -> None:
        """Serve; what is being answered when it is cancelled gets a second."""
        try:
            await self.serve(sockets=[listener])
        finally:
            await self.shutdown([listener])


def connection_bounds(settings: Settings, files: int) -> tuple[int, int]:
    """How many connections there may be, in all and per address, where a process may open so many files."""
    if files < 0:  # RLIM_INFINITY
        files = 1_048_576
    fits = max(files - max(FILES_FOR_THE_REST, files // 8), 8)
    most = settings.max_connections or fits
    return most, settings.max_connections_per_address or max(most // 2, 1)


def http_limits(settings: Settings) -> HttpLimits:
    """The limits of HTTP as the settings have them."""
    return HttpLimits(
        head_bytes=settings.max_head_bytes,
        head_fields=settings.max_head_fields,
        head_seconds=settings.head_seconds,
        body_seconds=settings.body_seconds,
        idle_seconds=settings.keep_alive_seconds,
        answer_seconds=settings.answer_seconds,
        pipelined=settings.max_pipelined_requests,
    )


def on_signals(stop: Callable[[int], object]) -> None:
    """Call this with the number of a signal that wants the process to stop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
