"""Checks of 21-probe-control-task: counts, SciPy's minimizer, states whose content we know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from weightdecay.grading import expect

Array = npt.NDArray[Any]
Function = Callable[..., Any]
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
DRAWS = 40


# ---------------------------------------------------------------------------------- Part 1


class Text(NamedTuple):
    """Last words, and the types in the order of their number of occurrences."""

    words: list[str]
    kinds: list[str]


def text(rng: np.random.Generator, n: int) -> Text:
    """`n` types, no two of them equally often, in any order."""
    kinds = [f"w{k}" for k in rng.permutation(n)]
    counts = np.cumsum(rng.integers(1, 4, n))[::-1]
    return Text(rng.permutation(np.repeat(kinds, counts)).tolist(), kinds)


def labels(f: Function, words: list[str], seed: int) -> list[int]:
    """One 0 or 1 a text."""
    found = f(words, np.random.default_rng(seed))
    inputs = {"words": words, "generator": f"with seed {seed}"}
    expect(list(np.shape(found)), [len(words)], inputs=inputs, what="the shape of the labels")
    values = np.asarray(found).astype(float).tolist()
    expect(sorted(set(values) - {0, 1}), [], inputs=inputs, what="labels that are not 0 or 1:")
    return [int(v) for v in values]


def of_kinds(f: Function, given: Text, seed: int) -> dict[str, int]:
    """The label of each type, by its first occurrence."""
    found = labels(f, given.words, seed)
    return {kind: found[given.words.index(kind)] for kind in given.kinds}


def seeds(rng: np.random.Generator, n: int = DRAWS) -> list[int]:
    return [int(s) for s in rng.choice(2**31, n, replace=False)]


@pytest.mark.points(2)
def test_one_label_a_type(control_labels: Function, rng: np.random.Generator) -> None:
    """all texts that end with a word have the same label"""
    for seed in seeds(rng, 4):
        given = text(rng, 12)
        found = labels(control_labels, given.words, seed)
        pairs = set(zip(given.words, found, strict=True))
        both = [kind for kind in given.kinds if {(kind, 0), (kind, 1)} <= pairs]
        inputs = {"texts": len(given.words), "types": 12, "types with both": both}
        expect(len(both), 0, inputs=inputs, what="the number of types with both labels is")


@pytest.mark.points(2)
def test_pairs(control_labels: Function, rng: np.random.Generator) -> None:
    """of the two most frequent types one has label 1, of the next two one, and so on"""
    for n in (8, 13, 20):
        given = text(rng, n)
        for seed in seeds(rng, 4):
            found = of_kinds(control_labels, given, seed)
            pairs = list(zip(given.kinds[::2], given.kinds[1::2], strict=False))
            expect(
                [found[a] + found[b] for a, b in pairs],
                [1] * len(pairs),
                inputs={"occurrences": {k: given.words.count(k) for k in given.kinds}},
                what="labels of the pairs, the most frequent pair first, summed:",
            )


@pytest.mark.points(1)
def test_coins(control_labels: Function, rng: np.random.Generator) -> None:
    """two types of different pairs are now alike and now not, and the most frequent is both"""
    given = text(rng, 9)
    drawn = [of_kinds(control_labels, given, seed) for seed in seeds(rng)]
    apart = [(a, b) for a, b in combinations(range(9), 2) if a // 2 != b // 2]
    alike = [sum(d[given.kinds[a]] == d[given.kinds[b]] for d in drawn) for a, b in apart]
    tied = [pair for pair, n in zip(apart, alike, strict=True) if n in (0, DRAWS)]
    inputs = {"drawn with": f"{DRAWS} generators", "the first such ranks": tied[:3]}
    expect(len(tied), 0, inputs=inputs, what="the number of types always alike or never is")
    for kind in given.kinds:
        ones = sum(d[kind] for d in drawn)
        told = {"drawn with": f"{DRAWS} generators", "1 was drawn": ones}
        expect(0 < ones < DRAWS, True, inputs=told, what="a type gets both 0 and 1:")


@pytest.mark.points(1)
def test_generator(control_labels: Function, rng: np.random.Generator) -> None:
    """the generator decides: the same seed gives the same labels, other seeds others"""
    given = text(rng, 30)
    chosen = seeds(rng, 5)
    drawn = [labels(control_labels, given.words, seed) for seed in chosen]
    again = [labels(control_labels, given.words, seed) for seed in chosen]
    same = sum(a == b for a, b in zip(drawn, again, strict=True))
    inputs = {"generators": "5 seeds, twice each"}
    expect(same, 5, inputs=inputs, what="the number of seeds with the same labels twice is")
    different = len({tuple(found) for found in drawn})
    expect(different, 5, inputs=inputs, what="the number of different labelings is")


# ---------------------------------------------------------------------------------- Part 2


class Data(NamedTuple):
    """Features (N, d) and labels (N,) of fit, choose and test."""

    features: list[Array]
    labels: list[Array]

    def arguments(self) -> list[tuple[Array, Array]]:
        return list(zip(self.features, self.labels, strict=True))


def draw(rng: np.random.Generator, n: int, d: int, strength: float) -> Data:
    """One feature knows the label, by `strength`; half of each part has label 1."""
    found = [rng.permutation(np.repeat([0, 1], n // 2)) for _ in range(3)]
    features = [rng.normal(size=(n, d)) for _ in range(3)]
    for x, y in zip(features, found, strict=True):
        x[:, 0] += strength * y
    return Data(features, found)


def weights(x: Array, y: Array, c: float) -> Array:
    """Logistic regression by SciPy's minimizer: ‖w‖²/2 + c Σ losses, the bias (last) free."""
    one, sign = np.c_[x, np.ones(len(x))], 2.0 * y - 1
    penalty = np.r_[np.ones(x.shape[1]), 0.0]

    def loss(w: Array) -> float:
        return float(0.5 * w @ (penalty * w) + c * np.logaddexp(0, -sign * (one @ w)).sum())

    def slope(w: Array) -> Array:
        found: Array = penalty * w - c * one.T @ (sign * expit(-sign * (one @ w)))
        return found

    def curvature(w: Array) -> Array:
        p = expit(one @ w)
        found: Array = np.diag(penalty) + c * (one * (p * (1 - p))[:, None]).T @ one
        return found

    start = np.zeros(one.shape[1])
    found = minimize(loss, start, jac=slope, hess=curvature, method="trust-exact")
    return np.asarray(found.x)


