"""The judgements that backends share, where the contract's suite cannot look."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artcafe.server.store.item import (
    ABSENT,
    MAX_KEY_BYTES,
    Check,
    Delete,
    Delta,
    InvalidCursor,
    InvalidKey,
    InvalidWrite,
    Put,
    StoreError,
)
from artcafe.server.store.rules import check_keys, decode_cursor, encode_cursor, merge, page, prepare

SECRET = "s3cret"
GOOD_KEYS = st.text(st.characters(blacklist_categories=["Cc", "Cs"]), min_size=1, max_size=128)


def no_rev() -> str:
    raise AssertionError("no revision is needed here")


@given(GOOD_KEYS, st.integers(0, 5))
def test_a_cursor_gives_back_its_key_under_each_of_its_prefixes(sk: str, length: int) -> None:
    cursor = encode_cursor(sk)

    assert decode_cursor(cursor, sk[:length]) == sk
    with pytest.raises(InvalidCursor):
        decode_cursor(cursor, sk + "x")


@given(st.text(max_size=20) | st.text("ABMQghw019-_+/=", max_size=12))
def test_whatever_is_sent_as_a_cursor_is_the_one_spelling_of_a_key_or_refused(text: str) -> None:
    try:
        sk = decode_cursor(text, "")
    except InvalidCursor:
        return
    check_keys(sk)
    assert encode_cursor(sk) == text


@given(st.text(max_size=6) | st.text(min_size=120, max_size=MAX_KEY_BYTES + 1))
def test_a_key_is_good_exactly_when_it_is_short_utf8_without_controls(key: str) -> None:
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        size = 0
    controls = any(ord(char) < 32 or 127 <= ord(char) < 160 for char in key)
    if 1 <= size <= MAX_KEY_BYTES and not controls:
        check_keys(key)
    else:
        with pytest.raises(InvalidKey):
            check_keys(key)


def test_a_page_looks_at_no_more_rows_than_its_limit_and_one() -> None:
    looked: list[str] = []

    def rows() -> Iterator[tuple[str, str, int | None, str]]:
        for n in range(100):
            looked.append(f"{n:03}")
            yield (f"{n:03}", "rev", 5, "{}")

    full = page("p", "", 10, 5, rows())

    assert full.items == []
    assert full.cursor == encode_cursor("009")
    assert len(looked) == 11


def test_a_page_stops_at_the_first_row_outside_its_prefix() -> None:
    rows = [("a1", "r", None, "{}"), ("b1", "r", None, "not even looked at")]

    assert [item.sk for item in page("p", "a", 10, 0, iter(rows)).items] == ["a1"]
    assert page("p", "a", 1, 0, iter(rows)).cursor is None


def test_only_puts_get_revisions() -> None:
    assert [step.rev for step in prepare([Delete("p", "a"), Check("p", "b", ABSENT)], no_rev)] == ["", ""]
    revs = iter("xy")
    steps = prepare([Put("p", "a", {"n": 1}), Delete("p", "b"), Put("p", "c", {})], lambda: next(revs))
    assert [(step.rev, step.text) for step in steps] == [("x", '{"n":1}'), ("", ""), ("y", "{}")]


def test_deltas_are_summed_by_counter() -> None:
    deltas = [
        Delta("p", "a", 1),
        Delta("p", "b", 2),
        Delta("p", "a", 3),
        Delta("q", "a", -1),
        Delta("q", "a", 1),
        Delta("q", "b", 1, expires=7),
        Delta("q", "b", -1, expires=8),
        Delta("q", "b", 0),
    ]

    assert merge(deltas) == [Delta("p", "a", 4), Delta("p", "b", 2), Delta("q", "b", 0, expires=8)]


@pytest.mark.parametrize(
    "put",
    [Put(SECRET + "\n", "s", {}), Put("p", SECRET, {"v": float("nan")}), Put("p", "s", {SECRET: "\ud800"})],
)
def test_a_refusal_does_not_repeat_what_it_refuses(put: Put) -> None:
    with pytest.raises((InvalidKey, InvalidWrite)) as caught:
        prepare([put], no_rev)

    assert isinstance(caught.value, StoreError)
    assert SECRET not in str(caught.value)
    assert (
        caught.value.__cause__ is None and caught.value.__suppress_context__
    ) or caught.value.__context__ is None
