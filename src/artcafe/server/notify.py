"""Notifies systemd: ready, watchdog, stopping (sd_notify(3))."""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping

LOG = logging.getLogger("artcafe")


class Supervisor:
    """The supervisor of this process, if it asked for notifications; else every method does nothing.

    `beat_seconds` is how often it wants to hear that the event loop turns, halved; None for never.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of an abstract address (unix(7)).
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.beat_seconds = _beat(environment) if address else None

    @classmethod
    def of_this_process(cls) -> "Supervisor":
        """The one that the environment names."""
        return cls(os.environ)

    def tell(self, state: str) -> None:
        """Send a state, such as READY=1. That nobody takes it is logged: the service goes on."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there:
                there.setblocking(False)
                there.sendto(state.encode(), self._address)
        except OSError as error:
            LOG.warning("systemd could not be told %s: %s", state, error)

    async def beat(self) -> None:
        """Tell that the event loop turns, until cancelled or for as long as that is wanted."""
        while self.beat_seconds is not None:
            self.tell("WATCHDOG=1")
            await asyncio.sleep(self.beat_seconds)


def _beat(environment: Mapping[str, str]) -> float | None:
    wanted = environment.get("WATCHDOG_USEC", "")
    process = environment.get("WATCHDOG_PID", f"{os.getpid()}")
    if not wanted.isdecimal() or int(wanted) == 0 or process != f"{os.getpid()}":
        return None
    return int(wanted) / 2_000_000
