"""Messages on their way to many: each shape of their frames is built once and shared."""

import logging
from collections.abc import Iterable

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects import Dialect
from artcafe.server.gateway.framing import frame
from artcafe.wire.frames import Envelope, decode_envelope
from artcafe.wire.subjects import from_bus

LOG = logging.getLogger("artcafe.gateway")

_NOT_OURS = (ValueError, RecursionError)


Shape = tuple[list[tuple[str, bytes]], bytes]
"""The frame of each message with its id, and all of them joined."""


class Delivery:
    """Messages of one sender on one subject that arrived from the bus one after the other.

    Raises ValueError when the subject is not one of this platform; a payload that is not what this
    platform publishes is left out, with a word in the log. Envelopes are read and made anew, so no
    field that somebody put into one can stand for `from` or `subject`.
    """

    __slots__ = ("_envelopes", "_shapes", "_tenant", "sender", "subject")

    def __init__(self, tenant: TenantId, bus_subject: str, payloads: Iterable[bytes]) -> None:
        self.sender, self.subject = from_bus(bus_subject)
        self._tenant = tenant
        self._shapes: dict[tuple[str, str], Shape] = {}
        self._envelopes: list[Envelope] = []
        for payload in payloads:
            try:
                if not payload.isascii():
                    payload.decode()  # `data` is taken as it is, and text that is not UTF-8 ends a WebSocket.
                self._envelopes.append(decode_envelope(payload))
            except _NOT_OURS as error:
                LOG.warning("tenant %s: dropped a message that is not ours: %s", tenant, error)

    def shape(self, form: str, dialect: Dialect) -> Shape:
        """The messages as WebSocket frames, the subject in the subscriber's form; built once per shape.

        What the dialect cannot say is left out, with a word in the log.
        """
        key = (form, dialect.name)
        shape = self._shapes.get(key)
        if shape is None:
            frames = self._frames(form + self.subject, dialect)
            shape = self._shapes[key] = frames, b"".join([framed for _, framed in frames])
        return shape

    def _frames(self, subject: str, dialect: Dialect) -> list[tuple[str, bytes]]:
        frames = []
        for envelope in self._envelopes:
            try:
                text = dialect.message(self._tenant, subject, self.sender, envelope)
            except _NOT_OURS as error:
                LOG.warning("tenant %s: %s cannot be told a message: %s", self._tenant, dialect.name, error)
            else:
                frames.append((envelope.id, frame(text)))
        return frames
