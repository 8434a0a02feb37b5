"""One connection to a nats-server, used once: after its end its owner makes the next one."""

import asyncio
import itertools
import logging
import ssl
from collections.abc import Callable
from typing import Any, cast

from artcafe.server.bus.nats.credentials import NatsCredentials
from artcafe.server.bus.nats.greeting import Info, connect_line, read_info
from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.parser import Parser, ProtocolError
from artcafe.server.bus.nats.refusals import Refusal, denied_pattern, refusal
from artcafe.server.bus.nats.servers import ServerAddress
from artcafe.server.bus.nats.window import Window
from artcafe.server.ports.bus import Deliver

CONNECT_SECONDS = 3
PING_SECONDS = 20.0
UNANSWERED = 2
"""Pings of ours that may be unanswered when the next one is due."""

MOST_DENIED = 4096
LONGEST_PATTERN = 1024
"""Denied patterns that are remembered, for who subscribes at that moment, and the characters of each: a
server may deny what nobody asked for."""

SHOWN = 300
"""Characters of what a server refuses that are logged."""

_END_SECONDS = 1
_PING, _PONG = b"PING\r\n", b"PONG\r\n"
_NO_NATS = "something answers that does not speak as NATS does"

_log = logging.getLogger(__name__)


class NotConnectedError(Exception):
    """A connection failed before it was established; the message says why."""


