"""The tree of patterns: what it answers is what the grammar says of each pattern, and what that costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artcafe.server.bus.nats.grammar import receives
from artcafe.server.domain.interest import Interest

_TOKENS = st.sampled_from(["a", "b", "c"])
_SUBJECTS = st.lists(_TOKENS, min_size=1, max_size=4).map(".".join)
_PATTERNS = st.builds(
    lambda tokens, rest: ".".join([*tokens, *rest]),
    st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=4),
    st.sampled_from([[], [">"]]),
) | st.just(">")

Numbered = list[tuple[str, int]]


def made(patterns: list[str], gone: set[int]) -> tuple[Interest[int], Numbered]:
    """A tree of numbered patterns from which some were taken again, and those that stayed."""
    interest: Interest[int] = Interest()
    for number, pattern in enumerate(patterns):
        interest.add(pattern, number)
    for number, pattern in enumerate(patterns):
        if number in gone:
            interest.discard(pattern, number)
    return interest, [(pattern, number) for number, pattern in enumerate(patterns) if number not in gone]


def all_subjects() -> list[str]:
    """Every subject of up to five of the tokens that patterns here are made of, and one that is in none."""
    level, found = [""], []
    for _ in range(5):
        level = [f"{before}.{token}".lstrip(".") for before in level for token in "abz"]
        found += level
    return found


SUBJECTS = all_subjects()


def subjects_of(pattern: str) -> set[str]:
    """The subjects that a pattern receives."""
    return {subject for subject in SUBJECTS if receives(pattern, subject)}


patterns = st.lists(_PATTERNS, max_size=12)
some = st.sets(st.integers(0, 11))


@given(patterns, some, _SUBJECTS)
def test_it_finds_what_receives_and_nothing_that_was_discarded(
    patterns: list[str], gone: set[int], subject: str
) -> None:
    interest, kept = made(patterns, gone)
    assert sorted(interest.of(subject)) == [n for pattern, n in kept if receives(pattern, subject)]


@given(patterns, some, _PATTERNS)
def test_what_covers_and_what_overlaps_is_told_by_the_subjects(
    patterns: list[str], gone: set[int], asked: str
) -> None:
    interest, kept = made(patterns, gone)
    wanted = subjects_of(asked)
    assert sorted(interest.covering(asked)) == [n for p, n in kept if subjects_of(p) >= wanted]
    assert sorted(interest.overlapping(asked)) == [n for p, n in kept if subjects_of(p) & wanted]


@given(patterns, some)
def test_no_subject_is_received_by_more_than_the_most(patterns: list[str], gone: set[int]) -> None:
    interest, _ = made(patterns, gone)
    assert max(len(interest.of(subject)) for subject in SUBJECTS) <= interest.most


@given(patterns, some)
def test_the_most_does_not_depend_on_what_was_there_before(patterns: list[str], gone: set[int]) -> None:
    interest, kept = made(patterns, gone)
    anew, _ = made([pattern for pattern, _ in kept], set())
    assert interest.most == anew.most


@given(patterns, _SUBJECTS)
def test_to_ask_visits_no_more_than_the_most_for_each_token(patterns: list[str], subject: str) -> None:
    interest, _ = made(patterns, set())
    interest.of(subject)
    assert interest.visited <= max(interest.most, 1) * (subject.count(".") + 1)


@given(patterns)
def test_nothing_is_kept_of_what_was_discarded(patterns: list[str]) -> None:
    interest, _ = made(patterns, set(range(len(patterns))))
    for number, pattern in enumerate(patterns):
        interest.discard(pattern, number)
    assert interest._root.below == {}
    assert interest.most == 0


@pytest.mark.parametrize(
    ("patterns", "most"),
    [
        ([], 0),
        (["a", "b", "c"], 1),
        ([">", *(f"word.{number}" for number in range(500))], 2),
        ([f"*.{number}" for number in range(500)], 1),
        (["a.*", "*.b"], 2),
        ([*(f"a{n}.*" for n in range(500)), *(f"*.b{n}" for n in range(500))], 2),
        (["*.b", "a.c"], 2),
        (["a", "a.>", "*", "*.*", ">"], 3),
    ],
)
def test_the_most_of_known_patterns(patterns: list[str], most: int) -> None:
    assert made(patterns, set())[0].most == most


def test_an_item_is_held_once_under_a_pattern() -> None:
    interest: Interest[str] = Interest()
    interest.add("a.*", "x")
    interest.add("a.*", "x")
    assert (interest.of("a.b"), interest.most) == (["x"], 1)
    interest.discard("a.*", "x")
    assert (interest.of("a.b"), interest.most) == ([], 0)


def test_patterns_that_a_subject_does_not_meet_cost_it_nothing() -> None:
    interest: Interest[int] = Interest()
    for number in range(10_000):
        interest.add(f"m.*.room{number}.*", number)
    interest.of("m.planner.room5.x")
    assert interest.visited == 4
