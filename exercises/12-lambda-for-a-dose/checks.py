"""Checks of 12-lambda-for-a-dose: λ is the dose over the sum of the learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from weightdecay.grading import expect

Recipe = dict[str, Any]


def learning_rates(recipe: Recipe) -> list[float]:
    """The formula of the notebook, term by term."""
    peak, final = recipe["peak"], recipe["final"]
    warmup, steps = recipe["warmup"], recipe["steps"]
    climb = [peak * (t + 1) / warmup for t in range(warmup)]
    angles = [math.pi * (t + 1) / (steps - warmup) for t in range(steps - warmup)]
    return climb + [final + (peak - final) / 2 * (1 + math.cos(angle)) for angle in angles]


def draw(rng: np.random.Generator, **fixed: Any) -> Recipe:
    peak = float(rng.uniform(1e-3, 1e-2))
    drawn = {
        "peak": peak,
        "final": peak * float(rng.uniform(0.05, 0.5)),
        "warmup": int(rng.integers(5, 60)),
        "steps": int(rng.integers(100, 400)),
        "batch_size": int(rng.choice([8, 16, 32, 64])),
    }
    return {**drawn, **fixed}


def expected(dose: float, recipe: Recipe) -> float:
    return dose / math.fsum(learning_rates(recipe))


@pytest.mark.points(1)
def test_constant_rate(weight_decay_for: Callable[..., Any], rng: np.random.Generator) -> None:
    """with a constant learning rate the dose is η·λ times the number of steps"""
    rate, steps, dose = float(rng.uniform(1e-3, 1e-2)), 200, float(rng.uniform(0.1, 3))
    recipe = {"peak": rate, "final": rate, "warmup": 0, "steps": steps, "batch_size": 32}
    expect(
        weight_decay_for(dose, recipe),
        dose / (rate * steps),
        inputs={"dose": dose, "recipe": recipe},
        what="λ",
    )


@pytest.mark.points(2)
def test_schedule(weight_decay_for: Callable[..., Any], rng: np.random.Generator) -> None:
    """with warmup and cosine every step counts with its own learning rate"""
    recipe, dose = draw(rng), float(rng.uniform(0.1, 3))
    expect(
        weight_decay_for(dose, recipe),
        expected(dose, recipe),
        inputs={"dose": dose, "recipe": recipe},
        what="λ",
    )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_no_dose(weight_decay_for: Callable[..., Any], rng: np.random.Generator) -> None:
    """a dose of 0 needs λ = 0, with or without warmup"""
    recipe = draw(rng, warmup=0)
    expect(weight_decay_for(0.0, recipe), 0.0, inputs={"dose": 0.0, "recipe": recipe}, what="λ")


@pytest.mark.points(2)
def test_same_dose(same_dose: Callable[..., Any], rng: np.random.Generator) -> None:
    """another learning rate, length, warmup and batch: λ changes so that the dose does not"""
    old, new = draw(rng, batch_size=32), draw(rng, batch_size=64)
    weight_decay = float(rng.uniform(0.05, 1))
    dose = weight_decay * math.fsum(learning_rates(old))
    expect(
        same_dose(weight_decay, old, new),
        expected(dose, new),
        inputs={"weight_decay": weight_decay, "old": old, "new": new},
        what="λ",
    )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_batch_size(same_dose: Callable[..., Any], rng: np.random.Generator) -> None:
    """a larger batch, and nothing else, leaves λ as it is"""
    old = draw(rng, batch_size=16)
    new, weight_decay = {**old, "batch_size": 64}, float(rng.uniform(0.05, 1))
    expect(
        same_dose(weight_decay, old, new),
        weight_decay,
        inputs={"weight_decay": weight_decay, "old": old, "new": new},
        what="λ",
    )


@pytest.mark.points(2)
def test_share(weight_decay_to_keep: Callable[..., Any], rng: np.random.Generator) -> None:
    """λ leaves the share that was asked for, with e^(-x) for each factor 1 - x"""
    recipe, share = draw(rng), float(rng.uniform(0.2, 0.9))
    expect(
        weight_decay_to_keep(share, recipe),
        expected(-math.log(share), recipe),
        inputs={"share": share, "recipe": recipe},
        what="λ",
    )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_torch_agrees(weight_decay_to_keep: Callable[..., Any], rng: np.random.Generator) -> None:
    """torch's AdamW, run with this λ on a weight without gradient, leaves that share"""
    recipe, share = draw(rng, steps=400), float(rng.uniform(0.4, 0.9))
    weight_decay = weight_decay_to_keep(share, recipe)
    # A wrong kind of answer gets its own message here, not one from inside torch.
    expect(
        weight_decay,
        expected(-math.log(share), recipe),
        inputs={"share": share, "recipe": recipe},
        what="λ",
    )
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    weight.grad = torch.zeros_like(weight)
    optimizer = torch.optim.AdamW([weight], weight_decay=weight_decay)
    for rate in learning_rates(recipe):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    expect(
        float(weight),
        share,
        inputs={"share": share, "recipe": recipe, "λ": weight_decay},
        what="the weight that torch leaves of 1",
        rtol=0.02,  # exp(-dose) is the product of the factors 1 - ηλ to first order
    )
