"""The generator's half of RFC 6455, with a real library as the other half."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from benchmarks import websocket
from benchmarks.payload import Lane
from benchmarks.websocket import HungUp


def server() -> tuple[ServerProtocol, bytes]:
    """A server that took our upgrade, and what it answered."""
    protocol = ServerProtocol()
    protocol.receive_data(websocket.opening("127.0.0.1:1", "/ws", None))
    (request,) = protocol.events_received()
    assert isinstance(request, Request)
    protocol.send_response(protocol.accept(request))
    return protocol, b"".join(protocol.data_to_send())


def received(data: bytes) -> list[tuple[Opcode, bytes, bool]]:
    """The frames that a server reads in what a client sent."""
    protocol, _ = server()
    protocol.receive_data(data)
    assert protocol.parser_exc is None
    frames = [event for event in protocol.events_received() if isinstance(event, Frame)]
    return [(frame.opcode, bytes(frame.data), frame.fin) for frame in frames]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_a_server_reads_what_was_framed(size: int) -> None:
    payload = bytes(range(256)) * (size // 256 + 1)
    framed = websocket.frame(websocket.BINARY, payload[:size])
    assert received(framed) == [(Opcode.BINARY, payload[:size], True)]


@pytest.mark.parametrize("head", [b"", b"1", b"12", b"123"])
@pytest.mark.parametrize("size", [80, 256, 8192, 70_000])
def test_a_server_reads_a_stamped_frame_as_that_message(head: bytes, size: int) -> None:
    """Wherever the number stands, the mask over it is the one that RFC 6455 wants there."""
    lane = Lane("c0", size)
    stamp = websocket.stamp(websocket.TEXT, head + lane.body(0))
    sent = b"".join(stamp.with_number(number) for number in (0, 7, 12_345_678))
    assert [payload for _, payload, _ in received(sent)] == [
        head + lane.body(number) for number in (0, 7, 12_345_678)
    ]


def test_the_upgrade_is_one_that_servers_take() -> None:
    _, answer = server()
    assert websocket.upgraded(answer + b"more") == b"more"
    assert websocket.upgraded(answer[:-1]) is None


def test_a_refused_upgrade_says_how() -> None:
    with pytest.raises(HungUp, match="429 Too Many"):
        websocket.upgraded(b"HTTP/1.1 429 Too Many Requests\r\n\r\n")


@given(st.lists(st.sampled_from([0, 5, 125, 126, 300, 65_535, 65_536]), max_size=5), st.data())
def test_frames_are_found_wherever_the_bytes_are_cut(sizes: list[int], data: st.DataObject) -> None:
    protocol, _ = server()
    payloads = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    for payload in payloads:
        protocol.send_text(payload)
    sent = b"".join(protocol.data_to_send())
    cut = data.draw(st.integers(0, len(sent)))
    first, rest = websocket.split(sent[:cut])
    second, rest = websocket.split(rest + sent[cut:])
    assert first + second == [(websocket.TEXT, payload) for payload in payloads]
    assert rest == b""


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (b"\x88\x02\x03\xe8", "closed"),
        (b"\x81\x85abcdefghi", "masked"),
        (b"\x01\x01x", "fragmented"),
        (b"\x80\x01x", "fragmented"),
    ],
)
def test_a_frame_that_ends_the_talk_is_told(frame: bytes, why: str) -> None:
    with pytest.raises(HungUp, match=why):
        websocket.split(frame)
