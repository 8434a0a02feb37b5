"""The tree of patterns: what it finds is what grammar.receives says of each pattern."""

from hypothesis import given
from hypothesis import strategies as st

from artcafe.server.bus.grammar import receives
from artcafe.server.bus.interest import Interest

_TOKENS = st.sampled_from(["a", "b", "c"])
_SUBJECTS = st.lists(_TOKENS, min_size=1, max_size=4).map(".".join)
_PATTERNS = st.builds(
    lambda tokens, rest: ".".join([*tokens, *rest]),
    st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=4),
    st.sampled_from([[], [">"]]),
) | st.just(">")


@given(st.lists(_PATTERNS, max_size=12), st.sets(st.integers(0, 11)), _SUBJECTS)
def test_it_finds_what_receives_and_nothing_that_was_discarded(
    patterns: list[str], gone: set[int], subject: str
) -> None:
    interest: Interest[int] = Interest()
    for number, pattern in enumerate(patterns):
        interest.add(pattern, number)
    for number, pattern in enumerate(patterns):
        if number in gone:
            interest.discard(pattern, number)
    wanted = [
        number for number, pattern in enumerate(patterns) if number not in gone and receives(pattern, subject)
    ]
    assert sorted(interest.of(subject)) == wanted


@given(st.lists(_PATTERNS, max_size=12))
def test_nothing_is_kept_of_what_was_discarded(patterns: list[str]) -> None:
    interest: Interest[int] = Interest()
    for number, pattern in enumerate(patterns):
        interest.add(pattern, number)
    for number, pattern in enumerate(patterns):
        interest.discard(pattern, number)
        interest.discard(pattern, number)
    assert vars(interest)["_root"].below == {}
