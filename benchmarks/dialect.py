"""How the generator talks to a peer: bytes in, messages out, nothing moved and nothing remembered."""

from collections.abc import Generator
from typing import NamedTuple, Protocol

from benchmarks import websocket
from benchmarks.payload import Stamp

Rest = tuple[bytes, bytes]
"""What is left of a connection's bytes: of its frames, and of the stream within them."""

NOTHING: Rest = (b"", b"")

Talk = Generator[bytes, bytes, None]
"""A login: yields what to send, is sent each message that comes, and ends when the client is in."""


class Arrived(NamedTuple):
    """What some bytes held: whole messages, what is left, and what the protocol wants answered."""

    messages: list[bytes]
    rest: Rest
    answer: bytes


class Dialect(Protocol):
    """One peer's protocol, from the client's side."""

    echoes: bool
    """Whether a publisher is answered in place of subscribers: then answers are counted, not compared."""

    def opening(self, client: int) -> bytes:
        """The first bytes of the client with this number."""
        ...

    def opened(self, data: bytes) -> bytes | None:
        """What follows the server's answer to the opening; None while it is not whole. Raises HungUp."""
        ...

    def join(self, client: int, subject: str | None) -> Talk:
        """Log in, and subscribe when there is a subject. Raises HungUp when refused."""
        ...

    def publish(self, subject: str, body: bytes) -> Stamp:
        """The command that publishes the lane's message 0, ready for any number."""
        ...

    def split(self, rest: Rest, data: bytes) -> Arrived:
        """Cut bytes into messages. Raises HungUp."""
        ...

    def body(self, message: bytes) -> bytes | None:
        """What was published, when the message is a delivery; else None."""
        ...


class WebSocketDialect:
    """A protocol whose messages are whole WebSocket messages."""

    echoes = False
    path = "/"
    subprotocol: str | None = None
    opcode = websocket.TEXT

    def __init__(self, address: str) -> None:
        """`address` is the server's host and port."""
        self.address = address

    def opening(self, client: int) -> bytes:
        """The upgrade, at the same path for every client."""
        return websocket.opening(self.address, self.path, self.subprotocol)

    def opened(self, data: bytes) -> bytes | None:
        """See Dialect."""
        return websocket.upgraded(data)

    def framed(self, message: bytes) -> bytes:
        """A message to the server."""
        return websocket.frame(self.opcode, message)

    def split(self, rest: Rest, data: bytes) -> Arrived:
        """Messages are frames; pings are answered."""
        frames, left = websocket.split(rest[0] + data if rest[0] else data)
        messages: list[bytes] = []
        answer = b""
        for opcode, payload in frames:
            if opcode == websocket.PING:
                answer += websocket.frame(websocket.PONG, payload)
            elif opcode != websocket.PONG:
                messages.append(payload)
        return Arrived(messages, (left, b""), answer)
