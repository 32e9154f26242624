"""A task of `weightdecay.sweep` that trains in a tenth of a second, for real processes to import.

Its "model" is one number that a chaotic map moves: a step lost or done twice changes every digit.
What a run does besides is told by files in the folder that the environment names:

``attempts``  a line for each training begun: run, process, first step, threads of torch
``gate``      while this is missing, runs wait before their last step
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from weightdecay import plan, results, runs, sweep
from weightdecay.plan import Row, Task
from weightdecay.runs import Json, RunError

STEPS = 4


def check(config: Json, source: str) -> Json:
    full: Json = {"seed": 0, "map": {"rate": 3.9, "shift": 0.0}, "word": "a", "fails": False}
    for section, given in ((full, config), (full["map"], config.get("map", {}))):
        if unknown := given.keys() - section.keys():
            raise RunError(f"{source}: unknown key {min(unknown)}; accepted: {', '.join(section)}")
    full |= {**config, "map": {**full["map"], **config.get("map", {})}}
    rate = full["map"]["rate"]
    if not isinstance(rate, float) or not 0 < rate < 4:
        raise RunError(f"{source}: map.rate = {rate!r}; accepted: a number from 0 to 4")
    return full


def train(config: Json, directory: Path) -> None:
    threads = None
    if os.environ.get("TOY_TORCH"):
        import torch

        threads = torch.get_num_threads()
    now = {"threads": 1, "versions": {"toy": "1"}, "git_commit": "c0ffee", "started": runs.now()}
    runs.prepare(directory, config, now)
    with runs.locked(directory):
        checkpoint = directory / runs.CHECKPOINT
        state = runs.read_json(checkpoint) if checkpoint.exists() else {"step": 0, "x": 0.5}
        step, x = state["step"], state["x"] if state["step"] else 0.5 + config["seed"] / 1000
        _tell(directory.name, os.getpid(), step, threads)
        if config["fails"]:
            raise ValueError("told to fail,\non two lines")
        if config["word"] == "dies":
            os.kill(os.getpid(), 9)
        while step < STEPS:
            while step == STEPS - 1 and not _opened():
                time.sleep(0.01)
            x = config["map"]["rate"] * x * (1 - x)
            step += 1
            temporary = directory / "next"  # renamed, as a checkpoint is, but left to the cache
            temporary.write_text(json.dumps({"step": step, "x": x}))
            temporary.replace(checkpoint)
        rows = [{"step": 0, "x": 0.5}, {"step": step, "x": x + config["map"]["shift"]}]
        runs.write_json(directory / runs.RESULTS, {"rows": rows})


def _tell(*facts: object) -> None:
    if folder := os.environ.get("TOY"):
        with (Path(folder) / "attempts").open("a") as f:
            f.write(json.dumps(facts) + "\n")


def _opened() -> bool:
    folder = os.environ.get("TOY")
    return not folder or (Path(folder) / "gate").exists()


def rows(directory: Path) -> list[Row]:
    found: list[Row] = runs.read_json(directory / runs.RESULTS)["rows"]
    return found


TASK = Task(check, train, rows)


def main(folder: str, parent: str, engine: str = "loky") -> int:
    """What ``python -m weightdecay sweep`` does, with this task."""
    todo = plan.jobs(Path(folder), TASK, parent=Path(parent))
    try:
        trained = sweep.train(todo, TASK, Path(folder).name, workers=2, engine=engine)
    except RunError as e:
        print(f"error: {e}", file=sys.stderr)
        return 1
    results.write(Path(folder), todo, TASK, trained)
    print(f"trained {trained[0]}")
    return 0


if __name__ == "__main__":
    from tests import toy_task  # under its own name, which a worker can import

    sys.exit(toy_task.main(*sys.argv[1:]))
