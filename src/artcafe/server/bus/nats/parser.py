"""Parser of the stream that a nats-server sends: docs.nats.io, "Client Protocol". No I/O."""

from collections.abc import Callable

from artcafe.server.bus.nats.message import FullMessage

LINE_BYTES = 256 * 1024
"""More than the longest INFO of a large cluster."""

PAYLOAD_BYTES = 64 * 1024 * 1024
"""What a nats-server can be configured to carry at most."""

_MESSAGES = frozenset({b"MSG", b"HMSG"})

Message = tuple[int, str, bytes | FullMessage]
"""Subscription, subject, payload; a FullMessage instead of the payload for subscriptions that ask for it."""


class ProtocolError(Exception):
    """The stream is not the NATS protocol; nothing after this place can be read."""


class Parser:
    """Takes reads of any size; the result does not depend on where the stream is cut.

    An incomplete line or message is held, together with one read at most. Work is proportional to the bytes
    read, also for a message that comes in many pieces.
    """

    __slots__ = ("_have", "_held", "_need", "_said", "full", "messages")

    def __init__(self, said: Callable[[bytes], None]) -> None:
        """`said` is called with each line that is no message, without its end; it must not raise."""
        self.messages: list[Message] = []
        self.full: set[int] = set()
        """The subscriptions whose messages keep reply subject and headers; of all others they are dropped."""
        self._said = said
        # What has no end yet, and how many bytes it takes before it can have one.
        self._held: list[bytes] = []
        self._have = self._need = 0

    @property
    def between(self) -> bool:
        """Whether nothing incomplete is held."""
        return not self._held

    def feed(self, data: bytes) -> None:
        """Append to `messages` and call `said`, in the order of arrival. Raises ProtocolError."""
        if self._held:
            self._held.append(data)
            self._have += len(data)
            if self._have < self._need:
                return
            data = b"".join(self._held)
            self._held.clear()
        self._need = 0
        position, end = 0, len(data)
        find, take = data.find, self.messages.append
        while position < end:
            line_end = find(b"\r\n", position, position + LINE_BYTES)
            if line_end < 0:
                if end - position >= LINE_BYTES:
                    raise ProtocolError("a line without an end")
                break
            start = line_end + 2
            words = data[position:line_end].split(b" ")
            verb = words[0]
            if verb not in _MESSAGES:
                self._said(data[position:line_end])
                position = start
                continue
            if len(words) < 4:
                raise ProtocolError("a message without its words")
            try:
                number, size, subject = int(words[2]), int(words[-1]), words[1].decode()
                head = int(words[3:][-2]) if verb == b"HMSG" else 0
            except (ValueError, IndexError):
                raise ProtocolError("a message without its numbers") from None
            if not 0 <= head <= size <= PAYLOAD_BYTES:
                raise ProtocolError("a message of impossible size")
            stop = start + size
            if stop + 2 > end:
                self._need = stop + 2 - position
                break
            if data[stop : stop + 2] != b"\r\n":
                raise ProtocolError("a message without an end")
            payload = data[start + head : stop]
            # Of all others the rest of the line, and the headers, stay unread.
            full = self.full and number in self.full
            take((number, subject, _full(words, data[start : start + head], payload) if full else payload))
            position = stop + 2
        if position < end:
            self._held.append(data[position:])
            self._have = end - position


def _full(words: list[bytes], headers: bytes, payload: bytes) -> FullMessage:
    """Returns a message with what the words of its line tell. Raises ProtocolError."""
    most = 6 if words[0] == b"HMSG" else 5
    if len(words) > most:
        raise ProtocolError("a message with too many words")
    try:
        reply = words[3].decode() if len(words) == most else ""
    except UnicodeDecodeError:
        raise ProtocolError("a message without its words") from None
    return FullMessage(reply, headers, payload)
