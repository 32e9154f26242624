"""The dashboard's tables: what differs, and the final numbers with their differences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from weightdecay.minitrain import differences
from weightdecay.runs import Run

FINAL = {
    "step": "last step",
    "dose": "dose",
    "train_loss": "train loss",
    "val_loss": "validation loss",
    "gap": "gap",
    "gap_form": "gap, contributed by the form",
    "gap_features": "gap, contributed by the features",
    "val_loss_form": "validation loss, form",
    "val_loss_features": "validation loss, features",
    "growth/embedding": "embedding norm over initial",
    "growth/qk": "W_Q, W_K norm over initial",
    "growth/vo": "W_V, W_O norm over initial",
    "growth/mlp": "feed-forward norm over initial",
    "accuracy/train/regular": "train accuracy, regular",
    "accuracy/train/irregular": "train accuracy, irregular",
    "accuracy/val/regular": "validation accuracy, regular",
    "accuracy/val/irregular": "validation accuracy, irregular",
    "steps_per_second": "steps per second",
}


@dataclass(frozen=True)
class Table:
    """Rows of text cells under a header; the first cell of a row names it."""

    header: list[str]
    rows: list[list[str]]


def config_rows(runs: Sequence[Run]) -> Table:
    """With several runs the keys that differ, config first; with one run its whole config."""
    if len(runs) == 1:
        whole = differences.flatten(runs[0].config)
        return Table(["key", runs[0].name], [[k, str(v)] for k, v in whole])
    differing = differences.table(runs)
    differing |= {
        # Of a hash 12 digits are enough to tell two apart.
        k: [
            None if v is None else re.sub(r"^([0-9a-f]{12})[0-9a-f]{28,}", r"\1", str(v))
            for v in values
        ]
        for k, values in differences.table(runs, "manifest").items()
        if k not in ("seed", "started", "ended", "resumed")
    }
    rows = [[k, *("not set" if v is None else str(v) for v in vs)] for k, vs in differing.items()]
    return Table(["key", *(run.name for run in runs)], rows)


def _text(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.4g}" if isinstance(value, float) else "none"


def _signed(value: float) -> str:
    return f"{value:+d}" if isinstance(value, int) else f"{value:+.4g}"


def final_table(runs: Sequence[Run]) -> Table:
    """The last evaluation of each run; with two runs also second less first."""
    header = ["", *(run.name for run in runs)] + (["difference"] if len(runs) == 2 else [])
    rows = []
    for key, words in FINAL.items():
        values = [run.final.get(key) for run in runs]
        row = [words, *(_text(v) for v in values)]
        if len(runs) == 2:
            a, b = values
            row.append("none" if a is None or b is None else _signed(b - a))
        rows.append(row)
    return Table(header, rows)
