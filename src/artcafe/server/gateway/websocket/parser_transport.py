"""Adapts a connection's transport to the frame parser on it."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from artcafe.server.gateway.websocket.writer import Writer


class ParserTransport:
    """The transport that the parser gets, and its socket: the real one, but for closing and writing.

    Once it has answered the request, which goes to `answer`, the parser writes a CLOSE and nothing
    else: ours, or its own for a broken rule. That goes behind what the writer holds, and `close`
    follows, for then the parser hears no more. Left alone it would gather what a client still sends
    for another hundredth of a second, and that is tens of megabytes if the client likes.
    """

    __slots__ = ("_transport", "_writer", "answer", "close")

    def __init__(
        self,
        transport: asyncio.Transport,
        writer: Writer,
        close: Callable[[], None],
        answer: Callable[[bytes], None],
    ) -> None:
        self._transport = transport
        self._writer = writer
        self.close = close
        self.answer: Callable[[bytes], None] | None = answer

    def write(self, data: bytes) -> None:
        """As asyncio.Transport.write; after the answer, the last that is written."""
        if self.answer is not None:
            self.answer(data)
        else:
            self._writer.flush()
            self._transport.write(data)
            self.close()

    def get_write_buffer_size(self) -> int:
        """One byte, always: the parser writes past us to a socket for which nothing waits."""
        return 1

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As asyncio.Transport.get_extra_info. The two addresses are for a line that the log leaves out."""
        if name == "socket":
            return self
        return default if name in {"peername", "sockname"} else self._transport.get_extra_info(name, default)

    # The parser sets two options of the socket and reads four, for the same line. uvloop makes a new socket
    # for each, which took a twentieth of a login.

    def fileno(self) -> int:
        """As socket.socket.fileno."""
        number: int = self._transport.get_extra_info("socket").fileno()
        return number

    def setsockopt(self, *_: int) -> None:
        """TCP_NODELAY is set by every event loop, and TCP_QUICKACK lasts for a moment only."""

    def getsockopt(self, *_: int) -> int:
        """Nobody reads it."""
        return 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


DRAINED_AT_ONCE = 4 << 20
"""Bytes that are read behind our CLOSE as fast as they come: about what both kernels hold of a client."""

DRAIN_PAUSE = 0.01
"""Seconds between two reads of what comes after them."""


class Drain(asyncio.Protocol):
    """Reads and forgets, so that a client which is still sending gets our CLOSE and not a reset.

    Whoever goes on sending is read from slowly: a flood costs no more than some reads a second, until the
    client is cut off.
    """

    def __init__(self, transport: asyncio.Transport, last: asyncio.BaseProtocol) -> None:
        self._transport = transport
        self._last = last
        self._left = DRAINED_AT_ONCE

    def data_received(self, data: bytes) -> None:
        """Forget it."""
        self._left -= len(data)
        if self._left < 0 and not self._transport.is_closing():
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(DRAIN_PAUSE, self._read_on)

    def _read_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol that was there before."""
        self._last.connection_lost(exc)


def feed(parser: asyncio.BufferedProtocol, data: bytes) -> None:
    """Give bytes to a protocol as its transport would."""
    rest = memoryview(data)
    while rest:
        room = memoryview(parser.get_buffer(-1))
        size = min(len(room), len(rest))
        room[:size] = rest[:size]
        parser.buffer_updated(size)
        rest = rest[size:]


def hang_up(transport: asyncio.Transport, last: asyncio.BaseProtocol) -> None:
    """Say that nothing follows, and read what still comes until the client hangs up. `last` is told then."""
    if transport.is_closing():
        return
    transport.set_protocol(Drain(transport, last))
    transport.resume_reading()
    try:
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()
    except OSError:
        transport.abort()


class ParserFaults(logging.LoggerAdapter[logging.Logger]):
    """What the parser logs with a traceback, which is its own faults, and nothing else."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name is logging's
        """Spare it the trouble."""
        return False

    def log(self, level: int, msg: object, *args: object, **details: Any) -> None:
        """Pass on what has a traceback."""
        if details.get("exc_info"):
            self.logger.log(level, msg, *args, **details)
