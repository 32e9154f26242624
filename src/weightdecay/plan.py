"""What a sweep is: ``sweep.yaml`` in an experiment's folder, read and turned into jobs.

``sweep.yaml`` names a base config, grids of values that replace some of its keys, and seeds. Every
setting gets the same seeds, so that differences are paired. Runs lie in ``_build/runs``, each under
the hash of its config, so that two sweeps share what they have in common.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from weightdecay import runs
from weightdecay.runs import Json, RunError

SWEEP = "sweep.yaml"
ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "_build" / "runs"
Row: TypeAlias = dict[str, float | int | str | None]


def _distinct(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("expected each seed once")
    return seeds


def _is_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, int | str)


def _replaceable(grid: dict[str, list[Any]]) -> dict[str, list[Any]]:
    if "seed" in grid:
        raise ValueError("expected other keys than seed, as seeds are listed under seeds")
    for key, values in grid.items():
        for value in values:
            parts = value.values() if isinstance(value, Mapping) and value else [value]
            if not all(_is_scalar(part) for part in parts):
                raise ValueError(f"expected plain values, or keys with plain values, for {key}")
    return grid


Seeds: TypeAlias = Annotated[list[int], Field(min_length=1), AfterValidator(_distinct)]
Grid: TypeAlias = Annotated[
    dict[str, Annotated[list[Any], Field(min_length=1)]], AfterValidator(_replaceable)
]


@dataclass(frozen=True)
class Task:
    """What a part of the course gives so that it can be swept; module-level functions."""

    check: Callable[[Json, str], Json]
    """(config, its name in messages) to the full, valid config; RunError otherwise."""
    train: Callable[[Json, Path], None]
    """Train one config in a directory, going on from a checkpoint; see `weightdecay.runs` for what
    it leaves there. It writes manifest.json early and results.json last."""
    rows: Callable[[Path], list[Row]]
    """Rows of the table from a finished directory, without setting and seed."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Quick(_Strict):
    """The small part that ``just reproduce NAME --quick`` computes again."""

    grid: Grid
    seeds: Seeds
    columns: Annotated[list[str], Field(min_length=1)]


class Plan(_Strict):
    """``sweep.yaml``."""

    task: str
    base: str
    grids: Annotated[list[Grid], Field(min_length=1)]
    seeds: Seeds
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
        return Plan.model_validate(runs.read_yaml(path))
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise RunError(f"{path}: {key} is missing") from None
        if first["type"] == "extra_forbidden":
            section = Quick if "quick" in first["loc"] else Plan
            accepted = ", ".join(section.model_fields)
            raise RunError(f"{path}: unknown key {key}; accepted: {accepted}") from None
        value = repr(first["input"])
        value = value if len(value) <= 80 else value[:77] + "..."
        raise RunError(f"{path}: {key} = {value}; {first['msg']}") from None


def jobs(folder: Path, task: Task, *, quick: bool = False, parent: Path = RUNS) -> list[Job]:
    """Every run of a sweep, or of its quick part: setting by setting, seeds inside.

    Raises:
        RunError: for a bad plan, base or value, naming the file.
    """
    plan = read_plan(folder)
    path = folder / SWEEP
    everything = _expanded(folder, plan, plan.grids, plan.seeds, task, parent)
    part = _expanded(folder, plan, [plan.quick.grid], plan.quick.seeds, task, parent)
    known = {_digest({**job.config, "seed": None}) for job in everything}
    for job in part:
        if _digest({**job.config, "seed": None}) not in known:
            raise RunError(f"{path}: quick: {job.name} is not a setting of the grids")
    return part if quick else everything


def _expanded(
    folder: Path, plan: Plan, grids: list[Grid], seeds: list[int], task: Task, parent: Path
) -> list[Job]:
    source = f"{folder / SWEEP} over {plan.base}"
    base = runs.read_yaml((folder / plan.base).resolve())
    changes = [
        dict(zip(grid, values, strict=True))
        for grid in grids
        for values in itertools.product(*grid.values())
    ]
    # A setting is told by every key that any grid replaces, also where a setting keeps the base's.
    keys = list(dict.fromkeys(k for g in plan.grids for key in g for k in _leaves(key, g[key])))
    found: dict[str, Job] = {}
    for change, seed in itertools.product(changes, seeds):
        config = base
        for key, value in {**change, "seed": seed}.items():
            config = _replaced(config, key.split("."), value)
        config = task.check(config, source)
        setting = {key: _value(config, key) for key in keys}
        job = Job(setting, seed, config, parent / run_name(plan.task, config))
        if job.directory.name in found:
            raise RunError(f"{folder / SWEEP}: {job.name} is in the grids twice")
        found[job.directory.name] = job
    return list(found.values())


def run_name(task: str, config: Json) -> str:
    """Of the directory that holds the run of a full, valid config."""
    return f"{task}-{_digest(config)}"


def _digest(config: Json) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]


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
    section = old if isinstance(old, dict) else {}
    if rest:
        return {**config, key: _replaced(section, rest, value)}
    return {**config, key: {**section, **value} if isinstance(value, Mapping) else value}


def _value(config: Json, key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
