"""How an instant is written."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artcafe.wire.times import rfc3339, utc_day

# From the year 1000, where four digits begin, to the end of 9999.
instants = st.floats(-30_610_224_000.0, 253_402_300_799.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (0.001, "1970-01-01T00:00:00.001Z"),
        (1_795_400_000.1239, "2026-11-23T02:13:20.123Z"),
        (1_795_400_000.9999, "2026-11-23T02:13:20.999Z"),
        (951_782_399.5, "2000-02-28T23:59:59.500Z"),
        (951_782_400, "2000-02-29T00:00:00.000Z"),
        (-0.5, "1969-12-31T23:59:59.500Z"),
    ],
)
def test_an_instant(seconds: float, text: str) -> None:
    assert rfc3339(seconds) == text
    assert utc_day(seconds) == text[:10]


@given(instants)
def test_it_is_read_back_to_the_millisecond(seconds: float) -> None:
    text = rfc3339(seconds)
    assert len(text) == len("2026-11-23T03:40:00.123Z")
    assert text.endswith("Z")
    read = datetime.fromisoformat(text)
    assert read.tzinfo == UTC
    # It is cut, never rounded up: an instant is not written before it came. A microsecond is the clock's, and
    # far from now a float itself is less exact than that.
    inexact = 1e-6 + abs(seconds) * 1e-15
    assert -inexact <= seconds - read.timestamp() < 0.001 + inexact


@given(instants, instants)
def test_texts_sort_as_instants_do(one: float, other: float) -> None:
    first, second = sorted((one, other))
    assert rfc3339(first) <= rfc3339(second)
    assert utc_day(first) <= utc_day(second)
