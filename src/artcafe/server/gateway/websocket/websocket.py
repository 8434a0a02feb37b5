"""One open WebSocket: the rules above a frame; picows below parses frames (frame_parser).

The rules are RFC 6455's for messages, the limits and the end. Nothing here knows what the messages say.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import ParamSpec, cast

from picows import WSCloseCode
from picows.picows import WSFrame, WSListener, WSMsgType, WSTransport

from artcafe.server.gateway.websocket.frame_parser import LARGE, FrameParser
from artcafe.server.gateway.websocket.framing import (
    PING,
    PONG,
    Fragments,
    close_reason,
    frame,
    may_close_with,
    require_utf8,
)
from artcafe.server.gateway.websocket.handshake import Upgrade
from artcafe.server.gateway.websocket.input_limits import ControlFrameLimiter, PreLoginReader
from artcafe.server.gateway.websocket.parser_transport import feed, hang_up
from artcafe.server.gateway.websocket.peer import Handler, SocketLimits
from artcafe.server.gateway.websocket.turn_scheduler import TurnScheduler
from artcafe.server.gateway.websocket.upgrade_protocol import ServerState
from artcafe.server.gateway.websocket.writer import Writer
from artcafe.wire.codes import NORMAL_CLOSURE, Code
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe.gateway")

P = ParamSpec("P")

_CLOSED_WITHOUT_CODE = 1005
_BROKEN = 1006

_LARGE = LARGE  # Compiled, a number: what is imported is an object.

_TEXT = WSMsgType.TEXT  # A member of an enum is found more slowly than a name.


class WebSocket(WSListener):
    """One open WebSocket: to picows its listener, to the handler its Peer.

    It ends in one of three ways. The client closes: its CLOSE is answered, and the server hangs up.
    The server closes, for the handler, for a broken rule or because picows did: nothing is heard
    any more, but read until the client hangs up, lest the kernel answer what it still sends with a
    reset that would overtake our CLOSE. Or the socket breaks. A client that does not go in time is
    cut off.
    """

    __slots__ = (
        "_abort",
        "_active",
        "_code",
        "_control",
        "_fragments",
        "_handler",
        "_limits",
        "_over",
        "_parser",
        "_pending",
        "_room",
        "_state",
        "_text",
        "_transport",
        "_wire",
        "_writer",
        "remote",
    )

    def __init__(
        self,
        wire: asyncio.Transport,
        upgrade: Upgrade,
        handler: Handler,
        limits: SocketLimits,
        state: ServerState,
        scheduler: TurnScheduler,
    ) -> None:
        self.remote = upgrade.remote
        self._wire = wire
        self._writer = Writer(wire.write, scheduler, wire.abort)
        self._handler = handler
        self._text = handler.text
        self._limits = limits
        self._parser = FrameParser(wire, self, self._writer, self._leave, limits.message_bytes)
        self._state = state
        self._control = ControlFrameLimiter(limits.control_frames_per_second, asyncio.get_running_loop().time)
        self._pending: PreLoginReader | None = None
        self._fragments: Fragments | None = None
        self._active = True
        self._room = 0
        self._over = False
        self._code: int | None = None
        self._abort: asyncio.TimerHandle | None = None

    def start(self, key: str, protocol: str | None, early: bytes) -> None:
        """Answer 101 and open the handler."""
        # uvloop keeps the last protocol that was not buffered; the upgrade's would keep its whole task.
        self._wire.set_protocol(asyncio.Protocol())
        kernel: socket.socket = self._wire.get_extra_info("socket")
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._limits.kernel_bytes)
        self._wire.set_write_buffer_limits(self._limits.queued_bytes)
        self._state.connections.add(self)
        self._parser.start(key, protocol)
        pending = self._pending = PreLoginReader(self._parser.protocol, self._limits.login_bytes, self._fail)
        self._wire.set_protocol(pending)
        self._call(self._handler.opened, self)
        feed(pending, early)

    # What picows tells its listener.

    def on_ws_connected(self, transport: WSTransport) -> None:
        """WSListener: a parser is ready, the first or its successor."""
        self._transport = transport
        # Nobody reads them again, and they are a tenth of what an idle connection takes.
        del transport.request.headers, transport.response.headers

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """WSListener: a frame."""
        if self._over or transport.is_close_frame_sent:
            # picows closes before it delivers what came ahead of a frame that broke a rule.
            return
        self._active = True
        if self._pending is not None:
            self._call(self._pending.framed, frame.payload_size, frame.tail_size)
            if self.closed:
                return
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._fail(ArtcafeError(Code.protocol_error, "No extension is in use that sets reserved bits."))
        elif frame.fin and self._fragments is None and frame.msg_type == _TEXT:
            # Nearly every message of an agent comes this way.
            message = frame.get_payload_as_bytes()
            try:
                if not message.isascii():
                    require_utf8(message)
                self._text(message)
            except ArtcafeError as error:
                self._fail(error)
            except Exception:
                LOG.exception("a connection's handler failed")
                self.close(Code.internal.close)
            if self._parser.swollen or len(message) > _LARGE:
                self._parser.took(len(message), at_rest=not frame.tail_size and not self._over)
        else:
            self._call(self._take, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """WSListener: the socket is gone."""
        self._over = True
        self._state.connections.discard(self)
        self._writer.clear()
        if self._abort is not None:
            self._abort.cancel()
        if self._code is None:
            sent = transport.close_handshake.sent if transport.is_close_frame_sent else None
            self._code = _BROKEN if sent is None else sent.code.value
        try:
            self._handler.closed(self._code)
        except Exception:
            LOG.exception("a connection's handler failed after the end")
        # These lead back here; without the circles all of it is freed now, not when the collector comes.
        self._pending = None
        self._handler = self._text = self._transport = self._parser = None  # type: ignore[assignment]  # nobody asks again

    def pause_writing(self) -> None:
        """asyncio.Protocol: more waits for the client than it may."""
        # Later, because this comes from inside a write: of a hub, say, in the middle of its clients.
        asyncio.get_running_loop().call_soon(self._slow)

    def resume_writing(self) -> None:
        """asyncio.Protocol: nothing waits for it."""

    # What the handler does with its peer.

    @property
    def closed(self) -> bool:
        """Peer.closed."""
        return self._over or self._transport.is_close_frame_sent or self._wire.is_closing()

    def send(self, text: bytes) -> None:
        """Peer.send."""
        self.write(frame(text))

    def write(self, framed: bytes) -> None:
        """Peer.write."""
        if not self._over and not self._transport.is_close_frame_sent:
            self._writer.put(framed)

    def admitted(self) -> None:
        """Peer.admitted."""
        if self._pending is not None and not self.closed:
            self._pending = None
            self._wire.set_protocol(self._parser.protocol)

    def ping(self) -> None:
        """Peer.ping."""
        self.write(frame(b"", PING))

    def heard(self) -> bool:
        """Peer.heard."""
        if self._over:
            return False
        # A large message on a slow line takes longer than a heartbeat. Until it is whole, only the
        # parser's buffer tells that it comes.
        room = len(self._parser.protocol.get_buffer(-1))
        heard = self._active or room != self._room
        self._active, self._room = False, room
        return heard

    def pause(self) -> None:
        """Peer.pause."""
        if not self._over:
            self._wire.pause_reading()

    def resume(self) -> None:
        """Peer.resume."""
        if not self._over:
            self._wire.resume_reading()

    def queued(self) -> int:
        """Peer.queued."""
        return self._wire.get_write_buffer_size() + self._writer.size

    def close(self, code: int, reason: str = "") -> None:
        """Peer.close."""
        if not may_close_with(code):
            raise ValueError(f"{code} must not be sent in a CLOSE frame")
        if self._over:
            return
        self._code = code
        self._transport.send_close(cast("WSCloseCode", code), close_reason(reason))

    def shutdown(self) -> None:
        """Called by uvicorn when it stops."""
        self.close(Code.going_away.close, Code.going_away.value.when)

    # Messages and the end.

    def _take(self, read: WSFrame) -> None:
        kind = read.msg_type
        payload = read.get_payload_as_bytes()
        if kind == WSMsgType.CLOSE:
            self._answer_close(payload)
        elif kind in (WSMsgType.PING, WSMsgType.PONG):
            self._control.take()
            if kind == WSMsgType.PING:
                self.write(frame(payload, PONG))
        else:
            self._gather(kind, payload, final=bool(read.fin))
        if self._parser.swollen or len(payload) > _LARGE:
            self._parser.took(len(payload), at_rest=not read.tail_size and not self._over)

    def _gather(self, kind: WSMsgType, payload: bytes, *, final: bool) -> None:
        fragments = self._fragments
        if (kind == WSMsgType.CONTINUATION) == (fragments is None):
            raise ArtcafeError(Code.protocol_error, "A message starts once and ends before the next.")
        if fragments is None:
            fragments = self._fragments = Fragments(
                text=kind == WSMsgType.TEXT,
                most_bytes=self._limits.message_bytes if self._pending is None else self._limits.login_bytes,
                most_fragments=self._limits.fragments,
            )
        message = fragments.add(payload, final=final)
        if fragments.crumbs:
            self._control.take()
        if message is not None:
            self._fragments = None
            (self._handler.text if fragments.text else self._handler.binary)(message)

    def _answer_close(self, payload: bytes) -> None:
        # picows has refused a single byte and a reason that is not UTF-8, but not every bad code.
        code = int.from_bytes(payload[:2], "big") if payload else _CLOSED_WITHOUT_CODE
        if payload and not may_close_with(code):
            raise ArtcafeError(Code.protocol_error, "This close code must not be sent.")
        self._over = True
        self._code = code
        self._transport.send_close(cast("WSCloseCode", code if payload else NORMAL_CLOSURE))
        self._wire.close()
        self._wait_for_end()

    def _leave(self) -> None:
        """Hang up after our CLOSE, or picows' own: say that nothing follows, and wait for the client."""
        if self._over:
            return
        self._writer.flush()
        self._over = True
        self._wait_for_end()
        hang_up(self._wire, self._parser.protocol)

    def _wait_for_end(self) -> None:
        self._call(self._handler.ending)
        self._abort = asyncio.get_running_loop().call_later(self._limits.close_seconds, self._wire.abort)

    def _slow(self) -> None:
        if not self._over:
            self._call(self._handler.slow)

    def _call(self, method: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except ArtcafeError as error:
            self._fail(error)
        except Exception:
            LOG.exception("a connection's handler failed")
            self.close(Code.internal.close)

    def _fail(self, error: ArtcafeError) -> None:
        if error.code.value.close is None:
            LOG.error("a connection's handler let an error pass that closes nothing", exc_info=error)
        if not self._over:
            self._handler.broke(error)
            self.close(error.code.close, error.message)
