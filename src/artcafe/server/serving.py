"""One process that serves: the platform behind a listening socket, from its start to its last word."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn

from artcafe.server.app import Platform
from artcafe.server.settings import Settings

LOG = logging.getLogger("artcafe")


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
                http="httptools",
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=round(settings.drain_seconds) + 1,
            )
        )
        self.fault: Exception | None = None
        """Why it stops, where somebody else found a reason."""
        self._gateway = opened.gateway
        self._drain_seconds = settings.drain_seconds
        self._notice_seconds = settings.drain_notice_seconds
        self._ready = ready
        self._stopping = stopping

    def stop(self, number: int) -> None:
        """Begin to stop, as for this signal; a second SIGINT cuts it short."""
        self.handle_exit(number, None)

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
        await self._gateway.stop(self._drain_seconds, notice=self._notice_seconds)
        await super().shutdown(sockets)


def on_signals(stop: Callable[[int], object]) -> None:
    """Call this with the number of a signal that wants the process to stop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
