"""Two patterns: whether one receives all that the other does, and whether they receive anything together."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from artcafe.wire.subjects import covers, matches, overlap
from tests.kit.subjects import pattern_or_none, patterns, patterns_near, subject_or_none, texts

FRESH = "zz-9"
"""A token that no generated pattern has."""


def subject_of(pattern: str, more: int = 1) -> str:
    """A subject that a pattern receives, and as few others as can be: FRESH for each wildcard, and as
    many as told for the last `>`."""
    tokens = []
    for token in pattern.split("."):
        tokens += [FRESH] * more if token == ">" else [FRESH if token == "*" else token]
    return ".".join(tokens)


def common(one: str, other: str) -> str:
    """A subject that both patterns receive, if there is any: what one says where the other has a wildcard."""
    left, right = one.split("."), other.split(".")
    tokens = []
    for position in range(max(len(left), len(right))):
        said = [pattern[position] for pattern in (left, right) if position < len(pattern)]
        tokens.append(next((token for token in said if token not in {"*", ">"}), FRESH))
    return ".".join(tokens)


pairs = st.tuples(patterns, patterns) | texts.flatmap(
    lambda text: st.tuples(patterns_near(text), patterns_near(text))
)


def short(text: str) -> str:
    address = pattern_or_none(text)
    assume(address is not None)
    return address.subject if address else ""


@given(pairs, texts)
@example(("a.>", "a.*"), "a.b")
@example(("a.*", "a.>"), "a.b.c")
@example(("*.>", ">"), "a")
@example((">", "*.>"), "a.b")
@example((">", "agents.b.x"), "agents.b.x")
def test_what_covers_receives_every_subject_of_the_other(pair: tuple[str, str], text: str) -> None:
    wide, narrow = short(pair[0]), short(pair[1])
    drawn = subject_or_none(text)
    subjects = [common(narrow, wide), *([drawn.subject] if drawn else [])]

    # What the narrow one receives through its wildcards, only a wildcard of the wide one takes too.
    assert covers(wide, narrow) is all(matches(wide, subject_of(narrow, more)) for more in (1, 3))
    if covers(wide, narrow):
        assert all(matches(wide, subject) for subject in subjects if matches(narrow, subject))


@given(pairs, texts)
@example(("a.>", "a"), "a")
@example(("a.*", "*.b"), "a.b")
@example((">", ">"), "a")
@example(("*.b.x", "agents.b.x"), "agents.b.x")
def test_overlap_is_told_exactly_when_some_subject_is_received_by_both(
    pair: tuple[str, str], text: str
) -> None:
    one, other = short(pair[0]), short(pair[1])
    witness = common(one, other)
    both = matches(one, witness) and matches(other, witness)

    assert overlap(one, other) is overlap(other, one) is both
    drawn = subject_or_none(text)
    if drawn and matches(one, drawn.subject) and matches(other, drawn.subject):
        assert overlap(one, other)


@given(pairs)
def test_covering_is_an_order_and_implies_overlap(pair: tuple[str, str]) -> None:
    one, other = short(pair[0]), short(pair[1])

    assert covers(one, one)
    assert overlap(one, one)
    if covers(one, other):
        assert overlap(one, other)
        assert one == other or not covers(other, one)


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        ("a", "a", True),
        ("*", "a", True),
        ("a", "*", False),
        (">", "*.*", True),
        ("*.*", ">", False),
        ("a.>", "a", False),
        ("a.>", "a.b.>", True),
        ("a.b.>", "a.>", False),
        ("a.*", "a.b.c", False),
        (">", "agents.b", True),
        (">", "agents.b.x", False),
        (">", "agents.presence.x", True),
        (">", "sys.x", False),
        ("agents.*.>", "agents.b.x", True),
        ("agents.b.>", "agents.*.x", False),
        ("inbox.b.>", "inbox.b.*", True),
        ("inbox.b.>", "agents.b.x", False),
        ("sys.>", "sys.x", True),
    ],
)
def test_known_pairs_of_a_wide_and_a_narrow_one(wide: str, narrow: str, covered: bool) -> None:
    assert covers(wide, narrow) is covered


@pytest.mark.parametrize(
    ("one", "other", "some"),
    [
        ("a.*", "*.b", True),
        ("a.*", "b.*", False),
        ("a.>", "a", False),
        ("a.>", "a.b.c", True),
        ("a.>", "*.b", True),
        (">", "a", True),
        (">", "agents.planner.x", False),
        ("*.*.x", "agents.*.x", False),
        ("agents.*.x", "agents.b.>", True),
        ("agents.b.x", "inbox.b.x", False),
        ("a.*", "a.*.*", False),
        (">", "sys.>", False),
    ],
)
def test_known_pairs_that_meet_and_that_do_not(one: str, other: str, some: bool) -> None:
    assert overlap(one, other) is some
    assert overlap(other, one) is some
