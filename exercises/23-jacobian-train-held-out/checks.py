"""Checks of 23-jacobian-train-held-out: derivatives by a complex step, changes built into rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from weightdecay.grading import Mismatch, expect

Array = npt.NDArray[np.float64]
Weights = dict[str, Array]
Rows = list[dict[str, Any]]
PLACES = ("train", "held-out", "off-data")


# ---------------------------------------------------------------------------------- Part 1


def drawn(rng: np.random.Generator, inputs: int, hidden: int, outputs: int) -> Weights:
    return {
        "in": rng.normal(0, 1.5, (hidden, inputs)),
        "bias": rng.normal(0, 1, hidden),
        "out": rng.normal(0, 1, (outputs, hidden)),
    }


def log_norm(weights: Weights, point: Array) -> float:
    """Of one point: the imaginary part of f(x + ih) / h is the derivative, to the last digit."""
    step = 1e-30
    squares = []
    for i in range(len(point)):
        moved = point.astype(complex)
        moved[i] += 1j * step
        output = np.tanh(moved @ weights["in"].T + weights["bias"]) @ weights["out"].T
        squares += [(float(v) / step) ** 2 for v in output.imag]
    return math.log(math.fsum(squares)) / 2


def compare(f: Callable[..., Any], weights: Weights, x: Array) -> None:
    given = {name: torch.from_numpy(w) for name, w in weights.items()}
    points = torch.from_numpy(x)
    expect(
        f(given, points),
        math.fsum(log_norm(weights, point) for point in x) / len(x),
        inputs={"x": points, **given},
        what="the mean of log norms",
    )


@pytest.mark.points(1)
def test_slope(mean_log_norm: Callable[..., Any], rng: np.random.Generator) -> None:
    """one input, one output, one point: log of the absolute slope"""
    for _ in range(3):
        compare(mean_log_norm, drawn(rng, 1, 1, 1), rng.normal(0, 0.7, (1, 1)))
        compare(mean_log_norm, drawn(rng, 1, 5, 1), rng.normal(0, 0.7, (1, 1)))


@pytest.mark.points(2)
def test_points(mean_log_norm: Callable[..., Any], rng: np.random.Generator) -> None:
    """several inputs, outputs and points"""
    for inputs, outputs, n in ((2, 3, 1), (3, 2, 6), (4, 1, 5), (1, 4, 3)):
        compare(mean_log_norm, drawn(rng, inputs, 7, outputs), rng.normal(0, 1, (n, inputs)))


@pytest.mark.points(1)
def test_small_norms(mean_log_norm: Callable[..., Any], rng: np.random.Generator) -> None:
    """very small norms: an output layer a billion times smaller"""
    weights = drawn(rng, 3, 6, 2)
    weights["out"] *= 1e-9
    compare(mean_log_norm, weights, rng.normal(0, 1, (4, 3)))


@pytest.mark.points(1)
@pytest.mark.hidden
def test_many_networks(mean_log_norm: Callable[..., Any], rng: np.random.Generator) -> None:
    """ten networks of any sizes"""
    for _ in range(10):
        inputs, hidden, outputs, n = (int(v) for v in rng.integers(1, 9, 4))
        compare(mean_log_norm, drawn(rng, inputs, hidden, outputs), rng.normal(0, 1, (n, inputs)))


# ---------------------------------------------------------------------------------- Part 2


def of_network(seed: int, decay: float, **norms: float) -> Rows:
    names = {"train": "train", "held_out": "held-out", "off_data": "off-data"}
    return [
        {"seed": seed, "decay": decay, "points": names[place], "norm": norm}
        for place, norm in norms.items()
    ]


def pair(rng: np.random.Generator, seed: int, decay: float, change: float) -> tuple[Rows, Rows]:
    """A seed's networks without and with decay, made around the change that they must have."""
    train, held_out, off_data = rng.uniform(0.5, 4, 3)
    factor = rng.uniform(0.2, 0.9)
    without = of_network(seed, 0.0, train=train, held_out=held_out, off_data=off_data)
    away = off_data * rng.uniform(0.05, 0.5)
    shrunk = {"train": train * factor * math.exp(change), "held_out": held_out * factor}
    return without, of_network(seed, decay, **shrunk, off_data=away)


