"""Wrong answers to 11-update-to-weight-ratio that learners give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightdecay.grading import Mistake

Groups = dict[str, list[Tensor]]


def draw(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> Tensor:
    """Away from zero, so that a ratio of single entries stays finite."""
    values = torch.from_numpy(rng.uniform(0.5, 1.5, shape) * rng.choice([-1, 1], shape))
    return values * scale


def probe_update_ratio(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    before = {"a": [draw(rng, 3, 2), draw(rng, 4, scale=5)], "b": [draw(rng, 5, scale=0.1)]}
    steps = {"a": [draw(rng, 3, 2), draw(rng, 4, scale=0.3)], "b": [draw(rng, 5, scale=0.02)]}
    after = {
        name: [t + step for t, step in zip(tensors, steps[name], strict=True)]
        for name, tensors in before.items()
    }
    ratios, right = f(before, after), by_group(one_vector)(before, after)
    if not isinstance(ratios, dict) or not same(ratios, right):
        return ratios
    zeros = {"moved": [torch.zeros(3)], "still": [torch.zeros(2, 2)]}
    moved = {"moved": [draw(rng, 3)], "still": [torch.zeros(2, 2)]}
    try:
        none = f(zeros, moved) == {"moved": None, "still": None}
    except (ZeroDivisionError, ValueError):
        none = False
    return ratios if none else "does not answer None for zeros"


def same(ratios: dict[str, Any], right: dict[str, float]) -> bool:
    """A ratio may come as a tensor; None is no number."""
    return ratios.keys() == right.keys() and all(
        ratios[name] is not None and abs(float(ratios[name]) - value) < 1e-6
        for name, value in right.items()
    )


def probe_adam_ratio(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    weights, gradient = draw(rng, 6, 4), draw(rng, 6, 4, scale=7)
    gradient[rng.choice(6, 2, replace=False)] = 0
    return f(weights, gradient, float(rng.uniform(0.01, 0.1)))


def by_group(ratio: Callable[[list[Tensor], list[Tensor]], float]) -> Callable[..., Any]:
    def update_ratio(before: Groups, after: Groups) -> dict[str, float]:
        return {name: float(ratio(before[name], after[name])) for name in before}

    return update_ratio


def vector(tensors: list[Tensor]) -> Tensor:
    return torch.cat([t.flatten() for t in tensors])


def differences(before: list[Tensor], after: list[Tensor]) -> list[Tensor]:
    return [new - old for old, new in zip(before, after, strict=True)]


def norms(tensors: list[Tensor]) -> Tensor:
    return torch.stack([t.norm() for t in tensors])


def one_vector(before: list[Tensor], after: list[Tensor]) -> float:
    """Right, but for a group of zeros: NaN or infinity."""
    old = vector(before)
    return float((vector(after) - old).norm() / old.norm())


def zero_for_zeros(before: list[Tensor], after: list[Tensor]) -> float:
    return one_vector(before, after) if vector(before).norm() > 0 else 0.0


@by_group
def over_new(before: list[Tensor], after: list[Tensor]) -> float:
    new = vector(after)
    return float((new - vector(before)).norm() / new.norm())


@by_group
def entry_by_entry(before: list[Tensor], after: list[Tensor]) -> float:
    old = vector(before)
    return float(((vector(after) - old) / old).abs().mean())


@by_group
def sum_of_norms(before: list[Tensor], after: list[Tensor]) -> float:
    return float(norms(differences(before, after)).sum() / norms(before).sum())


@by_group
def mean_of_ratios(before: list[Tensor], after: list[Tensor]) -> float:
    return float((norms(differences(before, after)) / norms(before)).mean())


@by_group
def growth(before: list[Tensor], after: list[Tensor]) -> float:
    return float((vector(after).norm() - vector(before).norm()).abs() / vector(before).norm())


@by_group
def signed_growth(before: list[Tensor], after: list[Tensor]) -> float:
    return float((vector(after).norm() - vector(before).norm()) / vector(before).norm())


@by_group
def no_root(before: list[Tensor], after: list[Tensor]) -> float:
    old = vector(before)
    return float((vector(after) - old).square().sum() / old.square().sum())


def sgd(weights: Tensor, gradient: Tensor, learning_rate: float) -> float:
    return float(learning_rate * gradient.norm() / weights.norm())


def gradient_over_weight(weights: Tensor, gradient: Tensor, learning_rate: float) -> float:
    return float(gradient.norm() / weights.norm())


def one_entry(weights: Tensor, gradient: Tensor, learning_rate: float) -> float:
    return float(learning_rate / weights.norm())


def sum_of_steps(weights: Tensor, gradient: Tensor, learning_rate: float) -> float:
    return float(learning_rate * (gradient != 0).sum() / weights.norm())


def sum_of_all_steps(weights: Tensor, gradient: Tensor, learning_rate: float) -> float:
    return float(learning_rate * weights.numel() / weights.norm())


def all_entries(weights: Tensor, gradient: Tensor, learning_rate: float) -> float:
    return float(learning_rate * weights.numel() ** 0.5 / weights.norm())


PROBES = {"update_ratio": probe_update_ratio, "adam_ratio": probe_adam_ratio}
MISTAKES = [
    Mistake("over-new", "update_ratio", over_new),
    Mistake("entry-by-entry", "update_ratio", entry_by_entry),
    Mistake("tensor-by-tensor", "update_ratio", sum_of_norms),
    Mistake("tensor-by-tensor", "update_ratio", mean_of_ratios),
    Mistake("growth", "update_ratio", growth),
    Mistake("growth", "update_ratio", signed_growth),
    Mistake("no-root", "update_ratio", no_root),
    Mistake("zero-group", "update_ratio", by_group(one_vector)),
    Mistake("zero-group", "update_ratio", by_group(zero_for_zeros)),
    Mistake("gradient-size", "adam_ratio", sgd),
    Mistake("gradient-size", "adam_ratio", gradient_over_weight),
    Mistake("one-entry", "adam_ratio", one_entry),
    Mistake("sum-of-steps", "adam_ratio", sum_of_steps),
    Mistake("sum-of-steps", "adam_ratio", sum_of_all_steps),
    Mistake("all-entries", "adam_ratio", all_entries),
]
