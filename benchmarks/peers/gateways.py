"""Gateways as one writes them in an afternoon: JSON over WebSockets in Python and in JavaScript."""

import json
import shutil
from pathlib import Path

from benchmarks.dialect import Arrived, Dialect, Rest, Talk, WebSocketDialect
from benchmarks.payload import Stamp
from benchmarks.peers.http import HttpDialect
from benchmarks.peers.nats_server import BINARY
from benchmarks.peers.peer import (
    HOST,
    PROGRAMS,
    TOOLS,
    Place,
    Server,
    address,
    encoded,
    free_port,
    place,
)
from benchmarks.websocket import HungUp, frame, stamp

_HEAD = b'{"type":"message"'


class PlainGateway:
    """FastAPI, websockets and nats-py before a nats-server: the shape of the original service."""

    name = "plain"
    title = "FastAPI + websockets + nats-py"

    def missing(self) -> str | None:
        """The packages of requirements/bench-plain.txt."""
        return None if self._python().exists() else "requirements/bench-plain.txt is not installed"

    def start(self, folder: Path, core: int | None) -> tuple[Server, Place]:
        """Start it with its nats-server as a child."""
        port = free_port()
        command = [str(self._python()), str(PROGRAMS / "plain.py"), str(port), str(free_port()), str(BINARY)]
        server = Server(command, folder, core)
        server.until_it_listens(port)
        return server, place(port)

    def dialect(self, place: Place) -> Dialect:
        """The original's frames."""
        return JsonDialect(address(place))

    def _python(self) -> Path:
        return TOOLS / "plain" / "bin" / "python"


class PlainRest(PlainGateway):
    """The same, published to over REST."""

    name = "plain-rest"

    def dialect(self, place: Place) -> Dialect:
        """POST, without any login."""
        return HttpDialect(address(place), "/messages/bench", {})


class NodePeer:
    """A script of Node's."""

    script: str

    def missing(self) -> str | None:
        """Node, and what package-lock.json names."""
        if shutil.which("node") is None:
            return "node is not installed"
        return None if (PROGRAMS / "node_modules").exists() else "its npm packages are not installed"

    def start(self, folder: Path, core: int | None) -> tuple[Server, Place]:
        """Start it in production mode."""
        port = free_port()
        script = PROGRAMS / self.script
        server = Server(["node", str(script), str(port), HOST], folder, core, {"NODE_ENV": "production"})
        server.until_it_listens(port)
        return server, place(port)


class NodeWs(NodePeer):
    """A relay in memory on `ws`: no bus behind it."""

    name = "node-ws"
    title = "node ws"
    script = "ws.js"

    def dialect(self, place: Place) -> Dialect:
        """The plain gateway's frames."""
        return JsonDialect(address(place))


class SocketIo(NodePeer):
    """A relay in memory on socket.io, a room per subject."""

    name = "socket.io"
    title = "socket.io"
    script = "socket_io.js"

    def dialect(self, place: Place) -> Dialect:
        """Engine.IO 4 and Socket.IO 5 on a WebSocket."""
        return SocketIoDialect(address(place))


class JsonDialect(WebSocketDialect):
    """subscribe, publish, message: JSON, and no login."""

    path = "/ws"

    def join(self, client: int, subject: str | None) -> Talk:
        """Subscribe and be told."""
        if subject is not None:
            answer = yield self.framed(encoded({"type": "subscribe", "subject": subject}))
            if json.loads(answer) != {"type": "subscribed", "subject": subject}:
                raise HungUp(answer.decode())

    def publish(self, subject: str, body: bytes) -> Stamp:
        """One frame."""
        return stamp(self.opcode, b'{"type":"publish","subject":"%b","data":%b}' % (subject.encode(), body))

    def body(self, message: bytes) -> bytes | None:
        """The data, written anew as this side writes it."""
        return None if not message.startswith((_HEAD, b'{"type": "message"')) else _data(message)


def _data(message: bytes) -> bytes:
    return encoded(json.loads(message)["data"])


class SocketIoDialect(WebSocketDialect):
    """Text packets: the first digit is Engine.IO's, the second Socket.IO's."""

    path = "/socket.io/?EIO=4&transport=websocket"

    def join(self, client: int, subject: str | None) -> Talk:
        """Open, connect to the default namespace, enter the room."""
        _starts(b"0", (yield b""))
        _starts(b"40", (yield self.framed(b"40")))
        if subject is not None:
            said = encoded(["subscribe", subject])
            _starts(b'42["subscribed"', (yield self.framed(b"42" + said)))

    def publish(self, subject: str, body: bytes) -> Stamp:
        """One event."""
        return stamp(self.opcode, b'42["publish","%b",%b]' % (subject.encode(), body))

    def split(self, rest: Rest, data: bytes) -> Arrived:
        """Engine.IO's own pings are answered."""
        arrived = super().split(rest, data)
        if b"2" not in arrived.messages:
            return arrived
        kept = [message for message in arrived.messages if message != b"2"]
        return Arrived(kept, arrived.rest, arrived.answer + frame(self.opcode, b"3"))

    def body(self, message: bytes) -> bytes | None:
        """The last argument of a message event: `42["message",subject,data]`."""
        if not message.startswith(b'42["message",'):
            return None
        return message[message.index(b",{") + 1 : -1]


def _starts(start: bytes, message: bytes) -> None:
    if not message.startswith(start):
        raise HungUp(message.decode())
