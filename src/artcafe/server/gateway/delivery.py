"""Messages on their way to many: each shape of their frames is built once and shared."""

import logging
from collections.abc import Sequence

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects import Dialect
from artcafe.server.gateway.framing import frame
from artcafe.server.gateway.letter import NOT_OURS, Letter
from artcafe.wire.subjects import from_bus

LOG = logging.getLogger("artcafe.gateway")


class Delivery:
    """Messages of one sender on one subject that came one after the other.

    Raises ValueError when the subject is not one of this platform.
    """

    __slots__ = ("_frames", "_joined", "_letters", "_tenant", "sender", "subject")

    def __init__(self, tenant: TenantId, bus_subject: str, letters: Sequence[Letter]) -> None:
        self.sender, self.subject = from_bus(bus_subject)
        self._tenant = tenant
        self._letters = letters
        self._frames: dict[tuple[str, str], list[tuple[Letter, bytes]]] = {}
        self._joined: dict[tuple[str, str], tuple[bytes, int]] = {}

    def joined(self, form: str, dialect: Dialect) -> tuple[bytes, int]:
        """All of `frames` in one piece, and how many they are; built once per shape."""
        key = (form, dialect.name)
        joined = self._joined.get(key)
        if joined is None:
            frames = self.frames(form, dialect)
            if len(frames) == 1:
                joined = frames[0][1], 1
            else:
                joined = b"".join([framed for _, framed in frames]), len(frames)
            self._joined[key] = joined
        return joined

    def frames(self, form: str, dialect: Dialect) -> list[tuple[Letter, bytes]]:
        """The messages as WebSocket frames, the subject in the subscriber's form; built once per shape.

        What the dialect cannot say is left out, with a word in the log.
        """
        key = (form, dialect.name)
        frames = self._frames.get(key)
        if frames is None:
            frames = self._frames[key] = []
            subject = form + self.subject
            for letter in self._letters:
                try:
                    text = dialect.message(self._tenant, subject, self.sender, letter)
                except NOT_OURS as error:
                    LOG.warning(
                        "tenant %s: %s cannot be told a message: %s", self._tenant, dialect.name, error
                    )
                else:
                    frames.append((letter, frame(text)))
        return frames
