"""The committed results of the part, asked by setting: for the ledger and for the chapters."""

from __future__ import annotations

import functools
from pathlib import Path

from weightdecay import results
from weightdecay.contraction.config import Name
from weightdecay.plan import ROOT
from weightdecay.results import Table

EXPERIMENTS = ROOT / "experiments"
JACOBIAN = "contraction-jacobian"
PROBLEMS: tuple[Name, ...] = ("regression", "classifier", "autoencoder")


@functools.cache
def table(name: str, parent: Path = EXPERIMENTS) -> Table:
    """One of the part's tables; see `weightdecay.results.read`."""
    return results.read(parent / name)


def values(column: str, problem: Name, weight_decay: float, arm: str = "own") -> list[float]:
    """A column over the seeds, in order; the same seeds for every arm, so that they pair.

    Args:
        column: of `measure.measure`, or ``dose``, ``steps``, ``reached``.
        arm: see `task`; without decay there is ``own`` only.
    """
    setting = {"problem": problem, "weight_decay": weight_decay, "arm": arm}
    return [float(v) for v in table(JACOBIAN).where(setting).final(column)]


def change(column: str, problem: Name, weight_decay: float, arm: str = "own") -> list[float]:
    """By how much a column differs from the undecayed network's, seed by seed."""
    pairs = zip(
        values(column, problem, weight_decay, arm), values(column, problem, 0.0), strict=True
    )
    return [a - b for a, b in pairs]
