"""What is said of a few runs is what they were."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Figure, figure, quantile, ratio, slope

times = st.floats(min_value=0.01, max_value=1e6)


def test_a_figure_is_the_median_and_the_outermost_runs() -> None:
    assert figure([9.0, 1.0, 4.0]) == Figure(4.0, 1.0, 9.0)


def test_noise_is_half_the_range_beside_the_median() -> None:
    assert figure([9.0, 10.0, 12.0]).noise == pytest.approx(0.15)
    assert figure([0.0, 0.0]).noise == 0.0


def test_a_ratio_compares_round_by_round() -> None:
    # The second round was disturbed, for both alike: the ratio does not show it.
    assert ratio([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == Figure(2.0, 2.0, 2.0)


def test_rounds_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])


@given(st.lists(times, min_size=1), st.floats(min_value=0.0, max_value=1.0))
def test_a_quantile_is_the_least_value_that_the_share_does_not_exceed(
    runs: list[float], share: float
) -> None:
    ordered = sorted(runs)
    found = quantile(ordered, share)
    assert sum(value <= found for value in ordered) >= share * len(ordered)
    below = [value for value in ordered if value < found]
    assert not below or len(below) < share * len(ordered)


def test_quantiles_of_a_hundred() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [quantile(ordered, share) for share in (0.5, 0.99, 0.999, 1.0)] == [50.0, 99.0, 100.0, 100.0]


@pytest.mark.parametrize("summed", [figure, lambda runs: quantile(runs, 0.5), lambda runs: ratio(runs, runs)])
def test_nothing_measured_is_no_figure(summed: Callable[[list[float]], object]) -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        summed([])


def test_a_slope_is_that_of_most_points_whatever_the_others_do() -> None:
    straight = [(float(at), 3.0 + 2.0 * at) for at in range(20)]
    assert slope(straight) == pytest.approx(2.0)
    disturbed = [(at, 500.0 if at % 6 == 5 else value) for at, value in straight]
    assert slope(disturbed) == pytest.approx(2.0)
    assert slope([(1.0, 4.0), (0.0, 9.0)]) == -5.0


@pytest.mark.parametrize("points", [[], [(1.0, 1.0)], [(1.0, 1.0), (1.0, 2.0)]])
def test_a_single_moment_has_no_slope(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        slope(points)
