"""WebSocket frames and messages as bytes (RFC 6455), without a socket.

What the frame parser leaves to its user is here: one frame around a text, a message out of its
fragments, and which close codes may travel.
"""

import codecs
from functools import lru_cache

from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError

TEXT = 0x1
BINARY = 0x2
PING = 0x9
PONG = 0xA

REASON_BYTES = 123
"""A control frame carries 125 bytes (RFC 6455 section 5.5), two of them the close code."""

SMALL_FRAGMENT = 1024
FREE_FRAGMENTS = 8
"""Fragments of fewer than SMALL_FRAGMENT bytes that a message may have: each further one costs as much as a
message, and carries next to nothing."""

_NAMED_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Wrap a whole message in one frame, as a server sends it: final and unmasked (section 5.2).

    The result depends on nothing but the payload, so one frame serves any number of clients, and
    frames may be joined to be written at once.
    """
    return frame_head(len(payload), opcode) + payload


# Many messages are of the same size.
@lru_cache(maxsize=1024)
def frame_head(size: int, opcode: int = TEXT) -> bytes:
    """What stands before so many bytes of payload in such a frame."""
    if size < 126:
        return bytes((0x80 | opcode, size))
    if size < 65_536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big")


def may_close_with(code: int) -> bool:
    """Tell whether a close code may travel in a CLOSE frame (section 7.4 and IANA's registry)."""
    return code in _NAMED_CLOSE_CODES or 3000 <= code <= 4999


def close_reason(reason: str) -> str:
    """Cut a reason to what fits in a CLOSE frame, between two characters."""
    return reason.encode()[:REASON_BYTES].decode(errors="ignore")


def require_utf8(text: bytes) -> None:
    """Check a whole text message; ArtcafeError not_utf8 when it is not UTF-8 (section 8.1)."""
    if text.isascii():
        return
    try:
        text.decode()
    except UnicodeDecodeError:
        raise ArtcafeError(Code.not_utf8, "A text message must be UTF-8.") from None


class Fragments:
    """One message that arrives in several frames (section 5.4).

    Empty fragments count too: a limit in bytes alone would let them come for ever. Text is checked
    as it arrives, so that a message which can no longer become UTF-8 ends at once.
    """

    __slots__ = ("_bytes_left", "_decoder", "_parts", "_parts_left", "_small", "crumbs", "text")

    def __init__(self, *, text: bool, most_bytes: int, most_fragments: int) -> None:
        self.text = text
        self.crumbs = False
        """Whether the last one was small, and more were small than a message may have for nothing."""
        self._small = 0
        self._bytes_left = most_bytes
        self._parts_left = most_fragments
        self._parts: list[bytes] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")() if text else None

    def add(self, payload: bytes, *, final: bool) -> bytes | None:
        """Take the next fragment and give back the whole message once it is complete.

        ArtcafeError: too_large for too many bytes or fragments, not_utf8 for text that is not.
        """
        small = len(payload) < SMALL_FRAGMENT
        self._small += small
        self.crumbs = small and self._small > FREE_FRAGMENTS
        self._bytes_left -= len(payload)
        self._parts_left -= 1
        if self._bytes_left < 0:
            raise ArtcafeError(Code.too_large, "The message is larger than the limit.")
        if self._parts_left < 0:
            raise ArtcafeError(Code.too_large, "The message came in more fragments than the limit.")
        if self._decoder is not None:
            try:
                self._decoder.decode(payload, final)
            except UnicodeDecodeError:
                raise ArtcafeError(Code.not_utf8, "A text message must be UTF-8.") from None
        self._parts.append(payload)
        return b"".join(self._parts) if final else None
