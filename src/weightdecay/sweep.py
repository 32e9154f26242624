"""Many runs of one experiment: ``just sweep experiments/NAME``.

``sweep.yaml`` names a base config, grids of values that replace some of its keys, and seeds. Every
setting gets the same seeds, so that differences are paired. Runs lie in ``_build/runs``, each under
the hash of its config: a sweep trains only what is missing, and two sweeps share what they have in
common. What the book quotes is one table, ``results.csv``, with its manifest, beside the YAML.
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import io
import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from joblib import Parallel, delayed, parallel_config
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tqdm import tqdm

from weightdecay import runs
from weightdecay.runs import Json, RunError

SWEEP, TABLE = "sweep.yaml", "results.csv"
ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "_build" / "runs"
Row: TypeAlias = dict[str, float | int | str | None]
Grid: TypeAlias = dict[str, Annotated[list[Any], Field(min_length=1)]]


@dataclass(frozen=True)
class Task:
    """What a part of the course gives so that it can be swept; module-level functions."""

    check: Callable[[Json, str], Json]
    """(config, its name in messages) to the full, valid config; RunError otherwise."""
    train: Callable[[Json, Path], None]
    """Train one config in a directory, going on from a checkpoint; ends with results.json."""
    rows: Callable[[Path], list[Row]]
    """Rows of the table from a finished directory, without setting and seed."""


class Quick(BaseModel):
    """The small part that ``just reproduce NAME --quick`` computes again."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    grid: Grid
    seeds: Annotated[list[int], Field(min_length=1)]
    columns: Annotated[list[str], Field(min_length=1)]


