"""What is published lands in its own place, and nothing else on the page changes."""

import pytest

from benchmarks.page import between_marks, table

MARKS = ("<!-- figures: make bench PUBLISH=1 -->", "<!-- end of figures: make bench -->")


def test_publishing_changes_the_figures_and_nothing_else() -> None:
    begin, end = MARKS
    page = f"# Performance\n\n{begin}\nold\n{end}\n\nmore\n"
    once = between_marks(page, "bench", "new\n")
    assert once == f"# Performance\n\n{begin}\n\nnew\n\n{end}\n\nmore\n"
    assert between_marks(once, "bench", "new\n") == once
    with pytest.raises(ValueError, match="no place for the figures of make soak"):
        between_marks(page, "soak", "new")


def test_a_table_has_its_numbers_to_the_right() -> None:
    assert table(["", "µs"], [["read", "1"]]) == "|  | µs |\n| --- | --: |\n| read | 1 |\n"


def test_a_row_that_does_not_fit_under_the_head_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        table(["", "µs"], [["read", "1", "2"]])
