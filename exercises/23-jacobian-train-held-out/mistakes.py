"""Wrong answers to 23-jacobian-train-held-out that people give."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightdecay.grading import Mistake

Weights = dict[str, Tensor]
Rows = list[dict[str, Any]]


# ------------------------------------------------------------------------------------ probes


def drawn(rng: np.random.Generator) -> tuple[Weights, Tensor]:
    sizes = {"in": (6, 3), "bias": (6,), "out": (2, 6)}
    weights = {name: torch.from_numpy(rng.normal(0, 1.2, size)) for name, size in sizes.items()}
    return weights, torch.from_numpy(rng.normal(0, 1, (5, 3)))


def probe_mean_log_norm(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    weights, x = drawn(rng)
    found = float(f(weights, x))
    if abs(found - right(weights, x)) > 1e-4:
        return found
    small = {**weights, "out": 1e-9 * weights["out"]}
    return "too large" if float(f(small, x)) > right(small, x) + 1e-4 else "right"


SEEDS, DECAYS, LOST = (4, 9, 1, 6), (0.0, 0.1, 0.5, 1.0), ((1, 0.5), (6, 0.0))


def probe_near_change(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """Each decay in another order of seeds; two networks are lost."""
    rows = [
        {"seed": seed, "decay": decay, "points": points, "norm": float(rng.uniform(0.3, 4))}
        for number, decay in enumerate(DECAYS)
        for seed in np.roll(SEEDS, number).tolist()
        for points in ("train", "held-out", "off-data")
    ]
    whole = f(rows, 0.5)
    kept = [row for row in rows if (row["seed"], row["decay"]) not in LOST]
    if whole != right_change(rows, 0.5) and not alike(whole, right_change(rows, 0.5)):
        return whole
    found = f(kept, 0.5)
    return "right" if alike(found, right_change(kept, 0.5)) else "lost runs"


def alike(found: Any, expected: dict[int, float]) -> bool:
    return (
        isinstance(found, dict)
        and found.keys() == expected.keys()
        and all(abs(float(found[seed]) - v) < 1e-9 for seed, v in expected.items())
    )


def probe_readings(f: Callable[[], Any], rng: np.random.Generator) -> Any:
    return list(f())


# ----------------------------------------------------------------------------- mean_log_norm


def hidden(weights: Weights, x: Tensor) -> Tensor:
    return torch.tanh(x @ weights["in"].T + weights["bias"])


def product(weights: Weights, slope: Tensor) -> Tensor:
    """(N, outputs, inputs) from the slopes (N, hidden) of the units."""
    return torch.einsum("oh,nh,hi->noi", weights["out"], slope, weights["in"])


def jacobian(weights: Weights, x: Tensor) -> Tensor:
    """Right."""
    return product(weights, 1 - hidden(weights, x) ** 2)


def of_norms(how: Callable[[Tensor], Tensor]) -> Callable[[Weights, Tensor], float]:
    """One number from the right norms (N,)."""
    return lambda weights, x: float(how(jacobian(weights, x).norm(dim=(1, 2))))


def of_jacobian(norm: Callable[[Tensor], Tensor]) -> Callable[[Weights, Tensor], float]:
    """Another norm of each Jacobian (N, outputs, inputs)."""
    return lambda weights, x: float(norm(jacobian(weights, x)).log().mean())


right = of_norms(lambda n: n.log().mean())


def averaged_first(weights: Weights, x: Tensor) -> float:
    return float(jacobian(weights, x).mean(0).norm().log())


def other_slope(slope: Callable[[Tensor], Tensor]) -> Callable[[Weights, Tensor], float]:
    """The units' slope as another function of their value."""

    def mean_log_norm(weights: Weights, x: Tensor) -> float:
        j = product(weights, slope(hidden(weights, x)))
        return float(j.norm(dim=(1, 2)).log().mean())

    return mean_log_norm


def by_the_weights(weights: Weights, x: Tensor) -> float:
    h, outputs = hidden(weights, x), len(weights["out"])
    before = torch.einsum("oh,nh->noh", weights["out"], 1 - h**2).square().sum((1, 2))
    squares = outputs * h.square().sum(1) + before * (1 + x.square().sum(1))
    return float(squares.log().mean() / 2)


