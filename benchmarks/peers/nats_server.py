"""nats-server's own WebSocket listener: the bus itself, in Go, without a platform before it."""

import sysconfig
from pathlib import Path

from benchmarks import websocket
from benchmarks.dialect import Arrived, Dialect, Rest, Talk, WebSocketDialect
from benchmarks.payload import Stamp
from benchmarks.peers.peer import HOST, Place, Server, address, free_port, place
from benchmarks.websocket import HungUp

BINARY = Path(sysconfig.get_path("scripts")) / "nats-server"

_CONNECT = b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"lang":"bench","version":"1"}\r\n'


class NatsServer:
    """The peer that a gateway in Python has to be near."""

    name = "nats-ws"
    title = "nats-server WebSocket"

    def missing(self) -> str | None:
        """It comes with the platform."""
        return None

    def start(self, folder: Path, core: int | None) -> tuple[Server, Place]:
        """Start it without TLS, and otherwise as it is."""
        port = free_port()
        conf = folder / "nats.conf"
        conf.write_text(f'listen: "{HOST}:-1"\nwebsocket {{ listen: "{HOST}:{port}", no_tls: true }}\n')
        server = Server([str(BINARY), "-c", str(conf)], folder, core)
        server.until_it_listens(port)
        return server, place(port)

    def dialect(self, place: Place) -> Dialect:
        """The NATS protocol in binary WebSocket messages."""
        return NatsDialect(address(place))


class NatsDialect(WebSocketDialect):
    """NATS over WebSocket: a stream, cut into frames wherever the server likes."""

    opcode = websocket.BINARY

    def join(self, client: int, subject: str | None) -> Talk:
        """Connect, subscribe, and ping to know that it is done."""
        yield b""  # INFO comes first.
        wanted = b"" if subject is None else b"SUB %b 1\r\n" % subject.encode()
        answer = yield self.framed(_CONNECT + wanted + b"PING\r\n")
        if answer != b"PONG":
            raise HungUp(answer.decode())

    def publish(self, subject: str, body: bytes) -> Stamp:
        """One PUB in a frame."""
        return websocket.stamp(self.opcode, b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(body), body))

    def split(self, rest: Rest, data: bytes) -> Arrived:
        """Protocol lines, each MSG with its payload behind it."""
        outer = super().split((rest[0], b""), data)
        stream = rest[1] + b"".join(outer.messages)
        messages: list[bytes] = []
        answer = outer.answer
        at = 0
        while (end := stream.find(b"\r\n", at)) >= 0:
            line = stream[at:end]
            if line.startswith(b"MSG "):
                past = end + 2 + int(line[line.rindex(b" ") :]) + 2
                if past > len(stream):
                    break
                messages.append(stream[at : past - 2])
                at = past
                continue
            at = end + 2
            if line == b"PING":
                answer += self.framed(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                raise HungUp(line.decode())
            else:
                messages.append(line)
        return Arrived(messages, (outer.rest[0], stream[at:]), answer)

    def body(self, message: bytes) -> bytes | None:
        """The payload of a MSG."""
        return message.partition(b"\r\n")[2] if message.startswith(b"MSG ") else None
