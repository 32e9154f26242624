"""The runs of the five causes: ``just sweep experiments/sibling-failures``.

``python -m weightdecay.minitrain.siblings`` then keeps those of seed 42, without checkpoints, for
the chapter's dashboard.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

from weightdecay import plan, runs
from weightdecay.minitrain import causes, recipe, reference, signatures, task
from weightdecay.plan import Row, Task

KEPT = causes.FOLDER / "reference"
EARLY, EVERY = 200, 100  # steps up to which every record has a row; some of those after it
STEP_COLUMNS = ("batch_loss", "grad_norm")
EVAL_COLUMNS = (
    "train_loss", "val_loss", "growth/embedding",
    "accuracy/train/regular", "accuracy/train/irregular",
    "accuracy/val/regular", "accuracy/val/irregular",
)  # fmt: skip


def rows(directory: Path) -> list[Row]:
    """Every record of the first steps and some later ones; the last row has the signatures' numbers
    (`signatures.Measures`), too."""
    run = runs.load(directory)
    by_step: dict[int, Row] = {}
    last = run.final["step"]
    for records, columns in ((run.steps, STEP_COLUMNS), (run.evals, EVAL_COLUMNS)):
        for record in records:
            step = record["step"]
            if step <= EARLY or step % EVERY == 0 or step == last:
                by_step.setdefault(step, {}).update({c: record.get(c) for c in columns})
    measured = asdict(signatures.measure(run))
    by_step[last] |= {f"signature/{name}": value for name, value in measured.items()}
    cause = causes.cause_of(run.config)
    empty: Row = dict.fromkeys((*STEP_COLUMNS, *EVAL_COLUMNS))
    return [{"cause": cause, "step": step, **empty, **by_step[step]} for step in sorted(by_step)]


TASK = Task(task.check, task.train, rows)


def keep() -> None:
    """Copy the runs of seed 42 beside the table, each under its cause."""
    for job in plan.jobs(causes.FOLDER, TASK):
        if job.seed != recipe.SEED:
            continue
        kept = KEPT / causes.cause_of(job.config)
        kept.mkdir(parents=True, exist_ok=True)
        for name in reference.KEPT:
            shutil.copyfile(job.directory / name, kept / name)


if __name__ == "__main__":
    keep()
