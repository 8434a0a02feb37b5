"""Where usage is counted, and for how long it is kept."""

from datetime import UTC, datetime

import pytest

from artcafe.server.domain.usage import EVER, MAX_DAYS, counted_as, ends, incarnation


@pytest.mark.parametrize(("kept", "over"), [(0, (2024, 3, 1)), (2, (2024, 3, 3)), (366, (2025, 3, 2))])
def test_a_day_is_kept_for_so_many_whole_days_after_it(kept: int, over: tuple[int, int, int]) -> None:
    assert ends("2024-02-29", kept) == int(datetime(*over, tzinfo=UTC).timestamp())


def test_a_report_of_the_longest_span_finds_all_of_its_days() -> None:
    first, last = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 2, 5, tzinfo=UTC)
    assert (last - first).days + 1 <= MAX_DAYS + 1
    end = ends("2025-01-01")
    assert end is not None and end > last.timestamp()


def test_what_is_of_no_day_is_kept() -> None:
    assert ends(EVER) is None


def test_another_incarnation_of_an_id_has_other_counters() -> None:
    assert counted_as("a1", "") == "a1"
    assert counted_as("a1", incarnation("0123456789abcdef")) == "a1#456789abcdef"
    assert counted_as("a1", "x") != counted_as("a1", "y")
