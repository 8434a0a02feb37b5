"""The dialect artcafe.v1: the frames of docs/protocol.md as they are."""

from collections.abc import Sequence

from msgspec import Struct

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects.dialect import require_readable_data
from artcafe.server.gateway.dialects.rendering import Encoder, PrefixEncoder
from artcafe.wire import frames
from artcafe.wire.envelopes import opening
from artcafe.wire.frames import Presence, decode_client, require_once, require_once_each
from artcafe.wire.payload import doubtful


class NativeDialect:
    """The subprotocol artcafe.v1: docs/protocol.md."""

    name = "plain"

    def read(self, message: bytes) -> Sequence[frames.ClientFrame]:
        """One frame."""
        frame = decode_client(message)
        if type(frame) is not Presence:
            require_once(message, frame)
        else:
            require_once_each(message)
        if doubtful(message):
            require_readable_data(frame)
        return (frame,)

    def answer(self, frame: Struct) -> Struct | None:
        """As it is."""
        return frame

    def encoder(self, tenant: TenantId, subject: str, sender: str) -> Encoder:
        """By a prefix: the envelope is already JSON."""
        return PrefixEncoder(opening(subject, sender))
