"""The table of a sweep, ``results.csv`` beside its YAML: written with a manifest, and read back."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from weightdecay import runs
from weightdecay.plan import Job, Row, Task
from weightdecay.runs import Json, RunError

Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
TABLE = "results.csv"
ALIKE = ("data_sha256", "versions", "host", "threads")  # of a run's manifest; one value, or a list


def command(folder: Path) -> str:
    """What makes the table of an experiment."""
    return f"just sweep experiments/{folder.resolve().name}"


def rows(jobs: Sequence[Job], task: Task) -> list[Row]:
    """One tidy table of finished runs: setting, seed, then what the task measures."""
    return [
        {**job.setting, "seed": job.seed, **row} for job in jobs for row in task.rows(job.directory)
    ]


def write(folder: Path, jobs: Sequence[Job], task: Task, trained: tuple[int, float]) -> Path:
    """Write table and manifest of a finished sweep; the table's path.

    Both stay as they are if nothing was trained and the table is the same.
    """
    found = rows(jobs, task)
    columns = list(dict.fromkeys(key for row in found for key in row))
    keys = {key for job in jobs for key in job.setting}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in found:
        # A setting in full, as rows are asked for by it.
        writer.writerow([_text(row.get(c), exact=c in keys) for c in columns])
    table, manifest = folder / TABLE, folder / runs.MANIFEST
    same = table.exists() and table.read_bytes() == out.getvalue().encode()
    if trained[0] or not same or not manifest.exists():
        manifests = [runs.read_json(job.directory / runs.MANIFEST) for job in jobs]
        runs.write_text(table, out.getvalue())
        runs.write_json(
            manifest,
            {
                "command": command(folder),
                "runs": len(jobs),
                "trained_by_last_command": {"runs": trained[0], "seconds": round(trained[1], 1)},
                "git_commits": sorted({str(m.get("git_commit") or "unknown") for m in manifests}),
                **_alike(manifests),
                "written": runs.now(),
            },
        )
    return table


def _alike(manifests: Sequence[Json]) -> Json:
    """What the runs have in common; where they differ, each value there is."""
    told: Json = {}
    for key in ALIKE:
        values = {json.dumps(m[key], sort_keys=True): m[key] for m in manifests if key in m}
        if values:
            told[key] = next(iter(values.values())) if len(values) == 1 else list(values.values())
    return told


def _text(value: float | int | str | None, *, exact: bool = False) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        short = f"{value:.6g}"
        return repr(value) if exact and float(short) != value else short
    return str(value)


def _parsed(text: str) -> float | int | str | None:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None


def as_in_table(value: float | int | str | None) -> float:
    """A number as the table holds it; NaN for an empty field."""
    return _number(_parsed(_text(value)))


def _number(value: float | int | str | None) -> float:
    return math.nan if value is None or isinstance(value, str) else float(value)


class Table:
    """A tidy table, asked by setting. Seeds are always in the same order, so rows of two settings
    pair up."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.seeds = sorted({int(_number(row["seed"])) for row in rows})

    def column(self, key: str) -> list[Any]:
        """The values of a column, row by row.

        Raises:
            RunError: if there is no such column.
        """
        if key not in self.rows[0]:
            raise RunError(f"the table has no column {key}; it has {', '.join(self.rows[0])}")
        return [row[key] for row in self.rows]

    def where(self, setting: Mapping[str, float | str | None]) -> Table:
        """The rows that have these values.

        Raises:
            RunError: if there is none.
        """
        kept = self.rows
        for key, wanted in setting.items():
            values = self.column(key)
            kept = [row for row in kept if row[key] == wanted]
            if not kept:
                words = ", ".join(f"{k} = {v}" for k, v in setting.items())
                there = ", ".join(dict.fromkeys(str(v) for v in values))
                raise RunError(f"the table has no row with {words}; {key} is one of {there}")
        return Table(kept)

    def distinct(self, key: str) -> list[float]:
        """The values of a column, sorted."""
        return sorted({_number(value) for value in self.column(key)})

    def curves(self, key: str) -> Array:
        """(seeds, rows of a seed) of one column, for the rows of one setting; empty fields NaN.

        Raises:
            RunError: if seeds have different numbers of rows.
        """
        values = [(r["seed"], _number(v)) for r, v in zip(self.rows, self.column(key), strict=True)]
        by_seed = [[v for seed, v in values if seed == s] for s in self.seeds]
        if len({len(values) for values in by_seed}) > 1:
            raise RunError(f"{key}: the seeds have different numbers of rows: not one setting")
        return np.array(by_seed)

    def final(self, key: str) -> Array:
        """(seeds,) the last row of each seed."""
        last: Array = self.curves(key)[:, -1]
        return last


def read(folder: Path) -> Table:
    """The committed table of an experiment.

    Raises:
        RunError: if it is missing or is not a table with a seed in each row.
    """
    path = folder / TABLE
    try:
        header, *lines = csv.reader(path.read_text("utf-8").splitlines(), strict=True)
    except OSError as e:
        raise RunError(f"{path}: {e.strerror}; {command(folder)} makes it") from e
    except (csv.Error, ValueError) as e:
        raise RunError(f"{path}: not a table: {e}; {command(folder)} makes it") from e
    if not lines:
        raise RunError(f"{path}: has no rows; {command(folder)} makes it")
    found: list[Row] = []
    for number, fields in enumerate(lines, 2):
        if len(fields) != len(header):
            raise RunError(
                f"{path}: line {number} has {len(fields)} fields, expected {len(header)}"
            )
        row: Row = dict(zip(header, map(_parsed, fields), strict=True))
        if not isinstance(row.get("seed"), int):
            raise RunError(f"{path}: line {number}: seed = {row.get('seed')}; accepted: an integer")
        found.append(row)
    return Table(found)
