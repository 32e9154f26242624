"""Claims B1 to B9 of the break page, measured on the reference runs for `weightdecay.claims`.

The rules of the verdicts stand there; they were written before the reference table was read. *Not
testable at this scale* was added after reading it, for B8, which would be not reproduced otherwise:
a difference that never shows cannot show late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from weightdecay.claims import Claim, Direction
from weightdecay.minitrain import reference
from weightdecay.stats import Estimate, mean_interval

Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

LATE = 1000  # calibration is averaged from this step on, when the losses have settled
SLOW = 300  # "several hundred steps"

NONE, CONTROL, OVER = 0.0, 0.1, 0.5


class Runs:
    """The reference table, asked by weight decay; the order of seeds is always the same."""

    def __init__(self) -> None:
        self.table = reference.read()
        self.seeds = sorted({seed for _, seed in self.table})

    def curves(self, weight_decay: float, key: str) -> Array:
        """(seeds, evaluations) of one column."""
        return np.array([[e[key] for e in self.table[weight_decay, s]] for s in self.seeds])

    @property
    def steps(self) -> Array:
        """Step of each evaluation."""
        return self.curves(CONTROL, "step")[0, :]

    def final(self, weight_decay: float, key: str) -> list[float]:
        """Last evaluation of each seed."""
        return [float(v) for v in self.curves(weight_decay, key)[:, -1]]

    def change(self, key: str, weight_decay: float, against: float = CONTROL) -> list[float]:
        """Paired difference at the end: `weight_decay` less `against`."""
        pairs = zip(self.final(weight_decay, key), self.final(against, key), strict=True)
        return [a - b for a, b in pairs]


def _losses(claim: Claim, runs: Runs, weight_decay: float) -> None:
    for name, key in (
        ("train loss", "train_loss"),
        ("validation loss", "val_loss"),
        ("gap", "gap"),
    ):
        claim.add(name, runs.final(weight_decay, key))


def b1(claim: Claim, runs: Runs) -> None:
    _losses(claim, runs, CONTROL)
    claim.direction("validation above train loss", runs.final(CONTROL, "gap"), +1)


def b2(claim: Claim, runs: Runs) -> None:
    _losses(claim, runs, NONE)
    claim.direction("train loss lower without decay", runs.change("train_loss", NONE), -1)
    claim.direction("validation loss higher", runs.change("val_loss", NONE), +1)
    claim.direction("gap wider", runs.change("gap", NONE), +1)


def parting_step(
    without: Sequence[float], control: Sequence[float], steps: Sequence[float]
) -> float:
    """First step from which on `without` lies above `control` to the end; the last if it never
    does."""
    above = [a > b for a, b in zip(without, control, strict=True)]
    start = len(above) - 1
    while start > 0 and all(above[start - 1 :]):
        start -= 1
    return float(steps[start])


def b3(claim: Claim, runs: Runs) -> None:
    without, control = runs.curves(NONE, "gap"), runs.curves(CONTROL, "gap")
    steps = runs.steps.tolist()
    parted = [
        parting_step(a, b, steps) for a, b in zip(without.tolist(), control.tolist(), strict=True)
    ]
    claim.add("step from which the gaps part (2000: never)", parted)
    claim.add("largest gap with decay 0.1", control.max(1).tolist())
    claim.direction("gap wider without decay", runs.change("gap", NONE), +1)


def b4(claim: Claim, runs: Runs) -> None:
    claim.add("growth without decay", runs.final(NONE, "growth/embedding"))
    claim.add("growth with decay 0.1", runs.final(CONTROL, "growth/embedding"))
    claim.direction("more growth without decay", runs.change("growth/embedding", NONE), +1)


def _slices(claim: Claim, runs: Runs, weight_decay: float) -> None:
    for split, words in (("train", "train"), ("val", "validation")):
        for name in ("regular", "irregular"):
            key = f"accuracy/{split}/{name}"
            claim.add(f"{words} {name}", runs.final(weight_decay, key))
            sign = +1 if split == "train" else -1
            claim.direction(
                f"{words} {name} {'higher' if sign > 0 else 'lower'} without decay",
                runs.change(key, NONE),
                sign,
            )


def b5(claim: Claim, runs: Runs) -> None:
    _slices(claim, runs, NONE)


def b6(claim: Claim, runs: Runs) -> None:
    _slices(claim, runs, CONTROL)


def b7(claim: Claim, runs: Runs) -> None:
    growth = claim.add("embedding growth with decay 0.5", runs.final(OVER, "growth/embedding"))
    claim.direction("train loss higher with 0.5 than 0.1", runs.change("train_loss", OVER), +1)
    claim.direction("validation loss higher", runs.change("val_loss", OVER), +1)
    below = Direction("embedding norm below its initial value", growth.high < 1, growth)
    claim.directions.append(below)


def visible_from(differences: Array) -> int | None:
    """First evaluation from which on the mean over seeds (axis 0) differs from zero, by its 95%
    interval, at every evaluation to the end; None if it does not at the last."""
    start: int | None = None
    for i in reversed(range(differences.shape[1])):
        e = mean_interval(differences[:, i].tolist())
        if e.low <= 0 <= e.high:
            break
        start = i
    return start


def b8(claim: Claim, runs: Runs) -> None:
    difference = runs.curves(NONE, "val_loss") - runs.curves(CONTROL, "val_loss")
    start = visible_from(difference)
    claim.testable = start is not None  # a difference that never shows cannot show late
    late = start is not None and bool(runs.steps[start] >= SLOW)
    step = None if start is None else float(runs.steps[start])
    onset = None if step is None else Estimate(step, step, step, len(runs.seeds))
    claim.directions.append(Direction("validation losses differ, but late", late, onset))


def b9(claim: Claim, runs: Runs) -> None:
    late = runs.steps >= LATE
    miscalibration = {}
    for w, words in ((NONE, "without decay"), (CONTROL, "with decay 0.1")):
        log = np.abs(np.log(runs.curves(w, "calibration/embedding")[:, late]))
        miscalibration[w] = log.mean(1)
        claim.add(f"mean distance of log(g² / v_t) from 0 {words}", miscalibration[w].tolist())
    claim.direction(
        "v_t fits worse without decay",
        (miscalibration[NONE] - miscalibration[CONTROL]).tolist(),
        +1,
    )
    growth = mean_interval(runs.final(CONTROL, "growth/embedding"))
    claim.directions.append(
        Direction("the embedding norm holds with decay", growth.high <= 1.2, growth)
    )


MEASURES: dict[str, Callable[[Claim, Runs], None]] = {
    "B1": b1, "B2": b2, "B3": b3, "B4": b4, "B5": b5, "B6": b6, "B7": b7, "B8": b8, "B9": b9,
}  # fmt: skip


def measure(claim: Claim) -> None:
    """Measure one B claim on the committed table.

    Raises:
        RunError: if the table is missing.
    """
    MEASURES[claim.id](claim, Runs())
