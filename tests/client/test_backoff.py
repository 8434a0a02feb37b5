"""The delays before coming back."""

import pytest

from artcafe.client.backoff import Backoff


def test_the_ceiling_doubles_up_to_the_cap() -> None:
    backoff = Backoff(base=0.5, cap=30, draw=lambda: 1.0)
    assert [backoff.delay() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_the_jitter_is_full() -> None:
    draws = iter([0.0, 0.5, 0.25])
    backoff = Backoff(base=1, cap=30, draw=lambda: next(draws))
    assert [backoff.delay() for _ in range(3)] == [0, 1, 1]


def test_by_default_it_is_drawn_at_random_within_the_ceiling() -> None:
    backoff = Backoff(base=8, cap=8)
    delays = [backoff.delay() for _ in range(50)]
    assert len(set(delays)) > 40
    assert all(0 <= delay < 8 for delay in delays)


def test_after_a_reset_it_begins_anew() -> None:
    backoff = Backoff(base=1, cap=30, draw=lambda: 1.0)
    assert [backoff.delay(), backoff.delay()] == [1, 2]
    backoff.reset()
    assert backoff.delay() == 1


def test_a_thousand_failures_stay_at_the_cap() -> None:
    assert Backoff(base=1, cap=30, draw=lambda: 1.0, failures=10_000).delay() == 30


def test_a_hint_comes_before_the_backoff() -> None:
    backoff = Backoff(base=1, cap=30, draw=lambda: 0.5)
    assert [backoff.delay(hint=5), backoff.delay(hint=5)] == [5.5, 6]


def test_a_planned_absence_takes_the_hint_as_it_is_and_nothing_grows() -> None:
    backoff = Backoff(base=1, cap=30, draw=lambda: 0.5, failures=4)
    assert [backoff.delay(hint=7, planned=True), backoff.delay(planned=True)] == [7, 0.5]
    assert backoff.failures == 4


@pytest.mark.parametrize(("hint", "kept"), [(-5.0, 0.0), (1e12, 3600.0)])
def test_a_hint_out_of_reason_is_bounded(hint: float, kept: float) -> None:
    assert Backoff().delay(hint=hint, planned=True) == kept
