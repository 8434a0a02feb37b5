"""Recognises a publish frame that differs from the one before in its data only."""

import msgspec

from artcafe.wire.frames import Publish
from artcafe.wire.payload import doubtful

_BEFORE = (b',"data":', b'{"data":')

_SHORT = 1000
"""Bytes of data that cannot be nested so deeply that it matters whether they are read in their frame."""

_BRACE = 0x7D

_read_value = msgspec.json.Decoder(msgspec.Raw).decode


class PublishTemplate:
    """A `publish` frame whose last field is its data. Of the next one that begins the same way only the data
    is new, and to read that is to read all of it."""

    __slots__ = ("_begins", "_size", "subject")

    def __init__(self, begins: bytes, subject: str) -> None:
        self.subject = subject
        self._begins = begins
        self._size = len(begins)

    def data(self, message: bytes) -> bytes | None:
        """The data of a message that is this frame in everything else; None for all others, and where only
        parsing it can tell."""
        text, size = message, len(message)  # Compiled, a pointer: to slice that takes a third as long.
        if size > self._size + _SHORT or not message.startswith(self._begins) or text[size - 1] != _BRACE:
            return None
        data = text[self._size : size - 1]
        try:
            return data if len(_read_value(data)) == len(data) and not doubtful(data) else None
        except msgspec.DecodeError:
            return None


def template_of(message: bytes, frame: Publish) -> PublishTemplate | None:
    """The template of a message that was read as a frame, and in which no field stands twice."""
    if frame.for_inbox or any((frame.id, frame.headers is not None, frame.reply_to is not None, frame.dedup)):
        return None
    begins, ends = message[: -1 - len(frame.data)], message[-1 - len(frame.data) :]
    # A quotation mark behind a comma or a brace begins a string; before a colon it has ended a name. So what
    # stands between this name and the last brace is a value of the whole frame, its last.
    if not begins.endswith(_BEFORE) or ends != bytes(frame.data) + b"}":
        return None
    return PublishTemplate(begins, frame.subject)
