"""Checks of 22-cluster-interval: SciPy's intervals and F, means made to measure, true coverage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from weightdecay.grading import expect

Function = Callable[..., Any]
Rows = list[dict[str, Any]]
TASKS = ("chain", "list", "agree", "except", "refuse")
RATES = (1e-4, 1e-3, 1e-2, 1e-1)
CELLS = [(task, rate) for task in TASKS for rate in RATES]


def rows_of(
    rng: np.random.Generator, means: Mapping[int, float], sizes: Sequence[int], noise: float = 0.1
) -> Rows:
    """Shuffled rows of models with exactly these means."""
    rows = []
    for (seed, mean), size in zip(means.items(), sizes, strict=True):
        own = rng.normal(0, noise, size) + rng.uniform(-noise, noise) * np.arange(size) / size
        for (task, rate), score in zip(CELLS, mean + own - own.mean(), strict=False):
            rows.append({"seed": seed, "task": task, "rate": rate, "score": float(score)})
    return [rows[i] for i in rng.permutation(len(rows))]


def models(rng: np.random.Generator, n: int, spread: float = 0.05) -> dict[int, float]:
    """A mean for each of n seeds."""
    seeds = rng.choice(100, n, replace=False)
    return {int(seed): float(rng.normal(0.5, spread)) for seed in seeds}


def students(values: Sequence[float]) -> tuple[float, float]:
    """SciPy's 95% interval of the mean."""
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    return float(interval.low), float(interval.high)


def ends(found: Any, inputs: Mapping[str, Any]) -> tuple[float, float]:
    """The two ends, once there are two."""
    expect(list(np.shape(found)), [2], inputs=inputs, what="the shape of the interval")
    return float(found[0]), float(found[1])


# ---------------------------------------------------------------------------------- Part 1


@pytest.mark.points(2)
def test_nine_models(clustered_interval: Function, rng: np.random.Generator) -> None:
    """nine models with 20 fine-tunes each: SciPy's interval of the nine means"""
    means = models(rng, 9)
    rows = rows_of(rng, means, [20] * 9)
    inputs = {"rows": len(rows), "means of the models": means}
    found = ends(clustered_interval(rows), inputs)
    expect(found, students([*means.values()]), inputs=inputs, what="the interval")


@pytest.mark.points(2)
def test_every_model_counts_the_same(
    clustered_interval: Function, rng: np.random.Generator
) -> None:
    """models with few fine-tunes count as much as those with many"""
    for n in (3, 6):
        means = models(rng, n)
        sizes = rng.permutation([2, 20, *rng.integers(3, 20, n - 2)]).tolist()
        rows = rows_of(rng, means, sizes)
        inputs = {"fine-tunes": sizes, "means of the models": means}
        found = ends(clustered_interval(rows), inputs)
        expect(found, students([*means.values()]), inputs=inputs, what="the interval")


@pytest.mark.points(1)
def test_more_of_the_same(clustered_interval: Function, rng: np.random.Generator) -> None:
    """each row written down three times: the same interval"""
    for n in (4, 7):
        rows = rows_of(rng, models(rng, n), [8] * n)
        inputs = {"rows": len(rows), "models": n}
        once, thrice = (
            ends(clustered_interval(rows), inputs),
            ends(clustered_interval(3 * rows), inputs),
        )
        expect(thrice, once, inputs=inputs, what="the interval of the rows, three times each,")


@pytest.mark.points(1)
def test_coverage(clustered_interval: Function, rng: np.random.Generator) -> None:
    """of 400 experiments with a known truth, about 95% have it in their interval"""
    truth, hits = 0.4, 0
    for _ in range(400):
        shared = {seed: float(rng.normal(truth, 0.05)) for seed in range(5)}
        rows = [
            {"seed": s, "task": t, "rate": r, "score": float(rng.normal(mean, 0.05))}
            for s, mean in shared.items()
            for t, r in CELLS[:8]
        ]
        low, high = ends(clustered_interval(rows), {"models": 5, "rows": 40})
        hits += low <= truth <= high
    inputs = {"models": 5, "fine-tunes of each": 8, "correlation": 0.5}
    # Four standard errors of a share of 400.
    expect(hits / 400, 0.95, inputs=inputs, what="the share that holds the truth is", atol=0.044)


@pytest.mark.points(1)
@pytest.mark.hidden
def test_two_models(clustered_interval: Function, rng: np.random.Generator) -> None:
    """two models with one fine-tune each, and twelve with up to twenty"""
    for n, sizes in ((2, [1, 1]), (12, rng.integers(1, 21, 12).tolist())):
        means = models(rng, n)
        inputs = {"fine-tunes": sizes, "means of the models": means}
        found = ends(clustered_interval(rows_of(rng, means, sizes)), inputs)
        expect(found, students([*means.values()]), inputs=inputs, what="the interval")


