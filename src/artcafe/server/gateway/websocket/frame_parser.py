"""The frame parser on a connection's transport: picows' own, put there and replaced when it holds too much.

picows is pinned, because this and `WebSocket` lean on five facts about 2.3.1. It writes two INFO lines a
connection, and an ERROR for a client's bad frame. Its `send` of more than 8 KiB queues a view of a buffer
that the next `send` overwrites, if the transport is uvloop's and the client slow: so frames are made by
`frame`. It parses one frame ahead, so its own CLOSE (bad opcode, large frame, a second CLOSE) may overtake
the answer before; behind it, it gathers for 10 ms. Its buffer never shrinks.
"""

import asyncio
import logging
from collections.abc import Callable

from picows import WSAutoPingStrategy, WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSListener, WSProtocol  # type: ignore[attr-defined]  # absent from its stubs

from artcafe.server.gateway.websocket.parser_transport import ParserFaults, ParserTransport, feed
from artcafe.server.gateway.websocket.writer import Writer

LOG = logging.getLogger("artcafe.gateway")

LARGE = 65_536
"""Bytes of a frame after which the parser's buffer is large."""

_ANY_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


class FrameParser:
    """The parser that is on the transport now, as `protocol`; its frames go to the listener."""

    __slots__ = ("_leave", "_listener", "_most_bytes", "_transport", "_writer", "protocol", "swollen")

    def __init__(
        self,
        transport: asyncio.Transport,
        listener: WSListener,
        writer: Writer,
        leave: Callable[[], None],
        most_bytes: int,
    ) -> None:
        """`leave` is called behind a CLOSE of the parser's, `most_bytes` is what a frame may have."""
        self._transport = transport
        self._listener = listener
        self._writer = writer
        self._leave = leave
        self._most_bytes = most_bytes
        self.protocol: WSProtocol
        """As its transport sees it."""
        self.swollen = False
        """Whether its buffer is large."""

    def start(self, key: str, subprotocol: str | None) -> None:
        """Answer the request, whose Sec-WebSocket-Key this is, and read frames from now on."""
        headers = {} if subprotocol is None else {"Sec-WebSocket-Protocol": subprotocol}
        self._put(key, headers, self._transport.write)

    def took(self, size: int, *, at_rest: bool) -> None:
        """Keep the buffer in proportion to the frames; `size` is that of the last one.

        A large frame has made it large, and so it stays while large frames come. After the first small one,
        a PONG perhaps, a new parser takes over, if this is `at_rest`: no other frame has begun to come.
        """
        if size > LARGE:
            self.swollen = True
        elif at_rest:
            self.swollen = False
            self._put(_ANY_KEY, {}, lambda _: None)

    def _put(self, key: str, headers: dict[str, str], answer: Callable[[bytes], None]) -> None:
        """Put a new parser on the transport; `answer` gets its 101.

        picows insists on reading a request and keeps it while the connection lives, so it gets a
        short one; it would not understand Firefox's `Connection: keep-alive, Upgrade` either.
        """
        accepted = WSUpgradeResponseWithListener(
            WSUpgradeResponse.create_101_response(headers), self._listener
        )
        self.protocol = WSProtocol(
            host_port=None,
            ws_path=None,
            is_client_side=False,
            ws_listener_factory=lambda _: accepted,
            logger=ParserFaults(LOG),
            disconnect_on_exception=True,
            websocket_handshake_timeout=None,
            enable_auto_ping=False,
            auto_ping_idle_timeout=0,
            auto_ping_reply_timeout=0,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            enable_auto_pong=False,
            max_frame_size=self._most_bytes,
            extra_headers=None,
            read_buffer_init_size=2048,
        )
        wire = ParserTransport(self._transport, self._writer, self._leave, answer)
        self.protocol.connection_made(wire)
        self._transport.set_protocol(self.protocol)
        feed(
            self.protocol,
            b"GET / HTTP/1.1\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: %b\r\n\r\n" % key.encode(),
        )
        wire.answer = None
