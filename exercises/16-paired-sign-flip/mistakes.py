"""Wrong answers to 16-paired-sign-flip that learners give."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations, permutations, product
from typing import Any

import numpy as np
from scipy import stats

from weightdecay.grading import Mistake

Values = Sequence[float]
Runs = Sequence[Values]
Test = Callable[[Values, Values], float]
NEAR = 1e-9


def probe_sign_flip_p(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """Six pairs without ties and with a negative difference; if their p is right, ties as well.

    Enough flips are hits that leaving out one or two of them is no other mistake's p.
    """
    sizes = np.sort(rng.uniform(0.01, 0.03, 6)) * np.array([1, 1, -1, 1, 1, 1])
    order = rng.permutation(6)
    seeds = rng.uniform(0.5, 0.9, 6)
    treated, control = (seeds + sizes[order]).tolist(), seeds.tolist()
    p = f(treated, control)
    if not np.isclose(float(p), sign_flip(treated, control)):
        return p
    treated, control = tied(rng, 8, 2)
    wrong = abs(float(f(treated, control)) - sign_flip(treated, control)) > NEAR
    return "ties are lost" if wrong else "right"


def tied(rng: np.random.Generator, n: int, negative: int) -> tuple[list[float], list[float]]:
    """Pairs of hundredths, one hundredth apart in either direction, whose ties rounding breaks."""
    while True:
        low = rng.integers(5, 90, n)
        signs = rng.permutation([0] * negative + [1] * (n - negative))
        treated, control = ((low + signs) / 100).tolist(), ((low + 1 - signs) / 100).tolist()
        if no_tolerance_numpy(treated, control) != sign_flip(treated, control):
            return treated, control


def probe_smallest_p(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    return [f(n) for n in (3, 6, 9)]


def probe_p_of_runs(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """Seeds with two runs: the p of their means is neither that of one run nor that of all.

    Few flips give few different p, so one draw could agree by chance; four do not.
    """
    draws = rng.uniform(0.4, 0.8, (4, 2, 6, 2))
    return [f((treated + 0.1).tolist(), control.tolist()) for treated, control in draws]


def pairs(treated: Values, control: Values) -> list[float]:
    return [a - b for a, b in zip(treated, control, strict=True)]


def all_means(differences: Values) -> list[float]:
    """Of every flip; the observed one comes first."""
    signs = product([1, -1], repeat=len(differences))
    return [sum(s * d for s, d in zip(z, differences, strict=True)) / len(z) for z in signs]


def share(means: Values, observed: float) -> float:
    return sum(abs(m) >= abs(observed) - NEAR for m in means) / len(means)


def sign_flip(treated: Values, control: Values) -> float:
    """The right one."""
    means = all_means(pairs(treated, control))
    return share(means, means[0])


def greater(treated: Values, control: Values) -> float:
    means = all_means(pairs(treated, control))
    return sum(m >= means[0] - NEAR for m in means) / len(means)


def lower(treated: Values, control: Values) -> float:
    means = all_means(pairs(treated, control))
    return sum(m <= means[0] + NEAR for m in means) / len(means)


def others_only(treated: Values, control: Values) -> float:
    means = all_means(pairs(treated, control))
    return sum(abs(m) >= abs(means[0]) - NEAR for m in means[1:]) / (len(means) - 1)


def others_of_all(treated: Values, control: Values) -> float:
    means = all_means(pairs(treated, control))
    return sum(abs(m) >= abs(means[0]) - NEAR for m in means[1:]) / len(means)


def counted_twice(treated: Values, control: Values) -> float:
    """The + 1 of a random sample of flips, where the observed one is already among them."""
    means = all_means(pairs(treated, control))
    return (share(means, means[0]) * len(means) + 1) / (len(means) + 1)


def strict(treated: Values, control: Values) -> float:
    means = all_means(pairs(treated, control))
    return sum(abs(m) > abs(means[0]) + NEAR for m in means) / len(means)


def no_tolerance(treated: Values, control: Values) -> float:
    means = all_means(pairs(treated, control))
    return sum(abs(m) >= abs(means[0]) for m in means) / len(means)


def no_tolerance_numpy(treated: Values, control: Values) -> float:
    d = np.subtract(treated, control)
    signs = np.array(list(product([1, -1], repeat=len(d))))
    return float(np.mean(np.abs((signs * d).mean(1)) >= abs(d.mean())))


def pooled(treated: Values, control: Values) -> float:
    """Names dealt out anew among all values, pairs forgotten."""
    values, n = [*treated, *control], len(treated)
    total = sum(values)
    means = [
        (2 * sum(values[i] for i in chosen) - total) / n for chosen in combinations(range(2 * n), n)
    ]
    return share(means, means[0])  # the first choice is what happened


def two_samples(treated: Values, control: Values) -> float:
    return float(stats.ttest_ind(treated, control).pvalue)


def welch(treated: Values, control: Values) -> float:
    return float(stats.ttest_ind(treated, control, equal_var=False).pvalue)


def mann_whitney(treated: Values, control: Values) -> float:
    return float(stats.mannwhitneyu(treated, control).pvalue)


def across_seeds(treated: Values, control: Values) -> float:
    """Controls dealt out to other seeds: the mean difference stays."""
    others = permutations(control)
    means = [sum(pairs(treated, other)) / len(treated) for other in others]
    return share(means, means[0])


def all_together(treated: Values, control: Values) -> float:
    mean = sum(pairs(treated, control)) / len(treated)
    return share([mean, -mean], mean)


def mean_of_sizes(treated: Values, control: Values) -> float:
    """The signs are flipped, and then taken away."""
    sizes = [abs(d) for d in pairs(treated, control)]
    mean = sum(sizes) / len(sizes)
    return share([mean] * 2 ** len(sizes), mean)


def sizes_first(treated: Values, control: Values) -> float:
    means = all_means([abs(d) for d in pairs(treated, control)])
    return share(means, means[0])


def t_test(treated: Values, control: Values) -> float:
    return float(stats.ttest_rel(treated, control).pvalue)


def wilcoxon(treated: Values, control: Values) -> float:
    return float(stats.wilcoxon(treated, control).pvalue)


def ranks(treated: Values, control: Values) -> float:
    d = pairs(treated, control)
    means = all_means((np.sign(d) * stats.rankdata(np.abs(d))).tolist())
    return share(means, means[0])


def signs_only(treated: Values, control: Values) -> float:
    d = pairs(treated, control)
    return float(stats.binomtest(sum(x > 0 for x in d), len(d)).pvalue)


def flattened(treated: Runs, control: Runs) -> float:
    return sign_flip([v for runs in treated for v in runs], [v for runs in control for v in runs])


def one_run(pick: Callable[[Values], float]) -> Callable[[Runs, Runs], float]:
    return lambda treated, control: sign_flip([pick(v) for v in treated], [*map(pick, control)])


def mean_of_p(treated: Runs, control: Runs) -> float:
    """A p for the first run of each seed, one for the second, and so on."""
    columns = zip(zip(*treated, strict=True), zip(*control, strict=True), strict=True)
    found = [sign_flip(a, b) for a, b in columns]
    return sum(found) / len(found)


PROBES = {
    "sign_flip_p": probe_sign_flip_p,
    "smallest_p": probe_smallest_p,
    "p_of_runs": probe_p_of_runs,
}
MISTAKES = [
    Mistake("unpaired", "sign_flip_p", pooled),
    Mistake("unpaired", "sign_flip_p", two_samples),
    Mistake("unpaired", "sign_flip_p", welch),
    Mistake("unpaired", "sign_flip_p", mann_whitney),
    Mistake("one-sided", "sign_flip_p", greater),
    Mistake("one-sided", "sign_flip_p", lower),
    Mistake("observed-left-out", "sign_flip_p", others_only),
    Mistake("observed-left-out", "sign_flip_p", others_of_all),
    Mistake("observed-twice", "sign_flip_p", counted_twice),
    Mistake("strict", "sign_flip_p", strict),
    Mistake("ties-lost", "sign_flip_p", no_tolerance),
    Mistake("ties-lost", "sign_flip_p", no_tolerance_numpy),
    Mistake("nothing-changes", "sign_flip_p", across_seeds),
    Mistake("nothing-changes", "sign_flip_p", all_together),
    Mistake("nothing-changes", "sign_flip_p", mean_of_sizes),
    Mistake("sizes-first", "sign_flip_p", sizes_first),
    Mistake("t-test", "sign_flip_p", t_test),
    Mistake("ranks", "sign_flip_p", wilcoxon),
    Mistake("ranks", "sign_flip_p", ranks),
    Mistake("ranks", "sign_flip_p", signs_only),
    Mistake("no-mirror", "smallest_p", lambda n: 0.5**n),
    Mistake("observed-is-none", "smallest_p", lambda n: 0.0),
    Mistake("observed-is-none", "smallest_p", lambda n: 1 / (2**n - 1)),
    Mistake("other-count", "smallest_p", lambda n: 2 / math.comb(2 * n, n)),
    Mistake("other-count", "smallest_p", lambda n: 1 / math.comb(2 * n, n)),
    Mistake("other-count", "smallest_p", lambda n: 1 / math.factorial(n)),
    Mistake("other-count", "smallest_p", lambda n: 2 / math.factorial(n)),
    Mistake("other-count", "smallest_p", lambda n: 1 / n),
    Mistake("other-count", "smallest_p", lambda n: 2 / n),
    Mistake("runs-as-seeds", "p_of_runs", flattened),
    Mistake("one-run-each", "p_of_runs", one_run(lambda runs: runs[0])),
    Mistake("one-run-each", "p_of_runs", one_run(lambda runs: runs[-1])),
    Mistake("one-run-each", "p_of_runs", one_run(max)),
    Mistake("mean-of-p", "p_of_runs", mean_of_p),
]
