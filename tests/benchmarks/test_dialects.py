"""A dialect finds the same messages wherever the network cut the bytes."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from benchmarks.dialect import NOTHING, Dialect
from benchmarks.payload import Lane
from benchmarks.peers.gateways import JsonDialect, SocketIoDialect
from benchmarks.peers.http import HttpDialect
from benchmarks.peers.mosquitto import MqttDialect
from benchmarks.peers.nats_server import NatsDialect
from benchmarks.websocket import HungUp

BODIES = [Lane("c0", size).body(number) for number, size in enumerate((64, 120, 256, 9000))]


def framed(payload: bytes, opcode: Opcode = Opcode.TEXT) -> bytes:
    """A frame as a server writes it."""
    return Frame(opcode, payload).serialize(mask=False)


def mqtt(body: bytes) -> bytes:
    content = b"\0\x08bench.c0" + body
    size = len(content)
    length = bytes((size,)) if size < 128 else bytes((size & 0x7F | 0x80, size >> 7))
    return b"\x30" + length + content


def nats(body: bytes) -> bytes:
    """Two frames, cut inside the payload, as a nats-server may."""
    line = b"MSG bench.c0 1 %d\r\n%b\r\n" % (len(body), body)
    return framed(line[:40], Opcode.BINARY) + framed(line[40:], Opcode.BINARY)


def http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def plain(body: bytes) -> bytes:
    return framed(b'{"type": "message", "subject": "bench.c0", "data": %b}' % body)


def socket_io(body: bytes) -> bytes:
    return framed(b'42["message","bench.c0",%b]' % body)


CASES: dict[str, tuple[Dialect, Callable[[bytes], bytes]]] = {
    "mqtt": (MqttDialect(), mqtt),
    "nats": (NatsDialect("h:1"), nats),
    "http": (HttpDialect("h:1", "/", {}), http),
    "plain": (JsonDialect("h:1"), plain),
    "socket.io": (SocketIoDialect("h:1"), socket_io),
}


def bodies(dialect: Dialect, *pieces: bytes) -> tuple[list[bytes], bytes]:
    """What was delivered in these reads, and what the client answered."""
    rest, found, answer = NOTHING, [], b""
    for piece in pieces:
        arrived = dialect.split(rest, piece)
        rest, answer = arrived.rest, answer + arrived.answer
        found += [body for message in arrived.messages if (body := dialect.body(message)) is not None]
    assert rest == NOTHING
    return found, answer


@pytest.mark.parametrize("name", CASES)
@given(st.data())
def test_messages_are_found_wherever_the_bytes_are_cut(name: str, data: st.DataObject) -> None:
    dialect, written = CASES[name]
    sent = b"".join(written(body) for body in BODIES)
    one, other = sorted((data.draw(st.integers(0, len(sent))), data.draw(st.integers(0, len(sent)))))
    assert bodies(dialect, sent[:one], sent[one:other], sent[other:]) == (BODIES, b"")


@pytest.mark.parametrize(
    ("name", "asked", "answered"),
    [
        ("nats", framed(b"PING\r\n", Opcode.BINARY), b"PONG\r\n"),
        ("socket.io", framed(b"2"), b"3"),
        ("plain", framed(b"hello", Opcode.PING), b"hello"),
    ],
)
def test_heartbeats_are_answered_and_are_no_messages(name: str, asked: bytes, answered: bytes) -> None:
    dialect, written = CASES[name]
    found, answer = bodies(dialect, asked + written(BODIES[0]))
    assert found == [BODIES[0]]
    key, payload = answer[2:6], answer[6:]
    assert bytes(byte ^ key[at % 4] for at, byte in enumerate(payload)) == answered


def test_an_answer_that_is_no_success_ends_the_run() -> None:
    dialect, _ = CASES["http"]
    with pytest.raises(HungUp, match="429"):
        dialect.split(NOTHING, b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")


def test_an_error_of_nats_ends_the_run() -> None:
    dialect, _ = CASES["nats"]
    with pytest.raises(HungUp, match="Permissions Violation"):
        dialect.split(NOTHING, framed(b"-ERR 'Permissions Violation'\r\n", Opcode.BINARY))
