"""Intervals and tests over seeds, against closed forms, enumeration and simulated data.

A simulated rate has to lie within three Monte-Carlo standard errors of the value it should have;
beside it stands a plausible wrong way that has to fall outside of the same bounds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
from scipy import stats as scipy_stats

from weightdecay.stats import (
    Array,
    Estimate,
    bca_interval,
    best_p,
    holm,
    mean_interval,
    paired_effect,
    pairs_needed,
    peak_p,
    prediction_interval,
    sign_flip_p,
)

Interval: TypeAlias = Callable[[list[float]], Estimate]


def is_near(count: int, of: int, rate: float) -> bool:
    """Is count / of within three standard errors of the rate?"""
    return abs(count / of - rate) <= 3 * math.sqrt(rate * (1 - rate) / of)


def test_interval_of_a_normal_sample_is_close_to_students() -> None:
    x = np.random.default_rng(1).normal(5, 2, 60)
    e = bca_interval(x.tolist())
    low, high = scipy_stats.t.interval(0.95, 59, x.mean(), scipy_stats.sem(x))
    assert e.mean == pytest.approx(x.mean())
    assert [e.low, e.high] == pytest.approx([low, high], abs=0.1)
    assert e.n == 60


NOISES: dict[str, Callable[[np.random.Generator], Array]] = {
    "normal": lambda rng: rng.normal(0, 1, 9),
    "exponential": lambda rng: rng.exponential(1, 9) - 1,
    "t3": lambda rng: rng.standard_t(3, 9),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("noise", "bca", "student"),
    [("normal", 0.885, 0.950), ("exponential", 0.855, 0.893), ("t3", 0.853, 0.962)],
)
def test_intervals_of_nine_seeds_cover_the_mean_as_often_as_their_docstring_says(
    noise: str, bca: float, student: float
) -> None:
    rng = np.random.default_rng(2)
    covered = {"bca": 0, "student": 0}
    for _ in range(1500):
        x = NOISES[noise](rng).tolist()
        covered["bca"] += bca_interval(x).covers(0)
        covered["student"] += mean_interval(x).covers(0)
    assert is_near(covered["bca"], 1500, bca)
    assert is_near(covered["student"], 1500, student)
    assert not is_near(covered["bca"], 1500, 0.95)


def test_interval_is_the_same_each_time() -> None:
    values = [0.1, 0.4, 0.2, 0.9, 0.3]
    assert bca_interval(values) == bca_interval(values)


@pytest.mark.parametrize("interval", [mean_interval, bca_interval])
def test_equal_values_have_an_interval_of_no_width(interval: Interval) -> None:
    e = interval([0.5, 0.5, 0.5])
    assert (e.mean, e.low, e.high) == (0.5, 0.5, 0.5)
    rounding = interval([0.3 - 0.1, 0.2, 0.2])
    assert rounding.high - rounding.low <= 1e-15
    assert rounding.mean == pytest.approx(0.2)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, float("nan")], [1.0, float("inf")]])
@pytest.mark.parametrize("interval", [mean_interval, bca_interval, prediction_interval])
def test_too_few_or_broken_values_are_named(values: list[float], interval: Interval) -> None:
    with pytest.raises(ValueError, match="two or more finite values"):
        interval(values)


@pytest.mark.parametrize("n", [3, 6, 9])
def test_sign_flip_reaches_its_least_p_when_all_differences_agree(n: int) -> None:
    assert sign_flip_p(list(range(1, n + 1))) == pytest.approx(2 / 2**n)


def test_sign_flip_counts_every_assignment_of_signs() -> None:
    x = [1.0, -2.0, 4.0, 0.5]
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T
    sums = signs @ np.array(x)
    expected = np.mean(np.abs(sums) >= abs(sum(x)) - 1e-12)
    assert sign_flip_p(x) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, float("nan")]])
def test_sign_flip_of_broken_differences_is_no_p(values: list[float]) -> None:
    with pytest.raises(ValueError, match="two or more finite values"):
        sign_flip_p(values)


@pytest.mark.slow
def test_pairing_keeps_its_coverage_and_its_size_where_seeds_differ_much() -> None:
    rng = np.random.default_rng(3)
    runs = 1500
    seeds = rng.normal(0, 3, (runs, 9))
    a, b = seeds + rng.normal(0, 1, (runs, 9)), seeds + rng.normal(0, 1, (runs, 9))
    paired = [paired_effect(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    covered, rejected = sum(e.covers(0) for e in paired), sum(e.p <= 0.05 for e in paired)
    unpaired = scipy_stats.ttest_ind(a, b, axis=1)
    ci = unpaired.confidence_interval()
    covered_unpaired = int(((ci.low <= 0) & (ci.high >= 0)).sum())
    rejected_unpaired = int((unpaired.pvalue <= 0.05).sum())
    size = 24 / 2**9  # p comes in steps of 2 / 2**9
    assert is_near(covered, runs, 0.95)
    assert is_near(rejected, runs, size)
    assert not is_near(covered_unpaired, runs, 0.95)
    assert not is_near(rejected_unpaired, runs, size)


def test_paired_effect_is_that_of_the_paired_t_test_and_the_sign_flips() -> None:
    a, b = [1.0, 2.5, 3.0, 4.0, 5.5, 6.0], [0.5, 2.0, 3.5, 3.0, 4.0, 4.5]
    e = paired_effect(a, b)
    ci = scipy_stats.ttest_rel(a, b).confidence_interval()
    assert (e.low, e.high) == pytest.approx((ci.low, ci.high))
    # |sum| is at least 4.5 of 5.5 if at most one of the three differences of 0.5 disagrees.
    assert (e.mean, e.n, e.p) == (0.75, 6, 2 * 4 / 2**6)
    assert e.text(".2f") == "0.75 [-0.05, 1.55], n = 6, p = 0.12"


def test_arms_of_different_lengths_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="as many treated as control seeds, got 3 and 2"):
        paired_effect([1.0, 2.0, 3.0], [1.0, 2.0])


def test_student_and_prediction_intervals_in_closed_form() -> None:
    quantile = 12.7062  # of Student's t with one degree of freedom, at 0.975
    e, new = mean_interval([0.0, 2.0]), prediction_interval([0.0, 2.0])
    assert (e.mean, e.high - e.mean) == pytest.approx((1.0, quantile), rel=1e-5)
    assert (new.mean, new.mean - new.low) == pytest.approx((1.0, quantile * math.sqrt(3)), rel=1e-5)
    same = prediction_interval([0.5, 0.5, 0.5])
    assert same.covers(0.5)
    assert not same.covers(0.5001)


@pytest.mark.slow
def test_a_new_seed_falls_into_the_prediction_interval_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    runs = 3000
    inside = inside_mean = inside_normal = 0
    for _ in range(runs):
        *seeds, new = rng.normal(0, 1, 10).tolist()
        inside += prediction_interval(seeds).covers(new)
        inside_mean += mean_interval(seeds).covers(new)
        inside_normal += bool(abs(new - np.mean(seeds)) <= 1.96 * np.std(seeds, ddof=1))
    assert is_near(inside, runs, 0.95)
    assert not is_near(inside_mean, runs, 0.95)
    assert not is_near(inside_normal, runs, 0.95)


def test_holm_is_the_closure_of_bonferroni() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        p = (rng.random(5) ** 2).tolist()
        sets = [s for k in range(1, 6) for s in itertools.combinations(range(5), k)]
        closure = [
            max(min(1.0, len(s) * min(p[j] for j in s)) for s in sets if i in s) for i in range(5)
        ]
        assert holm(p) == pytest.approx(closure)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.2]) == [0.2]
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize("p", [[], [0.1, -0.1], [1.1], [float("nan")]])
def test_holm_takes_only_p_values(p: list[float]) -> None:
    with pytest.raises(ValueError, match="p values from 0 to 1"):
        holm(p)


@pytest.mark.slow
def test_holm_keeps_the_chance_of_any_false_rejection() -> None:
    rng = np.random.default_rng(6)
    runs = 4000
    wrong = {"holm": 0, "bonferroni": 0, "false discovery rate": 0}
    for _ in range(runs):
        p = np.concatenate([np.zeros(5), rng.random(5)])  # five that are there, five that are not
        wrong["holm"] += min(holm(p.tolist())[5:]) <= 0.05
        wrong["bonferroni"] += bool(10 * p[5:].min() <= 0.05)
        wrong["false discovery rate"] += bool(
            scipy_stats.false_discovery_control(p)[5:].min() <= 0.05
        )
    rate = 1 - (1 - 0.05 / 5) ** 5
    assert is_near(wrong["holm"], runs, rate)
    assert not is_near(wrong["bonferroni"], runs, rate)
    assert not is_near(wrong["false discovery rate"], runs, rate)


def flips(n: int) -> Array:
    """Every assignment of signs to n seeds, (2**n, n)."""
    return np.array(list(itertools.product([1.0, -1.0], repeat=n)))


def sums(d: Array) -> Array:
    """(flips, rivals): sums of differences (seeds, rivals) over their root sum of squares; the
    first row changes no sign."""
    return np.asarray(flips(len(d)) @ d / np.sqrt((d**2).sum(0)))


def test_peak_steps_down_over_every_flip_of_the_rows() -> None:
    rng = np.random.default_rng(7)
    seen = set()
    for _ in range(40):
        v = rng.normal([0.7, 0.2, 0.0], 0.7, (6, 3))
        lead = sums(v[:, [0]] - v[:, 1:])
        near, far = np.argsort(lead[0])
        first = np.mean(lead.max(1) >= lead[0, far] - 1e-12)
        last = np.mean(lead[:, near] >= lead[0, near] - 1e-12)
        seen.add((near < far, first > last))
        adjusted = peak_p(v, 0)
        assert adjusted[far] == pytest.approx(first)
        assert adjusted[near] == pytest.approx(max(first, last))
    assert len(seen) == 4  # either rival first, and either step deciding


def test_best_counts_every_flip_of_the_rows() -> None:
    v = np.random.default_rng(7).normal([0.9, 0.5, 0.0], 0.7, (6, 3))
    for k, p in enumerate(best_p(v)):
        rivals = sums(np.delete(v, k, 1) - v[:, [k]]).max(1)
        assert p == pytest.approx(np.mean(rivals >= rivals[0] - 1e-12))


def test_two_settings_need_no_adjustment() -> None:
    v = np.random.default_rng(8).normal([1.5, 0.0], 1, (8, 2))
    p = sign_flip_p((v[:, 0] - v[:, 1]).tolist())
    assert peak_p(v, 0) == pytest.approx([p / 2])
    assert best_p(v)[1] == pytest.approx(p / 2)


def test_a_plain_peak_is_alone_in_the_set_and_seeds_may_differ() -> None:
    v = np.random.default_rng(9).normal([0, 0, 9, 0], 1, (6, 4))
    offset = 1000.0 * np.arange(6)[:, None]
    assert best_p(v) == [1 / 64, 1 / 64, 1.0, 1 / 64]
    assert peak_p(v, 2) == [1 / 64] * 3
    assert best_p(v + offset) == best_p(v)
    assert peak_p(v + offset, 0) == pytest.approx(peak_p(v, 0))
    assert best_p([[1.0, 1.0], [2.0, 2.0]]) == [1.0, 1.0]  # equal settings: both could be


@pytest.mark.parametrize(
    "values", [[1.0, 2.0], [[1.0, 2.0]], [[1.0], [2.0]], [[1, 2], [3, math.inf]]]
)
def test_peak_and_best_take_a_table_of_seeds_by_settings(values: list[float]) -> None:
    with pytest.raises(ValueError, match="seeds by settings"):
        peak_p(values, 0)
    with pytest.raises(ValueError, match="seeds by settings"):
        best_p(values)


@pytest.mark.parametrize("peak", [-1, 2])
def test_peak_is_one_of_the_settings(peak: int) -> None:
    with pytest.raises(ValueError, match="setting from 0 to 1"):
        peak_p([[1.0, 2.0], [3.0, 5.0]], peak)


@pytest.mark.slow
def test_peak_rejects_any_rival_falsely_as_often_as_it_may() -> None:
    rng = np.random.default_rng(10)
    runs = 600
    wrong = {"named": 0, "chosen on the same seeds": 0, "not adjusted": 0}
    for _ in range(runs):
        # The first four are alike; the fifth is worse, and that it is found must not help them.
        v = rng.normal([0, 0, 0, 0, -9], 1, (7, 5)) + rng.normal(0, 3, (7, 1))
        wrong["named"] += min(peak_p(v, 0)[:3]) <= 0.05
        chosen = int(v.mean(0).argmax())
        wrong["chosen on the same seeds"] += min(peak_p(v, chosen)[:3]) <= 0.05
        wrong["not adjusted"] += min(peak_p(v[:, [0, k]], 0)[0] for k in (1, 2, 3)) <= 0.05
    size = 6 / 2**7
    assert is_near(wrong["named"], runs, size)
    assert not is_near(wrong["chosen on the same seeds"], runs, size)
    assert not is_near(wrong["not adjusted"], runs, size)


@pytest.mark.slow
def test_the_set_of_what_could_be_best_holds_the_best_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    runs = 600
    held = held_unadjusted = held_if_largest = 0
    for _ in range(runs):
        v = rng.normal(0, 1, (7, 5)) + rng.normal(0, 3, (7, 1))
        held += best_p(v)[0] > 0.05
        held_unadjusted += min(best_p(v[:, [0, k]])[0] for k in (1, 2, 3, 4)) > 0.05
        held_if_largest += bool(v.mean(0).argmax() == 0)
    rate = 1 - 6 / 2**7
    assert is_near(held, runs, rate)
    assert not is_near(held_unadjusted, runs, rate)
    assert not is_near(held_if_largest, runs, rate)


@pytest.mark.parametrize(("effect", "pairs"), [(0.2, 199), (0.5, 34), (-0.5, 34), (0.8, 15)])
def test_pairs_needed_are_those_of_the_tables_for_the_paired_t_test(
    effect: float, pairs: int
) -> None:
    assert pairs_needed(effect, 1.0) == pairs
    assert pairs_needed(3 * effect, 3.0) == pairs


def test_a_huge_effect_still_needs_the_pairs_that_let_a_sign_flip_test_reject() -> None:
    assert pairs_needed(100.0, 1.0) == 6
    assert pairs_needed(100.0, 1.0, alpha=0.05 / 7) == 9
    assert sign_flip_p([1.0] * 6) <= 0.05 < sign_flip_p([1.0] * 5)
    assert max(holm([sign_flip_p([1.0] * 9)] * 7)) <= 0.05 < max(holm([sign_flip_p([1.0] * 8)] * 7))


@pytest.mark.parametrize(
    ("effect", "sd", "power"), [(0.0, 1.0, 0.8), (1.0, 0.0, 0.8), (math.nan, 1.0, 0.8), (1, 1, 1.0)]
)
def test_pairs_for_nothing_are_refused(effect: float, sd: float, power: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        pairs_needed(effect, sd, power)


@pytest.mark.slow
def test_the_pairs_needed_are_enough_and_those_for_a_known_spread_are_not() -> None:
    rng = np.random.default_rng(12)
    runs = 1500
    known = math.ceil((1.96 + 0.8416) ** 2)
    found = {
        n: sum(sign_flip_p(rng.normal(1, 1, n).tolist()) <= 0.05 for _ in range(runs))
        for n in (pairs_needed(1.0, 1.0), known)
    }
    assert list(found) == [10, 8]
    assert is_near(found[10], runs, 0.80)
    assert found[8] / runs < 0.80
    assert not is_near(found[8], runs, 0.80)
