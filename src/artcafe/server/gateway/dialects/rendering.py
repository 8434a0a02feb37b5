"""Encodes messages as WebSocket frames, once for each dialect and form of the subject."""

import logging
from collections.abc import Callable

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects.envelope import NOT_OURS, EncodedEnvelope
from artcafe.server.gateway.websocket.framing import frame_head

LOG = logging.getLogger("artcafe.gateway")

Encode = Callable[[TenantId, str, str, EncodedEnvelope], bytes]
"""Encodes a message: tenant, subject in the subscriber's own form, sender, envelope."""


class MessageBatch:
    """Consecutive messages of one sender on one subject: their payloads, as EncodedEnvelope holds one, and
    every encoded batch that was made of them."""

    __slots__ = ("_encoded", "_envelopes", "payloads")

    def __init__(self, payloads: list[bytes]) -> None:
        self.payloads = payloads
        self._envelopes: list[EncodedEnvelope] | None = None
        self._encoded: list[EncodedBatch] = []

    @property
    def envelopes(self) -> list[EncodedEnvelope]:
        """The messages, for an encoder that needs their fields."""
        if self._envelopes is None:
            self._envelopes = [EncodedEnvelope(payload) for payload in self.payloads]
        return self._envelopes

    def encoded(self, encoder: "Encoder") -> "EncodedBatch":
        """The messages as an encoder encodes them, which it does once."""
        for encoded in self._encoded:
            if encoded.encoder is encoder:
                return encoded
        encoded = encoder.encode(self)
        self._encoded.append(encoded)
        return encoded


class EncodedBatch:
    """A batch as one kind of subscriber gets it: WebSocket frames, joined."""

    __slots__ = ("_envelopes", "_pieces", "count", "encoder", "joined")

    def __init__(
        self, encoder: "Encoder", pieces: list[bytes], envelopes: list[EncodedEnvelope] | None = None
    ) -> None:
        """Each frame is two of the `pieces`; `envelopes` are the encoded ones, where some were left out."""
        self.encoder = encoder
        self.joined = b"".join(pieces)
        self.count = len(pieces) // 2
        self._pieces = pieces
        self._envelopes = envelopes

    def each(self, batch: MessageBatch) -> list[tuple[str, bytes]]:
        """The id and the frame of each message that was encoded; `batch` is the one that this was made of."""
        envelopes = batch.envelopes if self._envelopes is None else self._envelopes
        frames = [head + text for head, text in zip(self._pieces[::2], self._pieces[1::2], strict=True)]
        return [(envelope.decoded.id, framed) for envelope, framed in zip(envelopes, frames, strict=True)]


class Encoder:
    """Encodes the messages of one sender on one subject, for one dialect and form of the subject."""

    __slots__ = ()

    def encode(self, batch: MessageBatch) -> EncodedBatch:
        """The frames of these messages."""
        raise NotImplementedError


class DialectEncoder(Encoder):
    """Encodes each message by a function of a dialect."""

    __slots__ = ("_encode", "_name", "_sender", "_subject", "_tenant")

    def __init__(self, name: str, encode: Encode, tenant: TenantId, subject: str, sender: str) -> None:
        """`name` is the dialect's, for the log."""
        self._name = name
        self._encode = encode
        self._tenant = tenant
        self._subject = subject
        self._sender = sender

    def encode(self, batch: MessageBatch) -> EncodedBatch:
        """A message that the dialect cannot encode is left out and logged."""
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
    """Puts the same prefix before every envelope, in place of its brace; none is decoded."""

    __slots__ = ("_head", "_opening", "_size")

    def __init__(self, opening: bytes) -> None:
        self._opening = opening
        # Many messages are of the same size.
        self._size = -1
        self._head = b""

    def encode(self, batch: MessageBatch) -> EncodedBatch:
        """The frames of all messages."""
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
