"""Wrong answers to 12-lambda-for-a-dose that learners give."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from weightdecay.grading import Mistake

Recipe = dict[str, Any]
Sum = Callable[[Recipe], float]


def draw(rng: np.random.Generator, batch_size: int) -> Recipe:
    peak = float(rng.uniform(1e-3, 1e-2))
    return {
        "peak": peak,
        "final": peak * float(rng.uniform(0.1, 0.5)),
        "warmup": int(rng.integers(20, 50)),
        "steps": int(rng.integers(100, 200)),
        "batch_size": batch_size,
    }


def probe_weight_decay_for(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    return f(float(rng.uniform(0.5, 2)), draw(rng, 32))


def probe_same_dose(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    return f(float(rng.uniform(0.1, 1)), draw(rng, 32), draw(rng, 48))


def probe_weight_decay_to_keep(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    return f(float(rng.uniform(0.6, 0.9)), draw(rng, 32))


def climb(recipe: Recipe) -> float:
    return math.fsum(recipe["peak"] * (t + 1) / recipe["warmup"] for t in range(recipe["warmup"]))


def cosine(recipe: Recipe, steps: int, final: float) -> float:
    half = (recipe["peak"] - final) / 2
    return math.fsum(final + half * (1 + math.cos(math.pi * (t + 1) / steps)) for t in range(steps))


def right(recipe: Recipe) -> float:
    return climb(recipe) + cosine(recipe, recipe["steps"] - recipe["warmup"], recipe["final"])


def peak_times_steps(recipe: Recipe) -> float:
    return float(recipe["peak"] * recipe["steps"])


def cosine_from_the_start(recipe: Recipe) -> float:
    return cosine(recipe, recipe["steps"], recipe["final"])


def middle_times_steps(recipe: Recipe) -> float:
    return float((recipe["peak"] + recipe["final"]) / 2 * recipe["steps"])


def after_warmup_only(recipe: Recipe) -> float:
    return right(recipe) - climb(recipe)


def down_to_zero(recipe: Recipe) -> float:
    return climb(recipe) + cosine(recipe, recipe["steps"] - recipe["warmup"], 0.0)


SUMS: list[tuple[str, Sum]] = [
    ("peak-times-steps", peak_times_steps),
    ("no-warmup", cosine_from_the_start),
    ("no-warmup", middle_times_steps),
    ("no-warmup", after_warmup_only),
    ("down-to-zero", down_to_zero),
]


def dose_over(total: Sum) -> Callable[..., float]:
    return lambda dose, recipe: dose / total(recipe)


def ratio_of(total: Sum) -> Callable[..., float]:
    return lambda weight_decay, old, new: weight_decay * total(old) / total(new)


def keep_over(total: Sum) -> Callable[..., float]:
    return lambda share, recipe: -math.log(share) / total(recipe)


def unchanged(weight_decay: float, old: Recipe, new: Recipe) -> float:
    return weight_decay


def inverted(weight_decay: float, old: Recipe, new: Recipe) -> float:
    return weight_decay * right(new) / right(old)


def only_peak(recipe: Recipe) -> float:
    return float(recipe["peak"])


def inverted_peak(weight_decay: float, old: Recipe, new: Recipe) -> float:
    return float(weight_decay * new["peak"] / old["peak"])


def with_batch_size(weight_decay: float, old: Recipe, new: Recipe) -> float:
    return weight_decay * right(old) / right(new) * new["batch_size"] / old["batch_size"]


def only_batch_size(weight_decay: float, old: Recipe, new: Recipe) -> float:
    return float(weight_decay * new["batch_size"] / old["batch_size"])


def per_sentence(weight_decay: float, old: Recipe, new: Recipe) -> float:
    return weight_decay * right(old) / right(new) * old["batch_size"] / new["batch_size"]


def linear(share: float, recipe: Recipe) -> float:
    return (1 - share) / right(recipe)


def taken_away(share: float, recipe: Recipe) -> float:
    return -math.log(1 - share) / right(recipe)


def negative(share: float, recipe: Recipe) -> float:
    return math.log(share) / right(recipe)


PROBES = {
    "weight_decay_for": probe_weight_decay_for,
    "same_dose": probe_same_dose,
    "weight_decay_to_keep": probe_weight_decay_to_keep,
}
MISTAKES = [
    *(Mistake(symptom, "weight_decay_for", dose_over(total)) for symptom, total in SUMS),
    # In a ratio peak x steps and a cosine down to zero are the same: the sum is half of it.
    Mistake("no-final", "same_dose", ratio_of(peak_times_steps)),
    *(Mistake("no-warmup", "same_dose", ratio_of(s)) for name, s in SUMS if name == "no-warmup"),
    *(Mistake(symptom, "weight_decay_to_keep", keep_over(total)) for symptom, total in SUMS),
    Mistake("same-lambda", "same_dose", unchanged),
    Mistake("wrong-way-round", "same_dose", inverted),
    Mistake("wrong-way-round", "same_dose", inverted_peak),
    Mistake("only-the-rate", "same_dose", ratio_of(only_peak)),
    Mistake("batch-size", "same_dose", with_batch_size),
    Mistake("batch-size", "same_dose", only_batch_size),
    Mistake("batch-size", "same_dose", per_sentence),
    Mistake("linear", "weight_decay_to_keep", linear),
    Mistake("taken-away", "weight_decay_to_keep", taken_away),
    Mistake("negative", "weight_decay_to_keep", negative),
]
