"""The HTTP/1.1 protocol of a connection, with limits and deadlines; uvicorn makes one per connection.

    uvicorn.Config(app, http=http_protocol(HttpLimits(), proxies), ws=websocket_protocol(...))

Answers leave in the order of the requests, the refusal of a broken one included; after a refusal nothing
more is taken for a request. uvicorn is pinned, for this makes the same use of its `ServerState` and its
`RequestResponseCycle` as its own `HttpToolsProtocol`.
"""

import asyncio
from collections import deque
from enum import Enum
from ipaddress import ip_address
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.server import ServerState

from artcafe.server import events
from artcafe.server.domain.addresses import Networks, client_address
from artcafe.server.edge.connections import OpenConnections
from artcafe.server.edge.deadline import Deadline
from artcafe.server.edge.dispatcher import Dispatcher
from artcafe.server.edge.exchange import Flow, HttpExchange, Outgoing, Scopes
from artcafe.server.edge.heads import Head
from artcafe.server.edge.limits import HttpLimits
from artcafe.server.edge.reader import RequestReader
from artcafe.server.gateway.websocket.handshake import Refuse
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

_TURN = 64
"""Pieces that are parsed before other connections have their turn."""

_UNWANTED_BYTES = 4 * 1_048_576
"""What is read and thrown away behind a last answer, or of a body that was answered before its end: more
than nginx lets through, so that nginx gets its bytes out and the answer in."""


