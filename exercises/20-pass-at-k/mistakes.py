"""Wrong answers to 20-pass-at-k that people give."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import special

from weightdecay.grading import Mistake

Right = list[list[bool]]


# ------------------------------------------------------------------------------------ probes


def probe_pass_at_k(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """Ordinary numbers; if they are right, few wrong responses, and then large numbers."""
    ordinary = [(10, 3, 2), (10, 2, 5), (16, 5, 4), (20, 1, 8), (12, 6, 6)]
    found = [float(f(*numbers)) for numbers in ordinary]
    if not np.allclose(found, [exact(*numbers) for numbers in ordinary]):
        return found
    for fault, cases in (
        ("few wrong", [(10, 8, 3), (10, 9, 5), (6, 6, 2)]),
        ("large", [(2000, 3, 700), (4000, 1, 1500)]),
    ):
        for numbers in cases:
            if not near(f, numbers):
                return fault
    return "right"


def near(f: Callable[..., Any], numbers: tuple[int, int, int]) -> bool:
    """False also for what raises, as factorials below zero do, and floats of large ones."""
    try:
        return abs(float(f(*numbers)) - exact(*numbers)) < 1e-6
    except (ValueError, ArithmeticError):
        return False


def probe_benchmark(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """Questions whose last responses are the right ones; whether order and chance play a part."""
    right = [[False] * (n - c) + [True] * c for n, c in ((6, 2), (9, 3), (12, 1), (8, 0), (7, 6))]
    given = [f([list(r) for r in right], 3) for _ in range(60)]
    if max(given) - min(given) > 1e-9:
        return "differs from call to call"
    if abs(f([r[::-1] for r in right], 3) - given[0]) > 1e-9:
        return "differs with the order"
    return given[0]


def probe_higher(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    return list(f())


# --------------------------------------------------------------------------------- pass_at_k


def exact(n: int, c: int, k: int) -> float:
    """Right."""
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def with_replacement(n: int, c: int, k: int) -> float:
    return 1 - (1 - c / n) ** k


def any_right(n: int, c: int, k: int) -> float:
    return float(c > 0)


def as_many_as_k(n: int, c: int, k: int) -> float:
    return float(c >= k)


def all_right(n: int, c: int, k: int) -> float:
    return math.comb(c, k) / math.comb(n, k)


def one_wrong(n: int, c: int, k: int) -> float:
    return 1 - math.comb(c, k) / math.comb(n, k)


def none_right(n: int, c: int, k: int) -> float:
    return math.comb(n - c, k) / math.comb(n, k)


def exactly_one(n: int, c: int, k: int) -> float:
    return c * math.comb(n - c, k - 1) / math.comb(n, k)


def share_of_right(n: int, c: int, k: int) -> float:
    return c / n


def k_times(n: int, c: int, k: int) -> float:
    return min(1.0, k * c / n)


def zero_for_few_wrong(n: int, c: int, k: int) -> float:
    return exact(n, c, k) if n - c >= k else 0.0


def nan_for_few_wrong(n: int, c: int, k: int) -> float:
    return exact(n, c, k) if n - c >= k else math.nan


def floats(n: int, c: int, k: int) -> float:
    """Infinity over infinity for large n."""
    with np.errstate(all="ignore"):
        return float(1 - np.divide(special.comb(n - c, k), special.comb(n, k)))


def factorials(n: int, c: int, k: int) -> float:
    """The same in a longer way."""
    if n - c < k:
        return 1.0
    of = [special.factorial(m) for m in (n - c, n - k, n - c - k, n)]
    with np.errstate(all="ignore"):
        return float(1 - of[0] / of[2] * of[1] / of[3])


# --------------------------------------------------------------------------------- benchmark


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def of_each(one: Callable[[int, int, int], float], right: Right, k: int) -> float:
    return mean([one(len(r), sum(r), k) for r in right])


def first_k(right: Right, k: int) -> float:
    return mean([float(any(r[:k])) for r in right])


def last_k(right: Right, k: int) -> float:
    return mean([float(any(r[-k:])) for r in right])


def in_pieces(right: Right, k: int) -> float:
    """Responses 1 to k, k + 1 to 2k, and so on, what is left over dropped."""
    return mean(
        [mean([float(any(r[i : i + k])) for i in range(0, len(r) - k + 1, k)]) for r in right]
    )


def drawn_k(right: Right, k: int) -> float:
    return mean([float(any(random.sample(r, k))) for r in right])


def drawn_often(right: Right, k: int) -> float:
    return mean([mean([float(any(random.sample(r, k))) for _ in range(50)]) for r in right])


def pooled(right: Right, k: int) -> float:
    return exact(sum(map(len, right)), sum(map(sum, right)), k)


def of_the_mean(right: Right, k: int) -> float:
    return 1 - (1 - mean([sum(r) / len(r) for r in right])) ** k


def of_the_mean_count(right: Right, k: int) -> float:
    n, c = (round(mean(list(map(count, right)))) for count in (len, sum))
    return exact(n, c, k)


def solved_only(right: Right, k: int) -> float:
    return of_each(exact, [r for r in right if any(r)], k)


def weighted(right: Right, k: int) -> float:
    total = sum(map(len, right))
    return sum(len(r) / total * exact(len(r), sum(r), k) for r in right)


def summed(right: Right, k: int) -> float:
    return of_each(exact, right, k) * len(right)


def one_n(right: Right, k: int) -> float:
    """The first question's number of responses, as if all had as many."""
    return mean([exact(len(right[0]), min(sum(r), len(right[0])), k) for r in right])


