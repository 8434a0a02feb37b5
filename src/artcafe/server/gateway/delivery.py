"""One message on its way to many: each shape of its frame is built once and shared."""

from artcafe.server.domain.ids import TenantId
from artcafe.server.gateway.dialects import Dialect
from artcafe.server.gateway.framing import frame
from artcafe.wire.frames import decode_envelope
from artcafe.wire.subjects import from_bus


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
            text = dialect.message(self._tenant, form + self.subject, self.sender, self._envelope)
            framed = self._frames[key] = frame(text)
        return framed
