"""Claims B1 to B9 of the break page, measured on the reference runs.

A claimed value counts as *reproduced* if the measured mean is within 10 % of it or if the 95 %
interval over seeds covers it. A claim is *direction only* if its sizes fail and yet every paired
difference that it asserts has the asserted sign, with an interval that excludes zero. Otherwise it
is *not reproduced*. These rules were written before the reference table was read.
*Not testable at this scale* was added after reading it, for B8, which would be not reproduced
otherwise: a difference that never shows cannot show late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from ruamel.yaml import YAML

from weightdecay.minitrain import reference
from weightdecay.minitrain.recipe import ROOT
from weightdecay.stats import Estimate, mean_interval

Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

TOLERANCE = 0.10
LATE = 1000  # calibration is averaged from this step on, when the losses have settled
SLOW = 300  # "several hundred steps"

NONE, CONTROL, OVER = 0.0, 0.1, 0.5


class Verdict(StrEnum):
    """What became of a claim."""

    REPRODUCED = "reproduced"
    DIRECTION = "direction only"
    NOT_REPRODUCED = "not reproduced"
    NOT_TESTABLE = "not testable at this scale"


@dataclass(frozen=True)
class Quantity:
    """One number of a claim: what it is, the value claimed (if any) and the measured one."""

    name: str
    claimed: float | None
    estimate: Estimate

    @property
    def agrees(self) -> bool:
        """Within 10 % of the claimed value, or covered by the interval."""
        if self.claimed is None:
            return True
        e = self.estimate
        close = abs(e.mean - self.claimed) <= TOLERANCE * abs(self.claimed)
        return close or e.low <= self.claimed <= e.high


@dataclass(frozen=True)
class Direction:
    """Something that a claim asserts without a number: what, whether it held, and the evidence."""

    words: str
    held: bool
    evidence: str


@dataclass
class Claim:
    """A claim with what was measured for it."""

    id: str
    statement: str
    claimed: dict[str, float]
    quantities: list[Quantity] = field(default_factory=list)
    directions: list[Direction] = field(default_factory=list)
    testable: bool = True  # False if the effect that the claim speaks of is not there to look at

    @property
    def verdict(self) -> Verdict:
        if not self.testable:
            return Verdict.NOT_TESTABLE
        directions = bool(self.directions) and all(d.held for d in self.directions)
        sizes = all(q.agrees for q in self.quantities)
        if sizes and (directions or not self.directions):
            return Verdict.REPRODUCED
        numbers = any(q.claimed is not None for q in self.quantities)
        return Verdict.DIRECTION if directions and numbers else Verdict.NOT_REPRODUCED

    def add(self, name: str, values: Sequence[float]) -> Estimate:
        """Measure one quantity over seeds."""
        estimate = mean_interval(values)
        self.quantities.append(Quantity(name, self.claimed.get(name), estimate))
        return estimate

    def direction(self, words: str, differences: Sequence[float], sign: int) -> None:
        """Does a paired difference have this sign, with an interval that excludes zero?"""
        e = mean_interval(differences)
        held = e.low > 0 if sign > 0 else e.high < 0
        self.directions.append(Direction(words, held, _digits(e, "+")))


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
    below = Direction("embedding norm below its initial value", growth.high < 1, _digits(growth))
    claim.directions.append(below)


def visible_from(differences: Array) -> int | None:
    """First evaluation from which on the mean over seeds (axis 0) differs from zero, by its 95 %
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
    when = "at no step to the end" if start is None else f"from step {runs.steps[start]:.0f} on"
    late = start is not None and bool(runs.steps[start] >= SLOW)
    claim.directions.append(Direction("validation losses differ, but late", late, when))


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
        Direction("the embedding norm holds with decay", growth.high <= 1.2, _digits(growth))
    )


MEASURES: dict[str, Callable[[Claim, Runs], None]] = {
    "B1": b1, "B2": b2, "B3": b3, "B4": b4, "B5": b5, "B6": b6, "B7": b7, "B8": b8, "B9": b9,
}  # fmt: skip


def measure() -> list[Claim]:
    """Every B claim of ``claims.yml``, measured.

    Raises:
        RunError: if the reference table is missing.
    """
    runs = Runs()
    records = YAML(typ="safe", pure=True).load((ROOT / "claims.yml").read_text("utf-8"))
    claims = []
    for record in records:
        claim = Claim(record["id"], record["statement"], record["claimed"])
        MEASURES[claim.id](claim, runs)
        claims.append(claim)
    return claims


def _digits(e: Estimate, sign: str = "") -> str:
    """Mean and interval with three significant digits, whole numbers whole."""
    numbers = [
        f"{v:{sign}.0f}" if abs(v) >= 100 else f"{v:{sign}.3g}" for v in (e.mean, e.low, e.high)
    ]
    return f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"


def markdown(claims: Sequence[Claim]) -> str:
    """Each claim with its verdict, and under it what was claimed and what was measured."""
    lines = []
    for claim in claims:
        lines += [f"**{claim.id}: {claim.verdict}.** {claim.statement}", ""]
        lines += ["| | claimed | measured [95 % interval] |", "|---|---|---|"]
        for q in claim.quantities:
            claimed = "" if q.claimed is None else f"{q.claimed:g}"
            mark = "" if q.claimed is None else " ✓" if q.agrees else " ✗"
            lines.append(f"| {q.name} | {claimed} | {_digits(q.estimate)}{mark} |")
        for d in claim.directions:
            mark = ("✓" if d.held else "✗") if claim.testable else "–"
            lines.append(f"| {d.words} | yes | {d.evidence} {mark} |")
        lines.append("")
    return "\n".join(lines)