class Plan(BaseModel):
    """``sweep.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    task: str
    base: str
    grids: Annotated[list[Grid], Field(min_length=1)]
    seeds: Annotated[list[int], Field(min_length=1)]
    quick: Quick


@dataclass(frozen=True)
class Job:
    """One run: its setting (dotted key to value), seed, full config and directory."""

    setting: Row
    seed: int
    config: Json
    directory: Path

    @property
    def name(self) -> str:
        return ", ".join(f"{k} = {v}" for k, v in {**self.setting, "seed": self.seed}.items())


def read_plan(folder: Path) -> Plan:
    """The checked ``sweep.yaml`` of an experiment's folder.

    Raises:
        RunError: for a missing file or a wrong key or value, in one line.
    """
    path = folder / SWEEP
    try:
        plan = Plan.model_validate(runs.read_yaml(path))
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise RunError(f"{path}: {key} = {first['input']!r}; {first['msg']}") from None
    for seeds in (plan.seeds, plan.quick.seeds):
        if len(set(seeds)) < len(seeds):
            raise RunError(f"{path}: seeds = {seeds}; accepted: each seed once")
    return plan


def jobs(folder: Path, task: Task, *, quick: bool = False, parent: Path = RUNS) -> list[Job]:
    """Every run of a sweep, or of its quick part: setting by setting, seeds inside.

    Raises:
        RunError: for a bad plan, base or value, naming the file.
    """
    plan = read_plan(folder)
    path = folder / SWEEP
    base = runs.read_yaml((folder / plan.base).resolve())
    grids = [plan.quick.grid] if quick else plan.grids
    changes = [
        dict(zip(grid, values, strict=True))
        for grid in grids
        for values in itertools.product(*grid.values())
    ]
    # A setting is told by every key that any grid replaces, also where a setting keeps the base's.
    keys = list(dict.fromkeys(k for g in plan.grids for key in g for k in _leaves(key, g[key])))
    found: dict[str, Job] = {}
    for change, seed in itertools.product(changes, plan.quick.seeds if quick else plan.seeds):
        config = base
        for key, value in {**change, "seed": seed}.items():
            config = _replaced(config, key.split("."), value)
        config = task.check(config, str(path))
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]
        setting = {key: _value(config, key) for key in keys}
        job = Job(setting, seed, config, parent / f"{plan.task}-{digest}")
        if job.directory.name in found:
            raise RunError(f"{path}: {job.name} is in the grids twice")
        found[job.directory.name] = job
    return list(found.values())


def _leaves(key: str, values: Sequence[Any]) -> Iterator[str]:
    """The dotted keys that a grid entry replaces; mappings hold keys that go together."""
    for value in values:
        if isinstance(value, Mapping):
            yield from (f"{key}.{part}" for part in value)
        else:
            yield key


def _replaced(config: Json, path: list[str], value: Any) -> Json:
    """A copy with one key replaced; a mapping is merged into the section."""
    key, *rest = path
    old = config.get(key)
    if rest:
        return {**config, key: _replaced(old if isinstance(old, dict) else {}, rest, value)}
    if isinstance(value, Mapping):
        return {**config, key: {**(old if isinstance(old, dict) else {}), **value}}
    return {**config, key: value}


def _value(config: Json, key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


@contextmanager
def _workers(lock: Path, *, shared: bool) -> Iterator[None]:
    """Held shared by each worker at work; who gets it alone knows that there is none."""
    with lock.open("w") as f:
        fcntl.flock(f, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


def _watch(parent_pid: int) -> None:
    """End this worker when the process that started it is gone."""
    while os.getppid() == parent_pid:
        time.sleep(0.2)
    os._exit(1)


def _work(task: Task, job: Job, lock: Path, parent_pid: int) -> str | None:
    """Train one job in a worker; what went wrong, if anything."""
    if os.getppid() == parent_pid:  # not so for threads, nor on a cluster
        threading.Thread(target=_watch, args=(parent_pid,), daemon=True).start()
    with _workers(lock, shared=True):
        try:
            task.train(job.config, job.directory)
        except Exception as e:  # whatever it is, the other runs go on
            return f"{job.name}: {type(e).__name__}: {' '.join(str(e).split())}"
    return None


def train(
    todo: Sequence[Job],
    task: Task,
    name: str,
    *,
    workers: int | None = None,
    engine: str = "loky",
) -> tuple[int, float]:
    """Train the jobs that are not finished, one thread each; how many, and in how many seconds.

    One command at a time may train the sweep called `name`. A killed one loses what its runs did
    since their last checkpoints. `engine` is a backend of joblib: ``loky`` for processes here, or
    one that a cluster registers.

    Raises:
        RunError: naming every run that failed, after the others have ended.
    """
    missing = [job for job in todo if not (job.directory / runs.RESULTS).exists()]
    if not missing:
        return 0, 0.0
    start = time.perf_counter()
    state = missing[0].directory.parent / f".{name}"
    state.mkdir(parents=True, exist_ok=True)
    workers_lock = state / "workers"
    threads = {"inner_max_num_threads": 1} if engine == "loky" else {}
    with runs.locked(state), parallel_config(backend=engine, **threads):
        with _workers(workers_lock, shared=False):  # those of a killed sweep are gone
            pass
        results = Parallel(n_jobs=workers or os.cpu_count() or 1, return_as="generator_unordered")(
            delayed(_work)(task, job, workers_lock, os.getpid()) for job in missing
        )
        with tqdm(total=len(todo), initial=len(todo) - len(missing), unit="run") as bar:
            failures = []
            for error in results:
                if error:
                    failures.append(error)
                bar.set_postfix(failed=len(failures), refresh=False)
                bar.update()
    if failures:
        raise RunError("\n  ".join([f"{len(failures)} of {len(missing)} runs failed:", *failures]))
    return len(missing), time.perf_counter() - start


def table(todo: Sequence[Job], task: Task) -> list[Row]:
    """One tidy table of finished runs: setting, seed, then what the task measures."""
    return [
        {**job.setting, "seed": job.seed, **row} for job in todo for row in task.rows(job.directory)
    ]


def write(folder: Path, todo: Sequence[Job], task: Task, trained: tuple[int, float]) -> Path:
    """Write table and manifest of a finished sweep; the table's path."""
    rows = table(todo, task)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_text(row.get(column)) for column in columns])
    runs.write_text(folder / TABLE, out.getvalue())
    manifests = [runs.read_json(job.directory / runs.MANIFEST) for job in todo]
    same = {k: v for k, v in manifests[0].items() if all(m.get(k) == v for m in manifests)}
    runs.write_json(
        folder / runs.MANIFEST,
        {
            "command": f"just sweep experiments/{folder.name}",
            "runs": len(todo),
            "trained_by_last_command": {"runs": trained[0], "seconds": round(trained[1], 1)},
            "git_commits": sorted({str(m.get("git_commit")) for m in manifests}),
            **{k: same[k] for k in ("data_sha256", "versions", "host", "threads") if k in same},
            "written": runs.now(),
        },
    )
    return folder / TABLE


def _text(value: float | int | str | None) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
