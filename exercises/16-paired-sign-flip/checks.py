"""Checks of 16-paired-sign-flip: closed forms, SciPy and the library's own test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from weightdecay import stats as ours
from weightdecay.grading import expect

Arms = tuple[list[float], list[float]]


def accuracies(rng: np.random.Generator, n: int) -> Arms:
    """Two arms whose seeds differ by more than the arms do; no two flips have means this close."""
    while True:
        control = rng.uniform(0.5, 0.9, n)
        treated = control + rng.normal(0.02, 0.03, n)
        signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
        means = np.abs(signs @ (treated - control)) / n
        near = np.sort(np.abs(means - means[0]))
        if near[2] > 1e-5:  # the observed flip and its mirror come first
            return treated.tolist(), control.tolist()


def tied(rng: np.random.Generator, n: int, negative: int) -> Arms:
    """Accuracies 0.01 apart in each pair, drawn until rounding breaks a tie of their flips."""
    signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
    while True:
        low = rng.integers(5, 90, n)
        up = rng.permutation([0] * negative + [1] * (n - negative))
        treated, control = (low + up) / 100, (low + 1 - up) / 100
        means = np.abs((signs * (treated - control)).mean(1))
        if (means >= means[0]).sum() != (means >= means[0] - 1e-9).sum():
            return treated.tolist(), control.tolist()


def scipys(treated: list[float], control: list[float]) -> float:
    """The exact test as SciPy makes it: names exchanged within pairs, all ways."""
    result = stats.permutation_test(
        (treated, control),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    return float(result.pvalue)


def arms(treated: list[Any], control: list[Any]) -> dict[str, Any]:
    return {"treated": treated, "control": control}


@pytest.mark.points(1)
def test_by_hand(sign_flip_p: Callable[..., Any], rng: np.random.Generator) -> None:
    """differences of 0.04, 0.02 and -0.01 have p = 4/8, in any order"""
    order = rng.permutation(3)
    control = rng.integers(50, 90, 3) / 100
    treated = (control + np.array([0.04, 0.02, -0.01])[order]).tolist()
    inputs = arms(treated, control.tolist())
    expect(sign_flip_p(treated, control.tolist()), 0.5, inputs=inputs, what="p is")


@pytest.mark.points(2)
def test_all_of_one_sign(sign_flip_p: Callable[..., Any], rng: np.random.Generator) -> None:
    """if all differences have one sign, the observed flip and its mirror are the only hits"""
    for n in (6, 8):
        control = rng.uniform(0.5, 0.9, n)  # differs much between seeds
        treated = control + rng.uniform(0.01, 0.03, n)
        for pair in ((treated, control), (control, treated)):
            given = [values.tolist() for values in pair]
            expect(sign_flip_p(*given), 2 / 2**n, inputs=arms(*given), what="p is")


@pytest.mark.points(2)
def test_scipy(sign_flip_p: Callable[..., Any], rng: np.random.Generator) -> None:
    """p is that of `scipy.stats.permutation_test`, all flips of the pairs"""
    for n in (5, 7, 9):
        treated, control = accuracies(rng, n)
        p = sign_flip_p(treated, control)
        expect(p, scipys(treated, control), inputs=arms(treated, control), what="p is")


@pytest.mark.points(1)
def test_ties(sign_flip_p: Callable[..., Any], rng: np.random.Generator) -> None:
    """if all differences are 0.01 or -0.01, ties count, and p is that of tossing coins"""
    for negative in (1, 2, 3):
        given = tied(rng, 9, negative)
        expect(
            sign_flip_p(*given),
            float(stats.binomtest(negative, 9).pvalue),
            inputs={**arms(*given), "differences": f"{9 - negative} of 0.01, {negative} of -0.01"},
            what="p is",
        )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_library(sign_flip_p: Callable[..., Any], rng: np.random.Generator) -> None:
    """p is that of `weightdecay.stats`, and exchanging the arms does not change it"""
    treated, control = accuracies(rng, 12)
    expected = ours.sign_flip_p([a - b for a, b in zip(treated, control, strict=True)])
    for pair in ((treated, control), (control, treated)):
        expect(sign_flip_p(*pair), expected, inputs=arms(*pair), what="p is")


@pytest.mark.points(1)
@pytest.mark.hidden
def test_no_difference(sign_flip_p: Callable[..., Any], rng: np.random.Generator) -> None:
    """equal arms, and a single pair, have p = 1"""
    same = (rng.integers(500, 900, 6) / 1000).tolist()
    for pair in ((same, same), ([same[0] + 0.1], [same[0]])):
        expect(sign_flip_p(*pair), 1.0, inputs=arms(*pair), what="p is")


@pytest.mark.points(1)
def test_smallest(smallest_p: Callable[..., Any], rng: np.random.Generator) -> None:
    """it is what SciPy finds for differences that all have one sign"""
    for n in (1, 3, 6, 10):
        treated = rng.uniform(1, 2, n).tolist()
        expected = scipys(treated, [0.0] * n) if n > 1 else 1.0  # SciPy wants two pairs
        expect(smallest_p(n), expected, inputs={"n": n}, what="the smallest p is")


@pytest.mark.points(1)
@pytest.mark.hidden
def test_smallest_for_many(smallest_p: Callable[..., Any]) -> None:
    """each further pair halves it, also where nobody could try all flips"""
    for n in (40, 200, 1000):
        ratio = smallest_p(n) / smallest_p(n - 1)
        expect(ratio, 0.5, inputs={"n": n}, what="the smallest p, divided by that of n - 1, is")


@pytest.mark.points(2)
def test_runs(p_of_runs: Callable[..., Any], rng: np.random.Generator) -> None:
    """a seed counts once, with the mean over its runs: p is SciPy's for these means"""
    for seeds, runs in ((6, 2), (7, 3), (8, 2), (9, 2)):  # one alone could agree by chance
        means = accuracies(rng, seeds)
        given = [spread(rng, values, [runs] * seeds) for values in means]
        expect(p_of_runs(*given), scipys(*means), inputs=arms(*given), what="p is")


@pytest.mark.points(1)
@pytest.mark.hidden
def test_unequal_runs(p_of_runs: Callable[..., Any], rng: np.random.Generator) -> None:
    """so it is if some seeds have more runs than others"""
    means = accuracies(rng, 7)
    given = [spread(rng, values, rng.integers(1, 5, 7).tolist()) for values in means]
    expect(p_of_runs(*given), scipys(*means), inputs=arms(*given), what="p is")


def spread(rng: np.random.Generator, means: list[float], runs: list[int]) -> list[list[float]]:
    """Runs around these means."""
    found = []
    for mean, n in zip(means, runs, strict=True):
        noise = rng.normal(0, 0.03, n)
        found.append((mean + noise - noise.mean()).tolist())
    return found
