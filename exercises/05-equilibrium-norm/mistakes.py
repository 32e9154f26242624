"""Wrong sizes, angles and times that learners derive."""

from math import degrees, inf, log, log2, log10, sqrt
from typing import Any

import numpy as np

from weightdecay.grading import Mistake


def probe_formula(f: Any, rng: np.random.Generator) -> Any:
    return [f(float(rng.uniform(0.01, 0.2)), float(rng.uniform(0.01, 0.2))) for _ in range(5)]


def probe_steps_to_shrink(f: Any, rng: np.random.Generator) -> Any:
    draw = rng.uniform
    return [f(float(draw(0.01, 0.1)), float(draw(0.01, 0.1)), float(draw(3, 30))) for _ in range(5)]


PROBES = {
    "equilibrium_rms": probe_formula,
    "rotation": probe_formula,
    "steps_to_shrink": probe_steps_to_shrink,
}


def over(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else inf


MISTAKES = [
    Mistake("rms-is-the-mean-square", "equilibrium_rms", lambda lr, wd: over(lr, 2 * wd)),
    Mistake("rms-of-the-product", "equilibrium_rms", lambda lr, wd: sqrt(lr * wd / 2)),
    Mistake("rms-without-the-two", "equilibrium_rms", lambda lr, wd: sqrt(over(lr, wd))),
    Mistake("rms-upside-down", "equilibrium_rms", lambda lr, wd: sqrt(wd / (2 * lr))),
    Mistake("rms-bound", "equilibrium_rms", lambda lr, wd: over(1, wd)),
    Mistake("rotation-without-the-root", "rotation", lambda lr, wd: 2 * lr * wd),
    Mistake("rotation-without-the-two", "rotation", lambda lr, wd: sqrt(lr * wd)),
    Mistake("rotation-of-the-quotient", "rotation", lambda lr, wd: sqrt(over(2 * lr, wd))),
    Mistake("rotation-in-degrees", "rotation", lambda lr, wd: degrees(sqrt(2 * lr * wd))),
    Mistake("rotation-is-the-step", "rotation", lambda lr, wd: lr),
    Mistake("rotation-one-timescale", "rotation", lambda lr, wd: lr * wd),
    Mistake("steps-without-the-rate", "steps_to_shrink", lambda lr, wd, k: over(log(k), wd)),
    Mistake("steps-without-logarithm", "steps_to_shrink", lambda lr, wd, k: over(k, lr * wd)),
    Mistake("steps-one-timescale", "steps_to_shrink", lambda lr, wd, k: over(1, lr * wd)),
    Mistake("steps-of-the-square", "steps_to_shrink", lambda lr, wd, k: over(log(k), 2 * lr * wd)),
    Mistake("steps-other-logarithm", "steps_to_shrink", lambda lr, wd, k: over(log10(k), lr * wd)),
    Mistake("steps-other-logarithm", "steps_to_shrink", lambda lr, wd, k: over(log2(k), lr * wd)),
]
