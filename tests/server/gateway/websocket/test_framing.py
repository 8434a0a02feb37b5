"""Frames and fragments, without a socket."""

import codecs
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artcafe.server.gateway.websocket.framing import (
    BINARY,
    Fragments,
    close_reason,
    frame,
    may_close_with,
    require_utf8,
)
from artcafe.wire.codes import Code
from artcafe.wire.errors import ArtcafeError


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x81\x00"),
        (1, b"\x81\x01"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_frame_has_the_shortest_length_that_fits(size: int, header: bytes) -> None:
    assert frame(b"x" * size) == header + b"x" * size


def test_a_binary_frame() -> None:
    assert frame(b"\xff", BINARY) == b"\x82\x01\xff"


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1014, 3000, 4002, 4999])
def test_codes_that_may_be_sent(code: int) -> None:
    assert may_close_with(code)


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535])
def test_codes_that_must_not_be_sent(code: int) -> None:
    assert not may_close_with(code)


@given(st.text(max_size=200))
def test_a_reason_fits_and_stays_text(reason: str) -> None:
    cut = close_reason(reason)
    assert reason.startswith(cut)
    assert len(cut.encode()) <= 123
    assert cut == reason or len(reason[: len(cut) + 1].encode()) > 123


def test_text_must_be_utf8() -> None:
    require_utf8(b"plain")
    require_utf8("caf\u00e9 \U0001f600".encode())
    for bad in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"cut \xf0\x9f\x98"):
        with pytest.raises(ArtcafeError) as refused:
            require_utf8(bad)
        assert refused.value.code is Code.not_utf8


def gather(parts: list[bytes], *, text: bool, most_bytes: int = 100, most_fragments: int = 10) -> bytes:
    fragments = Fragments(text=text, most_bytes=most_bytes, most_fragments=most_fragments)
    for part in parts[:-1]:
        assert fragments.add(part, final=False) is None
    message = fragments.add(parts[-1], final=True)
    assert message is not None
    return message


@given(st.text(max_size=20), st.lists(st.integers(0, 80), max_size=8))
def test_text_may_be_cut_anywhere(text: str, cuts: list[int]) -> None:
    whole = text.encode()
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    parts = [whole[a:b] for a, b in itertools.pairwise(edges)]
    assert gather(parts, text=True) == whole


@given(st.binary(max_size=20), st.integers(0, 20))
def test_fragments_of_text_agree_with_python_about_utf8(data: bytes, cut: int) -> None:
    try:
        codecs.decode(data, "utf-8")
    except UnicodeDecodeError:
        with pytest.raises(ArtcafeError):
            gather([data[:cut], data[cut:]], text=True)
    else:
        assert gather([data[:cut], data[cut:]], text=True) == data


def test_text_that_cannot_become_utf8_ends_at_once() -> None:
    fragments = Fragments(text=True, most_bytes=100, most_fragments=10)
    with pytest.raises(ArtcafeError) as refused:
        fragments.add(b"fine \xff", final=False)
    assert refused.value.code is Code.not_utf8


def test_binary_is_not_checked() -> None:
    assert gather([b"\xff", b"\xfe"], text=False) == b"\xff\xfe"


def test_bytes_are_limited_over_the_whole_message() -> None:
    assert gather([b"x" * 60, b"y" * 40], text=False) == b"x" * 60 + b"y" * 40
    with pytest.raises(ArtcafeError) as refused:
        gather([b"x" * 60, b"y" * 41], text=False)
    assert refused.value.code is Code.too_large


def test_empty_fragments_count() -> None:
    assert gather([b""] * 10, text=True) == b""
    with pytest.raises(ArtcafeError) as refused:
        gather([b""] * 11, text=True)
    assert refused.value.code is Code.too_large
