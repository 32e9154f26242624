"""Checks of 15-selectivity: labels for cells, differences within a network, four judgments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from weightdecay.grading import expect
from weightdecay.hysteresis.tasks import blind_disc, checkerboard

Cell = tuple[int, int]
DRAWS = 40


def square(rng: np.random.Generator) -> Tensor:
    """Three to eight points in each of the 36 cells of the square, shuffled."""
    corners = [
        (i, j) for i in range(-3, 3) for j in range(-3, 3) for _ in range(rng.integers(3, 9))
    ]
    inside = rng.uniform(0.01, 0.99, (len(corners), 2))
    return torch.from_numpy(rng.permutation(np.array(corners) + inside)).float()


def disc(rng: np.random.Generator) -> Tensor:
    return blind_disc(500, torch.Generator().manual_seed(int(rng.integers(2**31))))


def labels(control_labels: Callable[..., Any], points: Tensor, seed: int) -> list[int]:
    """One 0 or 1 a point."""
    given = control_labels(points, torch.Generator().manual_seed(seed))
    inputs = {"points": points, "generator": f"with seed {seed}"}
    expect(list(np.shape(given)), [len(points)], inputs=inputs, what="the shape of the labels")
    found = np.asarray(given).astype(float)
    others = sorted(set(found) - {0.0, 1.0})
    expect(others, [], inputs=inputs, what="labels that are neither 0 nor 1:")
    return [int(label) for label in found]


def by_cell(points: Tensor, found: list[int]) -> dict[Cell, Counter[int]]:
    """How often each label occurs in each cell."""
    cells: dict[Cell, Counter[int]] = {}
    for (x, y), label in zip(points.tolist(), found, strict=True):
        cells.setdefault((int(np.floor(x)), int(np.floor(y))), Counter())[label] += 1
    return dict(sorted(cells.items()))


def seeds(rng: np.random.Generator, n: int = DRAWS) -> list[int]:
    return [int(s) for s in rng.choice(2**31, n, replace=False)]


@pytest.mark.points(2)
def test_one_label_a_cell(control_labels: Callable[..., Any], rng: np.random.Generator) -> None:
    """all points of a cell have the same label"""
    for points in (square(rng), disc(rng)):
        (seed,) = seeds(rng, 1)
        counts = by_cell(points, labels(control_labels, points, seed))
        mixed = [cell for cell, found in counts.items() if len(found) > 1]
        expect(
            len(mixed),
            0,
            inputs={"points": f"{len(points)} in {len(counts)} cells", "mixed cells": mixed},
            what="the number of cells in which both labels occur is",
        )


@pytest.mark.points(2)
def test_cells_apart(control_labels: Callable[..., Any], rng: np.random.Generator) -> None:
    """any two cells get different labels now and then, also the two on both sides of zero"""
    points = square(rng)
    drawn = [by_cell(points, labels(control_labels, points, seed)) for seed in seeds(rng)]
    majority = {c: [d[c].most_common(1)[0][0] for d in drawn] for c in drawn[0]}
    alike = [pair for pair in combinations(majority, 2) if majority[pair[0]] == majority[pair[1]]]
    expect(
        len(alike),
        0,
        inputs={"drawn with": f"{DRAWS} generators", "the first such pairs": alike[:3]},
        what="the number of pairs of cells with the same label every time is",
    )


@pytest.mark.points(1)
def test_balanced(control_labels: Callable[..., Any], rng: np.random.Generator) -> None:
    """half of the cells that occur get 1; of an odd number, one more or one fewer"""
    everywhere = square(rng)
    right = everywhere[everywhere[:, 0] > 0]
    odd = everywhere[(everywhere.abs() < 2).all(1) & ~(everywhere > 1).all(1)]  # 15 cells
    for points in (everywhere, right, odd):
        for seed in seeds(rng, 8):
            counts = by_cell(points, labels(control_labels, points, seed))
            ones = sum(found[1] > found[0] for found in counts.values())
            nearest = min((len(counts) // 2, (len(counts) + 1) // 2), key=lambda n: abs(n - ones))
            expect(
                ones,
                nearest,
                inputs={"points": points, "cells": len(counts), "generator's seed": seed},
                what="the number of cells with label 1 is",
            )


@pytest.mark.points(1)
def test_generator(control_labels: Callable[..., Any], rng: np.random.Generator) -> None:
    """the generator decides: the same seed gives the same labels, another one others"""
    points = square(rng)
    chosen = seeds(rng, 5)
    drawn = [labels(control_labels, points, seed) for seed in chosen]
    again = [labels(control_labels, points, seed) for seed in chosen]
    expect(
        sum(a == b for a, b in zip(drawn, again, strict=True)),
        len(chosen),
        inputs={"generators": "5 seeds, twice each"},
        what="the number of seeds that give the same labels twice is",
    )
    expect(
        len({tuple(found) for found in drawn}),
        len(chosen),
        inputs={"generators": "5 different seeds"},
        what="the number of different labelings is",
    )


@pytest.mark.points(1)
def test_not_the_task(control_labels: Callable[..., Any], rng: np.random.Generator) -> None:
    """the labels have nothing to do with the checkerboard's, nor with their opposite"""
    points = square(rng)
    task = by_cell(points, [int(v) for v in checkerboard(points).flatten()])
    alike = []
    for seed in seeds(rng):
        found = by_cell(points, labels(control_labels, points, seed))
        alike.append(np.mean([found[c].most_common(1)[0][0] in task[c] for c in task]))
    expect(
        sum(share in (0, 1) for share in alike),
        0,
        inputs={"drawn with": f"{DRAWS} generators", "cells": len(task)},
        what="the number of labelings that are the checkerboard or its opposite is",
    )
    expect(
        float(np.mean(alike)),
        0.5,
        inputs={"drawn with": f"{DRAWS} generators", "cells": len(task)},
        what="the mean share of cells that agree with the checkerboard is",
        atol=0.1,  # seven standard errors of a balanced random labeling
    )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_far_away(control_labels: Callable[..., Any], rng: np.random.Generator) -> None:
    """cells far from zero, and points on the lines between cells"""
    corners = torch.from_numpy(rng.integers(-40, 40, (50, 2))).float()
    points = torch.cat([corners, corners + 0.5, corners + 0.875])
    (seed,) = seeds(rng, 1)
    counts = by_cell(points, labels(control_labels, points, seed))
    expect(
        sum(len(found) > 1 for found in counts.values()),
        0,
        inputs={"points": points},
        what="the number of cells in which both labels occur is",
    )


