"""Checks of 02-adamw-decay: steps of the learner's AdamW against torch's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from weightdecay.grading import Mismatch, expect

Step = Callable[..., Any]  # the learner's: whatever it returns


def normal(rng: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(rng.normal(size=shape))


def settings(rng: np.random.Generator, **fixed: float) -> dict[str, float]:
    """Random settings, large enough that an order or a factor shows."""
    drawn = {
        "lr": float(rng.uniform(0.02, 0.1)),
        "weight_decay": float(rng.uniform(0.2, 1.0)),
        "beta1": float(rng.uniform(0.5, 0.95)),
        "beta2": float(rng.uniform(0.9, 0.999)),
        "eps": 1e-8,
    }
    return drawn | fixed


def torchs(
    kind: type[torch.optim.Adam], w: Tensor, gradients: list[Tensor], s: dict[str, Any]
) -> tuple[Tensor, Tensor, Tensor]:
    """Weight and both means after torch's steps; s["lr"] may be a list, one rate a step."""
    rates = s["lr"] if isinstance(s["lr"], list) else [s["lr"]] * len(gradients)
    p = nn.Parameter(w.clone())
    optimizer = kind(
        [p],
        lr=rates[0],
        weight_decay=s["weight_decay"],
        betas=(s["beta1"], s["beta2"]),
        eps=s["eps"],
    )
    for g, rate in zip(gradients, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        p.grad = g.clone()
        optimizer.step()
    state = optimizer.state[p]
    return p.detach(), state["exp_avg"], state["exp_avg_sq"]


def learners(
    step: Step, w: Tensor, gradients: list[Tensor], s: dict[str, Any]
) -> tuple[Tensor, Tensor, Tensor]:
    """The same by the learner's function."""
    rates = s["lr"] if isinstance(s["lr"], list) else [s["lr"]] * len(gradients)
    w, m, v = w.clone(), torch.zeros_like(w), torch.zeros_like(w)
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        new = step(w, g.clone(), m, v, t, **{**s, "lr": rate})
        if not isinstance(new, tuple | list) or len(new) != 3:
            size = f" of {len(new)}" if isinstance(new, tuple | list) else ""
            raise Mismatch(
                f"observed: a {type(new).__name__}{size} returned\nexpected: three tensors, w, m, v"
            )
        w, m, v = new
    return w, m, v


def compare(found: Any, expected: Any, inputs: dict[str, Any]) -> None:
    for name, f, e in zip(("w", "m", "v"), found, expected, strict=True):
        expect(f, e, inputs=inputs, rtol=1e-9, atol=1e-12, what=f"the new {name}")


@pytest.mark.points(2)
def test_without_gradient_only_the_decay_is_left(
    adamw_step: Step, rng: np.random.Generator
) -> None:
    """One step without gradient leaves (1 − ηλ)·w, and both means at zero."""
    s, w = settings(rng), normal(rng, 4)
    zero = torch.zeros_like(w)
    expected = (1 - s["lr"] * s["weight_decay"]) * w, zero, zero
    compare(learners(adamw_step, w, [zero], s), expected, {"w": w, "g": 0, "t": 1, **s})


@pytest.mark.points(2)
def test_the_first_step_is_torchs(adamw_step: Step, rng: np.random.Generator) -> None:
    """The first step, from m = v = 0, is that of torch.optim.AdamW."""
    s, w, g = settings(rng), normal(rng, 4), normal(rng, 4)
    expected = torchs(torch.optim.AdamW, w, [g], s)
    compare(learners(adamw_step, w, [g], s), expected, {"w": w, "g": g, "t": 1, **s})


@pytest.mark.points(3)
def test_sixty_steps_are_torchs(adamw_step: Step, rng: np.random.Generator) -> None:
    """After 60 steps with random gradients, w, m and v are those of torch.optim.AdamW."""
    # An ε of 1e-8 would hide where it stands.
    s, w = settings(rng, eps=float(rng.uniform(0.001, 0.01))), normal(rng, 5)
    gradients = [normal(rng, 5) for _ in range(60)]
    expected = torchs(torch.optim.AdamW, w, gradients, s)
    inputs = {"first w": w, "random gradients": 60, **s}
    compare(learners(adamw_step, w, gradients, s), expected, inputs)


@pytest.mark.points(1)
@pytest.mark.hidden
def test_without_decay_it_is_adam(adamw_step: Step, rng: np.random.Generator) -> None:
    """With λ = 0 the steps are those of plain Adam."""
    s, w = settings(rng, weight_decay=0.0), normal(rng, 5)
    gradients = [normal(rng, 5) for _ in range(20)]
    expected = torchs(torch.optim.Adam, w, gradients, s)
    compare(learners(adamw_step, w, gradients, s), expected, {"first w": w, "steps": 20, **s})


@pytest.mark.points(1)
@pytest.mark.hidden
def test_a_schedule_small_gradients_and_a_matrix(
    adamw_step: Step, rng: np.random.Generator
) -> None:
    """A learning rate that changes, small gradients, and a (2, 3) matrix: still torch's."""
    s: dict[str, Any] = settings(rng, eps=0.01)
    s["lr"] = rng.uniform(0.01, 0.1, 30).tolist()
    w = normal(rng, 2, 3)
    gradients = [0.05 * normal(rng, 2, 3) for _ in s["lr"]]
    expected = torchs(torch.optim.AdamW, w, gradients, s)
    compare(learners(adamw_step, w, gradients, s), expected, {"first w": w, "steps": 30, **s})


@pytest.mark.points(1)
@pytest.mark.hidden
def test_with_a_rate_of_zero_the_means_still_move(
    adamw_step: Step, rng: np.random.Generator
) -> None:
    """With η = 0 the weight stays, decay included, and m and v follow the gradients."""
    s, w = settings(rng, lr=0.0), normal(rng, 3)
    gradients = [normal(rng, 3) for _ in range(5)]
    expected = torchs(torch.optim.AdamW, w, gradients, s)
    compare(learners(adamw_step, w, gradients, s), expected, {"first w": w, "steps": 5, **s})
