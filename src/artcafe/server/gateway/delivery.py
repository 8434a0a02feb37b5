"""Messages on their way to many: each shape of their frames is built once and shared."""

import logging
from collections.abc import Sequence

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects import Dialect
from artcafe.server.gateway.framing import frame
from artcafe.server.gateway.letter import NOT_OURS, Letter
from artcafe.wire.subjects import from_bus

LOG = logging.getLogger("artcafe.gateway")


class Shape:
    """Messages as one kind of subscriber gets them: each with its frame, and all frames joined."""

    __slots__ = ("dialect", "form", "frames", "joined", "letters")

    def __init__(self, form: str, dialect: str, letters: list[Letter], frames: list[bytes]) -> None:
        self.form = form
        self.dialect = dialect
        self.letters = letters
        self.frames = frames
        self.joined = frames[0] if len(frames) == 1 else b"".join(frames)


class Delivery:
    """Messages of one sender on one subject that came one after the other.

    Raises ValueError when the subject is not one of this platform.
    """

    __slots__ = ("_letters", "_shapes", "_tenant", "sender", "subject")

    def __init__(self, tenant: TenantId, bus_subject: str, letters: Sequence[Letter]) -> None:
        self.sender, self.subject = from_bus(bus_subject)
        self._tenant = tenant
        self._letters = letters
        self._shapes: list[Shape] = []

    def shape(self, form: str, dialect: Dialect) -> Shape:
        """The messages as WebSocket frames, the subject in the subscriber's form; built once per shape.

        What the dialect cannot say is left out, with a word in the log.
        """
        name = dialect.name
        for shape in self._shapes:
            if shape.form == form and shape.dialect == name:
                return shape
        shape = self._make(form, dialect)
        self._shapes.append(shape)
        return shape

    def _make(self, form: str, dialect: Dialect) -> Shape:
        subject = form + self.subject
        letters, frames = [], []
        for letter in self._letters:
            try:
                text = dialect.message(self._tenant, subject, self.sender, letter)
            except NOT_OURS as error:
                LOG.warning("tenant %s: %s cannot be told a message: %s", self._tenant, dialect.name, error)
            else:
                letters.append(letter)
                frames.append(frame(text))
        return Shape(form, dialect.name, letters, frames)
