"""The committed results of the part, asked by decay: one way for the ledger and for the chapters.

The base model, and so its seed, is the unit: whatever is said of a decay is one number for each
seed, with its fine-tunes averaged first.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from weightdecay import results
from weightdecay.plan import ROOT, Row
from weightdecay.plasticity.config import Finetune, Pretrain
from weightdecay.results import Array, Table
from weightdecay.runs import RunError

EXPERIMENTS = ROOT / "experiments"
BASES = ("plasticity-pretrain", "plasticity-regimes")
FINETUNES = (
    "plasticity-finetune", "plasticity-controls", "plasticity-moments",
    "plasticity-regimes-finetune", "plasticity-settings",
)  # fmt: skip
DECAYS = (0.0, 0.1, 0.3, 1.0, 2.0, 10.0)
DEFAULT = 0.1
"""What most models are pretrained with."""
USEFUL = DECAYS[:-1]
"""Decays that give a model one would fine-tune; 10 lies far beyond."""
RATES = (1e-4, 5e-4, 2e-3, 5e-3, 1e-2, 2e-2)
FIXED = RATES[0]
"""As far below pretraining's peak as the paper's."""
SMALL: dict[str, Any] = {"size": "30k"}
"""The regimes beside the main one are of a third of its size: what to change for each of them."""
LONG: dict[str, Any] = {**SMALL, "tokens_per_parameter": 140, "schedule": "wsd"}
LONG_DECAYS = (0.0, 0.1, 0.3, 1.0)
OLMO: dict[str, Any] = {**SMALL, "style": "olmo2"}
OTHER_PEAKS = (1.5e-3, 6e-3)
"""Of the learning rate in pretraining, half and twice the main one."""
SETTINGS: tuple[dict[str, Any], ...] = (
    {"finetune_decay": 0.1}, {"finetune_decay": 1.0}, {"batch_size": 8}, {"batch_size": 32},
)  # fmt: skip
SETTING_TASKS, SETTING_RATES = ("exceptions", "safety"), (FIXED, 2e-3)
"""What the models fine-tuned under other settings were fine-tuned on, and how fast."""
FAMILIES = {
    "chain of thought": ("chains", "lists"),
    "cloze": ("agreement", "exceptions"),
    "safety": ("safety",),
}
Rate: TypeAlias = float | Literal["best"]
TASKS = tuple(task for tasks in FAMILIES.values() for task in tasks)
_KEYS = (
    "weight_decay", "style", "size", "tokens_per_parameter", "schedule", "learning_rate",
    "pretrain_learning_rate", "task", "start", "norms_of", "finetune_decay", "batch_size",
)  # fmt: skip


@functools.cache
def table(name: str, parent: Path = EXPERIMENTS) -> Table:
    """One of the part's tables; see `weightdecay.results.read`."""
    return results.read(parent / name)


def base(column: str, weight_decay: float, **changed: Any) -> list[float]:
    """What a base model measures at the end of pretraining, one number for each seed.

    Args:
        column: of `measure.final`.
        changed: keys of `config.Pretrain` in which these models differ from the main ones.
    """
    found = _rows(BASES, _usual(Pretrain), {"weight_decay": weight_decay, **changed})
    return [float(v) for v in found.final(column)]


def curve(column: str, weight_decay: float, **changed: Any) -> tuple[Array, Array]:
    """Steps (points,) and a column (seeds, points) along pretraining."""
    found = _rows(BASES, _usual(Pretrain), {"weight_decay": weight_decay, **changed})
    return found.curves("step")[0], found.curves(column)


def finetuned(
    column: str, weight_decay: float, task: str, learning_rate: float, **changed: Any
) -> list[float]:
    """What fine-tunes of one setting measure, one number for each seed.

    Args:
        column: of `task.train_finetune`; ``score`` is the task's own.
        weight_decay: of the base models.
        learning_rate: in fine-tuning.
        changed: keys of `config.Finetune`, such as ``start="norm_matched"``.
    """
    wanted = {"weight_decay": weight_decay, "task": task, "learning_rate": learning_rate}
    found = _rows(FINETUNES, _usual(Finetune), {**wanted, **changed})
    return [float(v) for v in found.final(column)]


def downstream(
    weight_decay: float,
    rate: Rate,
    tasks: Sequence[str] = TASKS,
    column: str = "score",
    **changed: Any,
) -> list[float]:
    """A column averaged over tasks, one number for each seed.

    Args:
        rate: the learning rate of all fine-tunes; or ``best``: for each task that at which the
            *other* seeds' models of this decay score best, so that a choice is never judged on
            the runs that made it.
    """
    per_task = [best(weight_decay, t, column, **changed) if rate == "best" else
                finetuned(column, weight_decay, t, rate, **changed) for t in tasks]  # fmt: skip
    return [float(v) for v in np.mean(per_task, 0)]


def best(weight_decay: float, task: str, column: str = "score", **changed: Any) -> list[float]:
    """A column at the best rate, chosen as in `downstream` by the score, of those that were run."""
    wanted = {"weight_decay": weight_decay, "task": task, **changed}
    usual = _usual(Finetune)
    rates = [r for r in RATES if _matching(FINETUNES, usual, {**wanted, "learning_rate": r})]
    scores = np.array([finetuned("score", weight_decay, task, r, **changed) for r in rates])
    values = np.array([finetuned(column, weight_decay, task, r, **changed) for r in rates])
    chosen = left_out(scores)
    return [float(values[rate, seed]) for seed, rate in enumerate(chosen)]


def left_out(scores: Array) -> list[int]:
    """For each seed the row of (choices, seeds) with the highest mean over the other seeds."""
    # Not the sum of all less the seed's own: rounding would let that break a tie.
    others = (np.delete(scores, seed, 1) for seed in range(scores.shape[1]))
    return [int(o.mean(1).argmax()) for o in others]


def _usual(kind: type[Pretrain] | type[Finetune]) -> dict[str, Any]:
    return {key: field.default for key, field in kind.model_fields.items()}


def _rows(names: Sequence[str], usual: dict[str, Any], wanted: dict[str, Any]) -> Table:
    """The rows of these settings.

    Raises:
        RunError: if no experiment of the part has such runs.
    """
    kept = _matching(names, usual, wanted)
    if not kept:
        told = ", ".join(f"{key} = {value}" for key, value in wanted.items())
        raise RunError(f"no experiment of the part has runs with {told}")
    return Table(kept)


def _matching(names: Sequence[str], usual: dict[str, Any], wanted: dict[str, Any]) -> list[Row]:
    """Rows of the first table that has some of these settings, or none."""
    keys = [key for key in _KEYS if key in usual]
    for name in names:
        # A key that a sweep leaves as the main models have it is not a column of its table.
        kept = [
            row
            for row in table(name).rows
            if all(row.get(k, usual[k]) == wanted.get(k, usual[k]) for k in keys)
        ]
        if kept:
            return kept
    return []
