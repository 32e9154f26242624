"""Wrong answers to 15-selectivity that learners give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightdecay.grading import Mistake
from weightdecay.hysteresis.tasks import checkerboard

Rows = list[dict[str, Any]]
DRAWS = 20


def probe_control_labels(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """In words what is wrong, for two functions with one fault rarely draw the same labels."""
    points = square(rng)
    cells, first, cell = np.unique(
        points.floor().numpy(), axis=0, return_index=True, return_inverse=True
    )
    seeds = rng.choice(2**31, DRAWS, replace=False).tolist()
    drawn = np.array([labels(f, points, seed) for seed in seeds])  # (draws, points)
    of_cells = drawn[:, first]
    task = checkerboard(points).flatten().numpy()
    if not set(np.unique(drawn)) <= {0, 1}:
        return "not 0 and 1"
    if (drawn != of_cells[:, cell.ravel()]).any():
        dealt_out = set(drawn.sum(1)) <= {task.sum(), (1 - task).sum()}
        return "task's labels on other points" if dealt_out else "points of a cell differ"
    if set((drawn == task).mean(1)) <= {0, 1}:
        return "task"
    if (drawn == drawn[0]).all():
        return "always the same"
    if (labels(f, points, seeds[0]) != drawn[0]).any():
        return "not from the generator"
    groups = len(np.unique(of_cells.T, axis=0))
    if groups < len(cells):
        return f"{groups} cells"
    # Half of the plane, for whoever balances over cells without a point.
    right = cells[:, 0] >= 0
    part = points[points[:, 0] >= 0]
    first_of_part = np.unique(part.floor().numpy(), axis=0, return_index=True)[1]
    ones = [labels(f, part, seed)[first_of_part].sum() for seed in seeds]
    even = set(of_cells.sum(1)) == {len(cells) / 2} and set(ones) == {right.sum() / 2}
    return "right" if even else "unbalanced"


def square(rng: np.random.Generator) -> Tensor:
    """Points in each of 36 cells, more of them in white ones."""
    corners = np.stack(np.meshgrid(np.arange(-3, 3), np.arange(-3, 3)), -1).reshape(-1, 2)
    several = np.repeat(corners, 4 + 2 * (corners.sum(1) % 2 == 0), axis=0)
    points = rng.permutation(several + rng.uniform(0.01, 0.99, several.shape))
    return torch.from_numpy(points)


def labels(f: Callable[..., Any], points: Tensor, seed: int) -> Any:
    found = np.asarray(f(points, torch.Generator().manual_seed(seed)))
    return found.astype(float).reshape(len(points))


def probe_selectivity(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    tasks, controls = [3, 1, 2], [2, 3, 1]
    rows = [row for s in tasks for row in pair(rng, s, "task")]
    for seed in controls:
        rows += [row for k in range(1, 3 + seed % 2) for row in pair(rng, seed, f"control {k}")]
    found = f(rows)
    if not isinstance(found, dict) or not same(found, right(rows)):
        return found
    negative = [
        {"seed": 1, "labels": name, "points": "test", "accuracy": share}
        for name, share in (("task", 0.5), ("control 1", 0.625))
    ]
    return f(negative)


def pair(rng: np.random.Generator, seed: int, name: str) -> Rows:
    """An accuracy on fresh points, and a higher one in-sample."""
    test, fit = sorted(rng.uniform(0.4 + 0.1 * seed, 0.6 + 0.1 * seed, 2))
    rows = ({"points": "test", "accuracy": test}, {"points": "fit", "accuracy": fit})
    return [{"seed": seed, "labels": name, **row} for row in rows]


def same(found: dict[Any, Any], expected: dict[int, float]) -> bool:
    return found.keys() == expected.keys() and all(
        abs(float(found[seed]) - value) < 1e-6 for seed, value in expected.items()
    )


def probe_better_evidence(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    return list(f())


def distinct(values: Tensor) -> tuple[Tensor, Tensor]:
    """The different rows, and for each row which of them it is."""
    rows, which = np.unique(values.numpy(), axis=0, return_inverse=True)
    return torch.from_numpy(rows), torch.from_numpy(which.ravel())


def by_key(key: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """A balanced label for each value of a key that is not the cell."""

    def control_labels(points: Tensor, generator: torch.Generator) -> Tensor:
        values, which = distinct(key(points))
        return (torch.randperm(len(values), generator=generator) % 2)[which]

    return control_labels


def fresh_labels(points: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randint(2, (len(points),), generator=generator)


def balanced_points(points: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randperm(len(points), generator=generator) % 2


def dealt_out(points: Tensor, generator: torch.Generator) -> Tensor:
    return checkerboard(points).flatten()[torch.randperm(len(points), generator=generator)]


def task_itself(points: Tensor, generator: torch.Generator) -> Tensor:
    return checkerboard(points).flatten()


def flipped_task(points: Tensor, generator: torch.Generator) -> Tensor:
    return (checkerboard(points).flatten() + torch.randint(2, (1,), generator=generator)) % 2


def coins(points: Tensor, generator: torch.Generator) -> Tensor:
    cells, which = distinct(points.floor())
    return torch.randint(2, (len(cells),), generator=generator)[which]


def grid_of_36(points: Tensor, generator: torch.Generator) -> Tensor:
    """Balanced over cells of which some hold no point."""
    row, column = (points.floor().long() % 6).unbind(1)
    return (torch.randperm(36, generator=generator) % 2)[6 * row + column]


def own_seed(points: Tensor, generator: torch.Generator) -> Tensor:
    return by_key(torch.floor)(points, torch.Generator().manual_seed(0))


def no_generator(points: Tensor, generator: torch.Generator) -> Tensor:
    cells, which = distinct(points.floor())
    return (torch.randperm(len(cells)) % 2)[which]


def accuracies(rows: Rows, seed: int, task: bool, points: Sequence[str] = ("test",)) -> list[float]:
    return [
        r["accuracy"]
        for r in rows
        if r["seed"] == seed and r["points"] in points and (r["labels"] == "task") == task
    ]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def of_each(answer: Callable[[Rows, int], float]) -> Callable[[Rows], dict[int, float]]:
    return lambda rows: {seed: answer(rows, seed) for seed in dict.fromkeys(seeds_in(rows))}


def seeds_in(rows: Rows) -> list[int]:
    return [r["seed"] for r in rows]


def combined(
    how: Callable[[float, float], float],
    task: Sequence[str] = ("test",),
    control: Sequence[str] = ("test",),
) -> Callable[[Rows], dict[int, float]]:
    """Task and mean control of each network, put together in some way."""
    return of_each(
        lambda rows, seed: how(
            mean(accuracies(rows, seed, True, task)), mean(accuracies(rows, seed, False, control))
        )
    )


def less(task: float, control: float) -> float:
    return task - control


right = combined(less)


def one_of(pick: Callable[[list[float]], float]) -> Callable[[Rows], dict[int, float]]:
    """The task less one of the network's controls."""
    return of_each(
        lambda rows, seed: mean(accuracies(rows, seed, True)) - pick(accuracies(rows, seed, False))
    )


