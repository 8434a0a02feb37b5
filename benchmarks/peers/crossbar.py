"""Crossbar.io, a WAMP router in Python: JSON over WebSockets on Twisted."""

import json
from pathlib import Path

from benchmarks.dialect import Dialect, Talk, WebSocketDialect
from benchmarks.payload import Stamp
from benchmarks.peers.peer import HOST, TOOLS, Place, Server, address, encoded, free_port, place
from benchmarks.websocket import HungUp, stamp

_WELCOME, _PUBLISH, _SUBSCRIBE, _SUBSCRIBED, _EVENT = 2, 16, 32, 33, 36


class Crossbar:
    """One router worker, anonymous clients, no logging of messages."""

    name = "crossbar"
    title = "crossbar"

    def missing(self) -> str | None:
        """The packages of requirements/bench-crossbar.txt."""
        return None if self._program().exists() else "requirements/bench-crossbar.txt is not installed"

    def start(self, folder: Path, core: int | None) -> tuple[Server, Place]:
        """Start a node with a router; it takes some seconds."""
        port = free_port()
        (folder / "config.json").write_text(json.dumps(_config(port)))
        command = [str(self._program()), "start", "--cbdir", str(folder), "--loglevel", "warn"]
        server = Server(command, folder, core)
        server.until_it_listens(port)
        return server, place(port)

    def dialect(self, place: Place) -> Dialect:
        """WAMP 2."""
        return WampDialect(address(place))

    def _program(self) -> Path:
        return TOOLS / "crossbar" / "bin" / "crossbar"


class WampDialect(WebSocketDialect):
    """WAMP in JSON arrays; a number says what each is."""

    subprotocol = "wamp.2.json"

    def join(self, client: int, subject: str | None) -> Talk:
        """HELLO, WELCOME, SUBSCRIBE, SUBSCRIBED."""
        roles: dict[str, object] = {"publisher": {}, "subscriber": {}}
        _expect(_WELCOME, (yield self.framed(encoded([1, "bench", {"roles": roles}]))))
        if subject is not None:
            _expect(_SUBSCRIBED, (yield self.framed(encoded([_SUBSCRIBE, 1, {}, subject]))))

    def publish(self, subject: str, body: bytes) -> Stamp:
        """One PUBLISH without acknowledgement."""
        return stamp(self.opcode, b'[%d,1,{},"%b",[%b]]' % (_PUBLISH, subject.encode(), body))

    def body(self, message: bytes) -> bytes | None:
        """The one argument of an EVENT."""
        said = json.loads(message)
        return encoded(said[4][0]) if said[0] == _EVENT else None


def _expect(kind: int, message: bytes) -> None:
    if json.loads(message)[0] != kind:
        raise HungUp(message.decode())


def _config(port: int) -> dict[str, object]:
    may = {"call": False, "register": False, "publish": True, "subscribe": True}
    role = {
        "name": "anonymous",
        "permissions": [{"uri": "", "match": "prefix", "allow": may, "cache": True}],
    }
    transport = {
        "type": "websocket",
        "endpoint": {"type": "tcp", "port": port, "interface": HOST, "backlog": 1024},
        "serializers": ["json"],
    }
    router = {
        "type": "router",
        "realms": [{"name": "bench", "roles": [role]}],
        "transports": [transport],
    }
    return {"version": 2, "workers": [router]}
