"""The token bucket: never faster than promised, and never slower."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artcafe.server.domain.rate import TokenBucket

rates = st.floats(0.1, 10_000)
bursts = st.integers(1, 1_000).map(float)
gaps = st.lists(st.floats(0, 5) | st.just(0.0) | st.floats(0, 0.01), max_size=30)
starts = st.floats(0, 1e9)


@given(rates, st.integers(1, 20).map(float), starts, gaps)
def test_in_any_stretch_of_time_at_most_the_burst_and_the_rate(
    rate: float, burst: float, start: float, gaps: list[float]
) -> None:
    bucket = TokenBucket(rate, burst, start)
    now = start
    taken: list[float] = []
    for gap in gaps:
        now += gap
        taken += [now for _ in range(30) if bucket.spend(now) == 0.0]
    for first, begin in enumerate(taken):
        assert len(taken) - first <= burst + rate * (taken[-1] - begin) + 1e-6


@given(rates, bursts, starts)
def test_a_full_bucket_gives_its_burst_at_once_and_then_no_more(
    rate: float, burst: float, start: float
) -> None:
    bucket = TokenBucket(rate, burst, start)
    assert [bucket.spend(start) for _ in range(int(burst))] == [0.0] * int(burst)
    assert bucket.spend(start) == pytest.approx(1 / rate)


@given(rates, bursts, gaps)
def test_who_waits_as_told_gets_one(rate: float, burst: float, gaps: list[float]) -> None:
    bucket = TokenBucket(rate, burst, 0.0)
    now = 0.0
    for gap in gaps:
        now += gap
        wait = bucket.spend(now)
        assert 0.0 <= wait <= 1 / rate + 1e-9
        if wait:
            now += wait * (1 + 1e-9) + 1e-9
            assert bucket.spend(now) == 0.0


def test_what_is_refused_costs_nothing() -> None:
    bucket = TokenBucket(1.0, 1.0, 0.0)
    assert bucket.spend(0.0) == 0.0
    waits = [bucket.spend(0.5) for _ in range(100)]
    assert waits == [0.5] * 100
    assert bucket.spend(1.0) == 0.0


def test_a_long_silence_saves_up_no_more_than_the_burst() -> None:
    bucket = TokenBucket(100.0, 5.0, 0.0)
    given_at_once = sum(bucket.spend(1e6) == 0.0 for _ in range(50))
    assert given_at_once == 5


def test_the_rate_is_reached() -> None:
    """Nobody is held below what was promised: at the rate, nothing is refused."""
    bucket = TokenBucket(64.0, 1.0, 0.0)
    assert all(bucket.spend(tick / 64) == 0.0 for tick in range(1_000))
    assert math.isclose(bucket.spend(999 / 64), 1 / 64)