class Scores(NamedTuple):
    """Accuracy of each c on fit, choose and test (c, 3); the least relative output at any point."""

    shares: Array
    margin: float

    def chosen(self, by: int) -> Array:
        """All three accuracies of the first of the best on one part."""
        chosen: Array = self.shares[int(self.shares[:, by].argmax())]
        return chosen


def scores(data: Data, scaled_by: Sequence[int] = (0,), ddof: int = 0) -> Scores:
    by = np.concatenate([data.features[i] for i in scaled_by])
    x = [(part - by.mean(0)) / by.std(0, ddof=ddof) for part in data.features]
    shares, margins = [], []
    for c in STRENGTHS:
        w = weights(x[0], data.labels[0], c)
        outputs = [part @ w[:-1] + w[-1] for part in x]
        margins.append(min(np.abs(out).min() for out in outputs) / np.linalg.norm(w))
        shares.append([np.mean((o > 0) == y) for o, y in zip(outputs, data.labels, strict=True)])
    return Scores(np.array(shares), min(margins))


def drawn(draw: Callable[[], Data], tells: Callable[[Data, Scores], bool]) -> tuple[Data, float]:
    """Data that tell a mistake, and the right answer; neither rounding nor n - 1 changes it."""
    while True:
        data = draw()
        found = scores(data)
        sure = found.margin > 1e-4 and (found.shares == scores(data, ddof=1).shares).all()
        if sure and tells(data, found):
            return data, float(found.chosen(1)[2])


def ask(f: Function, data: Data, right: float, told: str) -> None:
    n, d = data.features[0].shape
    inputs = {"each part": f"{n} texts, {d} features", "data": told}
    expect(f(*data.arguments()), right, inputs=inputs, what="the accuracy on test")


def distinct(data: Data, found: Scores) -> bool:
    """Fit, choose and test would choose three probes with different accuracies on test."""
    return len({float(found.chosen(by)[2]) for by in range(3)}) == 3


@pytest.mark.points(2)
def test_chosen_on_choose(fair_probe: Function, rng: np.random.Generator) -> None:
    """c is chosen on `choose`: neither on `fit` nor on `test`; the probe is not fitted again"""
    for _ in range(2):
        data, right = drawn(lambda: draw(rng, 40, 12, 1.0), distinct)
        ask(fair_probe, data, right, "each part would choose another c")


@pytest.mark.points(1)
def test_scored_on_test(fair_probe: Function, rng: np.random.Generator) -> None:
    """labels without meaning: the probe fits them, and texts of the test show it"""
    for _ in range(3):
        data, right = drawn(
            lambda: draw(rng, 40, 25, 0.0),
            lambda _, found: (
                found.chosen(1)[0] > found.chosen(1)[2] + 0.2
                and found.chosen(1)[1] != found.chosen(1)[2]
            ),
        )
        ask(fair_probe, data, right, "labels without meaning")


