"""The interface of a dialect, the form of frames that one kind of client reads and writes."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import UNSET, Struct

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects.envelope import EncodedEnvelope
from artcafe.server.gateway.dialects.rendering import DialectEncoder, Encoder
from artcafe.wire import frames
from artcafe.wire.frames import encode
from artcafe.wire.payload import require_readable


class IncomingFrame(Protocol):
    """A frame that a client sent."""

    @property
    def id(self) -> str | None:
        """The client's own correlation string."""
        ...


class Dialect(Protocol):
    """One kind of client."""

    @property
    def name(self) -> str:
        """Tells dialects apart in the cache of frames."""
        ...

    def read(self, message: bytes) -> Sequence[IncomingFrame]:
        """What a message asks for, in order. Raises msgspec's errors, RecursionError, or bad_frame."""
        ...

    def answer(self, frame: Struct) -> Struct | None:
        """An answer as this client knows it; None for one that it does not know."""
        ...

    def encoder(self, tenant: TenantId, subject: str, sender: str) -> Encoder:
        """The encoder of messages of a sender on a subject, which is in the subscriber's own form."""
        ...


class RewritingDialect:
    """A dialect that encodes each message by itself, by `message`."""

    name: str

    def encoder(self, tenant: TenantId, subject: str, sender: str) -> Encoder:
        """See Dialect."""
        return DialectEncoder(self.name, self.message, tenant, subject, sender)

    def message(self, tenant: TenantId, subject: str, sender: str, envelope: EncodedEnvelope) -> bytes:
        """rendering.Encode."""
        raise NotImplementedError


def require_readable_data(frame: frames.ClientFrame) -> None:
    """Raise bad_frame where what a frame gives to others breaks the rule of wire.payload."""
    match frame:
        case frames.Publish():
            require_readable(bytes(frame.data))
        case frames.Request():
            require_readable(bytes(frame.data))
        case frames.Reply() if frame.data is not UNSET:
            require_readable(bytes(frame.data))
        case frames.Presence():
            require_readable(encode({"metadata": frame.metadata}))
