"""Checks of 04-dose-of-a-recipe: against weights that torch's optimizers shrink, and products."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from weightdecay.grading import Mismatch, expect
from weightdecay.grading.show import show

Recipe = dict[str, Any]
Dose = Callable[[Recipe], "float | None"]


def drawn(rng: np.random.Generator, schedule: str, **fixed: Any) -> Recipe:
    """A random recipe: 500 to 2500 steps, warmup of 10 to 30%, cooldown of 20 to 50%."""
    steps = int(rng.integers(500, 2500))
    recipe: Recipe = {
        "optimizer": "AdamW",
        "schedule": schedule,
        "peak": float(10 ** rng.uniform(-3.5, -2)),
        "warmup": int(steps * rng.uniform(0.1, 0.3)),
        "steps": steps,
        "weight_decay": float(10 ** rng.uniform(-2, 0)),
    }
    recipe["final"] = recipe["peak"] * float(rng.uniform(0.0, 0.3))
    if schedule == "wsd":
        recipe["cooldown"] = int(steps * rng.uniform(0.2, 0.5))
    return recipe | fixed


def rates(recipe: Recipe) -> list[float]:
    """The schedule by its definition, interpolated between its corners."""
    steps, warmup = recipe["steps"], recipe["warmup"]
    at = np.arange(1, steps + 1)  # the rate of a step is reached at its end
    peak, final = recipe["peak"], recipe["final"]
    if recipe["schedule"] == "wsd":
        corners = [0, warmup, steps - recipe["cooldown"], steps]
        return np.interp(at, corners, [0, peak, peak, final]).tolist()  # type: ignore[no-any-return]
    angle = np.interp(at, [warmup, steps], [0, math.pi])
    falling = (peak + final) / 2 + (peak - final) / 2 * np.cos(angle)
    return np.where(at < warmup, peak * at / max(warmup, 1), falling).tolist()  # type: ignore[no-any-return]


def shrunk(recipe: Recipe) -> float:
    """What is left of a weight without gradient, step by step."""
    weight_decay: float = recipe["weight_decay"]
    return math.prod(1 - rate * weight_decay for rate in rates(recipe))


def ask(dose: Dose, recipe: Recipe, rtol: float = 0.01) -> None:
    """The dose has to be minus the logarithm of what is left."""
    found, right = dose(dict(recipe)), -math.log(shrunk(recipe))
    if found is None:  # a legal answer, to another question
        inputs = ", ".join(f"{key} = {show(value)}" for key, value in recipe.items())
        raise Mismatch(
            "observed: dose None, but this recipe has a dose\n"
            f"expected: {show(right)}\ninputs:   {inputs}"
        )
    expect(found, right, inputs=recipe, rtol=rtol, what="dose")


@pytest.mark.points(2)
def test_dose_of_warmup_and_cosine(dose: Dose, rng: np.random.Generator) -> None:
    """AdamW with warmup and cosine: the dose is −ln of what the steps leave of a weight."""
    for _ in range(3):
        ask(dose, drawn(rng, "cosine"))


@pytest.mark.points(2)
def test_dose_of_warmup_stable_decay(dose: Dose, rng: np.random.Generator) -> None:
    """AdamW with warmup, stable part and cooldown: the same."""
    for _ in range(3):
        ask(dose, drawn(rng, "wsd"))


@pytest.mark.points(1)
def test_one_optimizer_has_no_dose(dose: Dose, rng: np.random.Generator) -> None:
    """Where λ and η do not say by how much every weight shrinks, the dose is None."""
    for schedule in ("cosine", "wsd"):
        recipe = drawn(rng, schedule, optimizer="Adam")
        expect(dose(dict(recipe)), None, inputs=recipe, what="dose")


@pytest.mark.points(1)
def test_the_other_one_has_a_dose(dose: Dose, rng: np.random.Generator) -> None:
    """Where they do say it, the dose is the same sum as AdamW's."""
    for schedule in ("cosine", "wsd"):
        ask(dose, drawn(rng, schedule, optimizer="SGD"))


@pytest.mark.points(2)
def test_share_left_is_the_product_of_the_steps(
    share_left: Callable[[float], float], rng: np.random.Generator
) -> None:
    """The share is the product of 1 − ηλ over the steps of a run with that dose."""
    for typical in (0.03, 0.3, 1.0, 3.0):
        each = rng.uniform(0.5, 1.5, 3000) * typical / 3000  # rate times lambda of each step
        inputs = {"dose": float(each.sum()), "steps": 3000}
        expect(
            share_left(inputs["dose"]),
            float(np.prod(1 - each)),
            inputs=inputs,
            rtol=0.01,
            what="share_left",
        )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_no_decay_or_no_rate_is_no_dose_and_all_is_left(
    dose: Dose, share_left: Callable[[float], float], rng: np.random.Generator
) -> None:
    """λ = 0 and η = 0 give a dose of 0, and a dose of 0 leaves everything."""
    for schedule in ("cosine", "wsd"):
        for nothing in ({"weight_decay": 0.0}, {"peak": 0.0, "final": 0.0}):
            recipe = drawn(rng, schedule) | nothing
            expect(dose(dict(recipe)), 0.0, inputs=recipe, what="dose")
    expect(share_left(0.0), 1.0, inputs={"dose": 0.0}, what="share_left")


@pytest.mark.points(1)
@pytest.mark.hidden
def test_recipes_without_warmup_cooldown_or_fall(
    dose: Dose, share_left: Callable[[float], float], rng: np.random.Generator
) -> None:
    """No warmup, no cooldown, a constant rate, a long run; and what a dose of 20 leaves."""
    peak = float(rng.uniform(1e-4, 1e-3))
    ask(dose, drawn(rng, "cosine", warmup=0))
    ask(dose, drawn(rng, "wsd", warmup=0, cooldown=0))
    ask(dose, drawn(rng, "cosine", peak=peak, final=peak))
    ask(dose, drawn(rng, "wsd", peak=peak, final=peak, steps=50_000))
    expect(share_left(20.0), math.exp(-20), inputs={"dose": 20.0}, rtol=0.01, atol=0.0)
