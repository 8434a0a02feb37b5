"""Requests out of bytes, however these are cut."""

import pytest

from artcafe.server.edge.heads import Fields, Head
from artcafe.server.edge.limits import HttpLimits
from artcafe.server.edge.reader import PIECE_BYTES, RequestReader
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError
from tests.kit.http_corpus import IN_CHUNKS, SMUGGLED, WEBSOCKET, chunk, chunked, counted, request


class Requests:
    """reader.Sink: what came."""

    def __init__(self) -> None:
        self.came: list[tuple[str, bytes, bytes]] = []
        self.fields: list[Fields] = []
        self.whole = 0
        self.upgrades: list[Head] = []
        self.largest = 0

    def request(self, head: Head, *, keep_alive: bool) -> None:
        self.came.append((head.method.decode(), head.path, b""))
        self.fields.append(head.fields)

    def upgrade(self, head: Head) -> None:
        self.upgrades.append(head)

    def body(self, part: bytes) -> None:
        method, path, body = self.came[-1]
        self.came[-1] = (method, path, body + part)
        self.largest = max(self.largest, len(part))

    def end(self) -> None:
        self.whole += 1


def taken(data: bytes, step: int, limits: HttpLimits | None = None) -> Requests:
    """What is read of these bytes, when they come in steps."""
    sink = Requests()
    reader = RequestReader(sink, limits or HttpLimits())
    for at in range(0, len(data), step):
        reader.add(data[at : at + step])
        while reader.next():
            pass
    assert not reader.in_body
    return sink


THREE = (
    request(b"Upgrade: h2c", b"Connection: Upgrade")
    + chunked(b"Upgrade: h2c", b"Connection: Upgrade", body=IN_CHUNKS)
    + b"\r\n"
    + counted(b"Upgrade: h2c", b"Connection: Upgrade", body=b"\r\n\r\n" * 3 + SMUGGLED)
)


@pytest.mark.parametrize("step", [*range(1, 12), 97, 10_000])
def test_requests_are_the_same_however_they_are_cut(step: int) -> None:
    path = b"/api/v1/echo"
    sink = taken(THREE, step)
    assert sink.came == [
        ("GET", path, b""),
        ("POST", path, SMUGGLED),
        ("POST", path, b"\r\n\r\n" * 3 + SMUGGLED),
    ]
    assert sink.whole == 3


@pytest.mark.parametrize("step", [1, 2, 3, 10_000])
def test_a_trailer_is_no_field_of_its_request_nor_of_the_next_one(step: int) -> None:
    body = chunk(b"abc") + b"0\r\nAuthorization: Bearer x\r\nX-A: b\r\n\r\n"
    sink = taken(chunked(body=body) + request(b"X-B: c"), step)
    assert [name for fields in sink.fields for name, _ in fields] == [
        b"host",
        b"transfer-encoding",
        b"host",
        b"x-b",
    ]


def test_one_call_takes_one_message_at_most() -> None:
    sink = Requests()
    reader = RequestReader(sink, HttpLimits())
    reader.add(request() * 3)
    for taken_so_far in (1, 2, 3):
        assert reader.next()
        assert sink.whole == taken_so_far
    assert not reader.next()


def test_a_body_comes_in_pieces_of_bounded_size() -> None:
    sink = taken(counted(body=bytes(300_000)), 300_000)
    assert len(sink.came[0][2]) == 300_000
    assert sink.largest <= PIECE_BYTES


def test_what_follows_an_upgrade_is_given_away_untouched() -> None:
    sink = Requests()
    reader = RequestReader(sink, HttpLimits())
    raw = request(*WEBSOCKET.rstrip().split(b"\r\n"))
    reader.add(raw + b"early \r\n\r\n")
    assert reader.next()
    assert [head.raw for head in sink.upgrades] == [raw]
    assert reader.rest() == b"early \r\n\r\n"
    assert (reader.size, sink.came) == (0, [])


@pytest.mark.parametrize("step", [1, 1000, 10_000])
@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_a_head_is_kept_up_to_its_bound_and_no_further(step: int, end: bytes) -> None:
    limits = HttpLimits(head_bytes=5000)
    room = 5000 - len(request(b"X: "))
    assert taken(request(b"X: " + b"a" * room), step, limits).whole == 1
    with pytest.raises(ArtcafeError) as refusal:
        taken(request(b"X: " + b"a" * (room + 1)).removesuffix(b"\r\n\r\n") + b"aaaa" + end, step, limits)
    assert refusal.value.code is Code.headers_too_large


@pytest.mark.parametrize(
    "around",
    [chunk(b"a", b";" + b"b" * 200_000), b"0\r\n" + b"X: y\r\n" * 40_000, b"0\r\nX: " + b"y" * 200_000],
)
def test_what_stands_around_chunks_is_bounded(around: bytes) -> None:
    with pytest.raises(ArtcafeError, match="too much around"):
        taken(chunked(body=around), 1000)


def test_chunks_of_one_byte_are_not_too_much_around_a_body() -> None:
    sink = taken(chunked(body=chunk(b"a") * 100_000 + b"0\r\n\r\n"), 65_536)
    assert sink.came[0][2] == b"a" * 100_000
