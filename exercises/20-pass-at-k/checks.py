"""Checks of 20-pass-at-k: every choice tried, a distribution of SciPy's, trees of answers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy.stats import hypergeom

from weightdecay.grading import Mismatch, expect


def responses(rng: np.random.Generator, n: int, c: int) -> list[bool]:
    return [bool(v) for v in rng.permutation([True] * c + [False] * (n - c))]


def share(right: list[bool], k: int) -> Fraction:
    """Every choice of k, one after another."""
    passed = [any(chosen) for chosen in combinations(right, k)]
    return Fraction(sum(passed), len(passed))


def compare(pass_at_k: Callable[..., Any], n: int, c: int, k: int, expected: float) -> None:
    expect(pass_at_k(n, c, k), expected, {"n": n, "c": c, "k": k}, what="Pass@k")


# ---------------------------------------------------------------------------------- Part 1


@pytest.mark.points(2)
def test_every_choice(pass_at_k: Callable[..., Any], rng: np.random.Generator) -> None:
    """the share of the choices that hold a right response, tried one by one"""
    for n in (4, 6, 9, 10):
        for k in sorted({2, 3, n // 2}):
            c = int(rng.integers(1, n - k + 1))
            compare(pass_at_k, n, c, k, float(share(responses(rng, n, c), k)))


@pytest.mark.points(1)
def test_single(pass_at_k: Callable[..., Any], rng: np.random.Generator) -> None:
    """k = 1 gives the share of right responses, and a single right one gives k/n"""
    for n in rng.integers(5, 40, 5).tolist():
        few = int(rng.integers(2, n))
        compare(pass_at_k, n, few, 1, few / n)
        compare(pass_at_k, n, 1, few, few / n)


@pytest.mark.points(1)
def test_certain(pass_at_k: Callable[..., Any], rng: np.random.Generator) -> None:
    """no right response gives 0; fewer than k wrong ones give 1"""
    for n in rng.integers(6, 40, 5).tolist():
        k = int(rng.integers(2, n))
        compare(pass_at_k, n, 0, k, 0.0)
        for wrong in (k - 1, k // 2, 0):
            compare(pass_at_k, n, n - wrong, k, 1.0)


@pytest.mark.points(2)
def test_large(pass_at_k: Callable[..., Any], rng: np.random.Generator) -> None:
    """large n and k: the hypergeometric distribution, and k/n for a single right response"""
    for n, c, k in ((300, 5, 100), (1000, 3, 400), (2000, 40, 64), (4096, 2, 1024)):
        n -= int(rng.integers(50))
        compare(pass_at_k, n, c, k, float(hypergeom(n, c, k).sf(0)))
        compare(pass_at_k, n, 1, k, k / n)


@pytest.mark.points(1)
@pytest.mark.hidden
def test_unbiased(pass_at_k: Callable[..., Any], rng: np.random.Generator) -> None:
    """the mean over all sequences of n responses is 1 − (1 − p)ᵏ"""
    for n, k in ((5, 2), (7, 3), (8, 7)):
        p = float(rng.uniform(0.1, 0.6))
        chances = np.zeros(n + 1)
        for bits in range(2**n):
            c = bits.bit_count()
            chances[c] += p**c * (1 - p) ** (n - c)
        mean = sum(chances[c] * float(pass_at_k(n, c, k)) for c in range(n + 1))
        expect(mean, 1 - (1 - p) ** k, {"n": n, "k": k, "p": p}, what="the mean of Pass@k")


# ---------------------------------------------------------------------------------- Part 2


def compare_benchmark(
    benchmark: Callable[..., Any], rng: np.random.Generator, sizes: list[tuple[int, int]], k: int
) -> None:
    right = [responses(rng, n, c) for n, c in sizes]
    expected = sum(share(r, k) for r in right) / len(right)
    shown = [f"{sum(r)} of {len(r)}" for r in right]
    inputs = {"right responses of each question": shown, "k": k}
    expect(benchmark(right, k), float(expected), inputs, what="Pass@k of the benchmark")


@pytest.mark.points(2)
def test_mean(benchmark: Callable[..., Any], rng: np.random.Generator) -> None:
    """questions with equally many responses: the mean of their Pass@k, unsolved ones included"""
    for k in (2, 3, 5):
        counts = rng.permutation([0, 1, 2, 5, 8]).tolist()
        compare_benchmark(benchmark, rng, [(8, c) for c in counts], k)


@pytest.mark.points(1)
def test_different_n(benchmark: Callable[..., Any], rng: np.random.Generator) -> None:
    """numbers of responses that differ: each question still counts once"""
    for k in (1, 2, 4):
        sizes = [(4, 2), (12, 1), (7, 0), (9, 3)]
        compare_benchmark(benchmark, rng, [sizes[i] for i in rng.permutation(4)], k)


@pytest.mark.points(1)
def test_order(benchmark: Callable[..., Any], rng: np.random.Generator) -> None:
    """the same number in whatever order the responses were drawn"""
    for n, c, k in ((6, 1, 3), (10, 2, 4), (12, 3, 4)):
        right = [False] * (n - c) + [True] * c
        orders = (right, right[::-1], *(rng.permutation(right).tolist() for _ in range(4)))
        found = [float(benchmark([order, [False] * n], k)) for order in orders]
        inputs = {"right": f"{c} of {n} and 0 of {n}, in six orders", "k": k}
        expect(found, [float(share(right, k)) / 2] * 6, inputs, what="Pass@k in each order")


# ---------------------------------------------------------------------------------- Part 3

Tree = dict[str, Any]  # what comes next -> its probability and what follows: an answer or a tree
CASES: list[list[Tree]] = [
    [{"right": (0.4, True), **{f"wrong {i}": (0.1, False) for i in range(6)}}],
    [{"right": (0.4, True), "wrong": (0.6, False)}],
    [
        {"right": (0.7, True), "wrong": (0.3, False)},
        {"right": (0.3, True), "wrong": (0.7, False)},
    ],
    [
        {
            "A": (0.6, {"x": (0.4, False), "y": (0.35, False), "right": (0.25, True)}),
            "B": (0.4, {"right": (1.0, True)}),
        }
    ],
]


def greedy(tree: Tree | bool) -> float:
    if isinstance(tree, bool):
        return float(tree)
    return greedy(max(tree.values(), key=lambda branch: branch[0])[1])


def sampled(tree: Tree | bool) -> float:
    if isinstance(tree, bool):
        return float(tree)
    return float(sum(p * sampled(branch) for p, branch in tree.values()))


def winner(questions: list[Tree]) -> str:
    less = sum(greedy(t) - sampled(t) for t in questions)
    return "equal" if abs(less) < 1e-9 else "greedy" if less > 0 else "pass@1"


@pytest.mark.points(3)
def test_higher(higher: Callable[..., Any]) -> None:
    """for each of the four cases, which score is higher"""
    answers = higher()
    words = ("greedy", "pass@1", "equal")
    if not isinstance(answers, list | tuple) or len(answers) != len(CASES):
        raise Mismatch("observed: no list of four words\nexpected: a word for each case")
    for answer in answers:
        if answer not in words:
            raise Mismatch(f"observed: {answer!r}\nexpected: one of {', '.join(words)}")
    # How many, not which: the rest is the learner's.
    expect(
        sum(a == winner(case) for a, case in zip(answers, CASES, strict=True)),
        len(CASES),
        inputs={"answers": answers},
        what="the number of cases answered right is",
    )
