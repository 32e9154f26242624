"""Wrong answers to 22-cluster-interval that people give, in papers too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from weightdecay.grading import Mistake

Array = npt.NDArray[Any]
Rows = list[dict[str, Any]]
Interval = tuple[float, float]
CELLS = [
    (t, r) for t in ("chain", "list", "agree", "except", "refuse") for r in (0.1, 0.2, 0.3, 0.4)
]


# ------------------------------------------------------------------------------------ probes


def table(rng: np.random.Generator, shared: Sequence[float], sizes: Sequence[int]) -> Rows:
    """Shuffled rows, the first models of other seeds each time."""
    rows = [
        {"seed": seed, "task": t, "rate": r, "score": float(rng.normal(mean, 0.1))}
        for (seed, mean), size in zip(enumerate(shared), sizes, strict=True)
        for t, r in CELLS[:size]
    ]
    return [rows[i] for i in rng.permutation(len(rows))]


def probe_interval(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    sizes = ([20] * 9, [20, 8, 13, 5])
    tables = [table(rng, rng.normal(0.5, 0.1, len(s)).tolist(), s) for s in sizes]
    return [[float(v) for v in f(rows)] for rows in tables]


def probe_design_effect(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    return [
        float(f(table(rng, rng.normal(0.5, 0.1, n).tolist(), [m] * n)))
        for n, m in ((9, 20), (4, 6))
    ]


def probe_paired(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    found = []
    for sizes in ([[20] * 9] * 2, [[20, 8, 13, 5], [20, 20, 4, 7]]):
        shared = rng.normal(0.5, 0.2, len(sizes[0]))
        treated = table(rng, (shared + 0.05).tolist(), sizes[0])
        found.append([float(v) for v in f(treated, table(rng, shared.tolist(), sizes[1]))])
    return found


# ------------------------------------------------------------------------ clustered_interval


def groups(rows: Rows, key: str = "seed") -> dict[Any, list[float]]:
    found: dict[Any, list[float]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row["score"])
    return dict(sorted(found.items()))


def scores(rows: Rows) -> list[float]:
    return [row["score"] for row in rows]


def means(rows: Rows, key: str = "seed") -> list[float]:
    return [float(np.mean(values)) for values in groups(rows, key).values()]


def around(center: float, half: float) -> Interval:
    return float(center - half), float(center + half)


def t(n: int, level: float = 0.975) -> float:
    return float(stats.t.ppf(level, n - 1))


def se(values: Sequence[float], ddof: int = 1) -> float:
    return float(np.std(values, ddof=ddof) / np.sqrt(len(values)))


def student(values: Sequence[float]) -> Interval:
    """Right for units."""
    return around(float(np.mean(values)), t(len(values)) * se(values))


def of_units(units: Callable[[Rows], Sequence[float]]) -> Callable[[Rows], Interval]:
    return lambda rows: student(units(rows))


def with_half(half: Callable[[Rows], float]) -> Callable[[Rows], Interval]:
    """The right mean, and some other half width."""
    return lambda rows: around(float(np.mean(means(rows))), half(rows))


def of_models(half: Callable[[Sequence[float]], float]) -> Callable[[Rows], Interval]:
    return with_half(lambda rows: half(means(rows)))


def mean_error(rows: Rows) -> float:
    return float(np.mean([se(values) for values in groups(rows).values()]))


def fixed_effects(rows: Rows) -> float:
    """The error of the mean of these models, and of no others."""
    errors = [se(values) ** 2 for values in groups(rows).values()]
    return float(np.sqrt(np.sum(errors)) / len(errors))


def by_rows(rows: Rows) -> Interval:
    """Models weighted by their fine-tunes."""
    return around(float(np.mean(scores(rows))), t(len(means(rows))) * se(means(rows)))


def one_of_each(pick: Callable[[list[float]], float]) -> Callable[[Rows], Interval]:
    return of_units(lambda rows: [pick(values) for values in groups(rows).values()])


# ----------------------------------------------------------------------------- design_effect


def effect(rows: Rows) -> float:
    """Right."""
    return (se(means(rows)) / se(scores(rows))) ** 2


def width(interval: Interval) -> float:
    return interval[1] - interval[0]


def of_population(rows: Rows) -> float:
    """Variances that divide by the number, not by one less."""
    return (se(means(rows), ddof=0) / se(scores(rows), ddof=0)) ** 2


def shared_variance(rows: Rows) -> float:
    return float(np.var(means(rows), ddof=1) / np.var(scores(rows), ddof=1))


# --------------------------------------------------------------------------- paired_interval


def paired(treated: Rows, control: Rows) -> Array:
    differences: Array = np.array(means(treated)) - np.array(means(control))
    return differences


def as_units(units: Callable[..., Sequence[float]]) -> Callable[..., Interval]:
    return lambda treated, control: student(units(treated, control))


def unpaired(treated: Rows, control: Rows, key: str, equal: bool) -> Interval:
    arms = [means(rows) if key else scores(rows) for rows in (treated, control)]
    found = stats.ttest_ind(*arms, equal_var=equal).confidence_interval()
    return float(found.low), float(found.high)


def by_place(treated: Rows, control: Rows) -> Sequence[float]:
    """Models in the order of their first row."""

    def in_order(rows: Rows) -> list[float]:
        found = groups(rows)
        return [float(np.mean(found[seed])) for seed in dict.fromkeys(r["seed"] for r in rows)]

    return [a - b for a, b in zip(in_order(treated), in_order(control), strict=True)]


def by_cell(treated: Rows, control: Rows) -> Sequence[float]:
    """A difference for each fine-tune that both have."""
    other = {(r["seed"], r["task"], r["rate"]): r["score"] for r in control}
    keys = [(r["seed"], r["task"], r["rate"]) for r in treated]
    return [r["score"] - other[k] for r, k in zip(treated, keys, strict=True) if k in other]


def by_seed_and_task(treated: Rows, control: Rows) -> Sequence[float]:
    """A difference for each task of each seed."""

    def found(rows: Rows) -> dict[Any, float]:
        return dict(
            zip(
                groups([{**r, "key": (r["seed"], r["task"])} for r in rows], "key"),
                means([{**r, "key": (r["seed"], r["task"])} for r in rows], "key"),
                strict=True,
            )
        )

    a, b = found(treated), found(control)
    return [a[k] - b[k] for k in a if k in b]


def of_tasks(treated: Rows, control: Rows) -> Sequence[float]:
    a, b = groups(treated, "task"), groups(control, "task")
    return [float(np.mean(a[k]) - np.mean(b[k])) for k in a]


def reversed_(treated: Rows, control: Rows) -> Interval:
    return student((-paired(treated, control)).tolist())


def of_ends(treated: Rows, control: Rows) -> Interval:
    a, b = student(means(treated)), student(means(control))
    return a[0] - b[1], a[1] - b[0]


def like_ends(treated: Rows, control: Rows) -> Interval:
    a, b = student(means(treated)), student(means(control))
    low, high = sorted((a[0] - b[0], a[1] - b[1]))
    return low, high


def normal_pairs(treated: Rows, control: Rows) -> Interval:
    d = paired(treated, control).tolist()
    return around(float(np.mean(d)), float(stats.norm.ppf(0.975)) * se(d))


def rough_pairs(treated: Rows, control: Rows) -> Interval:
    d = paired(treated, control).tolist()
    return around(float(np.mean(d)), 1.96 * se(d))


PROBES = {
    "clustered_interval": probe_interval,
    "design_effect": probe_design_effect,
    "paired_interval": probe_paired,
}
FIRST = "clustered_interval"
MISTAKES = [
    Mistake("every-fine-tune", FIRST, of_units(scores)),
    Mistake(
        "every-fine-tune",
        FIRST,
        lambda rows: around(float(np.mean(scores(rows))), 1.96 * se(scores(rows))),
    ),
    Mistake("every-fine-tune", FIRST, with_half(lambda rows: t(len(rows)) * se(scores(rows)))),
    Mistake("task-as-unit", FIRST, of_units(partial(means, key="task"))),
    Mistake("task-as-unit", FIRST, of_units(partial(means, key="rate"))),
    Mistake("not-student-of-the-models", FIRST, of_models(lambda v: 1.96 * se(v))),
    Mistake(
        "not-student-of-the-models",
        FIRST,
        of_models(lambda v: float(stats.norm.ppf(0.975)) * se(v)),
    ),
    Mistake(
        "not-student-of-the-models", FIRST, with_half(lambda rows: t(len(rows)) * se(means(rows)))
    ),
    Mistake("not-student-of-the-models", FIRST, of_models(lambda v: t(len(v) + 1) * se(v))),
    Mistake("one-sided-factor", FIRST, of_models(lambda v: t(len(v), 0.95) * se(v))),
    Mistake("spread-not-error", FIRST, of_models(lambda v: t(len(v)) * float(np.std(v, ddof=1)))),
    Mistake(
        "spread-not-error",
        FIRST,
        with_half(
            lambda rows: t(len(means(rows))) * float(np.std(means(rows), ddof=1)) / len(rows) ** 0.5
        ),
    ),
    Mistake("spread-of-a-population", FIRST, of_models(lambda v: t(len(v)) * se(v, ddof=0))),
    Mistake(
        "error-within-models", FIRST, with_half(lambda rows: t(len(means(rows))) * mean_error(rows))
    ),
    Mistake("error-within-models", FIRST, with_half(lambda rows: 1.96 * mean_error(rows))),
    Mistake(
        "error-within-models",
        FIRST,
        with_half(lambda rows: t(len(means(rows))) * fixed_effects(rows)),
    ),
    Mistake("weighted-by-fine-tunes", FIRST, by_rows),
    Mistake("one-fine-tune-of-each", FIRST, one_of_each(lambda values: values[0])),
    Mistake("one-fine-tune-of-each", FIRST, one_of_each(max)),
    Mistake("one-fine-tune-of-each", FIRST, one_of_each(lambda values: float(np.median(values)))),
    Mistake("upside-down", "design_effect", lambda rows: 1 / effect(rows)),
    Mistake("not-squared", "design_effect", lambda rows: effect(rows) ** 0.5),
    Mistake("effective-number", "design_effect", lambda rows: len(rows) / effect(rows)),
    Mistake("variances-not-errors", "design_effect", shared_variance),
    Mistake(
        "widths-with-factors",
        "design_effect",
        lambda rows: (width(student(means(rows))) / width(student(scores(rows)))) ** 2,
    ),
    Mistake(
        "widths-with-factors",
        "design_effect",
        lambda rows: width(student(means(rows))) / width(student(scores(rows))),
    ),
    Mistake("less-one-forgotten", "design_effect", of_population),
    Mistake("fine-tunes-of-a-model", "design_effect", lambda rows: len(rows) / len(groups(rows))),
    Mistake("unpaired", "paired_interval", partial(unpaired, key="seed", equal=False)),
    Mistake("unpaired", "paired_interval", partial(unpaired, key="seed", equal=True)),
    Mistake("unpaired-fine-tunes", "paired_interval", partial(unpaired, key="", equal=False)),
    Mistake("unpaired-fine-tunes", "paired_interval", partial(unpaired, key="", equal=True)),
    Mistake("paired-fine-tunes", "paired_interval", as_units(by_cell)),
    Mistake("paired-fine-tunes", "paired_interval", as_units(by_seed_and_task)),
    Mistake("paired-tasks", "paired_interval", as_units(of_tasks)),
    Mistake("by-place", "paired_interval", as_units(by_place)),
    Mistake("wrong-way-round", "paired_interval", reversed_),
    Mistake("difference-of-ends", "paired_interval", of_ends),
    Mistake("difference-of-ends", "paired_interval", like_ends),
    Mistake("normal-pairs", "paired_interval", normal_pairs),
    Mistake("normal-pairs", "paired_interval", rough_pairs),
]
