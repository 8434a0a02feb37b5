"""Splits bytes into requests: heads are parsed here, bodies by httptools, one message at a time.

A head is collected until its empty line and read by `heads`; then httptools parses the same bytes and has
to agree. It gets a body in pieces that hold the end of one message at most. So nothing of a body is ever
taken for a request, an offer to upgrade that is not WebSocket never reaches httptools (which would end the
request at its head), and a request behind one that is not answered yet stays unparsed.
"""

import logging
from enum import Enum
from typing import Protocol

import httptools

from artcafe.server.edge.heads import HEAD_END, Head, is_hopeless, read_head
from artcafe.server.edge.limits import HttpLimits
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

LOG = logging.getLogger("artcafe.edge")

PIECE_BYTES = 65_536
"""Of a body that are parsed at once."""

_CHUNKED_PIECE_BYTES = 16_384
"""The same, where framing is among them: what it takes is looked at after each piece."""

_OVERHEAD_BYTES = 65_536
_OVERHEAD_PER_BYTE = 16
"""What sizes, extensions and trailers of chunks may take beside the body: a chunk of one byte takes 5."""

_MALFORMED = "The request breaks RFC 9112."


class Sink(Protocol):
    """The receiver of the requests."""

    def request(self, head: Head, *, keep_alive: bool) -> None:
        """A request begins."""

    def upgrade(self, head: Head) -> None:
        """A client asks to speak WebSocket; what follows is none of the reader's business."""

    def body(self, part: bytes) -> None:
        """Some of the body of the last request."""

    def end(self) -> None:
        """The last request is whole."""


class _Phase(Enum):
    """The expected kind of the next bytes."""

    head = "head"
    counted = "counted"
    """A body whose bytes were counted before (Content-Length)."""
    chunked = "chunked"


class RequestReader:
    """The incoming side of one connection."""

    def __init__(self, sink: Sink, limits: HttpLimits) -> None:
        self._sink = sink
        self._limits = limits
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        # The parser is given nothing behind a last request, but takes its own view of what is last.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._incoming = bytearray()
        self._searched = 0
        self._skipped = False
        self._phase = _Phase.head
        self._head: Head | None = None
        self._begun = False
        self._left = 0
        self._tail = b""
        self._overhead = 0

    @property
    def in_body(self) -> bool:
        """Whether the last request is not whole yet."""
        return self._phase is not _Phase.head

    @property
    def size(self) -> int:
        """Bytes that wait to be taken."""
        return len(self._incoming)

    def add(self, data: bytes) -> None:
        """Keep bytes until `next` takes them."""
        self._incoming += data

    def rest(self) -> bytes:
        """Give away what was not taken, and keep nothing."""
        rest = bytes(self._incoming)
        self._incoming.clear()
        return rest

    def close(self) -> None:
        """Nothing leads back to the sink any more."""
        self._incoming.clear()
        self._parser = None

    def next(self) -> bool:
        """Take one head or one piece of a body; False when more bytes are needed.

        Raises ArtcafeError, after which nothing of this connection can be read: bad_request, or
        headers_too_large.
        """
        if not self._incoming:
            return False
        if self._phase is _Phase.head:
            return self._next_head()
        if self._phase is _Phase.counted:
            self._next_counted()
        else:
            self._next_chunked()
        return True

    def _next_head(self) -> bool:
        data = self._incoming
        if not self._skipped and data.startswith(b"\r\n"):
            # One empty line is ignored (RFC 9112 section 2.2); more of them are no request.
            del data[:2]
            self._skipped = True
        if not data or (data == b"\r" and not self._skipped):
            return False
        end = data.find(HEAD_END, max(self._searched - 3, 0))
        size = len(data) if end < 0 else end + len(HEAD_END)
        if size > self._limits.head_bytes:
            most = self._limits.head_bytes
            raise ArtcafeError(Code.headers_too_large, f"The head of a request has {most} bytes at most.")
        if end < 0:
            if is_hopeless(data, self._searched):
                raise ArtcafeError(Code.bad_request, _MALFORMED)
            self._searched = size
            return False
        self._searched = 0
        self._skipped = False
        raw = bytes(data[:size])
        del data[:size]
        head = read_head(raw, self._limits.head_fields)
        if head.websocket:
            self._sink.upgrade(head)
        else:
            self._take(head)
        return True

    def _take(self, head: Head) -> None:
        self._head = head
        self._begun = False
        self._overhead = 0
        if head.length is None:
            self._phase, self._tail = _Phase.chunked, b""
        elif head.length:
            self._phase, self._left = _Phase.counted, head.length
        self._parse(head.raw)
        self._head = None
        if not self._begun:
            raise ArtcafeError(Code.bad_request, _MALFORMED)

    def _next_counted(self) -> None:
        piece = bytes(self._incoming[: min(self._left, PIECE_BYTES)])
        del self._incoming[: len(piece)]
        self._left -= len(piece)
        self._parse(piece)
        if self.in_body == (self._left == 0):
            raise ArtcafeError(Code.bad_request, _MALFORMED)

    def _next_chunked(self) -> None:
        """A body in chunks, or its trailers, ends with an empty line: one piece reaches up to the next one.

        `_tail` are the last three bytes that were parsed, for an empty line may come in several reads.
        """
        data = self._incoming
        across = (self._tail + data[:3]).find(HEAD_END)
        if across >= 0:
            size = across + len(HEAD_END) - len(self._tail)
        else:
            end = data.find(HEAD_END, 0, _CHUNKED_PIECE_BYTES)
            size = min(len(data), _CHUNKED_PIECE_BYTES) if end < 0 else end + len(HEAD_END)
        piece = bytes(data[:size])
        del data[:size]
        self._tail = (self._tail + piece)[-3:]
        self._overhead += len(piece)
        self._parse(piece)
        if self.in_body and self._overhead > _OVERHEAD_BYTES:
            raise ArtcafeError(Code.bad_request, "The chunks carry too much around the body.")

    def _parse(self, piece: bytes) -> None:
        assert self._parser is not None
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, ArtcafeError):
                raise error.__context__ from None
            LOG.exception("a request could not be taken")
            raise ArtcafeError(Code.internal) from None
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            raise ArtcafeError(Code.bad_request, _MALFORMED) from None

    # Called by httptools, but not for fields: those of the head are read, and those of a trailer are dropped,
    # for they come after what is decided by fields.

    def on_message_begin(self) -> None:
        """A request begins, which it may only where a head was read."""
        if self._head is None:
            raise ArtcafeError(Code.bad_request, _MALFORMED)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        head, parser = self._head, self._parser
        if head is None or parser is None or self._begun:
            raise ArtcafeError(Code.bad_request, _MALFORMED)
        self._begun = True
        self._sink.request(head, keep_alive=head.minor == 1 and parser.should_keep_alive())

    def on_body(self, part: bytes) -> None:
        """A piece of the body, without the framing around it."""
        self._overhead = max(self._overhead - (_OVERHEAD_PER_BYTE + 1) * len(part), -_OVERHEAD_BYTES)
        self._sink.body(part)

    def on_message_complete(self) -> None:
        """The body is whole."""
        self._phase = _Phase.head
        self._sink.end()
