"""Messages on their way to many: each shape of their frames is built once and shared."""

import logging
from collections.abc import Callable

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects.envelope import NOT_OURS, Letter
from artcafe.server.gateway.websocket.framing import frame_head

LOG = logging.getLogger("artcafe.gateway")

Tell = Callable[[TenantId, str, str, Letter], bytes]
"""Writes a message; called with its tenant, its subject in the subscriber's own form, its sender, and it."""


class Delivery:
    """Messages of one sender on one subject that came one after the other: their envelopes, as Letter holds
    them, and every shape that was made of them."""

    __slots__ = ("_letters", "_shapes", "payloads")

    def __init__(self, payloads: list[bytes]) -> None:
        self.payloads = payloads
        self._letters: list[Letter] | None = None
        self._shapes: list[Shape] = []

    @property
    def letters(self) -> list[Letter]:
        """The messages, for whoever looks into them."""
        if self._letters is None:
            self._letters = [Letter(payload) for payload in self.payloads]
        return self._letters

    def shape(self, writer: "Writer") -> "Shape":
        """The messages as a writer writes them, once."""
        for shape in self._shapes:
            if shape.writer is writer:
                return shape
        shape = writer.write(self)
        self._shapes.append(shape)
        return shape


class Shape:
    """Messages as one kind of subscriber gets them: WebSocket frames, joined."""

    __slots__ = ("_letters", "_pieces", "count", "joined", "writer")

    def __init__(self, writer: "Writer", pieces: list[bytes], letters: list[Letter] | None = None) -> None:
        """Each frame is two of the `pieces`; `letters` are those that were written, where not all were."""
        self.writer = writer
        self.joined = b"".join(pieces)
        self.count = len(pieces) // 2
        self._pieces = pieces
        self._letters = letters

    def each(self, delivery: Delivery) -> list[tuple[str, bytes]]:
        """The id and the frame of each message that was written, of the delivery that it is a shape of."""
        letters = delivery.letters if self._letters is None else self._letters
        frames = [head + text for head, text in zip(self._pieces[::2], self._pieces[1::2], strict=True)]
        return [(letter.envelope.id, framed) for letter, framed in zip(letters, frames, strict=True)]


class Writer:
    """Writes the messages of one sender on one subject, for one kind of subscriber."""

    __slots__ = ()

    def write(self, delivery: Delivery) -> Shape:
        """These messages."""
        raise NotImplementedError


class Teller(Writer):
    """Writes each as a dialect tells it."""

    __slots__ = ("_name", "_sender", "_subject", "_tell", "_tenant")

    def __init__(self, name: str, tell: Tell, tenant: TenantId, subject: str, sender: str) -> None:
        """`name` is the dialect's, for the log."""
        self._name = name
        self._tell = tell
        self._tenant = tenant
        self._subject = subject
        self._sender = sender

    def write(self, delivery: Delivery) -> Shape:
        """What the dialect cannot say is left out, with a word in the log."""
        letters: list[Letter] = []
        pieces: list[bytes] = []
        for letter in delivery.letters:
            try:
                text = self._tell(self._tenant, self._subject, self._sender, letter)
            except NOT_OURS as error:
                LOG.warning("tenant %s: %s cannot be told a message: %s", self._tenant, self._name, error)
            else:
                letters.append(letter)
                pieces += (frame_head(len(text)), text)
        return Shape(self, pieces, letters)


class Splicer(Writer):
    """Puts the same opening before every envelope, in place of its brace; none is looked into."""

    __slots__ = ("_head", "_opening", "_size")

    def __init__(self, opening: bytes) -> None:
        self._opening = opening
        # Many messages are of the same size.
        self._size = -1
        self._head = b""

    def write(self, delivery: Delivery) -> Shape:
        """All of them."""
        pieces: list[bytes] = []
        for payload in delivery.payloads:
            size = len(payload)
            if size != self._size:
                self._size = size
                self._head = frame_head(len(self._opening) + size - 1) + self._opening
            pieces.append(self._head)
            text = payload  # Compiled, a pointer: to slice that takes a third as long.
            pieces.append(text[1:size])
        return Shape(self, pieces)