# ------------------------------------------------------------------------------- near_change

Key = tuple[int, float, str]


def norms_in(rows: Rows) -> dict[Key, float]:
    return {(r["seed"], r["decay"], r["points"]): r["norm"] for r in rows}


def seeds_in(rows: Rows, decay: float) -> list[int]:
    return list(dict.fromkeys(r["seed"] for r in rows if r["decay"] == decay))


def both(rows: Rows, decay: float, none: float = 0.0) -> list[int]:
    return [s for s in seeds_in(rows, decay) if s in seeds_in(rows, none)]


def near_of(
    norms: dict[Key, float],
    seed: int,
    decay: float,
    scale: Callable[[float], float] = math.log,
    away: str = "held-out",
) -> float:
    return scale(norms[seed, decay, "train"]) - scale(norms[seed, decay, away])


def changes(rows: Rows, decay: float, sign: int = 1, **how: Any) -> dict[int, float]:
    """Right, unless a keyword says otherwise."""
    norms = norms_in(rows)
    return {
        s: sign * (near_of(norms, s, decay, **how) - near_of(norms, s, 0.0, **how))
        for s in both(rows, decay)
    }


def right_change(rows: Rows, decay: float) -> dict[int, float]:
    """Right."""
    return changes(rows, decay)


def of_place(rows: Rows, decay: float, points: str) -> dict[int, float]:
    n = norms_in(rows)
    return {s: math.log(n[s, decay, points] / n[s, 0.0, points]) for s in both(rows, decay)}


def level(rows: Rows, decay: float) -> dict[int, float]:
    return {s: near_of(norms_in(rows), s, decay) for s in both(rows, decay)}


def all_not_trained_on(rows: Rows, decay: float) -> dict[int, float]:
    train, held_out, away = (of_place(rows, decay, p) for p in ("train", "held-out", "off-data"))
    return {s: train[s] - (held_out[s] + away[s]) / 2 for s in train}


def to_the_next(rows: Rows, decay: float) -> dict[int, float]:
    norms = norms_in(rows)
    none = max(d for d in {r["decay"] for r in rows} if d < decay)
    return {s: near_of(norms, s, decay) - near_of(norms, s, none) for s in both(rows, decay, none)}


def pooled(rows: Rows, decay: float) -> dict[int, float]:
    norms, seeds = norms_in(rows), seeds_in(rows, 0.0)
    base = sum(near_of(norms, s, 0.0) for s in seeds) / len(seeds)
    return {s: near_of(norms, s, decay) - base for s in seeds_in(rows, decay)}


def by_position(rows: Rows, decay: float) -> dict[int, float]:
    norms = norms_in(rows)
    pairs = zip(seeds_in(rows, decay), seeds_in(rows, 0.0), strict=False)
    return {s: near_of(norms, s, decay) - near_of(norms, other, 0.0) for s, other in pairs}


def one_number(rows: Rows, decay: float) -> float:
    found = right_change(rows, decay)
    return sum(found.values()) / len(found)


def quotient(rows: Rows, decay: float) -> dict[int, float]:
    return {s: math.exp(v) for s, v in right_change(rows, decay).items()}


def ratio_of_levels(rows: Rows, decay: float) -> dict[int, float]:
    norms = norms_in(rows)
    return {s: near_of(norms, s, decay) / near_of(norms, s, 0.0) for s in both(rows, decay)}


def zero_for_lost(rows: Rows, decay: float) -> dict[int, float]:
    norms = norms_in(rows)
    found = {}
    for seed in {r["seed"] for r in rows}:
        has = [(seed, d, "train") in norms for d in (decay, 0.0)]
        nears = [
            near_of(norms, seed, d) if there else 0.0
            for d, there in zip((decay, 0.0), has, strict=True)
        ]
        found[seed] = nears[0] - nears[1]
    return found


def of_decayed(rows: Rows, decay: float) -> dict[int, float]:
    kept = zero_for_lost(rows, decay)
    return {s: kept[s] for s in seeds_in(rows, decay)}


# ---------------------------------------------------------------------------------- readings

