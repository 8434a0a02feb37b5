"""The NATS protocol as a server speaks it, in pieces of any size, and nonsense."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artcafe.server.bus.nats.message import FullMessage
from artcafe.server.bus.nats.parser import LINE_BYTES, PAYLOAD_BYTES, Message, Parser, ProtocolError


def parsed(*reads: bytes) -> tuple[list[Message], list[bytes], Parser]:
    """What a parser makes of these reads."""
    lines: list[bytes] = []
    parser = Parser(lines.append)
    for read in reads:
        parser.feed(read)
    return parser.messages, lines, parser


WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


@st.composite
def spoken(draw: st.DrawFn) -> tuple[bytes, Message | bytes]:
    """Something a server says, and what it means."""
    if draw(st.booleans()):
        return (
            line := draw(st.sampled_from([b"PING", b"PONG", b"+OK", b"INFO {}", b"-ERR 'x'"]))
        ) + b"\r\n", line
    subject, number = draw(WORD), draw(st.integers(0, 10**6))
    reply = draw(st.one_of(st.just(""), WORD.map(lambda word: f" {word}")))
    # With the ends of lines inside, and whole commands.
    payload = draw(st.one_of(st.binary(max_size=40), st.just(b"\r\n"), st.just(b"MSG a 1 5\r\n")))
    if draw(st.booleans()):
        text = f"MSG {subject} {number}{reply} {len(payload)}\r\n".encode() + payload
    else:
        head = draw(st.sampled_from([b"NATS/1.0\r\n\r\n", b"NATS/1.0\r\na: b\r\n\r\n"]))
        size = len(head) + len(payload)
        text = f"HMSG {subject} {number}{reply} {len(head)} {size}\r\n".encode() + head + payload
    return text + b"\r\n", (number, subject, payload)


@given(st.lists(spoken(), max_size=6), st.data())
def test_it_does_not_matter_where_the_reads_are_cut(
    all_spoken: list[tuple[bytes, Message | bytes]], data: st.DataObject
) -> None:
    text = b"".join(part for part, _ in all_spoken)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    reads = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    messages, lines, parser = parsed(*reads)
    assert messages == [meant for _, meant in all_spoken if isinstance(meant, tuple)]
    assert lines == [meant for _, meant in all_spoken if isinstance(meant, bytes)]
    assert parser.between


def test_every_single_cut() -> None:
    text = (
        b"INFO {}\r\nMSG a.b 7 3\r\n\r\nx\r\nPING\r\nMSG a 1 _r.1 0\r\n\r\n"
        b"HMSG a 2 r 12 15\r\nNATS/1.0\r\n\r\nabc\r\nPONG\r\n"
    )
    expected = ([(7, "a.b", b"\r\nx"), (1, "a", b""), (2, "a", b"abc")], [b"INFO {}", b"PING", b"PONG"])
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            assert parsed(text[:first], text[first:second], text[second:])[:2] == expected
    assert parsed(*(text[at : at + 1] for at in range(len(text))))[:2] == expected


def test_a_subscription_that_asks_for_it_gets_reply_and_headers_at_every_cut() -> None:
    head = b"NATS/1.0 503\r\na: b\r\n\r\n"
    text = (
        b"MSG a 7 2\r\nm1\r\nMSG a 7 _r.1 2\r\nm2\r\nMSG a 8 _r.1 2\r\nm3\r\n"
        b"HMSG a 7 %d %d\r\n%bm4\r\nHMSG a 7 _r.2 %d %d\r\n%bm5\r\nHMSG a 7 0 2\r\nm6\r\n"
        b"HMSG a 8 _r.2 %d %d\r\n%bm7\r\n"
    ) % ((len(head), len(head) + 2, head) * 3)
    expected = [
        (7, "a", FullMessage("", b"", b"m1")),
        (7, "a", FullMessage("_r.1", b"", b"m2")),
        (8, "a", b"m3"),
        (7, "a", FullMessage("", head, b"m4")),
        (7, "a", FullMessage("_r.2", head, b"m5")),
        (7, "a", FullMessage("", b"", b"m6")),
        (8, "a", b"m7"),
    ]
    for place in range(len(text)):
        parser = Parser(lambda _: None)
        parser.full.add(7)
        parser.feed(text[:place])
        parser.feed(text[place:])
        assert parser.messages == expected


@pytest.mark.parametrize(
    "line",
    [b"MSG a 7 \xff 0", b"MSG a 7 r s 0", b"HMSG a 7 \xff 0 0", b"HMSG a 7 r s 0 0"],
)
def test_a_line_that_tells_no_reply_is_nonsense_where_it_is_asked_for(line: bytes) -> None:
    parser = Parser(lambda _: None)
    parser.full.add(7)
    with pytest.raises(ProtocolError):
        parser.feed(line + b"\r\n\r\n")


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_random_bytes_are_lines_or_nonsense_and_end(reads: list[bytes]) -> None:
    try:
        messages, lines, _ = parsed(*reads)
    except ProtocolError:
        return
    total = b"".join(reads)
    assert sum(len(line) + 2 for line in lines) <= len(total)
    assert all(isinstance(payload, bytes) and payload in total for _, _, payload in messages)


@given(spoken(), st.data())
def test_one_wrong_byte_never_hangs_or_raises_anything_else(
    one: tuple[bytes, Message | bytes], data: st.DataObject
) -> None:
    text = bytearray(one[0])
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolError):
        messages, lines, _ = parsed(bytes(text), b"PING\r\n")
        assert len(messages) + len(lines) <= text.count(b"\r\n") + 1


@pytest.mark.parametrize(
    "text",
    [
        b"MSG\r\n",
        b"MSG a 1\r\n",
        b"MSG a x 1\r\n",
        b"MSG a 1 x\r\n",
        b"MSG a 1 -5\r\n",
        b"MSG a 1 -9999999\r\nPING\r\n",
        b"MSG \xff 1 0\r\n\r\n",
        b"MSG a 1 %d\r\n" % (PAYLOAD_BYTES + 1),
        b"MSG a 1 2\r\nabcd\r\n",
        b"HMSG a 1 5\r\n",
        b"HMSG a 1 6 5\r\n",
        b"HMSG a 1 -1 5\r\nabcde\r\n",
        b"x" * (LINE_BYTES + 1),
        b"x" * (LINE_BYTES + 1) + b"\r\n",
    ],
)
def test_nonsense(text: bytes) -> None:
    with pytest.raises(ProtocolError):
        parsed(text)


def test_a_large_message_in_small_pieces_is_held_once() -> None:
    payload = bytes(range(256)) * 32_000
    text = b"MSG a 1 %d\r\n%b\r\nPING\r\n" % (len(payload), payload)
    lines: list[bytes] = []
    parser = Parser(lines.append)
    # Joining at each piece would copy some 64 GB here.
    for at in range(0, len(text), 512):
        assert parser.messages == []
        assert parser.between == (at == 0)
        parser.feed(text[at : at + 512])
    assert parser.messages == [(1, "a", payload)]
    assert lines == [b"PING"]