# ---------------------------------------------------------------------------------- Part 2


def from_f(rows: Rows) -> float:
    """The design effect from SciPy's F, the mean square between models over that within."""
    groups = [[r["score"] for r in rows if r["seed"] == s] for s in {r["seed"] for r in rows}]
    n, k = len(rows), len(groups)
    f = float(stats.f_oneway(*groups).statistic)
    return (n - 1) * f / ((k - 1) * f + n - k)


@pytest.mark.points(2)
def test_design_effect(design_effect: Function, rng: np.random.Generator) -> None:
    """the design effect follows from F of the analysis of variance, as SciPy computes it"""
    for n, m, spread in ((9, 20, 0.1), (5, 8, 0.05), (4, 12, 0.03)):
        rows = rows_of(rng, models(rng, n, spread), [m] * n)
        inputs = {"models": n, "fine-tunes of each": m, "spread of the models": spread}
        expect(design_effect(rows), from_f(rows), inputs=inputs, what="the design effect")


@pytest.mark.points(1)
def test_copies(design_effect: Function, rng: np.random.Generator) -> None:
    """fine-tunes that are all copies: N rows are worth k models, but for the less-ones"""
    for k, m in ((9, 20), (3, 7)):
        rows = rows_of(rng, models(rng, k), [m] * k, noise=0.0)
        inputs = {"models": k, "fine-tunes of each": f"{m} equal ones"}
        expected = (k * m - 1) / (k - 1)
        expect(design_effect(rows), expected, inputs=inputs, what="the design effect")


@pytest.mark.points(1)
@pytest.mark.hidden
def test_no_clusters(design_effect: Function, rng: np.random.Generator) -> None:
    """seeds dealt out at random: 1 on average; models of equal mean: 0"""
    found = []
    for _ in range(200):
        rows = rows_of(rng, dict.fromkeys(range(9), 0.5), [10] * 9)
        seeds = rng.permutation([row["seed"] for row in rows])
        found.append(
            design_effect([{**r, "seed": int(s)} for r, s in zip(rows, seeds, strict=True)])
        )
    inputs = {"models": 9, "fine-tunes of each": 10, "seeds": "dealt out at random"}
    expect(float(np.mean(found)), 1.0, inputs=inputs, what="the mean of 200 tables is", atol=0.15)
    equal = rows_of(rng, dict.fromkeys(range(4), 0.5), [6] * 4)
    inputs = {"models": "4 with the same mean"}
    expect(design_effect(equal), 0.0, inputs=inputs, what="the design effect")


# ---------------------------------------------------------------------------------- Part 3


def pair(
    rng: np.random.Generator, n: int, gain: float, sizes: Sequence[Sequence[int]]
) -> tuple[Rows, Rows, list[float]]:
    """Rows of two decays whose seeds have these differences of their means."""
    control = models(rng, n, spread=0.2)
    gains = rng.normal(gain, 0.02, n).tolist()
    treated = {s: mean + g for (s, mean), g in zip(control.items(), gains, strict=True)}
    return rows_of(rng, treated, sizes[0]), rows_of(rng, control, sizes[1]), gains


@pytest.mark.points(2)
def test_paired(paired_interval: Function, rng: np.random.Generator) -> None:
    """seeds that differ by much: SciPy's interval of the differences within the seed"""
    for n, gain in ((9, 0.03), (5, -0.03)):
        treated, control, gains = pair(rng, n, gain, [[20] * n] * 2)
        inputs = {"seeds": n, "differences of the seeds": gains}
        found = ends(paired_interval(treated, control), inputs)
        expect(found, students(gains), inputs=inputs, what="the interval of the difference")


@pytest.mark.points(1)
def test_paired_with_gaps(paired_interval: Function, rng: np.random.Generator) -> None:
    """fine-tunes are missing in both tables: every seed counts the same"""
    sizes = rng.integers(2, 21, (2, 6)).tolist()
    treated, control, gains = pair(rng, 6, 0.01, sizes)
    inputs = {"fine-tunes": sizes, "differences of the seeds": gains}
    found = ends(paired_interval(treated, control), inputs)
    expect(found, students(gains), inputs=inputs, what="the interval of the difference")


@pytest.mark.points(1)
@pytest.mark.hidden
def test_exchanged(paired_interval: Function, rng: np.random.Generator) -> None:
    """treated and control exchanged: the interval is mirrored at zero"""
    treated, control, gains = pair(rng, 7, 0.02, [[12] * 7] * 2)
    inputs = {"seeds": 7, "differences of the seeds": gains}
    low, high = ends(paired_interval(treated, control), inputs)
    mirrored = ends(paired_interval(control, treated), inputs)
    expect(mirrored, (-high, -low), inputs=inputs, what="the interval of control less treated")