def pooled(rows: Rows) -> dict[int, float]:
    """The control of all networks together."""
    control = mean([a for seed in set(seeds_in(rows)) for a in accuracies(rows, seed, False)])
    return of_each(lambda rows, seed: mean(accuracies(rows, seed, True)) - control)(rows)


def by_position(rows: Rows) -> dict[int, float]:
    """The first task with the first control, whatever their seeds."""
    tested = [r for r in rows if r["points"] == "test"]
    task, control = (
        list(dict.fromkeys(r["seed"] for r in tested if (r["labels"] == "task") == wanted))
        for wanted in (True, False)
    )
    return {
        a: mean(accuracies(rows, a, True)) - mean(accuracies(rows, b, False))
        for a, b in zip(task, control, strict=True)
    }


def one_number(rows: Rows) -> float:
    return mean(list(right(rows).values()))


PROBES = {
    "control_labels": probe_control_labels,
    "selectivity": probe_selectivity,
    "better_evidence": probe_better_evidence,
}
MISTAKES = [
    Mistake("label-per-point", "control_labels", fresh_labels),
    Mistake("label-per-point", "control_labels", balanced_points),
    Mistake("task-dealt-out", "control_labels", dealt_out),
    Mistake("task-again", "control_labels", task_itself),
    Mistake("task-again", "control_labels", flipped_task),
    Mistake("toward-zero", "control_labels", by_key(torch.trunc)),
    Mistake("cells-merged", "control_labels", by_key(lambda x: x[:, :1].floor())),
    Mistake("cells-merged", "control_labels", by_key(lambda x: x[:, 1:].floor())),
    Mistake("cells-merged", "control_labels", by_key(lambda x: x.floor().sum(1, keepdim=True))),
    Mistake("unbalanced", "control_labels", coins),
    Mistake("unbalanced", "control_labels", grid_of_36),
    Mistake("own-randomness", "control_labels", own_seed),
    Mistake("own-randomness", "control_labels", no_generator),
    Mistake("ratio", "selectivity", combined(lambda task, control: task / control)),
    Mistake("ratio", "selectivity", combined(lambda task, control: task / control - 1)),
    Mistake("reversed", "selectivity", combined(lambda task, control: control - task)),
    Mistake("above-chance", "selectivity", combined(lambda task, control: task - 0.5)),
    Mistake("clipped", "selectivity", combined(lambda task, control: max(task - control, 0.0))),
    Mistake("clipped", "selectivity", combined(lambda task, control: abs(task - control))),
    Mistake("in-sample", "selectivity", combined(less, control=("fit",))),
    Mistake("in-sample", "selectivity", combined(less, task=("fit",))),
    Mistake("in-sample", "selectivity", combined(less, task=("fit",), control=("fit",))),
    Mistake("in-sample", "selectivity", combined(less, ("fit", "test"), ("fit", "test"))),
    Mistake("one-control", "selectivity", one_of(lambda values: values[0])),
    Mistake("one-control", "selectivity", one_of(lambda values: values[-1])),
    Mistake("one-control", "selectivity", one_of(max)),
    Mistake("one-control", "selectivity", one_of(min)),
    Mistake("pooled", "selectivity", pooled),
    Mistake("by-position", "selectivity", by_position),
    Mistake("one-number", "selectivity", one_number),
    Mistake("highest-accuracy", "better_evidence", lambda: ["A", "A", "A", "A"]),
    Mistake("lowest-control", "better_evidence", lambda: ["B", "B", "A", "B"]),
    Mistake("noise-control", "better_evidence", lambda: ["B", "neither", "A", "A"]),
    Mistake("quotients", "better_evidence", lambda: ["B", "neither", "A", "B"]),
    Mistake("quotients", "better_evidence", lambda: ["B", "neither", "B", "B"]),
]
