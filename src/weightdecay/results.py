"""The table of a sweep as read back, and ``just reproduce experiments/NAME --quick``.

`reproduce` trains a stated small part again, from nothing, and says whether each number agrees with
the committed ones: it has to lie in the interval in which 99 % of new seeds would, given the
committed seeds of the same setting.
"""

from __future__ import annotations

import csv
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from weightdecay import sweep
from weightdecay.runs import RunError
from weightdecay.stats import Estimate, prediction_interval
from weightdecay.sweep import Row, Task

Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
CONFIDENCE = 0.99


class Table:
    """A tidy table, asked by setting. Seeds are always in the same order, so rows of two settings
    pair up."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.seeds = sorted({int(row["seed"] or 0) for row in rows})

    def where(self, setting: Mapping[str, float | str | None]) -> Table:
        """The rows that have these values."""
        kept = [row for row in self.rows if all(row[k] == v for k, v in setting.items())]
        if not kept:
            words = ", ".join(f"{k} = {v}" for k, v in setting.items())
            raise RunError(f"the table has no row with {words}")
        return Table(kept)

    def distinct(self, key: str) -> list[float]:
        """The values of a column, sorted."""
        return sorted({_number(row[key]) for row in self.rows})

    def curves(self, key: str) -> Array:
        """(seeds, rows of a seed) of one column, for the rows of one setting; empty fields NaN.

        Raises:
            RunError: if seeds have different numbers of rows.
        """
        by_seed = [[_number(r[key]) for r in self.rows if r["seed"] == s] for s in self.seeds]
        if len({len(values) for values in by_seed}) > 1:
            raise RunError(f"{key}: the seeds have different numbers of rows: not one setting")
        return np.array(by_seed)

    def final(self, key: str) -> Array:
        """(seeds,) the last row of each seed."""
        last: Array = self.curves(key)[:, -1]
        return last


def _number(value: float | int | str | None) -> float:
    return math.nan if value is None or isinstance(value, str) else float(value)


def read(folder: Path) -> Table:
    """The committed table of an experiment.

    Raises:
        RunError: if it is missing.
    """
    path = folder / sweep.TABLE
    try:
        rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    except OSError as e:
        command = f"just sweep experiments/{folder.name}"
        raise RunError(f"{path}: {e.strerror}; {command} makes it") from e
    return Table([{key: _parsed(value) for key, value in row.items()} for row in rows])


def _parsed(text: str) -> float | int | str | None:
    if not text:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@dataclass(frozen=True)
class Check:
    """One number computed again."""

    job: str
    column: str
    again: float
    committed: float | None
    """Of the same setting and seed; None where that seed is not in the table."""
    interval: Estimate
    """Where a new seed would lie."""

    @property
    def agrees(self) -> bool:
        return self.interval.low <= self.again <= self.interval.high


def reproduce(folder: Path, task: Task, *, quick: bool, workers: int | None = None) -> list[Check]:
    """Train again, elsewhere and from nothing, and compare the last row of each run.

    Raises:
        RunError: if a run failed or there is no committed table.
    """
    committed = read(folder)
    columns = sweep.read_plan(folder).quick.columns
    checks = []
    with tempfile.TemporaryDirectory() as parent:
        todo = sweep.jobs(folder, task, quick=quick, parent=Path(parent))
        sweep.train(todo, task, folder.resolve().name, workers=workers)
        for job in todo:
            last = task.rows(job.directory)[-1]
            known = committed.where(job.setting)
            for column in columns:
                values = known.final(column)
                same = [v for s, v in zip(known.seeds, values, strict=True) if s == job.seed]
                interval = prediction_interval(values.tolist(), CONFIDENCE)
                again = _number(last[column])
                checks.append(Check(job.name, column, again, same[0] if same else None, interval))
    return checks