READ = {
    "training-points-only": [["near"] * 5, ["near", "near", "away", "near", "near"]],
    "mean-without-interval": [["everywhere", "near", "away", "near", "near"]],
    "unclear-is-not-everywhere": [["everywhere", "near", "away", "everywhere", "near"]],
    "overlapping-intervals": [
        ["everywhere", "unclear", "away", "unclear", "near"],
        ["everywhere", "unclear", "away", "unclear", "unclear"],
        ["everywhere", "everywhere", "away", "unclear", "near"],
        ["everywhere", "everywhere", "away", "everywhere", "near"],
        ["everywhere", "everywhere", "away", "everywhere", "everywhere"],
    ],
    "alike-is-an-answer": [["unclear", "near", "away", "unclear", "near"]],
    "sign-of-near": [["everywhere", "away", "near", "unclear", "away"]],
    "falls-in-both": [
        ["everywhere", "near", "everywhere", "unclear", "everywhere"],
        ["everywhere", "near", "everywhere", "near", "everywhere"],
        ["everywhere", "near", "away", "unclear", "everywhere"],
        ["everywhere"] * 5,
    ],
}

PROBES = {
    "mean_log_norm": probe_mean_log_norm,
    "near_change": probe_near_change,
    "readings": probe_readings,
}
MISTAKES = [
    Mistake("log-of-mean", "mean_log_norm", of_norms(lambda n: n.mean().log())),
    Mistake("no-log", "mean_log_norm", of_norms(lambda n: n.mean())),
    Mistake("another-log", "mean_log_norm", of_norms(lambda n: n.log10().mean())),
    Mistake("another-log", "mean_log_norm", of_norms(lambda n: n.log2().mean())),
    Mistake("another-log", "mean_log_norm", of_norms(lambda n: n.log1p().mean())),
    Mistake("sum-over-points", "mean_log_norm", of_norms(lambda n: n.log().sum())),
    Mistake("no-root", "mean_log_norm", of_norms(lambda n: n.square().log().mean())),
    Mistake("whole-batch", "mean_log_norm", of_norms(lambda n: n.square().sum().sqrt().log())),
    Mistake("averaged-first", "mean_log_norm", averaged_first),
    Mistake("something-in-the-log", "mean_log_norm", of_norms(lambda n: (n + 1e-6).log().mean())),
    Mistake(
        "something-in-the-log", "mean_log_norm", of_norms(lambda n: n.clamp(min=1e-8).log().mean())
    ),
    Mistake("outputs-summed", "mean_log_norm", of_jacobian(lambda j: j.sum(1).norm(dim=1))),
    Mistake("another-norm", "mean_log_norm", of_jacobian(lambda j: torch.linalg.matrix_norm(j, 2))),
    Mistake("another-norm", "mean_log_norm", of_jacobian(lambda j: j.abs().sum((1, 2)))),
    Mistake("another-norm", "mean_log_norm", of_jacobian(lambda j: j.abs().amax((1, 2)))),
    Mistake("slope-of-the-units", "mean_log_norm", other_slope(torch.ones_like)),
    Mistake("slope-of-the-units", "mean_log_norm", other_slope(lambda h: 1 - h.tanh() ** 2)),
    Mistake("slope-of-the-units", "mean_log_norm", other_slope(lambda h: 1 - h)),
    Mistake("by-the-weights", "mean_log_norm", by_the_weights),
    Mistake("norms-subtracted", "near_change", partial(changes, scale=float)),
    Mistake("training-alone", "near_change", partial(of_place, points="train")),
    Mistake("level-not-change", "near_change", level),
    Mistake("wrong-sign", "near_change", partial(changes, sign=-1)),
    Mistake("off-data", "near_change", partial(changes, away="off-data")),
    Mistake("off-data", "near_change", all_not_trained_on),
    Mistake("not-without-decay", "near_change", to_the_next),
    Mistake("pooled", "near_change", pooled),
    Mistake("by-position", "near_change", by_position),
    Mistake("one-number", "near_change", one_number),
    Mistake("quotient", "near_change", quotient),
    Mistake("quotient", "near_change", ratio_of_levels),
    Mistake("lost-runs", "near_change", zero_for_lost),
    Mistake("lost-runs", "near_change", of_decayed),
    *(
        Mistake(symptom, "readings", partial(list, answer))
        for symptom, answers in READ.items()
        for answer in answers
    ),
]
