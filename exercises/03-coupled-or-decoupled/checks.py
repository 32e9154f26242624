"""Checks of 03-coupled-or-decoupled: boxes from torch and from the library, with hidden settings.

Each box is a partial of an installed function or class, so that it can be sent to the process in
which a learner's code is graded.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from torch import optim

from weightdecay.grading import expect
from weightdecay.rules import RuleOptimizer, adam_l2, adamw

Classify = Callable[[Callable[..., Any]], str]


def drawn(rng: np.random.Generator) -> dict[str, float]:
    """A learning rate and a decay, each from anywhere in its range."""
    return {
        "lr": float(10 ** rng.uniform(-4, -1)),
        "weight_decay": float(10 ** rng.uniform(-4, 0)),
    }


def ask(classify: Classify, kind: str, box: Callable[..., Any], settings: dict[str, Any]) -> None:
    """What is in the box stays hidden; its η and λ are told."""
    inputs = {"box": "a hidden one", "η": settings["lr"], "λ": settings["weight_decay"]}
    expect(classify(partial(box, **settings)), kind, inputs=inputs, what="classify")


@pytest.mark.points(2)
def test_finds_decoupled_decay(classify: Classify, rng: np.random.Generator) -> None:
    """Boxes with decoupled decay are "decoupled": gentlest, strongest, four at random."""
    ask(classify, "decoupled", optim.AdamW, {"lr": 1e-4, "weight_decay": 1e-4})
    ask(classify, "decoupled", optim.AdamW, {"lr": 0.1, "weight_decay": 1.0})
    for _ in range(4):
        ask(classify, "decoupled", optim.AdamW, drawn(rng))


@pytest.mark.points(2)
def test_finds_l2(classify: Classify, rng: np.random.Generator) -> None:
    """Boxes that add λw to the gradient are "l2": at the ends of the ranges, and at random."""
    for lr in (1e-4, 0.1):
        for weight_decay in (1e-4, 1.0):
            ask(classify, "l2", optim.Adam, {"lr": lr, "weight_decay": weight_decay})
    for _ in range(4):
        ask(classify, "l2", optim.Adam, drawn(rng))


@pytest.mark.points(1)
def test_finds_no_decay(classify: Classify, rng: np.random.Generator) -> None:
    """Boxes without decay are "none"."""
    for box in (optim.AdamW, optim.Adam):
        for _ in range(3):
            ask(classify, "none", box, drawn(rng) | {"weight_decay": 0.0})


@pytest.mark.points(2)
def test_is_not_misled_by_the_class(classify: Classify, rng: np.random.Generator) -> None:
    """Optimizers of one class may decay in two ways: the class does not tell."""
    ask(classify, "decoupled", optim.Adam, drawn(rng) | {"decoupled_weight_decay": True})
    ask(classify, "l2", RuleOptimizer, drawn(rng) | {"rule": adam_l2})
    ask(classify, "decoupled", RuleOptimizer, drawn(rng) | {"rule": adamw})


@pytest.mark.points(3)
@pytest.mark.hidden
def test_knows_the_relatives(classify: Classify, rng: np.random.Generator) -> None:
    """NAdam, Adamax, Adagrad, RMSprop and AMSGrad are told apart as well."""
    for box in (optim.NAdam, optim.Adamax, optim.Adagrad, optim.RMSprop):
        ask(classify, "l2", box, drawn(rng))
        ask(classify, "none", box, drawn(rng) | {"weight_decay": 0.0})
    ask(classify, "decoupled", optim.NAdam, drawn(rng) | {"decoupled_weight_decay": True})
    ask(classify, "decoupled", optim.AdamW, drawn(rng) | {"amsgrad": True, "betas": (0.5, 0.9)})
