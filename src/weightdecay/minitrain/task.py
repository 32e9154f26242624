"""The break lab as a task of `weightdecay.sweep`: one config in, rows of a table out."""

from __future__ import annotations

import math
from pathlib import Path

from weightdecay import runs
from weightdecay.minitrain import config as config_file
from weightdecay.runs import Json
from weightdecay.sweep import Row, Task

EVERY = 200  # steps between two rows; the last evaluation always has one
COLUMNS = (
    "dose", "train_loss", "val_loss", "train_loss_form", "val_loss_form",
    "train_loss_features", "val_loss_features", "gap", "gap_features", "gap_form",
    "growth/embedding", "growth/qk", "growth/vo", "growth/mlp",
    "update/embedding", "grad_norm", "calibration/embedding",
    "accuracy/train/regular", "accuracy/train/irregular",
    "accuracy/val/regular", "accuracy/val/irregular",
)  # fmt: skip


def check(config: Json, source: str) -> Json:
    """The full config."""
    return config_file.parse(config, source).model_dump()


def train(config: Json, directory: Path) -> None:
    """One run."""
    from weightdecay.minitrain.loop import train  # torch is imported in the worker only

    train(config_file.parse(config, str(directory)), directory, quiet=True)


def rows(directory: Path) -> list[Row]:
    """Some evaluations, each with the best validation loss so far and its step (early stopping)."""
    found: list[Row] = []
    best, best_step = math.inf, 0
    evals = runs.load(directory).evals
    for e in evals:
        if e.get("val_loss") is not None and e["val_loss"] < best:
            best, best_step = e["val_loss"], e["step"]
        if e["step"] % EVERY == 0 or e is evals[-1]:
            numbers = {column: e.get(column) for column in COLUMNS}
            early: Row = {"best_val_loss": best, "best_step": best_step}
            found.append({"step": e["step"], **numbers, **early})
    return found


TASK = Task(check, train, rows)
