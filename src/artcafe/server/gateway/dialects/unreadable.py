"""The error for a frame that cannot be read."""

import re

import msgspec

from artcafe.wire.errors import ArtcafeError
from artcafe.wire.frames import Id

UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, ArtcafeError)
"""What `Dialect.read` raises; ArtcafeError is bad_frame, for data that receivers could not read."""

_ECHO = re.compile(r"^Invalid value '.*'", re.DOTALL)
"""Where msgspec repeats what it was given."""


class _Id(msgspec.Struct):
    id: Id | None = None


_read_id = msgspec.json.Decoder(_Id).decode


def frame_id(message: bytes) -> str | None:
    """The `id` of a frame that cannot be read otherwise; None where that cannot be read either."""
    try:
        return _read_id(message).id
    except UNREADABLE:
        return None


def reason(error: Exception) -> str:
    """A sentence about one of UNREADABLE that repeats nothing of the frame."""
    if isinstance(error, ArtcafeError):
        return error.message
    if isinstance(error, RecursionError):
        return "The frame cannot be read: it is nested too deeply"
    return f"The frame cannot be read: {_ECHO.sub('Invalid value', str(error))}"
