"""The reference runs that the book quotes: ``python -m weightdecay reference``.

Every weight decay in `WEIGHT_DECAYS` with every seed in `SEEDS`; same seeds across settings, so
that differences are paired. Kept small: the evaluations of all runs in one table, and the run
directories of seed 42 without their checkpoints.
"""

from __future__ import annotations

import csv
import io
import math
import shutil
from pathlib import Path

from weightdecay import runs
from weightdecay.minitrain import recipe

WEIGHT_DECAYS = (0.0, 0.1, 0.5, 10.0, 30.0)
SEEDS = tuple(range(42, 51))
DIRECTORY = recipe.EXPERIMENTS / "18-break-weight-decay" / "reference"
WORK = recipe.ROOT / "_build" / "reference-runs"
TABLE = DIRECTORY / "evals.csv"
COLUMNS = (
    "dose", "train_loss", "val_loss", "train_loss_form", "val_loss_form",
    "train_loss_features", "val_loss_features", "gap", "gap_features", "gap_form",
    "growth/embedding", "growth/qk", "growth/vo", "growth/mlp", "growth/gains",
    "update/embedding", "grad_norm", "calibration/embedding",
    "accuracy/train/regular", "accuracy/train/irregular",
    "accuracy/val/regular", "accuracy/val/irregular",
)  # fmt: skip
KEPT = (runs.CONFIG, runs.MANIFEST, runs.METRICS, runs.RESULTS)


def directory(weight_decay: float, seed: int, parent: Path = WORK) -> Path:
    """Where a reference run is trained or, with ``parent=DIRECTORY``, kept."""
    return recipe.run_directory(weight_decay, seed, parent)


def make(workers: int | None = None) -> Path:
    """Train what is missing and write the table; its path.

    Raises:
        RunError: if a run failed.
    """
    settings = [(w, s) for s in SEEDS for w in WEIGHT_DECAYS]
    jobs = [(recipe.read_config(w, s), directory(w, s)) for w, s in settings]
    recipe.train_missing(jobs, quiet=True, workers=workers)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("weight_decay", "seed", "step", *COLUMNS))
    for w, s in sorted(settings):
        for e in runs.load(directory(w, s)).evals:
            numbers = ("" if e.get(c) is None else f"{e[c]:.5g}" for c in COLUMNS)
            writer.writerow((w, s, e["step"], *numbers))
    DIRECTORY.mkdir(exist_ok=True)
    for w in WEIGHT_DECAYS:
        kept = directory(w, recipe.SEED, DIRECTORY)
        kept.mkdir(exist_ok=True)
        for name in KEPT:
            shutil.copyfile(directory(w, recipe.SEED) / name, kept / name)
    runs.write_text(TABLE, out.getvalue())
    first = runs.read_json(directory(*settings[0]) / runs.MANIFEST)
    runs.write_json(
        DIRECTORY / runs.MANIFEST,
        {
            "command": "just phase-18-reference",
            "weight_decays": WEIGHT_DECAYS,
            "seeds": SEEDS,
            "runs": len(settings),
            **{k: first[k] for k in ("data_sha256", "versions", "git_commit", "host", "threads")},
            "written": runs.now(),
        },
    )
    return TABLE


def read() -> dict[tuple[float, int], list[dict[str, float]]]:
    """(weight decay, seed) to the evaluations of that run; an empty field is NaN.

    Raises:
        RunError: if the table is missing.
    """
    try:
        rows = list(csv.DictReader(TABLE.read_text("utf-8").splitlines()))
    except OSError as e:
        raise runs.RunError(f"{TABLE}: {e.strerror}; just phase-18-reference makes it") from e
    table: dict[tuple[float, int], list[dict[str, float]]] = {}
    for row in rows:
        key = (float(row.pop("weight_decay")), int(row.pop("seed")))
        numbers = {k: float(v) if v else math.nan for k, v in row.items()}
        table.setdefault(key, []).append(numbers)
    return table