# ------------------------------------------------------------------------------------ higher

HIGHER = {
    "the-same-score": ["equal equal equal equal"],
    "greedy-always": ["greedy greedy greedy greedy", "greedy greedy equal greedy"],
    "sampling-always": ["pass@1 pass@1 pass@1 pass@1", "pass@1 pass@1 equal pass@1"],
    "majority-of-mass": ["pass@1 pass@1 equal greedy"],
    "right-is-not-half": ["pass@1 pass@1 equal equal", "equal pass@1 equal pass@1"],
    "questions-one-by-one": [
        "greedy pass@1 greedy pass@1",
        "greedy pass@1 pass@1 pass@1",
    ],
    "most-probable-answer": ["greedy pass@1 equal greedy", "greedy pass@1 equal equal"],
    "turned-round": ["pass@1 greedy equal greedy", "pass@1 greedy equal pass@1"],
}


def words(said: str) -> list[str]:
    return said.split()


PROBES = {
    "pass_at_k": probe_pass_at_k,
    "benchmark": probe_benchmark,
    "higher": probe_higher,
}
MISTAKES = [
    Mistake("with-replacement", "pass_at_k", with_replacement),
    Mistake("any-of-all", "pass_at_k", any_right),
    Mistake("as-many-as-k", "pass_at_k", as_many_as_k),
    Mistake("all-right", "pass_at_k", all_right),
    Mistake("one-wrong", "pass_at_k", one_wrong),
    Mistake("none-right", "pass_at_k", none_right),
    Mistake("exactly-one", "pass_at_k", exactly_one),
    Mistake("k-forgotten", "pass_at_k", share_of_right),
    Mistake("k-times", "pass_at_k", k_times),
    Mistake("few-wrong", "pass_at_k", zero_for_few_wrong),
    Mistake("few-wrong", "pass_at_k", nan_for_few_wrong),
    Mistake("too-large", "pass_at_k", floats),
    Mistake("too-large", "pass_at_k", factorials),
    Mistake("order-counts", "benchmark", first_k),
    Mistake("order-counts", "benchmark", last_k),
    Mistake("order-counts", "benchmark", in_pieces),
    Mistake("drawn", "benchmark", drawn_k),
    Mistake("drawn", "benchmark", drawn_often),
    Mistake("mean-first", "benchmark", pooled),
    Mistake("mean-first", "benchmark", of_the_mean),
    Mistake("mean-first", "benchmark", of_the_mean_count),
    Mistake("with-replacement", "benchmark", partial(of_each, with_replacement)),
    Mistake("any-of-all", "benchmark", partial(of_each, any_right)),
    Mistake("solved-only", "benchmark", solved_only),
    Mistake("weighted", "benchmark", weighted),
    Mistake("a-sum", "benchmark", summed),
    Mistake("one-n", "benchmark", one_n),
    *(
        Mistake(symptom, "higher", partial(words, said))
        for symptom, answers in HIGHER.items()
        for said in answers
    ),
]
