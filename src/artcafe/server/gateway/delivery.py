"""One message on its way to many: each shape of its frame is built once and shared."""

from typing import Protocol

import msgspec
from msgspec import Raw

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.framing import frame
from artcafe.wire.frames import Envelope, decode_envelope, encode, splice
from artcafe.wire.subjects import from_bus


class Dialect(Protocol):
    """How a kind of client wants its messages."""

    @property
    def name(self) -> str:
        """Tells dialects apart in the cache of frames."""
        ...

    def envelope(self, tenant: TenantId, sender: str, envelope: Envelope) -> Envelope:
        """The envelope as this kind of client reads it."""
        ...


class Plain:
    """Our own dialect: the envelope as it is."""

    name = "plain"

    def envelope(self, tenant: TenantId, sender: str, envelope: Envelope) -> Envelope:
        """Unchanged."""
        return envelope


_read_object = msgspec.json.Decoder(dict[str, Raw]).decode


class Legacy:
    """Dialect A: its handlers read who sent a message, and when, inside `data` when that is an object."""

    name = "legacy"

    def envelope(self, tenant: TenantId, sender: str, envelope: Envelope) -> Envelope:
        """`data` with the proven sender and tenant, and the timestamp where it has none."""
        try:
            fields = _read_object(envelope.data)
        except msgspec.ValidationError:
            return envelope  # Not an object: there is no place for the fields.
        fields["agent_id"] = Raw(encode(sender))
        fields["tenant_id"] = Raw(encode(tenant))
        fields.setdefault("timestamp", Raw(encode(envelope.timestamp)))
        return msgspec.structs.replace(envelope, data=Raw(encode(fields)))


class Delivery:
    """A message that arrived from the bus.

    Raises ValueError (msgspec's errors are ValueErrors) or RecursionError when the subject or the
    payload is not what this platform publishes. The envelope is read and made anew, so no field that
    somebody put into it can stand for `from` or `subject`.
    """

    __slots__ = ("_envelope", "_frames", "_tenant", "id", "sender", "subject")

    def __init__(self, tenant: TenantId, bus_subject: str, payload: bytes) -> None:
        self.sender, self.subject = from_bus(bus_subject)
        if not payload.isascii():
            payload.decode()  # `data` is taken as it is, and text that is not UTF-8 ends a WebSocket.
        self._envelope = decode_envelope(payload)
        self.id = self._envelope.id
        self._tenant = tenant
        self._frames: dict[tuple[str, str], bytes] = {}

    def frame(self, form: str, dialect: Dialect) -> bytes:
        """The message as a WebSocket frame, the subject in the subscriber's form; built once per shape."""
        key = (form, dialect.name)
        framed = self._frames.get(key)
        if framed is None:
            envelope = dialect.envelope(self._tenant, self.sender, self._envelope)
            framed = frame(splice(form + self.subject, self.sender, encode(envelope)))
            self._frames[key] = framed
        return framed
