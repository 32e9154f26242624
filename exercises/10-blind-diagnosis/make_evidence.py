"""Trains the runs of this exercise and writes its evidence: ``python make_evidence.py``.

Runs of experiments/sibling-failures, each cause with seeds that its sweep does not use. They stay
under _build/blind-evidence and only what is missing is trained: half a minute a run on a free core.
``evidence/runs.json`` is for the learner and names no cause; ``sealed.json`` is for the checks.
"""

from __future__ import annotations

import json
from pathlib import Path

from weightdecay import runs
from weightdecay.minitrain import causes, recipe

HERE = Path(__file__).resolve().parent
WORK = recipe.ROOT / "_build" / "blind-evidence"
SEEDS = range(101, 107)
EVERY = 100  # steps between two records
# What the learner sees, by name. The other runs are for hidden checks.
SHOWN = {
    "healthy-1": ("healthy", 101),
    "healthy-2": ("healthy", 102),
    "heron": ("warmup", 102),
    "crane": ("no-decay", 104),
    "stork": ("init", 101),
    "egret": ("mask", 101),
    "ibis": ("warmup", 103),
    "bittern": ("healthy", 103),
    "curlew": ("no-decay", 101),
}
SINCE = ("batch_loss", "grad_norm")  # means over the recorded steps since the record before
COLUMNS = (
    "train_loss", "val_loss", "growth/embedding", "growth/vo", "update/embedding",
    "accuracy/train/regular", "accuracy/val/regular",
)  # fmt: skip


def directory(cause: str, seed: int) -> Path:
    return WORK / f"{cause}-{seed}"


def short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def records(run: runs.Run) -> list[runs.Json]:
    """Some evaluations, each with means over the steps before it."""
    found = []
    for e in run.evals:
        step = e["step"]
        if step % EVERY:
            continue
        before = [s for s in run.steps if step - EVERY < s["step"] <= step]
        record: runs.Json = {"step": step}
        for key in SINCE:
            mean = sum(s[key] for s in before) / len(before) if before else None
            record[key] = short(mean)
        found.append(record | {key: short(e.get(key)) for key in COLUMNS})
    return found


def write(path: Path, value: dict[str, list[runs.Json]], **more: runs.Json) -> None:
    """JSON with a record a line."""
    lines = {
        name: "[\n" + ",\n".join(json.dumps(r) for r in of_run) + "\n]"
        for name, of_run in value.items()
    }
    body = ",\n".join(f'"{name}": {text}' for name, text in lines.items())
    extra = "".join(f'"{key}": {json.dumps(item)},\n' for key, item in more.items())
    runs.write_text(path, f'{{\n{extra}"runs": {{\n{body}\n}}\n}}\n')


def main() -> None:
    names = [(cause, seed) for seed in SEEDS for cause in causes.CAUSES]
    jobs = [(causes.config(*name), directory(*name)) for name in names]
    recipe.train_missing(jobs, quiet=True, workers=1)
    loaded = {name: records(runs.load(directory(*name))) for name in names}
    write(HERE / "evidence" / "runs.json", {name: loaded[run] for name, run in SHOWN.items()})
    hidden = {f"{c}-{s}": loaded[c, s] for c, s in names if (c, s) not in SHOWN.values()}
    write(HERE / "sealed.json", hidden, shown={name: cause for name, (cause, _) in SHOWN.items()})


if __name__ == "__main__":
    main()
