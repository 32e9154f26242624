"""Checks of 05-equilibrium-norm: AdamW on noise, the balance step by step, a countdown."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from weightdecay.grading import expect

Formula = Callable[[float, float], float]


def settled(lr: float, weight_decay: float) -> tuple[float, float]:
    """RMS and mean angle of a step of torch's AdamW on noise, once it has settled."""
    w = torch.nn.Parameter(torch.zeros(2000, dtype=torch.float64))
    optimizer = torch.optim.AdamW([w], lr=lr, weight_decay=weight_decay, betas=(0.0, 0.999))
    timescale = round(1 / (lr * weight_decay))
    squares, angles = [], []
    for step in range(5 * timescale):
        before = w.detach().clone()
        w.grad = torch.randn_like(w)
        optimizer.step()
        if step >= 3 * timescale:
            squares.append(w.detach().square().mean())
            angles.append(torch.cosine_similarity(before, w.detach(), dim=0).acos())
    return float(torch.stack(squares).mean().sqrt()), float(torch.stack(angles).mean())


def drawn(rng: np.random.Generator, product: float) -> tuple[float, float]:
    """η and λ of a given product; their quotient is anything from 1/30 to 30."""
    quotient = float(np.exp(rng.uniform(-3.4, 3.4)))
    return math.sqrt(product * quotient), math.sqrt(product / quotient)


@pytest.mark.points(2)
def test_rms_is_where_adamw_settles(equilibrium_rms: Formula, rng: np.random.Generator) -> None:
    """The RMS is that of AdamW on noise after it has settled, for two pairs (η, λ)."""
    for _ in range(2):
        lr, weight_decay = drawn(rng, 0.02)
        expect(
            equilibrium_rms(lr, weight_decay),
            settled(lr, weight_decay)[0],
            inputs={"lr": lr, "weight_decay": weight_decay, "allowed relative error": 0.08},
            rtol=0.08,
            atol=0.0,
            what="equilibrium_rms",
        )


@pytest.mark.points(2)
def test_rotation_is_the_angle_of_adamws_step(rotation: Formula, rng: np.random.Generator) -> None:
    """The angle is that of AdamW's steps on noise, in radians, for two pairs (η, λ)."""
    for product in (0.02, 0.03):
        lr, weight_decay = drawn(rng, product)
        expect(
            rotation(lr, weight_decay),
            settled(lr, weight_decay)[1],
            inputs={"lr": lr, "weight_decay": weight_decay, "allowed relative error": 0.08},
            rtol=0.08,
            atol=0.0,
            what="rotation",
        )


@pytest.mark.points(2)
def test_steps_to_shrink_is_a_countdown(
    steps_to_shrink: Callable[[float, float, float], float], rng: np.random.Generator
) -> None:
    """The steps are those of a weight that is multiplied by 1 − ηλ until it is k times as small."""
    for k in (2.0, float(rng.uniform(5, 20)), 1000.0):
        lr, weight_decay = drawn(rng, float(rng.uniform(0.002, 0.005)))
        weight, steps = 1.0, 0
        while weight > 1 / k:
            weight, steps = weight * (1 - lr * weight_decay), steps + 1
        expect(
            steps_to_shrink(lr, weight_decay, k),
            steps,
            inputs={"lr": lr, "weight_decay": weight_decay, "k": k},
            rtol=0.02,
            atol=0.0,
            what="steps_to_shrink",
        )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_the_balance_holds_from_step_to_step(
    equilibrium_rms: Formula, rng: np.random.Generator
) -> None:
    """At your RMS the mean square stays the same from step to step, for twenty pairs (η, λ)."""
    for _ in range(20):
        lr, weight_decay = drawn(rng, float(10 ** rng.uniform(-6, -3)))
        mean_square = equilibrium_rms(lr, weight_decay) ** 2
        taken = (1 - (1 - lr * weight_decay) ** 2) * mean_square
        expect(
            taken,
            lr**2,
            inputs={"lr": lr, "weight_decay": weight_decay},
            rtol=2e-3,
            atol=0.0,
            what="the mean square that decay takes at your RMS",
        )


@pytest.mark.points(1)
def test_without_decay_there_is_no_balance(
    equilibrium_rms: Formula,
    rotation: Formula,
    steps_to_shrink: Callable[[float, float, float], float],
) -> None:
    """λ = 0: the RMS is inf, the angle 0, and shrinking takes inf steps, but none for k = 1."""
    inputs = {"lr": 0.01, "weight_decay": 0.0}
    expect(equilibrium_rms(0.01, 0.0), math.inf, inputs=inputs, what="equilibrium_rms")
    expect(rotation(0.01, 0.0), 0.0, inputs=inputs, what="rotation")
    for k, steps in ((10.0, math.inf), (1.0, 0.0)):
        found = steps_to_shrink(0.01, 0.0, k)
        expect(found, steps, inputs={**inputs, "k": k}, what="steps_to_shrink")


@pytest.mark.points(1)
@pytest.mark.hidden
def test_the_angle_depends_on_the_product_alone(
    rotation: Formula, rng: np.random.Generator
) -> None:
    """The same product of η and λ turns as far; four times the product twice as far."""
    lr, weight_decay = drawn(rng, 0.001)
    angle = rotation(lr, weight_decay)
    inputs = {"lr": lr, "weight_decay": weight_decay}
    same, twice = rotation(10 * lr, weight_decay / 10), rotation(4 * lr, weight_decay)
    expect(same, angle, inputs=inputs, what="the angle at 10 η and λ/10")
    # Whoever goes beyond first order is right as well.
    expect(twice, 2 * angle, inputs=inputs, rtol=0.005, what="the angle at 4 η")


@pytest.mark.points(1)
@pytest.mark.hidden
def test_shrinking_twice_takes_the_sum(
    steps_to_shrink: Callable[[float, float, float], float], rng: np.random.Generator
) -> None:
    """To shrink by k takes no step for k = 1, and for the square of k twice as many as for k."""
    lr, weight_decay = drawn(rng, 1e-4)
    k = float(rng.uniform(2, 30))
    inputs = {"lr": lr, "weight_decay": weight_decay, "k": k}
    expect(steps_to_shrink(lr, weight_decay, 1.0), 0.0, inputs={**inputs, "k": 1.0})
    once, twice = steps_to_shrink(lr, weight_decay, k), steps_to_shrink(lr, weight_decay, k**2)
    expect(twice, 2 * once, inputs=inputs, rtol=0.01, what="the steps for k²")
