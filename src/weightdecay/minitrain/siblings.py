"""Five causes to tell apart, and their runs: ``just sweep experiments/sibling-failures``.

One recipe, healthy or with one thing wrong: weight decay left out, or one of the three failures of
`weightdecay.minitrain.failures`.
"""

from __future__ import annotations

from pathlib import Path

from weightdecay import runs
from weightdecay.minitrain import config as config_file
from weightdecay.minitrain import recipe, task
from weightdecay.minitrain.config import Config
from weightdecay.runs import Json
from weightdecay.sweep import Row, Task

FOLDER = recipe.EXPERIMENTS / "sibling-failures"
RECIPE = FOLDER / "config.yaml"
CAUSES = {
    "healthy": "nothing is wrong",
    "no-decay": "weight decay is 0",
    "init": "the initial weights are 100 times too large",
    "warmup": "the learning rate has no warmup",
    "mask": "in training the decoder sees the future",
}
EARLY, EVERY = 200, 100  # steps up to which every record has a row; evaluations after it
STEP_COLUMNS = ("batch_loss", "grad_norm")
EVAL_COLUMNS = (
    "train_loss", "val_loss", "growth/embedding", "norm/embedding", "update/embedding",
    "accuracy/train/regular", "accuracy/train/irregular",
    "accuracy/val/regular", "accuracy/val/irregular",
)  # fmt: skip


def config(cause: str, seed: int) -> Config:
    """The recipe with this cause.

    Raises:
        RunError: for an invalid seed.
    """
    if cause == "no-decay":
        return config_file.read(RECIPE, seed=seed, optimizer={"weight_decay": 0.0})
    failure = "none" if cause == "healthy" else cause
    return config_file.read(RECIPE, seed=seed, failure=failure)


def cause_of(written: Json) -> str:
    """The cause that is in a config as `Config.model_dump` writes it."""
    if failure := written.get("failure"):
        return str(failure)
    return "healthy" if written["optimizer"]["weight_decay"] else "no-decay"


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
    cause = cause_of(run.config)
    return [{"cause": cause, "step": step, **by_step[step]} for step in sorted(by_step)]


TASK = Task(task.check, task.train, rows)
