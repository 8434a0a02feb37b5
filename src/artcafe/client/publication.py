"""One message to be published."""

import math
from collections.abc import Iterable, Mapping
from itertools import chain
from types import NoneType
from typing import Any, TypedDict

import msgspec

from artcafe.wire import frames
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from artcafe.wire.inbox import ExpiresInMs, Priority
from artcafe.wire.payload import require_readable
from artcafe.wire.subjects import parse_subject

_ROOM = 4096
"""What a frame may hold besides the payload, in bytes (docs/protocol.md, sizes)."""

_BYTES = (bytes, bytearray, memoryview)
_PLAIN = (str, int, float, bool, NoneType)


class InboxOptions(TypedDict, total=False):
    """With `store` a message waits in the inbox of whose subject it is until that settles it, seven days at
    most or `expires_in` seconds. `priority` is 0 (urgent), 1, or 2 (low). With `receipt` a message on
    `agents.{sender}.receipts` says that it was settled."""

    store: bool
    priority: int | None
    expires_in: float | None
    receipt: bool


class OutgoingFrame:
    """A frame with data of so many bytes.

    `written` tells whether it was handed to a connection: from then on the outcome may be unknown.
    """

    __slots__ = ("frame", "size", "written")

    def __init__(self, frame: bytes, size: int) -> None:
        self.frame = frame
        self.size = size
        self.written = False

    def check(self, limits: frames.Limits) -> None:
        """Raises too_large for what the server would answer by closing the connection."""
        most = limits.max_payload_bytes
        if self.size > most or len(self.frame) > most + _ROOM:
            message = f"A message may hold {most} bytes of JSON, and {_ROOM} bytes of headers."
            raise ArtcafeError(Code.too_large, message)


class Publication(OutgoingFrame):
    """A `publish` frame that the server will be able to read: it closes on one that it cannot."""

    __slots__ = ()

    def __init__(
        self,
        tenant: str,
        subject: str,
        data: Any,
        *,
        headers: Mapping[str, str] | None,
        reply_to: str | None,
        call: str | None,
        dedup: str | None = None,
        how: InboxOptions | None = None,
    ) -> None:
        """With `how` it may be stored in an inbox. Raises invalid_subject, validation_failed, bad_frame for
        data that receivers could not read (wire.payload), and TypeError for data that JSON cannot write,
        bytes among them."""
        parse_subject(subject, tenant)
        if reply_to is not None:
            parse_subject(reply_to, tenant)
        payload = payload_of(data)
        publish = frames.Publish(
            subject=subject,
            data=msgspec.Raw(payload),
            id=call,
            headers=checked_headers(headers),
            reply_to=reply_to,
            dedup=_checked_dedup(dedup),
        )
        if how:
            _store(publish, how)
        super().__init__(frames.encode(publish), len(payload))


def _store(publish: frames.Publish, how: InboxOptions) -> None:
    """Let it be stored in an inbox. Raises validation_failed."""
    publish.store, publish.receipt = how.get("store", False), how.get("receipt", False)
    expires_in = how.get("expires_in")
    try:
        publish.priority = msgspec.convert(how.get("priority"), Priority | None)
        if expires_in is not None:
            publish.expires_in_ms = msgspec.convert(math.ceil(expires_in * 1000), ExpiresInMs)
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        message = "A priority is 0 (urgent), 1 or 2, and what is stored expires within seven days."
        raise ArtcafeError(Code.validation_failed, message) from error
    if not publish.store and (publish.receipt or publish.priority is not None or expires_in is not None):
        message = "priority, expires_in and receipt are for what is stored."
        raise ArtcafeError(Code.validation_failed, message)


class ReplyFrame(OutgoingFrame):
    """A `reply` frame: data, or the error with which a request is refused."""

    __slots__ = ()

    def __init__(
        self,
        reply_to: str,
        data: Any,
        *,
        end: bool,
        error: frames.ReplyError | None,
        headers: Mapping[str, str] | None,
        call: str,
    ) -> None:
        """Without data where that is UNSET. Raises as Publication."""
        payload = b"" if data is msgspec.UNSET else payload_of(data)
        reply = frames.Reply(
            to=reply_to,
            data=msgspec.Raw(payload) if payload else msgspec.UNSET,
            end=end,
            error=error,
            headers=checked_headers(headers),
            id=call,
        )
        super().__init__(frames.encode(reply), len(payload))


def payload_of(data: Any) -> bytes:
    """The JSON of data. Raises bad_frame for what receivers could not read (wire.payload), and TypeError for
    what JSON cannot write, bytes among it."""
    payload = frames.encode(data)
    require_readable(payload)
    _require_no_bytes(data)
    return payload


def _require_no_bytes(data: Any) -> None:
    """Raise TypeError for bytes as data, or within its dicts, lists, tuples and sets, keys included.

    msgspec would write them as base64, and a receiver could not tell that from text. A field of a
    dataclass or Struct is written so: there its declared type tells (Message.decode). `data` was encoded
    before, so it is no deeper than wire.payload lets, and holds no cycle.
    """
    parts = [data]
    while parts:
        part = parts.pop()
        if isinstance(part, _BYTES):
            message = f"JSON has no {type(part).__name__}: make it text first (base64, or decode())."
            raise TypeError(message)
        inner: Iterable[Any] = ()
        if isinstance(part, dict):
            inner = chain(part, part.values())
        elif isinstance(part, list | tuple | set | frozenset):
            inner = part
        parts += [each for each in inner if type(each) not in _PLAIN]


def _checked_dedup(dedup: str | None) -> str | None:
    try:
        return msgspec.convert(dedup, frames.Dedup | None)
    except msgspec.ValidationError as error:
        message = "`dedup` is 1 to 64 letters, digits, `.`, `_`, `:` and `-`."
        raise ArtcafeError(Code.validation_failed, message) from error


def checked_headers(headers: Mapping[str, str] | None) -> dict[str, str] | None:
    """The headers of a frame. Raises validation_failed."""
    if not headers:
        return None
    try:
        return msgspec.convert(dict(headers), frames.Headers)
    except msgspec.ValidationError as error:
        message = "Headers are up to 32 pairs of text, names up to 128 characters, values up to 1024."
        raise ArtcafeError(Code.validation_failed, message) from error