@pytest.mark.points(2)
def test_size_of_the_features(fair_probe: Function, rng: np.random.Generator) -> None:
    """features of other sizes and means, the same in all parts: the same accuracy"""
    for _ in range(3):
        data, right = drawn(
            lambda: draw(rng, 40, 12, 2.0), lambda _, found: len(set(found.shares[:, 2])) > 2
        )
        sizes = 4.0 ** rng.permutation(np.arange(-6, 6))
        sizes[0] = 4.0**-6  # the one that knows the label
        moved = data._replace(features=[sizes * (x + 8.0) for x in data.features])
        ask(fair_probe, moved, right, "the feature that knows the label is small")


@pytest.mark.points(1)
def test_scale_of_the_fit(fair_probe: Function, rng: np.random.Generator) -> None:
    """a text of the test that lies far off changes nothing for the others"""

    def far_off() -> Data:
        data = draw(rng, 40, 6, 3.0)
        data.features[2][0, 0] = 500.0
        return data

    def tells(data: Data, found: Scores) -> bool:
        others = scores(data, scaled_by=(0, 1, 2)), scores(data, scaled_by=(2,))
        return all(abs(s.chosen(1)[2] - found.chosen(1)[2]) > 0.04 for s in others)

    data, right = drawn(far_off, tells)
    ask(fair_probe, data, right, "the feature that knows the label is 500 for one text of the test")


@pytest.mark.points(1)
@pytest.mark.hidden
def test_labels_of_the_test(fair_probe: Function, rng: np.random.Generator) -> None:
    """with all labels of the test exchanged, what was right is wrong"""
    for _ in range(3):
        data = draw(rng, 40, 10, 0.5)
        before = fair_probe(*data.arguments())
        other = data._replace(labels=[*data.labels[:2], 1 - data.labels[2]])
        ask(fair_probe, other, 1 - before, "labels of the test exchanged")


# ---------------------------------------------------------------------------------- Part 3

Texts = tuple[Array, Array, list[str]]


def texts(rng: np.random.Generator, word: bool, sentiment: bool, n: int = 120) -> list[Texts]:
    """States that hold the last word, or the sentiment, or both, or neither; 30 of noise."""
    found = []
    for _ in range(3):
        kind = rng.permutation(np.arange(n) % 8)
        label = rng.permutation(np.repeat([0, 1], n // 2))
        held = np.c_[word * np.eye(8)[kind], sentiment * label] * 8.0
        states = np.c_[held + 0.1 * rng.normal(size=held.shape), rng.normal(size=(n, 30))]
        found.append((states, label, [f"w{i}" for i in kind]))
    return found


def generators(chosen: Sequence[int]) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in chosen]


@pytest.mark.points(2)
def test_known_contents(selectivity: Function, rng: np.random.Generator) -> None:
    """states hold the word, the sentiment or both: near -1/2, 1/2 and 0"""
    for word, sentiment, right in ((True, False, -0.5), (False, True, 0.5), (True, True, 0.0)):
        held = f"{'the word ' * word}{'the sentiment' * sentiment}"
        expect(
            selectivity(*texts(rng, word, sentiment), generators(seeds(rng, 4))),
            right,
            inputs={"states hold": held, "generators": 4},
            what="the selectivity",
            atol=0.2,
        )


@pytest.mark.points(1)
def test_mean(selectivity: Function, rng: np.random.Generator) -> None:
    """with several generators: the mean of what each of them gives alone"""
    for _ in range(3):  # one alone could agree by chance
        parts = texts(rng, False, True, n=60)
        chosen = seeds(rng, 3)
        alone = [selectivity(*parts, generators([seed])) for seed in chosen]
        found = selectivity(*parts, generators(chosen))
        inputs = {"generators": "3", "one by one": alone}
        expect(found, float(np.mean(alone)), inputs=inputs, what="the selectivity")


@pytest.mark.points(1)
@pytest.mark.hidden
def test_neither(selectivity: Function, rng: np.random.Generator) -> None:
    """states that hold nothing: the mean over several models is near 0"""
    found = [selectivity(*texts(rng, False, False), generators(seeds(rng, 1))) for _ in range(8)]
    inputs = {"states hold": "neither word nor sentiment"}
    # Four standard errors and more of a mean of 8.
    expect(float(np.mean(found)), 0.0, inputs=inputs, what="the mean of 8 models is", atol=0.11)
