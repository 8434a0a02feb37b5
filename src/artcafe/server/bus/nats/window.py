"""The window of bytes in flight to a nats-server: sent, and not yet confirmed."""

import asyncio
from collections import deque

WINDOW_BYTES = 256 * 1024
"""The most bytes in flight: the most that a broken connection can lose."""

_PING = b"PING\r\n"
_END = b"\r\n"


class Window:
    """Writes commands in the order in which they were handed over, in one write per turn of the event
    loop."""

    __slots__ = ("_asked", "_call_soon", "_confirmed", "_leaving", "_most", "_pongs", "_sent", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._transport: asyncio.Transport | None = None
        # Who waits for each PONG to come, and how much had been handed over when it was asked for.
        self._pongs: deque[tuple[asyncio.Future[bool] | None, int]] = deque()
        self._sent = self._asked = self._confirmed = 0
        self._most = WINDOW_BYTES  # Compiled, a number of C.
        # Bounded by the window, and one command for each subscription.
        self._leaving: list[bytes] = []

    def open(self, transport: asyncio.Transport) -> None:
        """Write to this transport from now on."""
        self._transport = transport

    @property
    def unconfirmed(self) -> int:
        """How many bytes were handed over that the server has not confirmed."""
        return self._sent - self._confirmed

    @property
    def settled(self) -> bool:
        """Whether the server confirmed everything, and nobody waits."""
        return self._sent == self._confirmed and not self._pongs

    def send(self, command: bytes, payload: bytes | None = None) -> bool:
        """Hand over a command of the NATS protocol, whole, or its line and its payload apart; False, and not
        taken, while the window is full."""
        if self._sent - self._confirmed >= self._most:
            return False
        self.write(command)
        self._sent += len(command)
        if payload is not None:
            self._leaving.append(payload)
            self._leaving.append(_END)
            self._sent += len(payload) + 2
        # Asked before the window is full, so that the answer comes before there is nothing to do.
        if self._sent - self._asked >= self._most // 2:
            self.ping(None)
        return True

    def ping(self, pong: asyncio.Future[bool] | None) -> None:
        """Ask for confirmation: `pong` gets True when the server has everything handed over before."""
        self._asked = self._sent
        self._pongs.append((pong, self._sent))
        self.write(_PING)

    def write(self, command: bytes) -> None:
        """Hand over a command that needs no confirmation."""
        if not self._leaving:
            self._call_soon(self.flush)
        self._leaving.append(command)

    def confirm(self) -> bool:
        """Take a PONG; False when none was asked for."""
        if not self._pongs:
            return False
        pong, self._confirmed = self._pongs.popleft()
        if pong is not None and not pong.done():
            pong.set_result(True)
        return True

    def flush(self) -> None:
        """Write the commands of this turn now."""
        if self._leaving and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._leaving))
        self._leaving.clear()

    def give_up(self) -> None:
        """Resolve every waiting ping with False: confirmation cannot be known."""
        for pong, _ in self._pongs:
            if pong is not None and not pong.done():
                pong.set_result(False)
        self._pongs.clear()
