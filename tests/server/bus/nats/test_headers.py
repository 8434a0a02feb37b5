"""Header blocks: what is written, and the status that is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artcafe.server.bus.nats.headers import encode_headers, header_block, header_lines, status_of, value_of


def test_a_block_ends_with_a_blank_line_and_no_headers_are_no_block() -> None:
    assert encode_headers({"a": "1", "B-c": "ü x"}) == "NATS/1.0\r\na: 1\r\nB-c: ü x\r\n\r\n".encode()
    assert encode_headers({}) == b""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("a b", "x"),
        ("a:b", "x"),
        ("ü", "x"),
        ("a\r\n", "x"),
        ("a", "x\r\nb: y"),
        ("a", "x\n"),
        ("a", "\r"),
        ("a", "\0"),
        ("a", "\ud800"),
    ],
)
def test_nothing_adds_a_header_or_ends_the_block(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"header|surrogates"):
        encode_headers({name: value})


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_a_block_has_a_line_for_each_header(headers: dict[str, str]) -> None:
    try:
        block = encode_headers(headers)
    except ValueError:
        return
    assert block.count(b"\r\n") == (len(headers) + 2 if headers else 0)


@pytest.mark.parametrize(
    ("block", "status"),
    [
        (b"NATS/1.0 503\r\n\r\n", 503),
        (b"NATS/1.0   404 No Messages\r\na: b\r\n\r\n", 404),
        (b"NATS/1.0\r\nStatus: 503\r\n\r\n", 0),
        (b"NATS/1.0 x\r\n\r\n", 0),
        (b"NATS/1.0 -1\r\n\r\n", 0),
        (b"NATS/1.0 5033\r\n\r\n", 0),
        (b"HTTP/1.1 503\r\n\r\n", 0),
        (b"", 0),
        (b"\xff\xff 503", 0),
    ],
)
def test_the_status_is_the_number_of_the_first_line(block: bytes, status: int) -> None:
    assert status_of(block) == status


def test_lines_are_parts_of_a_block_in_any_order() -> None:
    lines = header_lines({"a": "1"}) + header_lines({"b": "2"})
    assert header_block(lines) == encode_headers({"a": "1", "b": "2"})


def test_a_value_is_found_by_the_whole_name() -> None:
    block = encode_headers({"Nats-Sequence-X": "1", "X-Nats-Sequence": "2", "Nats-Sequence": "3", "E": ""})
    assert value_of(block, b"Nats-Sequence") == b"3"
    assert value_of(block, b"E") == b""
    assert value_of(block, b"Sequence") is None
    assert value_of(b"", b"E") is None
