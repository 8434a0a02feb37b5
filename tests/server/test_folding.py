"""Lines that are alike are folded: what is written, what is counted, and how little of it is remembered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artcafe.server.folding import BURST_SECONDS, FIRST, WINDOW_SECONDS, Folding


def folding(keys: int = 100, per_second: float = 1000.0) -> Folding[str]:
    return Folding(keys=keys, per_second=per_second)


def admitted(lines: Folding[str], key: str, times: int, now: float = 0.0) -> int:
    """How many of so many lines of one key are written."""
    return sum(lines.admit(key, "kind", key, now) for _ in range(times))


def test_the_first_lines_of_a_key_are_written_and_the_rest_is_counted_exactly() -> None:
    lines = folding()

    assert admitted(lines, "a", 1_000) == FIRST
    assert lines.due(WINDOW_SECONDS - 0.1) == []
    [folded] = lines.due(WINDOW_SECONDS)
    assert (folded.sample, folded.count, folded.others) == ("a", 1_000 - FIRST, False)


def test_the_window_of_a_key_begins_anew_once_it_was_told() -> None:
    lines = folding()
    admitted(lines, "a", 20)
    lines.due(WINDOW_SECONDS)

    assert admitted(lines, "a", 20, WINDOW_SECONDS) == FIRST
    assert [each.count for each in lines.due(2 * WINDOW_SECONDS)] == [10]


def test_a_key_that_was_written_whole_is_forgotten_without_a_word() -> None:
    lines = folding()
    admitted(lines, "a", FIRST)

    assert lines.due(WINDOW_SECONDS) == []
    assert len(lines) == 0


def test_keys_beyond_the_limit_are_counted_together_by_kind() -> None:
    lines = folding(keys=2)
    for key in ("a", "b"):
        admitted(lines, key, 1)

    written = [lines.admit(f"c{n}", "refused" if n % 2 else "connected", "c", 0.0) for n in range(1000)]

    assert not any(written)
    assert len(lines) == 4
    told = {(each.count, each.others) for each in lines.due(WINDOW_SECONDS)}
    assert told == {(500, True)}


def test_all_keys_together_are_written_no_faster_than_the_rate() -> None:
    """Who varies what is folded is bounded all the same, and nothing is lost."""
    lines = folding(keys=10_000, per_second=5.0)

    written = sum(admitted(lines, f"k{n}", 1) for n in range(1_000))

    assert written == 5.0 * BURST_SECONDS
    assert sum(each.count for each in lines.rest()) == 1_000 - written


def test_a_key_with_a_budget_of_its_own_is_not_kept_out_by_others() -> None:
    noisy, quiet = folding(per_second=1.0), folding(per_second=1.0)
    for n in range(1_000):
        admitted(noisy, f"k{n}", 1)

    assert admitted(quiet, "a", 1) == 1


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 30)), max_size=400),
    st.integers(1, 8),
    st.floats(0.1, 50),
)
def test_every_line_is_written_or_counted_exactly_once(
    came: list[tuple[str, float]], keys: int, per_second: float
) -> None:
    lines = folding(keys, per_second)
    now, written, counted = 0.0, 0, 0
    for key, pause in came:
        now += pause
        counted += sum(each.count for each in lines.due(now))
        written += lines.admit(key, "kind", key, now)
        assert len(lines) <= keys + 1
    counted += sum(each.count for each in lines.rest())

    assert written + counted == len(came)
    assert len(lines) == 0


@pytest.mark.parametrize("seconds", [0.0, WINDOW_SECONDS / 2])
def test_a_sample_is_of_the_first_line(seconds: float) -> None:
    lines = folding()
    for n in range(20):
        lines.admit("a", "kind", f"{n}", seconds)

    assert lines.rest()[0].sample == "0"
