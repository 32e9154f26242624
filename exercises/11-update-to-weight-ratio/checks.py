"""Checks of 11-update-to-weight-ratio: a group is one vector; a first step of Adam is ±η."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from weightdecay.grading import expect

Groups = dict[str, list[Tensor]]
SHAPES = {"embedding": [(5, 4)], "mlp": [(4, 8), (8,), (3, 2, 2)], "gains": [(6,), (2,)]}


def draw(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> Tensor:
    return torch.from_numpy(rng.normal(0, scale, shape))


def step(rng: np.random.Generator) -> tuple[Groups, Groups]:
    """Weights of very different sizes, and the same after a step."""
    before = {
        name: [draw(rng, *shape, scale=rng.uniform(0.1, 3)) for shape in shapes]
        for name, shapes in SHAPES.items()
    }
    after = {
        name: [t + draw(rng, *t.shape, scale=rng.uniform(0.01, 0.5)) for t in tensors]
        for name, tensors in before.items()
    }
    return before, after


def entries(tensors: list[Tensor]) -> list[float]:
    return [float(x) for t in tensors for x in t.flatten()]


def ratio(before: list[Tensor], after: list[Tensor]) -> float:
    """By brute force, entry by entry."""
    old, new = entries(before), entries(after)
    return math.dist(old, new) / math.hypot(*old)


def first_step(weights: Tensor, gradient: Tensor, learning_rate: float) -> float:
    """The ratio that torch's Adam gives."""
    w = weights.clone().requires_grad_()
    optimizer = torch.optim.Adam([w], lr=learning_rate, eps=1e-30)
    w.grad = gradient.clone()
    optimizer.step()
    return ratio([weights], [w.detach()])


@pytest.mark.points(1)
def test_one_tensor(update_ratio: Callable[..., Any], rng: np.random.Generator) -> None:
    """for a group of one vector: the norm of the difference over the norm before"""
    before, after = draw(rng, 3), draw(rng, 3)
    expect(
        update_ratio({"w": [before]}, {"w": [after]}),
        {"w": ratio([before], [after])},
        inputs={"before": before, "after": after},
        what="the ratio",
    )


@pytest.mark.points(2)
def test_groups(update_ratio: Callable[..., Any], rng: np.random.Generator) -> None:
    """a group of several tensors is one long vector"""
    before, after = step(rng)
    expect(
        update_ratio(before, after),
        {name: ratio(before[name], after[name]) for name in before},
        inputs={"shapes in each group": SHAPES},
        what="the ratios",
    )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_only_turned(update_ratio: Callable[..., Any], rng: np.random.Generator) -> None:
    """weights that turn by a right angle and keep their norm have the ratio √2"""
    length = float(rng.uniform(0.5, 5))
    before = {"turned": [torch.tensor([length, 0.0], dtype=torch.float64)]}
    after = {"turned": [torch.tensor([0.0, length], dtype=torch.float64)]}
    expect(
        update_ratio(before, after),
        {"turned": math.sqrt(2)},
        inputs={"before": before["turned"], "after": after["turned"]},
        what="the ratio",
    )


@pytest.mark.points(1)
def test_group_of_zeros(update_ratio: Callable[..., Any], rng: np.random.Generator) -> None:
    """a group that was all zeros has no ratio (None), moved or not; the others keep theirs"""
    before, after = step(rng)
    zeros = [torch.zeros_like(t) for t in before["gains"]]
    expected = {name: ratio(before[name], after[name]) for name in before if name != "gains"}
    for gains in (zeros, after["gains"]):
        expect(
            update_ratio({**before, "gains": zeros}, {**after, "gains": gains}),
            {**expected, "gains": None},
            inputs={"before['gains']": zeros, "after['gains']": gains},
            what="the ratios",
        )


@pytest.mark.points(2)
def test_first_step_of_adam(adam_ratio: Callable[..., Any], rng: np.random.Generator) -> None:
    """the ratio agrees with one step of torch's Adam"""
    weights, gradient = draw(rng, 4, 3), draw(rng, 4, 3, scale=10)
    learning_rate = float(rng.uniform(1e-3, 1e-1))
    expect(
        adam_ratio(weights, gradient, learning_rate),
        first_step(weights, gradient, learning_rate),
        inputs={"weights": weights, "gradient": gradient, "learning_rate": learning_rate},
        what="the ratio",
    )


@pytest.mark.points(1)
def test_size_of_the_gradient(adam_ratio: Callable[..., Any], rng: np.random.Generator) -> None:
    """a gradient a hundred times larger gives the same first step"""
    weights, gradient = draw(rng, 5), draw(rng, 5)
    expect(
        adam_ratio(weights, 100 * gradient, 0.01),
        first_step(weights, gradient, 0.01),
        inputs={"weights": weights, "gradient": 100 * gradient, "learning_rate": 0.01},
        what="the ratio",
    )


@pytest.mark.points(1)
def test_unused_rows(adam_ratio: Callable[..., Any], rng: np.random.Generator) -> None:
    """rows of an embedding that have no gradient do not move"""
    weights, gradient = draw(rng, 8, 3), draw(rng, 8, 3)
    unused = rng.choice(8, 5, replace=False)
    gradient[unused] = 0
    expect(
        adam_ratio(weights, gradient, 0.003),
        first_step(weights, gradient, 0.003),
        inputs={"rows": 8, "rows without gradient": 5, "learning_rate": 0.003},
        what="the ratio",
    )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_no_gradient(adam_ratio: Callable[..., Any], rng: np.random.Generator) -> None:
    """without any gradient nothing moves: 0"""
    weights = draw(rng, 4)
    inputs = {"weights": weights, "gradient": "zeros", "learning_rate": 0.01}
    expect(
        adam_ratio(weights, torch.zeros_like(weights), 0.01), 0.0, inputs=inputs, what="the ratio"
    )
