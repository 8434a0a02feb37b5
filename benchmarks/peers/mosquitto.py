"""Eclipse Mosquitto, a broker in C. Over plain TCP: Debian's build does not open its WebSocket listener."""

import shutil
from pathlib import Path

from benchmarks.dialect import Arrived, Dialect, Rest, Talk
from benchmarks.payload import Stamp, place_of_number
from benchmarks.peers.peer import HOST, Place, Server, free_port, place
from benchmarks.websocket import HungUp

_CONNACK, _PUBLISH, _SUBACK = 0x20, 0x30, 0x90


class Mosquitto:
    """MQTT 3.1.1 at quality of service 0: at most once, as all the others here."""

    name = "mosquitto"
    title = "mosquitto (MQTT, TCP)"

    def missing(self) -> str | None:
        """The program."""
        return None if self._program() else "mosquitto is not installed"

    def start(self, folder: Path, core: int | None) -> tuple[Server, Place]:
        """Start it open to everybody on this machine."""
        port = free_port()
        conf = folder / "mosquitto.conf"
        conf.write_text(f"listener {port} {HOST}\nallow_anonymous true\nset_tcp_nodelay true\n")
        program = self._program()
        assert program is not None
        server = Server([program, "-c", str(conf)], folder, core)
        server.until_it_listens(port)
        return server, place(port)

    def dialect(self, place: Place) -> Dialect:
        """MQTT."""
        return MqttDialect()

    def _program(self) -> str | None:
        return shutil.which("mosquitto", path="/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin")


class MqttDialect:
    """As much of MQTT 3.1.1 as it takes."""

    echoes = False

    def opening(self, client: int) -> bytes:
        """CONNECT with a clean session and no keepalive."""
        return _packet(0x10, _text(b"MQTT") + b"\x04\x02\x00\x00" + _text(b"client-%d" % client))

    def opened(self, data: bytes) -> bytes | None:
        """There is no upgrade: what comes is MQTT from the first byte."""
        return data

    def join(self, client: int, subject: str | None) -> Talk:
        """CONNACK, then SUBACK."""
        _expect(_CONNACK, (yield b""))
        if subject is not None:
            _expect(_SUBACK, (yield _packet(0x82, b"\x00\x01" + _text(subject.encode()) + b"\x00")))

    def publish(self, subject: str, body: bytes) -> Stamp:
        """One PUBLISH."""
        packet = _packet(_PUBLISH, _text(subject.encode()) + body)
        return Stamp(packet, place_of_number(packet), bytes(8))

    def split(self, rest: Rest, data: bytes) -> Arrived:
        """Packets, the length taken out of their headers."""
        data = rest[0] + data
        messages: list[bytes] = []
        at = 0
        while at + 2 <= len(data):
            size, shift, begin = 0, 0, at + 1
            while begin < len(data) and data[begin] & 0x80:
                size |= (data[begin] & 0x7F) << shift
                shift += 7
                begin += 1
            if begin >= len(data):
                break
            size |= data[begin] << shift
            begin += 1
            if begin + size > len(data):
                break
            messages.append(data[at : at + 1] + data[begin : begin + size])
            at = begin + size
        return Arrived(messages, (data[at:], b""), b"")

    def body(self, message: bytes) -> bytes | None:
        """What follows the topic of a PUBLISH."""
        if message[0] != _PUBLISH:
            return None
        return message[3 + int.from_bytes(message[1:3], "big") :]


def _packet(kind: int, content: bytes) -> bytes:
    size, head = len(content), bytes((kind,))
    while size > 0x7F:
        head += bytes((size & 0x7F | 0x80,))
        size >>= 7
    return head + bytes((size,)) + content


def _text(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text


def _expect(kind: int, message: bytes) -> None:
    if message[0] != kind or message[-1] == 0x80 or (kind == _CONNACK and message[2] != 0):
        raise HungUp(f"refused: {message.hex()}")