def http_protocol(limits: HttpLimits, proxies: Networks) -> type[asyncio.Protocol]:
    """Make what `uvicorn.Config(http=...)` takes.

    A socket that comes from `proxies` carries requests of many clients, and counts for no address.
    """
    dispatcher = Dispatcher(proxies)

    class Bounded(HttpProtocol):
        def __init__(
            self,
            config: Config,
            server_state: ServerState,
            app_state: dict[str, Any],
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            loop = _loop or asyncio.get_running_loop()
            super().__init__(config, server_state, app_state, loop, limits, proxies, dispatcher)

    return Bounded


class _Wait(Enum):
    """The event that the client is expected to cause."""

    nothing = "nothing"
    request = "request"
    head = "head"
    body = "body"


class HttpProtocol(asyncio.Protocol):
    """One connection, from its first byte to its end or its upgrade."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
        limits: HttpLimits,
        proxies: Networks,
        dispatcher: Dispatcher,
    ) -> None:
        if not config.loaded:
            config.load()
        self.remote = ""
        """connections.Connection."""
        self._config = config
        self._state = server_state
        self._app_state = app_state
        self._connections = cast("OpenConnections", server_state.connections)
        self._loop = loop
        self._limits = limits
        self._proxies = proxies
        self._dispatcher = dispatcher
        self._reader = RequestReader(self, limits)
        self._exchanges: deque[HttpExchange] = deque()
        """Requests without their whole answer; the first one is being answered."""
        self._last: HttpExchange | None = None
        self._unwanted = 0
        self._deaf = False
        """Nothing that comes is a request any more."""
        self._ended = False
        """The client has sent its last byte."""
        self._leaving = False
        self._fault: ArtcafeError | None = None
        self._wait = _Wait.request
        self._deadline = Deadline(loop, self._late)
        self._patience = Deadline(loop, self._abort)
        """With a client that does not take what it is sent."""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected: it is counted, or refused."""
        self._transport = cast("asyncio.Transport", transport)
        self._flow = Flow(self._transport, self._advance)
        self._outgoing = Outgoing(self._transport, self._leave)
        self._scopes = Scopes(self._transport, self._config, self._app_state)
        self.remote = self._address()
        try:
            self._connections.make_room(self.remote)
        except ArtcafeError as error:
            self._deaf = True
            self._transport.write(Refuse.because(error).response(self._state.default_headers))
            self._transport.close()
            return
        self._connections.connected(self)
        self._deadline.set(self._limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._connections.discard(self)
        self._deaf = True
        for exchange in self._exchanges:
            exchange.give_up()
        self._exchanges.clear()
        self._flow.resume_writing()
        self._forget()

    def data_received(self, data: bytes) -> None:
        """Bytes, cut as the network likes."""
        if not self._deaf:
            self._reader.add(data)
            self._advance()
            return
        self._unwanted += len(data)
        if self._unwanted > _UNWANTED_BYTES:
            self._abort()

    def eof_received(self) -> bool:
        """The client sends nothing more, but may wait for answers; returns whether there will be one."""
        self._ended = True
        if not self._deaf and (self._reader.size or self._reader.in_body):
            self._fail(ArtcafeError(Code.bad_request, "The request ends before its end."))
            return True
        self._deaf = True
        self._deadline.off()
        if self._exchanges:
            self._exchanges[-1].keep_alive = False
        return bool(self._exchanges)

    def pause_writing(self) -> None:
        """The client does not take what it is sent."""
        self._flow.pause_writing()
        self._patience.set(self._limits.answer_seconds)

    def resume_writing(self) -> None:
        """It does again."""
        self._flow.resume_writing()
        if not self._leaving:
            self._patience.off()

    def shutdown(self) -> None:
        """Called by uvicorn when it stops: finish what has begun."""
        if self._exchanges:
            self._exchanges[-1].keep_alive = False
        else:
            self._transport.close()

    # connections.Idle

    def evict(self) -> None:
        """Make room for another connection."""
        self._connections.discard(self)
        self._abort()

    # From bytes to requests.

    def _advance(self) -> None:
        """Take as much of what came as may be taken now, then wait for what is missing."""
        pieces = 0
        try:
            while not self._deaf and not (blocked := self._is_full()):
                if pieces == _TURN:
                    blocked = True
                    self._loop.call_soon(self._advance)
                    break
                pieces += 1
                if not self._reader.in_body and self._last is not None and not self._last.keep_alive:
                    self._stop_reading()
                elif not self._reader.next():
                    break
        except ArtcafeError as error:
            self._fail(error)
        if not self._deaf:
            self._expect(blocked=blocked)

    def _is_full(self) -> bool:
        """Whether an answer, or the application, has to come before more is read."""
        if self._reader.in_body:
            last = self._last
            return last is not None and not last.response_complete and len(last.body) > HIGH_WATER_LIMIT
        return len(self._exchanges) >= self._limits.pipelined

    # reader.Sink

    def request(self, head: Head, *, keep_alive: bool) -> None:
        """reader.Sink: it is answered after those before it."""
        self._wait = _Wait.nothing
        self._deadline.off()
        self._connections.busy(self)
        self._unwanted = 0
        self._last = exchange = HttpExchange.of(
            self._scopes.of(head), self._outgoing, self._flow, self._state, self._answered
        )
        exchange.keep_alive = keep_alive and not self._connections.retiring
        self._exchanges.append(exchange)
        if len(self._exchanges) == 1:
            self._dispatcher.submit(self.remote, exchange, self._start)

    def body(self, part: bytes) -> None:
        """reader.Sink: some of the body of the last request, or of one that is answered already."""
        assert self._last is not None
        if not self._last.response_complete:
            self._last.body += part
            self._last.message_event.set()
            return
        self._unwanted += len(part)
        if self._unwanted > _UNWANTED_BYTES:
            self._leave()

    def end(self) -> None:
        """reader.Sink: the body is whole."""
        assert self._last is not None
        self._connections.busy(self)
        self._last.more_body = False
        self._last.message_event.set()

    def upgrade(self, head: Head) -> None:
        """reader.Sink: hand the socket over to the WebSockets, with whatever came too early."""
        if self._exchanges:
            raise ArtcafeError(Code.bad_request, "An upgrade waits for the answers before it.")
        early = self._reader.rest()
        self._deaf = True
        self._flow.let_in()
        self._connections.discard(self)
        self._forget()
        make = cast("type[Any]", self._config.ws_protocol_class)
        handover: asyncio.Protocol = make(
            config=self._config, server_state=self._state, app_state=self._app_state
        )
        self._transport.set_protocol(handover)
        handover.connection_made(self._transport)
        handover.data_received(head.raw)
        if early:
            handover.data_received(early)

    # Answers.

    def _start(self, exchange: HttpExchange) -> None:
        task = self._loop.create_task(exchange.run_asgi(self._config.loaded_app))
        task.add_done_callback(self._state.tasks.discard)
        self._state.tasks.add(task)

    def _answered(self) -> None:
        """An answer is written: the next request has its turn."""
        self._state.total_requests += 1
        self._exchanges.popleft()
        if self._leaving or self._transport.is_closing():
            return
        if self._exchanges:
            self._dispatcher.submit(self.remote, self._exchanges[0], self._start)
        elif self._fault is not None:
            self._refuse(self._fault)
        elif self._ended:
            self._leave()
        self._advance()

    def _fail(self, error: ArtcafeError) -> None:
        """The request that is read is broken or late: answer so in its turn, and take no other one."""
        events.note(
            events.ConnectionRefused(
                reason=error.code.name, status=error.code.http, address=self.remote or self._peer()
            )
        )
        broken = self._last if self._reader.in_body else None
        self._stop_reading()
        if broken is not None:
            if broken.response_complete:
                self._leave()
                return
            if broken.response_started:
                self._abort()
                return
            self._exchanges.pop()
            broken.give_up()
        if self._exchanges:
            self._fault = error
        else:
            self._refuse(error)

    def _refuse(self, error: ArtcafeError) -> None:
        self._transport.write(Refuse.because(error).response(self._state.default_headers))
        self._leave()

    # Waiting, and the end.

    def _expect(self, *, blocked: bool) -> None:
        """Set the deadline for what the client owes, if anything."""
        if blocked:
            self._flow.pause_reading()
            self._connections.busy(self)
            self._wait = _Wait.nothing
            self._deadline.off()
            return
        self._flow.let_in()
        if self._reader.in_body:
            self._wait = _Wait.body
            self._connections.idle(self)
            self._deadline.set(self._limits.body_seconds)
        elif self._reader.size:
            # The first head has been waited for since the connection was made.
            if self._wait is not _Wait.head and (self._last is not None or self._wait is not _Wait.request):
                self._deadline.set(self._limits.head_seconds)
            self._wait = _Wait.head
        elif self._exchanges:
            self._wait = _Wait.nothing
            self._deadline.off()
        elif self._wait is not _Wait.request:
            self._wait = _Wait.request
            self._connections.idle(self)
            self._deadline.set(self._limits.idle_seconds)

    def _late(self) -> None:
        if self._wait is _Wait.request:
            self._ended = True  # Nothing of this client is missed: no need to read on.
            self._leave()
        else:
            self._fail(ArtcafeError(Code.request_timeout))

    def _stop_reading(self) -> None:
        """Read on, lest the kernel answer with a reset that overtakes our answer, but take no request."""
        self._deaf = True
        self._unwanted = 0
        self._reader.rest()
        self._deadline.off()
        self._flow.let_in()

    def _leave(self) -> None:
        """Send what is written, say that nothing follows, and hang up when the client does, or soon."""
        if self._leaving or self._transport.is_closing():
            return
        self._leaving = True
        self._stop_reading()
        self._patience.set(self._limits.close_seconds)
        try:
            if self._ended or not self._transport.can_write_eof():
                self._transport.close()
            else:
                self._transport.write_eof()
        except OSError:
            self._abort()

    def _abort(self) -> None:
        self._transport.abort()

    def _forget(self) -> None:
        """Nothing leads back here: without these circles it is freed now, not when the collector comes."""
        self._deadline.end()
        self._patience.end()
        self._reader.close()
        self._flow.end()
        self._outgoing.close = self._transport.close

    def _peer(self) -> str:
        return "" if self._scopes.client is None else self._scopes.client[0]

    def _address(self) -> str:
        """The client's address, and "" where it is not known yet."""
        if self._scopes.client is None:
            return ""
        address = client_address(self._scopes.client[0], (), ())
        trusted = self._proxies and any(ip_address(address) in network for network in self._proxies)
        return "" if trusted else address
