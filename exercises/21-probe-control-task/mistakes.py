"""Wrong answers to 21-probe-control-task that people give, in papers too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from weightdecay.grading import Mistake

Array = npt.NDArray[Any]
Part = tuple[Array, Array]
Texts = tuple[Array, Array, list[str]]
Generators = list[np.random.Generator]
STRENGTHS = [0.001, 0.01, 0.1, 1.0, 10.0]
DRAWS = 24


# ---------------------------------------------------------------------------- control_labels


def probe_control_labels(f: Callable[..., Any], rng: np.random.Generator) -> str:
    """In words what is wrong, for two functions with one fault rarely draw the same labels."""
    counts = 2 + rng.permutation(np.arange(16))
    kinds = [f"w{'x' * int(k)}" for k in rng.permutation(16)]
    words = rng.permutation(np.repeat(kinds, counts)).tolist()
    seeds = [int(s) for s in rng.choice(2**31, DRAWS, replace=False)]
    drawn = [drawing(f, words, seed) for seed in seeds]
    if any(set(labels) - {0, 1} for labels in drawn):
        return "not 0 and 1"
    if any(len(set(zip(words, labels, strict=True))) > 16 for labels in drawn):
        return "occurrences differ"
    if len(set(drawn)) == 1 or drawing(f, words, seeds[0]) != drawn[0]:
        ordered = sorted(kinds, key=lambda k: -words.count(k))
        of_first = dict(zip(words, drawn[0], strict=True))
        turns = [of_first[k] for k in ordered] in ([0, 1] * 8, [1, 0] * 8)
        return "no draw, by rank" if turns else "not from the generator"
    if len(set(drawn)) <= 2:
        return "two labelings"
    ranked = [k for k, _ in Counter(words).most_common()]
    pairs = zip(ranked[::2], ranked[1::2], strict=True)
    of_kind = [dict(zip(words, labels, strict=True)) for labels in drawn]
    mixed = all(label[a] != label[b] for a, b in pairs for label in of_kind)
    return "right" if mixed else "not in pairs"


def drawing(f: Callable[..., Any], words: list[str], seed: int) -> tuple[float, ...]:
    found = np.asarray(f(words, np.random.default_rng(seed)), dtype=float)
    return tuple(found.reshape(len(words)).tolist())


def of_types(
    draw: Callable[[np.random.Generator, int], Sequence[int]],
) -> Callable[..., Array]:
    """Labels that `draw` makes for the types, the most frequent first."""

    def labels(words: list[str], generator: np.random.Generator) -> Array:
        kinds = [kind for kind, _ in Counter(words).most_common()]
        of_kind = dict(zip(kinds, draw(generator, len(kinds)), strict=True))
        return np.array([of_kind[word] for word in words])

    return labels


def coins_of_pairs(generator: np.random.Generator, n: int) -> list[int]:
    """Right."""
    coins = generator.integers(2, size=(n + 1) // 2)
    return [int(coins[i // 2]) ^ (i % 2) for i in range(n)]


control_labels = of_types(coins_of_pairs)


def of_occurrences(words: list[str], generator: np.random.Generator) -> Array:
    return generator.integers(2, size=len(words))


def balanced_occurrences(words: list[str], generator: np.random.Generator) -> Array:
    return generator.permutation(len(words)) % 2


def by_length(words: list[str], generator: np.random.Generator) -> Array:
    return np.array([len(word) % 2 for word in words])


def own_seed(words: list[str], generator: np.random.Generator) -> Array:
    return control_labels(words, np.random.default_rng(0))


def no_generator(words: list[str], generator: np.random.Generator) -> Array:
    return control_labels(words, np.random.default_rng())


# -------------------------------------------------------------------------------- fair_probe


def parts_of(rng: np.random.Generator, n: int, d: int, strength: float) -> tuple[Part, Part, Part]:
    """Three parts with features of very different size; one of them knows the label."""
    found = []
    sizes, centers = 4.0 ** rng.integers(-2, 3, d), rng.normal(0, 1, d)
    for part in range(3):
        labels = rng.permutation(np.repeat([0, 1], n // 2))
        features = rng.normal(size=(n, d))
        features[:, 0] += strength * labels
        features = sizes * (features + centers)
        if part == 2:
            features[:, 0] += sizes[0]  # its mean is another
            features[0] *= 1e3  # far off, and to be scored
        found.append((features, labels))
    return found[0], found[1], found[2]


def probe_fair_probe(f: Callable[..., Any], rng: np.random.Generator) -> list[float]:
    sizes = [*11 * [(40, 15, 0.5)], (60, 4, 2.0)]
    return [float(f(*parts_of(rng, *size))) for size in sizes]


def fitted(x: Array, y: Array, c: float) -> LogisticRegression:
    return LogisticRegression(C=c, max_iter=300, tol=1e-5).fit(x, y)


def standard(x: Array, by: Array) -> Array:
    scaled: Array = (x - by.mean(0)) / np.where(by.std(0) > 0, by.std(0), 1.0)
    return scaled


def usual(
    fit: Part,
    choose: Part,
    test: Part,
    *,
    scale: Callable[[Sequence[Array]], Sequence[Array]] | None = None,
    strengths: Sequence[float] = STRENGTHS,
    fit_on: Sequence[int] = (0,),
    choose_on: int = 1,
    report: int = 2,
) -> float:
    """Right, unless a keyword says otherwise: 0, 1 and 2 are fit, choose and test."""
    labels = [fit[1], choose[1], test[1]]
    raw = [fit[0], choose[0], test[0]]
    x = scale(raw) if scale else [standard(part, raw[0]) for part in raw]
    on = np.concatenate([x[i] for i in fit_on]), np.concatenate([labels[i] for i in fit_on])
    probes = [fitted(*on, c) for c in strengths]
    best = max(probes, key=lambda p: p.score(x[choose_on], labels[choose_on]))
    return float(best.score(x[report], labels[report]))


def as_they_are(raw: Sequence[Array]) -> Sequence[Array]:
    return raw


def by_everything(raw: Sequence[Array]) -> Sequence[Array]:
    return [standard(part, np.concatenate(raw)) for part in raw]


def by_itself(raw: Sequence[Array]) -> Sequence[Array]:
    return [standard(part, part) for part in raw]


def by_one_number(raw: Sequence[Array]) -> Sequence[Array]:
    return [(part - raw[0].mean(0)) / raw[0].std() for part in raw]


def by_the_root_mean_square(raw: Sequence[Array]) -> Sequence[Array]:
    return [part / np.sqrt((raw[0] ** 2).mean()) for part in raw]


def fitted_again(fit: Part, choose: Part, test: Part) -> float:
    """The c is chosen as it should be; then the probe is fitted to both parts."""
    x = [standard(part[0], fit[0]) for part in (fit, choose, test)]
    best = max(STRENGTHS, key=lambda c: fitted(x[0], fit[1], c).score(x[1], choose[1]))
    both = np.concatenate(x[:2]), np.concatenate([fit[1], choose[1]])
    return float(fitted(*both, best).score(x[2], test[1]))


# ------------------------------------------------------------------------------- selectivity


def texts(
    rng: np.random.Generator, word: bool, sentiment: bool, n: int = 60
) -> tuple[Texts, Texts, Texts]:
    """States of which we know what they hold, and many features without meaning."""
    found = []
    for _ in range(3):
        words = rng.permutation(np.arange(n) % 6)
        labels = rng.permutation(np.repeat([0, 1], n // 2))
        columns = [0.1 * rng.normal(size=(n, 60 if sentiment and not word else 2))]
        columns += [3.0 * np.eye(6)[words]] * word + [3.0 * labels[:, None]] * sentiment
        found.append((np.hstack(columns), labels, [f"w{i}" for i in words]))
    return found[0], found[1], found[2]


def probe_selectivity(f: Callable[..., Any], rng: np.random.Generator) -> str:
    """In words: right, and otherwise how the values go wrong."""
    seeds = [int(s) for s in rng.choice(2**31, 3, replace=False)]

    def value(parts: tuple[Texts, Texts, Texts], some: list[int]) -> float:
        return float(f(*parts, [np.random.default_rng(s) for s in some]))

    of_word, of_both = texts(rng, True, False), texts(rng, True, True)
    of_sentiment = texts(rng, False, True)
    one_by_one = [value(of_sentiment, [s]) for s in seeds]
    together = value(of_sentiment, seeds)
    values = (value(of_word, seeds), together, value(of_both, seeds))
    kind = " ".join(f"{round(2 * v) / 2 + 0.0:.1f}" for v in values)
    if len(set(one_by_one)) == 1:
        return f"{kind}, whatever the generator"
    if abs(np.mean(one_by_one) - together) > 1e-9 and values[0] < -0.2:
        return "not the mean"
    return "in-sample" if together < 0.35 and values[0] < -0.2 else kind


def put_together(
    fit: Texts,
    choose: Texts,
    test: Texts,
    generators: Generators,
    *,
    how: Callable[[float, float], float] = lambda task, control: task - control,
    over: Callable[[list[float]], float] = lambda values: sum(values) / len(values),
    report: int = 2,
) -> float:
    """Right, unless a keyword says otherwise."""
    parts = (fit, choose, test)
    words = [w for p in parts for w in p[2]]
    controls = []
    for generator in generators:
        labels = control_labels(words, generator)
        controls.append(of_labels(parts, np.split(labels, ends(parts)), report))
    return how(of_labels(parts, [p[1] for p in parts], report), over(controls))


def ends(parts: Sequence[Texts]) -> Array:
    return np.cumsum([len(p[2]) for p in parts])[:-1]


def of_labels(parts: Sequence[Texts], labels: Sequence[Array], report: int = 2) -> float:
    a, b, c = ((p[0], y) for p, y in zip(parts, labels, strict=True))
    return usual(a, b, c, report=report)


def drawn_again(fit: Texts, choose: Texts, test: Texts, generators: Generators) -> float:
    parts = (fit, choose, test)
    task = of_labels(parts, [p[1] for p in parts])
    controls = [of_labels(parts, [control_labels(p[2], g) for p in parts]) for g in generators]
    return task - sum(controls) / len(controls)


def above_half(fit: Texts, choose: Texts, test: Texts, generators: Generators) -> float:
    return usual(fit[:2], choose[:2], test[:2]) - 0.5


PROBES = {
    "control_labels": probe_control_labels,
    "fair_probe": probe_fair_probe,
    "selectivity": probe_selectivity,
}
MISTAKES = [
    Mistake("label-per-occurrence", "control_labels", of_occurrences),
    Mistake("label-per-occurrence", "control_labels", balanced_occurrences),
    Mistake(
        "not-in-pairs", "control_labels", of_types(lambda g, n: g.integers(2, size=n).tolist())
    ),
    Mistake(
        "not-in-pairs", "control_labels", of_types(lambda g, n: (g.permutation(n) % 2).tolist())
    ),
    Mistake(
        "one-coin",
        "control_labels",
        of_types(lambda g, n: ((np.arange(n) + g.integers(2)) % 2).tolist()),
    ),
    Mistake("in-turn", "control_labels", of_types(lambda g, n: (np.arange(n) % 2).tolist())),
    Mistake("in-turn", "control_labels", of_types(lambda g, n: (1 - np.arange(n) % 2).tolist())),
    Mistake("own-randomness", "control_labels", own_seed),
    Mistake("own-randomness", "control_labels", no_generator),
    Mistake("own-randomness", "control_labels", by_length),
    Mistake("not-scaled", "fair_probe", partial(usual, scale=as_they_are)),
    Mistake("one-scale-for-all", "fair_probe", partial(usual, scale=by_one_number)),
    Mistake("one-scale-for-all", "fair_probe", partial(usual, scale=by_the_root_mean_square)),
    Mistake("scale-of-everything", "fair_probe", partial(usual, scale=by_everything)),
    Mistake("a-scale-for-each-part", "fair_probe", partial(usual, scale=by_itself)),
    Mistake("nothing-chosen", "fair_probe", partial(usual, strengths=[1.0])),
    Mistake("chosen-on-the-test", "fair_probe", partial(usual, choose_on=2)),
    Mistake("chosen-where-fitted", "fair_probe", partial(usual, choose_on=0)),
    Mistake("scored-where-fitted", "fair_probe", partial(usual, report=0)),
    Mistake("scored-where-chosen", "fair_probe", partial(usual, report=1)),
    Mistake("fitted-on-the-test", "fair_probe", partial(usual, fit_on=(0, 1, 2))),
    Mistake("fitted-again", "fair_probe", fitted_again),
    Mistake("fitted-again", "fair_probe", partial(usual, fit_on=(0, 1))),
    Mistake(
        "reversed", "selectivity", partial(put_together, how=lambda task, control: control - task)
    ),
    Mistake(
        "quotient", "selectivity", partial(put_together, how=lambda task, control: task / control)
    ),
    Mistake(
        "clipped",
        "selectivity",
        partial(put_together, how=lambda task, control: max(task - control, 0.0)),
    ),
    Mistake("above-one-half", "selectivity", above_half),
    Mistake("drawn-again", "selectivity", drawn_again),
    Mistake("not-the-mean", "selectivity", partial(put_together, over=lambda values: values[0])),
    Mistake("not-the-mean", "selectivity", partial(put_together, over=min)),
    Mistake("not-the-mean", "selectivity", partial(put_together, over=max)),
    Mistake("in-sample", "selectivity", partial(put_together, report=0)),
]
