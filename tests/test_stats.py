"""Intervals and tests over seeds, against closed forms and simulated data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from weightdecay.stats import mean_interval, sign_flip_p


def test_interval_of_a_normal_sample_is_close_to_students() -> None:
    x = np.random.default_rng(1).normal(5, 2, 60)
    e = mean_interval(x.tolist())
    low, high = scipy_stats.t.interval(0.95, 59, x.mean(), scipy_stats.sem(x))
    assert e.mean == pytest.approx(x.mean())
    assert [e.low, e.high] == pytest.approx([low, high], abs=0.1)
    assert e.n == 60


@pytest.mark.slow
def test_interval_of_nine_seeds_covers_the_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(200):
        e = mean_interval(rng.normal(0, 1, 9).tolist())
        hits += e.low <= 0 <= e.high
    # A bootstrap of nine values is known to be a little too narrow; it is not 80 %, nor 100 %.
    assert 0.86 <= hits / 200 <= 0.98


def test_interval_is_the_same_each_time() -> None:
    values = [0.1, 0.4, 0.2, 0.9, 0.3]
    assert mean_interval(values) == mean_interval(values)


def test_equal_values_have_an_interval_of_no_width() -> None:
    e = mean_interval([0.5, 0.5, 0.5])
    assert (e.mean, e.low, e.high) == (0.5, 0.5, 0.5)
    rounding = mean_interval([0.3 - 0.1, 0.2, 0.2])
    assert rounding.low == rounding.high == pytest.approx(0.2)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_too_few_or_broken_values_are_named(values: list[float]) -> None:
    with pytest.raises(ValueError, match="two or more finite values"):
        mean_interval(values)


@pytest.mark.parametrize("n", [3, 6, 9])
def test_sign_flip_reaches_its_least_p_when_all_differences_agree(n: int) -> None:
    assert sign_flip_p(list(range(1, n + 1))) == pytest.approx(2 / 2**n)


def test_sign_flip_counts_every_assignment_of_signs() -> None:
    x = [1.0, -2.0, 4.0, 0.5]
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T
    sums = signs @ np.array(x)
    expected = np.mean(np.abs(sums) >= abs(sum(x)) - 1e-12)
    assert sign_flip_p(x) == pytest.approx(expected)


@pytest.mark.slow
def test_sign_flip_rejects_as_often_as_it_may_when_nothing_is_there() -> None:
    rng = np.random.default_rng(3)
    rejected = sum(sign_flip_p(rng.normal(0, 1, 8).tolist()) <= 0.05 for _ in range(300))
    assert rejected / 300 <= 0.085
