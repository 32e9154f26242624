"""Intervals and tests over seeds, thin over SciPy. The seed is the unit of replication.

Tests: ``pytest tests/test_stats.py``. The coverages quoted below are from 4000 simulated samples
each (Monte-Carlo standard error 0.3 to 0.6 points).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

RESAMPLES = 9999


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval and the number of seeds behind it."""

    mean: float
    low: float
    high: float
    n: int

    def text(self, digits: str = ".3f") -> str:
        """``0.473 [0.461, 0.492], n = 9``."""
        return f"{self.mean:{digits}} [{self.low:{digits}}, {self.high:{digits}}], n = {self.n}"

    def covers(self, value: float) -> bool:
        """Does the interval hold this value?"""
        return self.low <= value <= self.high


def less(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """Paired differences `a` - `b`, seed by seed.

    Raises:
        ValueError: for other numbers of seeds.
    """
    return [x - y for x, y in zip(a, b, strict=True)]


@dataclass(frozen=True)
class Effect(Estimate):
    """A mean paired difference with its interval, and p of the sign-flip test."""

    p: float

    def text(self, digits: str = ".3f") -> str:
        """``0.473 [0.461, 0.492], n = 9, p = 0.0039``."""
        return f"{super().text(digits)}, p = {self.p:.2g}"


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean with Student's interval; for pairs, pass their differences.

    Exact for normal values, and nearer to what it says than `bca_interval` on every kind of sample
    tried at n = 6 and 9. Values that are all equal have an interval of no width.

    Raises:
        ValueError: for fewer than two values or one that is not finite.
    """
    x = _sample(values)
    return _around_mean(x, float(stats.sem(x)), confidence)


def bca_interval(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean with its BCa bootstrap interval (Efron 1987). Raises as `mean_interval` does.

    With few seeds it is narrower than it says. For n = 6, 9, 20 its 95% interval covered the mean
    of 85.7, 88.5, 93.0% of normal samples (`mean_interval`: 94.7, 94.5, 95.4%), of 82.4, 85.5,
    92.5% of exponential ones (88.0, 89.3, 92.7%), and of 83.2, 85.3, 89.4% of those from a
    Student t with 3 degrees of freedom (95.8, 96.2, 96.4%).
    """
    x = _sample(values)
    if np.ptp(x) <= 1e-12 * np.abs(x).max():  # differences of equal numbers, but for rounding
        return Estimate(float(x[0]), float(x[0]), float(x[0]), x.size)
    interval = stats.bootstrap(
        (x,),
        np.mean,
        confidence_level=confidence,
        n_resamples=RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(float(x.mean()), float(interval.low), float(interval.high), x.size)


def prediction_interval(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Where one new seed should fall (Student): what a rerun with another seed has to agree with.

    Of k quantities compared in this way, the chance that one falls out is up to k (1 - confidence).
    Raises as `mean_interval` does.
    """
    x = _sample(values)
    return _around_mean(x, float(x.std(ddof=1)) * math.sqrt(1 + 1 / x.size), confidence)


def paired_effect(treated: Sequence[float], control: Sequence[float]) -> Effect:
    """Mean of `treated` less `control`, two arms over the same seeds in the same order: Student's
    95% interval of the differences and the p of `sign_flip_p`.

    Raises:
        ValueError: for arms of different lengths, and as `mean_interval`.
    """
    a, b = _sample(treated), _sample(control)
    if a.size != b.size:
        raise ValueError(f"expected as many treated as control seeds, got {a.size} and {b.size}")
    differences = (a - b).tolist()
    return Effect(**asdict(mean_interval(differences)), p=sign_flip_p(differences))


def sign_flip_p(differences: Sequence[float]) -> float:
    """Two-sided sign-flip permutation test that paired differences are symmetric about zero.

    Exact for up to 13 pairs; the least p it can give with n pairs is 2 / 2**n: 6 pairs can reach
    0.05, and 9 can after `holm` over seven contrasts. Raises as `mean_interval` does.
    """
    x = _sample(differences)
    result = stats.permutation_test(
        (x,),
        np.mean,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (1979): reject where the result is at most α, and the chance of
    any false rejection is at most α, whatever the tests have to do with one another.

    Raises:
        ValueError: for no value, or one outside [0, 1].
    """
    p = np.asarray(p_values, dtype=float)
    if p.ndim != 1 or p.size == 0 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"expected p values from 0 to 1, got {list(p_values)}")
    order = p.argsort()
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(np.arange(p.size, 0, -1) * p[order]).clip(max=1)
    return [float(v) for v in adjusted]


def peak_p(values: ArrayLike, peak: int) -> list[float]:
    """Is the peak at this setting? Adjusted p for each other setting, in order, of the null "its
    mean is at least that of setting `peak`" (one-sided; for a loss, pass its negative).

    `values` is (seeds, settings), a seed's values in one row. Step-down sign-flip test on the
    largest statistic (Westfall & Young 1993), a whole row of differences flipped at once. Rejecting
    where p <= α makes any false rejection with chance at most α if the differences of a row are
    symmetric about their means, as normal noise of any spread, or noise of one shape in all
    settings, makes them (the latter nearly: one by one, but not jointly). "The peak is at `peak`"
    needs every p <= α. `peak` must not be chosen on these seeds: name it before, or ask `best_p`.

    Raises:
        ValueError: unless `values` are finite, two or more by two or more, with a column `peak`.
    """
    v = _table(values)
    if not 0 <= peak < v.shape[1]:
        raise ValueError(f"expected a setting from 0 to {v.shape[1] - 1}, got {peak}")
    lead = v[:, [peak]] - np.delete(v, peak, axis=1)
    order = np.argsort(-_scaled(lead).sum(0))
    steps = [_max_flip_p(lead[:, order[i:]]) for i in range(order.size)]
    adjusted = np.empty(order.size)
    adjusted[order] = np.maximum.accumulate(steps)
    return [float(p) for p in adjusted]


def best_p(values: ArrayLike) -> list[float]:
    """Which settings could be the best? p for each of the null "no other setting has a larger mean"
    (for a loss, pass its negative); those with p > 0.05 are a 95% confidence set for the best.

    Multiple comparisons with the best (Hsu 1981), each by the sign-flip distribution of the largest
    difference of a rival to it; `values` and what is assumed as in `peak_p`. No setting has to be
    named before. With 9 seeds and 5 settings, all alike, the set held a given one in 95 to 96% of
    samples of normal, exponential and lognormal noise; if the noise of one is three times as wide
    and skewed upward, its differences are not symmetric, and the set held that one in 87%.

    Raises:
        ValueError: unless `values` are finite, two or more seeds by two or more settings.
    """
    v = _table(values)
    return [_max_flip_p(np.delete(v, k, axis=1) - v[:, [k]]) for k in range(v.shape[1])]


def pairs_needed(effect: float, sd: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Least number of pairs with which a paired two-sided test finds `effect`, if the differences
    of pairs are normal with standard deviation `sd` (same unit), with chance `power`.

    Student's test by its noncentral distribution, and no fewer than the sign-flip test needs to
    reach `alpha` at all. For Holm over m contrasts pass α / m, which is enough.

    Raises:
        ValueError: for a zero effect, `sd` not above 0, or a chance outside (0, 1).
    """
    if not (effect != 0 and math.isfinite(effect) and 0 < sd < math.inf):
        raise ValueError(f"expected an effect other than 0 and sd > 0, got {effect} and {sd}")
    if not (0 < alpha < power < 1):
        raise ValueError(f"expected 0 < alpha < power < 1, got {alpha} and {power}")
    d = abs(effect) / sd
    # Were sd known, this many would do; the search below has a step or three to go from there.
    known = ((stats.norm.isf(alpha / 2) + stats.norm.ppf(power)) / d) ** 2
    n: int = max(2, math.ceil(math.log2(2 / alpha)), math.ceil(known))
    # A rejection on the wrong side is not counted as finding the effect.
    while stats.nct.sf(stats.t.isf(alpha / 2, n - 1), n - 1, d * math.sqrt(n)) < power:
        n += 1
    return n


def _around_mean(x: Array, scale: float, confidence: float) -> Estimate:
    mean, half = float(x.mean()), float(stats.t.isf((1 - confidence) / 2, x.size - 1)) * scale
    return Estimate(mean, mean - half, mean + half, x.size)


def _sample(values: Sequence[float]) -> Array:
    x = np.asarray(values, dtype=float)
    if x.size < 2 or not np.isfinite(x).all():
        raise ValueError(f"expected two or more finite values, got {list(values)}")
    return x


def _table(values: ArrayLike) -> Array:
    v = np.asarray(values, dtype=float)
    if v.ndim != 2 or min(v.shape) < 2 or not np.isfinite(v).all():
        raise ValueError(f"expected finite values, seeds by settings, two or more; got {v.shape}")
    return v


def _scaled(differences: Array) -> Array:
    """Columns with unit sum of squares: sign flips keep it, so their sums have variance 1 each."""
    size = np.sqrt((differences**2).sum(0))
    return differences / np.where(size > 0, size, 1)


def _max_flip_p(differences: Array) -> float:
    """One-sided p of the largest column sum of (seeds, rivals), rows flipped together."""
    z = _scaled(differences)
    result = stats.permutation_test(
        (np.ones(len(z)),),  # SciPy flips these signs; a set of signs is one flip of all rows
        lambda signs, axis: (signs @ z).max(-1),
        permutation_type="samples",
        alternative="greater",
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)
