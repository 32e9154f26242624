"""The runs of the five causes: ``just sweep experiments/sibling-failures``."""

from __future__ import annotations

from pathlib import Path

from weightdecay import runs
from weightdecay.minitrain import causes, task
from weightdecay.plan import Row, Task

EARLY, EVERY = 200, 100  # steps up to which every record has a row; evaluations after it
STEP_COLUMNS = ("batch_loss", "grad_norm")
EVAL_COLUMNS = (
    "train_loss", "val_loss", "growth/embedding", "norm/embedding", "update/embedding",
    "accuracy/train/regular", "accuracy/train/irregular",
    "accuracy/val/regular", "accuracy/val/irregular",
)  # fmt: skip


def rows(directory: Path) -> list[Row]:
    """Batch loss and gradient norm of the first steps, and some evaluations."""
    run = runs.load(directory)
    by_step: dict[int, Row] = {}
    for record in run.steps:
        if record["step"] <= EARLY or record["step"] % EVERY == 0:
            by_step[record["step"]] = {c: record.get(c) for c in STEP_COLUMNS}
    for record in run.evals:
        step = record["step"]
        if step <= EARLY or step % EVERY == 0 or record is run.evals[-1]:
            numbers = {c: record.get(c) for c in EVAL_COLUMNS}
            by_step[step] = {**dict.fromkeys(STEP_COLUMNS), **by_step.get(step, {}), **numbers}
    cause = causes.cause_of(run.config)
    return [{"cause": cause, "step": step, **by_step[step]} for step in sorted(by_step)]


TASK = Task(task.check, task.train, rows)
