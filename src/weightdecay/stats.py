"""Intervals and tests over seeds, thin over SciPy. The seed is the unit of replication."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

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


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean with its BCa bootstrap interval (Efron 1987); for pairs, pass their differences.

    Values that are all equal have an interval of no width.

    Raises:
        ValueError: for fewer than two values or one that is not finite.
    """
    x = np.asarray(values, dtype=float)
    if x.size < 2 or not np.isfinite(x).all():
        raise ValueError(f"expected two or more finite values, got {list(values)}")
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


def sign_flip_p(differences: Sequence[float]) -> float:
    """Two-sided sign-flip permutation test that paired differences are symmetric about zero.

    Exact for up to 13 pairs; the least p it can give with n pairs is 2 / 2**n.
    """
    x = np.asarray(differences, dtype=float)
    result = stats.permutation_test(
        (x,),
        np.mean,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)