def mixed(rng: np.random.Generator, rows: Rows) -> Rows:
    return [rows[i] for i in rng.permutation(len(rows))]


@pytest.mark.points(1)
def test_one_seed(near_change: Callable[..., Any], rng: np.random.Generator) -> None:
    """one seed, with decay and without"""
    for _ in range(3):
        change = float(rng.uniform(0.1, 0.5) * rng.choice([-1, 1]))
        rows = mixed(rng, [row for part in pair(rng, 8, 0.1, change) for row in part])
        found = near_change(rows, 0.1)
        expect(found, {8: change}, {"rows": rows, "decay": 0.1}, what="the changes")


@pytest.mark.points(2)
def test_everywhere(near_change: Callable[..., Any], rng: np.random.Generator) -> None:
    """training and held-out norms times the same factor: no change, in any seed"""
    parts = [pair(rng, seed, 0.3, 0.0) for seed in (1, 2, 6)]
    rows = mixed(rng, [row for part in parts for network in part for row in network])
    found = near_change(rows, 0.3)
    expect(found, {1: 0.0, 2: 0.0, 6: 0.0}, {"rows": rows, "decay": 0.3}, what="the changes")


def compare_many(near_change: Callable[..., Any], rng: np.random.Generator, seeds: int) -> None:
    """Several decays, and two lost networks of the decay that is asked for."""
    decays = sorted(
        float(d) for d in rng.choice([0.02, 0.05, 0.1, 0.4, 0.8, 1.2], 3, replace=False)
    )
    asked = decays[1]
    names = [int(s) for s in rng.choice(50, seeds, replace=False)]
    expected: dict[int, float] = {}
    rows: Rows = []
    for number, seed in enumerate(names):
        change = float(rng.uniform(0.05, 0.6) * rng.choice([-1, 1]))
        without, with_decay = pair(rng, seed, asked, change)
        if number != 1:
            rows += without
        if number != 2:
            rows += with_decay
        if number not in (1, 2):
            expected[seed] = change
        for other in (decays[0], decays[2]):
            rows += pair(rng, seed, other, float(rng.normal(0, 0.5)))[1]
    inputs = {"rows": f"{len(rows)} of the seeds {sorted(names)}", "decay": asked}
    inputs["lost"] = f"seed {names[1]} without decay, seed {names[2]} with {asked:g}"
    found = near_change(mixed(rng, rows), asked)
    expect(found, expected, inputs, what="the changes")


@pytest.mark.points(2)
def test_seeds(near_change: Callable[..., Any], rng: np.random.Generator) -> None:
    """each seed by itself, among several decays, with two runs lost"""
    compare_many(near_change, rng, 6)


@pytest.mark.points(1)
@pytest.mark.hidden
def test_many_seeds(near_change: Callable[..., Any], rng: np.random.Generator) -> None:
    """five tables"""
    for seeds in (3, 4, 7, 9, 12):
        compare_many(near_change, rng, seeds)


# ---------------------------------------------------------------------------------- Part 3

INTERVALS = ((-0.03, 0.01), (-0.34, -0.26), (0.34, 0.46), (-0.60, 0.16), (-0.19, -0.11))
ALIKE = 0.05


def read(low: float, high: float) -> str:
    """Which answers does the interval leave open?"""
    open_ = {
        "near": low <= -ALIKE,
        "everywhere": high > -ALIKE and low < ALIKE,
        "away": high >= ALIKE,
    }
    names = [name for name, possible in open_.items() if possible]
    return names[0] if len(names) == 1 else "unclear"


@pytest.mark.points(2)
def test_readings(readings: Callable[[], Any]) -> None:
    """for each of the five cases: where decay has made the norm smaller"""
    answers, right = readings(), [read(*interval) for interval in INTERVALS]
    words = ("near", "away", "everywhere", "unclear")
    if not isinstance(answers, list | tuple) or len(answers) != len(right):
        raise Mismatch(f"observed: {answers!r}\nexpected: a list of {len(right)} words")
    for answer in answers:
        if answer not in words:
            raise Mismatch(f"observed: {answer!r}\nexpected: one of {', '.join(words)}")
    # How many, not which: the rest is the learner's.
    agree = sum(a == b for a, b in zip(answers, right, strict=True))
    expect(agree, len(right), {"answers": answers}, what="the number of cases read right is")
