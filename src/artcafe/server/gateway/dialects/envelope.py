"""A message's envelope in its encoded form, decoded on demand."""

from artcafe.wire.envelopes import Envelope, decode_envelope
from artcafe.wire.frames import encode

NOT_OURS = (ValueError, RecursionError)
"""The errors of decoding something that this platform never writes."""

_BEFORE_ID, _AFTER_ID = b'{"id":"', b'","timestamp":"'


class EncodedEnvelope:
    """One message. `payload` is its envelope as `encode` writes one: no field that somebody put into it
    can stand for another one, so it becomes a part of frames as it is."""

    __slots__ = ("_decoded", "payload")

    def __init__(self, payload: bytes) -> None:
        """`payload` comes from `encode`."""
        self.payload = payload
        self._decoded: Envelope | None = None

    @property
    def decoded(self) -> Envelope:
        """The fields of the envelope."""
        if self._decoded is None:
            self._decoded = decode_envelope(self.payload)
        return self._decoded


def reencoded(payload: bytes) -> bytes:
    """An envelope from the bus, where anybody may have put it, decoded and encoded again.

    Raises NOT_OURS for what this platform does not publish.
    """
    if not payload.isascii():
        payload.decode()  # `data` is taken as it is, and text that is not UTF-8 ends a WebSocket.
    return encode(decode_envelope(payload))


_SEQ = b'{"seq":'


def placed(payload: bytes, seq: int, epoch: bytes) -> bytes:
    """An envelope that `encode` wrote, with its place in a durable channel: `epoch` is encoded."""
    return b'{"seq":%d,"epoch":%b,%b' % (seq, epoch, payload[1:])


def leased(payload: bytes, delivery: str, durable: str, redelivered: int) -> bytes:
    """An envelope that `placed` made, with the token by which it is settled, and the durable subscription
    that it is of: both plain ASCII without quotes."""
    again = b'"redelivered":%d,' % redelivered if redelivered else b""
    return b'{"delivery":"%b","durable":"%b",%b%b' % (delivery.encode(), durable.encode(), again, payload[1:])


def seq_of(payload: bytes) -> int:
    """The sequence of what `placed` made; 0 for any other envelope."""
    if not payload.startswith(_SEQ):
        return 0
    return int(payload[len(_SEQ) : payload.index(b",")])


def id_of(payload: bytes) -> bytes | None:
    """The id of an envelope as `encode` writes one, as it stands there, found without reading the rest.
    None for what is no such envelope. No two ids are alike in it: a quote in an id never ends it so."""
    end = payload.find(_AFTER_ID)
    return payload[len(_BEFORE_ID) : end] if end >= 0 and payload.startswith(_BEFORE_ID) else None