class NatsConnection(asyncio.Protocol):
    """Commands leave through `window`. Messages of all subscriptions are delivered in the order of arrival,
    in the turn of the event loop after the read that brought them."""

    def __init__(self, answered: Callable[[], None], ping_seconds: float = PING_SECONDS) -> None:
        """`answered` is called after each confirmation (PONG) and each further INFO of the server."""
        self.ended = asyncio.Event()
        self.denied: dict[str, None] = {}
        """The patterns that the server denied last, MOST_DENIED at most."""
        self.crowded = 0
        """How many subscriptions the server had no room for."""
        self.fault = ""
        """Why it ended, as far as is known."""
        self.info = Info()
        self._loop = asyncio.get_running_loop()
        self.window = Window(self._loop)
        """There is room again when `answered` is called."""
        self._answered = answered
        self._ping_seconds = ping_seconds
        self._parser = Parser(self._said)
        self._numbers = itertools.count(1)
        self._takers: dict[int, Callable[[str, Any], None]] = {}
        self._delivering = False
        self._transport: asyncio.Transport | None = None
        self._greeted: asyncio.Future[bool] = self._loop.create_future()
        self._admitted: asyncio.Future[bool] = self._loop.create_future()
        self._introduced = False
        self._keeping: asyncio.TimerHandle | None = None
        self.refusal: Refusal | None = None
        self._unanswered = 0

    async def open(
        self,
        server: ServerAddress,
        credentials: NatsCredentials,
        name: str,
        tls: ssl.SSLContext | None = None,
        *,
        echo: bool = True,
    ) -> None:
        """Connect and log in; `tls` is how to trust a server, as the system does unless given. Without
        `echo`, what is sent here is not delivered here.

        Raises NotConnectedError, OSError or ValueError, and then nothing is left open.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._loop.create_connection(lambda: self, server.host, server.port)
                await self._reach(self._greeted)
                if server.secure or self.info.tls_required:
                    await self._secure(server, tls or ssl.create_default_context())
                self.window.write(connect_line(self.info, credentials, name, echo=echo) + _PING)
                self._introduced = True
                await self._reach(self._admitted)
        except BaseException:
            await self.end()
            raise
        self._keeping = self._loop.call_later(self._ping_seconds, self._keep)

    async def end(self) -> None:
        """Close, in any state. Waiting pings get False. Commands that were sent may be lost."""
        self.window.give_up()
        self._takers.clear()
        if self._transport is None or self.ended.is_set():
            return
        self.window.flush()
        self._transport.close()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await self.ended.wait()
        except TimeoutError:
            _log.debug("A NATS connection is closed with what was not sent")
        finally:
            self._transport.abort()

    def leave_server(self, why: str) -> None:
        """Abort the connection; `why` becomes its fault. `ended` is set soon after."""
        self.fault = self.fault or why
        if self._transport is not None:
            self._transport.abort()

    def take(self, pattern: str, queue: str | None, deliver: Deliver) -> int:
        """Subscribe; the number is for `leave`. A ping tells when the server knows."""
        number = next(self._numbers)
        self._takers[number] = deliver
        return self._subscribe(number, pattern, queue)

    def take_full(self, pattern: str, deliver: Callable[[str, FullMessage], None]) -> int:
        """As `take`, with the reply subject and the headers of each message."""
        number = next(self._numbers)
        self._takers[number] = deliver
        self._parser.full.add(number)
        return self._subscribe(number, pattern, None)

    def _subscribe(self, number: int, pattern: str, queue: str | None) -> int:
        words = pattern if queue is None else f"{pattern} {queue}"
        self.window.write(b"SUB %b %d\r\n" % (words.encode(), number))
        return number

    def leave(self, number: int) -> None:
        """Unsubscribe; nothing is delivered any more, not even what was read before."""
        self._parser.full.discard(number)
        if self._takers.pop(number, None) is not None:
            self.window.write(b"UNSUB %d\r\n" % number)

    async def drain(self, number: int, seconds: float) -> None:
        """Unsubscribe; nothing is delivered after this returns. What the server had sent before is, unless it
        takes longer than so many seconds."""
        pong = self._loop.create_future()
        self.window.write(b"UNSUB %d\r\n" % number)
        self.window.ping(pong)
        try:
            # What was read with the answer is delivered before this goes on.
            await asyncio.wait([pong], timeout=seconds)
        finally:
            self._takers.pop(number, None)

    def pause(self, paused: bool, /) -> None:
        """Read nothing more for now, or read on; what was read is delivered."""
        if self._transport is None or self.ended.is_set():
            return
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open; the server sends the first line, INFO."""
        self._transport = cast("asyncio.Transport", transport)
        self.window.open(self._transport)

    def data_received(self, data: bytes) -> None:
        """Parse; deliver in the next turn, because a receiver that raises would end the connection here."""
        try:
            self._parser.feed(data)
        except ProtocolError as error:
            self.leave_server(str(error))
        if self._parser.messages and not self._delivering:
            self._delivering = True
            self._loop.call_soon(self._deliver)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self.fault = self.fault or str(exc or "closed")
        self.ended.set()
        if self._keeping is not None:
            self._keeping.cancel()
        for step in (self._greeted, self._admitted):
            if not step.done():
                step.set_result(False)

    def _deliver(self) -> None:
        """Deliver the messages that were read. The event loop reports an exception; the rest is delivered in
        the next turn."""
        arrived, self._parser.messages = iter(self._parser.messages), []
        takers = self._takers
        try:
            for number, subject, payload in arrived:
                taker = takers.get(number)
                if taker is not None:
                    taker(subject, payload)
        finally:
            self._parser.messages[:0] = arrived
            self._delivering = bool(self._parser.messages)
            if self._delivering:
                self._loop.call_soon(self._deliver)

    def _said(self, line: bytes) -> None:
        if line.startswith(b"-ERR"):
            self._refused(line[4:].decode(errors="replace").strip().strip("'"))
        elif not self._introduced and (self._greeted.done() or not line.startswith(b"INFO")):
            # Without TLS, it may also be somebody else who speaks into the handshake.
            self.leave_server(_NO_NATS)
        elif line == b"PONG":
            self._pong()
        elif line == b"PING":
            self.window.write(_PONG)
        elif line.startswith(b"INFO"):
            self._informed(line)
        elif line != b"+OK":
            self.leave_server(_NO_NATS)

    def _pong(self) -> None:
        self._unanswered = 0
        if not self._admitted.done():
            self._admitted.set_result(True)
        elif self.window.confirm():
            self._answered()

    def _informed(self, line: bytes) -> None:
        try:
            self.info = read_info(line)
        except ValueError as error:
            self.leave_server(str(error))
            return
        if not self._greeted.done():
            self._greeted.set_result(True)
        elif self._admitted.done():
            self._answered()

    def _refused(self, text: str) -> None:
        kind, shown = refusal(text), text if len(text) <= SHOWN else f"{text[:SHOWN]} …"
        pattern = denied_pattern(text)
        if pattern is not None and len(pattern) <= LONGEST_PATTERN:
            self.denied[pattern] = None
            if len(self.denied) > MOST_DENIED:
                del self.denied[next(iter(self.denied))]
        if kind is Refusal.subscriptions:
            self.crowded += 1
        if kind.survives:
            _log.error("NATS refused what this process asked for: %s (%s)", shown, kind)
        else:
            self.refusal = kind
            self.leave_server(f"NATS refused {kind}: {shown}")

    async def _reach(self, step: asyncio.Future[bool]) -> None:
        if not await step:
            raise NotConnectedError(self.fault)

    async def _secure(self, server: ServerAddress, tls: ssl.SSLContext) -> None:
        assert self._transport is not None
        if not self.info.tls_required:
            raise NotConnectedError("the server does not speak TLS")
        if not self._parser.between:
            raise NotConnectedError(_NO_NATS)
        secured = await self._loop.start_tls(self._transport, self, tls, server_hostname=server.name)
        assert secured is not None
        self.connection_made(secured)

    def _keep(self) -> None:
        """Ping, and abort a connection whose server leaves UNANSWERED pings without an answer."""
        if self._unanswered >= UNANSWERED:
            self.leave_server(f"NATS left {self._unanswered} pings unanswered")
            return
        self._unanswered += 1
        self.window.ping(None)
        self._keeping = self._loop.call_later(self._ping_seconds, self._keep)
