"""Messages on their way to many: each shape of their frames is built once and shared."""

import logging
from collections.abc import Callable

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects.envelope import NOT_OURS, EncodedEnvelope
from artcafe.server.gateway.websocket.framing import frame_head

LOG = logging.getLogger("artcafe.gateway")

Encode = Callable[[TenantId, str, str, EncodedEnvelope], bytes]
"""Writes a message; called with its tenant, its subject in the subscriber's own form, its sender, and it."""


class MessageBatch:
    """Messages of one sender on one subject that came one after the other: their envelopes, as Letter holds
    them, and every shape that was made of them."""

    __slots__ = ("_encoded", "_envelopes", "payloads")

    def __init__(self, payloads: list[bytes]) -> None:
        self.payloads = payloads
        self._envelopes: list[EncodedEnvelope] | None = None
        self._encoded: list[EncodedBatch] = []

    @property
    def envelopes(self) -> list[EncodedEnvelope]:
        """The messages, for whoever looks into them."""
        if self._envelopes is None:
            self._envelopes = [EncodedEnvelope(payload) for payload in self.payloads]
        return self._envelopes

    def encoded(self, encoder: "Encoder") -> "EncodedBatch":
        """The messages as a writer writes them, once."""
        for encoded in self._encoded:
            if encoded.encoder is encoder:
                return encoded
        encoded = encoder.encode(self)
        self._encoded.append(encoded)
        return encoded


class EncodedBatch:
    """Messages as one kind of subscriber gets them: WebSocket frames, joined."""

    __slots__ = ("_envelopes", "_pieces", "count", "encoder", "joined")

    def __init__(
        self, encoder: "Encoder", pieces: list[bytes], envelopes: list[EncodedEnvelope] | None = None
    ) -> None:
        """Each frame is two of the `pieces`; `letters` are those that were written, where not all were."""
        self.encoder = encoder
        self.joined = b"".join(pieces)
        self.count = len(pieces) // 2
        self._pieces = pieces
        self._envelopes = envelopes

    def each(self, batch: MessageBatch) -> list[tuple[str, bytes]]:
        """The id and the frame of each message that was written, of the delivery that it is a shape of."""
        envelopes = batch.envelopes if self._envelopes is None else self._envelopes
        frames = [head + text for head, text in zip(self._pieces[::2], self._pieces[1::2], strict=True)]
        return [(envelope.decoded.id, framed) for envelope, framed in zip(envelopes, frames, strict=True)]


class Encoder:
    """Writes the messages of one sender on one subject, for one kind of subscriber."""

    __slots__ = ()

    def encode(self, batch: MessageBatch) -> EncodedBatch:
        """These messages."""
        raise NotImplementedError


class DialectEncoder(Encoder):
    """Writes each as a dialect tells it."""

    __slots__ = ("_encode", "_name", "_sender", "_subject", "_tenant")

    def __init__(self, name: str, encode: Encode, tenant: TenantId, subject: str, sender: str) -> None:
        """`name` is the dialect's, for the log."""
        self._name = name
        self._encode = encode
        self._tenant = tenant
        self._subject = subject
        self._sender = sender

    def encode(self, batch: MessageBatch) -> EncodedBatch:
        """What the dialect cannot say is left out, with a word in the log."""
        envelopes: list[EncodedEnvelope] = []
        pieces: list[bytes] = []
        for envelope in batch.envelopes:
            try:
                text = self._encode(self._tenant, self._subject, self._sender, envelope)
            except NOT_OURS as error:
                LOG.warning("tenant %s: %s cannot be told a message: %s", self._tenant, self._name, error)
            else:
                envelopes.append(envelope)
                pieces += (frame_head(len(text)), text)
        return EncodedBatch(self, pieces, envelopes)


class PrefixEncoder(Encoder):
    """Puts the same opening before every envelope, in place of its brace; none is looked into."""

    __slots__ = ("_head", "_opening", "_size")

    def __init__(self, opening: bytes) -> None:
        self._opening = opening
        # Many messages are of the same size.
        self._size = -1
        self._head = b""

    def encode(self, batch: MessageBatch) -> EncodedBatch:
        """All of them."""
        pieces: list[bytes] = []
        for payload in batch.payloads:
            size = len(payload)
            if size != self._size:
                self._size = size
                self._head = frame_head(len(self._opening) + size - 1) + self._opening
            pieces.append(self._head)
            text = payload  # Compiled, a pointer: to slice that takes a third as long.
            pieces.append(text[1:size])
        return EncodedBatch(self, pieces)
