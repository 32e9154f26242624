"""Train a stated small part of a sweep again: ``just reproduce experiments/NAME --quick``.

A number agrees if it and the committed one of the same seed both lie in the interval in which 99%
of new seeds would, given the committed *other* seeds of the same setting. The seed's own committed
value has no say in the interval, as a wrong one would widen it until everything agrees.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

from weightdecay import results, sweep
from weightdecay.plan import Job, Task, read_plan
from weightdecay.plan import jobs as planned
from weightdecay.results import Table, as_in_table
from weightdecay.runs import RunError
from weightdecay.stats import Estimate, prediction_interval

CONFIDENCE = 0.99
ROUNDING = 1e-5  # relative; the table has six digits
FEWEST = 3  # other seeds; the interval of two would hold almost anything


@dataclass(frozen=True)
class Check:
    """One number computed again."""

    job: str
    column: str
    again: float
    committed: float | None
    """Of the same setting and seed; None where that seed is not in the table."""
    interval: Estimate
    """Where a new seed would lie; NaN if the loss of every committed one was lost."""

    @property
    def agrees(self) -> bool:
        """Are both numbers in the interval, but for rounding, or is none of all a number?"""
        low = self.interval.low - ROUNDING * abs(self.interval.low)
        high = self.interval.high + ROUNDING * abs(self.interval.high)
        values = [self.again] if self.committed is None else [self.again, self.committed]
        if math.isnan(low):
            return all(math.isnan(v) for v in values)
        return all(low <= v <= high for v in values)


def run(folder: Path, task: Task, *, quick: bool, workers: int | None = None) -> list[Check]:
    """Train again, elsewhere and from nothing, and compare the last row of each run.

    Raises:
        RunError: if there is nothing to compare with, which is seen before anything is trained, or
            if a run failed.
    """
    table = results.read(folder)
    columns = read_plan(folder).quick.columns
    with tempfile.TemporaryDirectory() as parent:
        todo = planned(folder, task, quick=quick, parent=Path(parent))
        try:
            expected = [_expected(table, job, column) for job in todo for column in columns]
        except RunError as e:
            raise RunError(f"{folder / results.TABLE}: {e}") from e
        sweep.train(todo, task, folder.resolve().name, workers=workers)
        last = [task.rows(job.directory)[-1] for job in todo]
    again = [as_in_table(row.get(column)) for row in last for column in columns]
    names = [(job.name, column) for job in todo for column in columns]
    return [
        Check(job, column, value, committed, interval)
        for (job, column), value, (committed, interval) in zip(names, again, expected, strict=True)
    ]


def _expected(table: Table, job: Job, column: str) -> tuple[float | None, Estimate]:
    """The committed number of this seed, and where the other seeds say that it should lie."""
    known = table.where(job.setting)
    final = dict(zip(known.seeds, known.final(column).tolist(), strict=True))
    own = final.pop(job.seed, None)
    others = list(final.values())
    lost = sum(math.isnan(value) for value in others)
    if len(others) < FEWEST or 0 < lost < len(others):
        raise RunError(
            f"{column} of {job.name} cannot be compared: {len(others) - lost} of {len(others)} "
            f"other seeds have a number; needed: all or none, and {FEWEST} or more (a sweep of "
            "three seeds can name a fourth under quick)"
        )
    if lost:
        return own, Estimate(math.nan, math.nan, math.nan, lost)
    return own, prediction_interval(others, CONFIDENCE)
