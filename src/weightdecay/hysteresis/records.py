"""The committed results of the part, asked by arm: one way for the ledger and for the chapters."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from weightdecay import results
from weightdecay.hysteresis.config import Config
from weightdecay.plan import ROOT
from weightdecay.results import Table
from weightdecay.runs import RunError
from weightdecay.stats import Effect, paired_effect

EXPERIMENTS = ROOT / "experiments"
FOLDERS = ("hysteresis-scan", "hysteresis-audit", "hysteresis-erasers")
SETTINGS = ("arm", "weight_decay", "rule", "task", "blind", "loss_scale", "steps")
PEAK = 1e-3
"""The decay at which the article finds its largest difference."""


@functools.cache
def table(name: str, parent: Path = EXPERIMENTS) -> Table:
    """One of the part's tables; see `weightdecay.results.read`."""
    return results.read(parent / name)


def values(column: str, arm: str, weight_decay: float = PEAK, **changed: Any) -> list[float]:
    """A column over the seeds, in order; the same seeds for every arm, so that they pair.

    Args:
        column: of `measure.measure`.
        arm, weight_decay: of the runs.
        changed: keys of the config in which these runs differ from the article's script, such as
            ``rule="adamw"`` or ``steps=0``.

    Raises:
        RunError: if no experiment has such runs.
    """
    usual = {key: field.default for key, field in Config.model_fields.items()}
    wanted = {"arm": arm, "weight_decay": weight_decay, **changed}
    for name in FOLDERS:
        found = table(name).rows
        # A key that a sweep leaves as the article has it is not a column of its table.
        kept = [
            row
            for row in found
            if all(row.get(k, usual[k]) == wanted.get(k, usual[k]) for k in SETTINGS)
        ]
        if kept:
            return [float(v) for v in Table(kept).final(column)]
    told = ", ".join(f"{key} = {value}" for key, value in wanted.items())
    raise RunError(f"no experiment of the part has runs with {told}")


def difference(
    column: str, arm: str, against: str, weight_decay: float = PEAK, **changed: Any
) -> Effect:
    """Mean of `arm` less `against` over seeds, both with the same decay and changes."""
    return paired_effect(
        values(column, arm, weight_decay, **changed),
        values(column, against, weight_decay, **changed),
    )
