"""What the generator sends, and how it knows that what arrives is that, once, in order and whole."""

import msgspec

_DIGITS = 8


class WrongDelivery(Exception):
    """A message was lost, doubled, overtaken or changed."""


class Body(msgspec.Struct):
    """The JSON object in each message: its lane, its number in the lane, and padding."""

    lane: str
    number: str
    padding: str


_decode = msgspec.json.Decoder(Body).decode


class Lane:
    """One publisher's stream of messages of one size: `size` bytes of JSON each, numbered from 0."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        bare = len(msgspec.json.encode(Body(name, "0" * _DIGITS, "")))
        if size < bare:
            raise ValueError(f"a message of lane {name} has {bare} bytes at least")
        letters = "the quick brown fox jumps over the lazy dog "
        self._padding = (letters * (size // len(letters) + 1))[: size - bare]

    def body(self, number: int) -> bytes:
        """The message with this number."""
        return msgspec.json.encode(Body(self.name, f"{number:0{_DIGITS}}", self._padding))

    def check(self, body: bytes, number: int) -> None:
        """Raises WrongDelivery unless `body` is the message with this number, however it is spaced."""
        try:
            got = _decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise WrongDelivery(f"lane {self.name}: message {number} cannot be read: {error}") from error
        if got.number != f"{number:0{_DIGITS}}":
            raise WrongDelivery(f"lane {self.name}: message {number} was due, {got.number} came")
        if got.lane != self.name:
            raise WrongDelivery(f"lane {self.name}: a message of lane {got.lane} came")
        if got.padding != self._padding:
            raise WrongDelivery(f"lane {self.name}: message {number} was changed on its way")


class Stamp:
    """The bytes of one command on the wire, with a place for the number: made once, stamped often.

    `masked` is the command as it goes out for number 0 and `key` what WebSocket masking puts over
    the place (zeros for none), so that a stamp costs one join, whatever the protocol.
    """

    def __init__(self, masked: bytes, at: int, key: bytes) -> None:
        self._before = masked[:at]
        self._after = masked[at + _DIGITS :]
        self._key = int.from_bytes(key, "big")

    def with_number(self, number: int) -> bytes:
        """The command for the message with this number."""
        digits = int.from_bytes(b"%08d" % number, "big") ^ self._key
        return b"".join((self._before, digits.to_bytes(_DIGITS, "big"), self._after))


def place_of_number(command: bytes) -> int:
    """Where the number stands in the command of a lane's message 0. Raises ValueError without one."""
    return command.index(b'"number":"') + len(b'"number":"')