def rows_of(seed: int, name: str, test: float, fit: float) -> list[dict[str, Any]]:
    return [
        {"seed": seed, "labels": name, "points": "fit", "accuracy": fit},
        {"seed": seed, "labels": name, "points": "test", "accuracy": test},
    ]


def network(
    rng: np.random.Generator, seed: int, expected: float, labelings: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the task and of the controls, made around the selectivity that they must have."""
    level = float(rng.uniform(0.5, 0.65))
    apart = rng.uniform(0.03, 0.1, labelings) * (labelings > 1)
    controls = level + apart - apart.mean()
    fits = rng.uniform(0.8, 1.0, labelings + 1)
    task = rows_of(seed, "task", level + expected, float(fits[0]))
    control = [
        row
        for k, (test, fit) in enumerate(zip(controls, fits[1:], strict=True), 1)
        for row in rows_of(seed, f"control {k}", float(test), float(fit))
    ]
    return task, control


@pytest.mark.points(1)
def test_one_network(selectivity: Callable[..., Any], rng: np.random.Generator) -> None:
    """one network, one control: accuracy on the task less that on the control, on fresh points"""
    expected = float(rng.uniform(0.05, 0.3))
    task, control = network(rng, 4, expected, 1)
    rows = task + control
    expect(selectivity(rows), {4: expected}, inputs={"rows": rows}, what="the selectivities")


@pytest.mark.points(1)
def test_networks(selectivity: Callable[..., Any], rng: np.random.Generator) -> None:
    """each network by itself, with the mean over its own controls; the rows come in no order"""
    order = rng.permutation(5)
    expected = {int(s): float(rng.uniform(0.02, 0.3)) for s in order}
    parts = {s: network(rng, s, value, int(rng.integers(2, 5))) for s, value in expected.items()}
    # The controls begin with another network than the tasks do.
    task_rows = [row for s in expected for row in parts[s][0]]
    control_rows = [row for s in np.roll(order, 1) for row in parts[int(s)][1]]
    rows = task_rows + control_rows if rng.integers(2) else control_rows + task_rows
    expect(
        selectivity(rows),
        expected,
        inputs={"rows": f"{len(rows)} of the networks {[int(s) for s in order]}"},
        what="the selectivities",
    )


@pytest.mark.points(1)
def test_negative(selectivity: Callable[..., Any], rng: np.random.Generator) -> None:
    """a control that is read better than the task gives a negative selectivity"""
    expected = -float(rng.uniform(0.02, 0.1))
    task, control = network(rng, 0, expected, 2)
    rows = task + control
    expect(selectivity(rows), {0: expected}, inputs={"rows": rows}, what="the selectivities")


@pytest.mark.points(1)
@pytest.mark.hidden
def test_shuffled(selectivity: Callable[..., Any], rng: np.random.Generator) -> None:
    """shuffled rows of networks with one to six labelings"""
    expected = {s: float(rng.uniform(-0.1, 0.3)) for s in (12, 3, 40)}
    parts = [network(rng, s, v, n) for (s, v), n in zip(expected.items(), (1, 3, 6), strict=True)]
    rows = [row for part in parts for rows in part for row in rows]
    rows = [rows[i] for i in rng.permutation(len(rows))]
    expect(selectivity(rows), expected, inputs={"rows": rows}, what="the selectivities")


@pytest.mark.points(2)
def test_evidence(better_evidence: Callable[..., Any]) -> None:
    """for each of the four cases: whose numbers are the better evidence"""
    answers = better_evidence()
    expect(
        [a in ("A", "B", "neither") for a in answers] if isinstance(answers, list | tuple) else [],
        [True] * 4,
        inputs={"answers": answers},
        what="whether each answer is A, B or neither:",
    )
    # How many, not which: the rest is the learner's.
    expect(
        sum(a == b for a, b in zip(answers, ("B", "neither", "B", "A"), strict=True)),
        4,
        inputs={"answers": answers},
        what="the number of cases answered right is",
    )
