"""Messages on their way to many: each shape of their frames is built once and shared."""

import logging
from collections.abc import Sequence

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects import Dialect
from artcafe.server.gateway.framing import frame
from artcafe.server.gateway.letter import NOT_OURS, Letter
from artcafe.wire.subjects import from_bus

LOG = logging.getLogger("artcafe.gateway")


Shape = tuple[list[tuple[Letter, bytes]], bytes]
"""Each message with its frame, and all frames joined."""


class Delivery:
    """Messages of one sender on one subject that came one after the other.

    Raises ValueError when the subject is not one of this platform.
    """

    __slots__ = ("_letters", "_shapes", "_tenant", "sender", "subject")

    def __init__(self, tenant: TenantId, bus_subject: str, letters: Sequence[Letter]) -> None:
        self.sender, self.subject = from_bus(bus_subject)
        self._tenant = tenant
        self._letters = letters
        self._shapes: dict[tuple[str, str], Shape] = {}

    def shape(self, form: str, dialect: Dialect) -> Shape:
        """The messages as WebSocket frames, the subject in the subscriber's form; built once per shape.

        What the dialect cannot say is left out, with a word in the log.
        """
        key = (form, dialect.name)
        shape = self._shapes.get(key)
        if shape is None:
            frames = self._frames(form + self.subject, dialect)
            joined = frames[0][1] if len(frames) == 1 else b"".join([framed for _, framed in frames])
            shape = self._shapes[key] = frames, joined
        return shape

    def _frames(self, subject: str, dialect: Dialect) -> list[tuple[Letter, bytes]]:
        frames = []
        for letter in self._letters:
            try:
                text = dialect.message(self._tenant, subject, self.sender, letter)
            except NOT_OURS as error:
                LOG.warning("tenant %s: %s cannot be told a message: %s", self._tenant, dialect.name, error)
            else:
                frames.append((letter, frame(text)))
        return frames
