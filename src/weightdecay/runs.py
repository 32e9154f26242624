"""A run on disk: one directory that says what was run, how, and what came out.

``config.yaml``     the complete configuration
``manifest.json``   seed, versions, commit, hashes, host, threads, start and end
``metrics.jsonl``   one record a line, append-only while the run goes on
``checkpoint.pt``   the last resumable state (loads with ``weights_only=True``)
``results.json``    final numbers; a run is finished when this file exists

Every file is written under a temporary name and renamed, so no half file ever has its final name;
``metrics.jsonl`` alone grows in place, and a last line cut off by a crash is dropped on reading.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

CONFIG, MANIFEST, METRICS = "config.yaml", "manifest.json", "metrics.jsonl"
CHECKPOINT, RESULTS, LOCK, DASHBOARD = "checkpoint.pt", "results.json", ".lock", "dashboard.html"
RUN_FILES = (CONFIG, MANIFEST, METRICS, CHECKPOINT, RESULTS, LOCK, DASHBOARD)

Json: TypeAlias = dict[str, Any]


class RunError(Exception):
    """A run directory that cannot be read or must not be written; the message names it."""


def finite(value: Any) -> Any:
    """The value with every NaN or infinity replaced by None, as JSON has no word for them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the final name only if the block succeeds."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as f:
            os.fsync(f.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Json) -> None:
    """Write a JSON file atomically, without NaN."""
    write_text(path, json.dumps(finite(value), indent=1, allow_nan=False) + "\n")


def write_yaml(path: Path, value: Json) -> None:
    """Write a YAML file atomically."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as f:
        YAML(typ="safe", pure=True).dump(value, f)


def read_yaml(path: Path) -> Json:
    """Read a YAML 1.2 mapping (where ``3e-3`` is a number).

    Raises:
        RunError: for a missing file, broken YAML, a repeated key or anything but a mapping.
    """
    try:
        value = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise RunError(f"{path}: {e.strerror}") from e
    except (YAMLError, ValueError, RecursionError) as e:  # a bad date or a huge int: ValueError
        raise RunError(f"{path}: not valid YAML: {' '.join(str(e).split())}") from e
    if not isinstance(value, dict):
        raise RunError(f"{path}: holds {type(value).__name__}, expected keys with values")
    return value


def read_json(path: Path) -> Json:
    """Read a JSON object.

    Raises:
        RunError: for a missing or broken file.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise RunError(f"{path}: {e.strerror}") from e
    except ValueError as e:
        raise RunError(f"{path}: not valid JSON: {e}") from e
    if not isinstance(value, dict):
        raise RunError(f"{path}: holds {type(value).__name__}, expected an object")
    return value


def git_commit() -> str | None:
    """Commit of the source tree, with ``+dirty`` for uncommitted changes; None outside git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40"]
    try:
        done = subprocess.run(
            [*command, "--dirty=+dirty", "--exclude=*"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def now() -> str:
    """UTC time in ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def environment() -> Json:
    """What a manifest says of code and machine; no user name and no path."""
    import torch  # here, so that a command that only starts workers does not wait for it

    return {
        "versions": {
            "weightdecay": version("weightdecay"),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "git_commit": git_commit(),
        "host": {
            "machine": platform.machine(),
            "system": platform.system(),
            "cpus": os.cpu_count(),
        },
        "threads": torch.get_num_threads(),
        "started": now(),
        "ended": None,
    }


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory for one writer.

    Raises:
        RunError: if another process holds it.
    """
    with (directory / LOCK).open("w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise RunError(f"{directory}: another process is training here") from e
        yield


def prepare(directory: Path, config: Json, manifest: Json, *, force: bool = False) -> bool:
    """Make `directory` ready for a run; True if an unfinished one with this config goes on.

    Raises:
        RunError: if it holds a finished run, another config (both unless `force`), or something
            that is not a run (always: it is left alone).
    """
    if directory.exists() and not directory.is_dir():
        raise RunError(f"{directory}: is a file, expected a run directory")
    if directory.is_dir() and any(directory.iterdir()):
        if not (directory / MANIFEST).exists():
            raise RunError(f"{directory}: holds files but no {MANIFEST}; not a run, left alone")
        if "started" not in read_json(directory / MANIFEST):  # other programs have manifests, too
            raise RunError(f"{directory}: {MANIFEST} is not one of a run; left alone")
        if not force:
            if read_yaml(directory / CONFIG) != config:
                raise RunError(f"{directory}: holds a run with another config; --force replaces it")
            if (directory / RESULTS).exists():
                raise RunError(f"{directory}: holds a finished run; --force trains it again")
            return True
        # The manifest marks a run and is only ever replaced: killed in here, --force still works.
        with locked(directory):
            for name in RUN_FILES:
                if name not in (MANIFEST, LOCK):
                    (directory / name).unlink(missing_ok=True)
    directory.parent.mkdir(parents=True, exist_ok=True)
    # The directory appears with config and manifest in it, or not at all.
    fresh = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}."))
    try:
        write_yaml(fresh / CONFIG, config)
        write_json(fresh / MANIFEST, manifest)
        if directory.is_dir():
            for name in (MANIFEST, CONFIG):
                (fresh / name).replace(directory / name)
        else:
            fresh.chmod(0o755)
            fresh.replace(directory)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return False


@dataclass
class Run:
    """A run as read back: whatever could be read, and in `problems` what could not."""

    path: Path
    config: Json
    manifest: Json
    evals: list[Json] = field(default_factory=list)
    steps: list[Json] = field(default_factory=list)
    results: Json | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.absolute().name

    @property
    def final(self) -> Json:
        """The last evaluation."""
        return self.evals[-1]

    def series(self, key: str) -> list[float]:
        """One metric over the evaluations; None and missing values become NaN."""
        return [math.nan if e.get(key) is None else float(e[key]) for e in self.evals]


def read_metrics(path: Path) -> tuple[list[Json], list[str]]:
    """Records of a metrics file, and a sentence for each line that could not be read."""
    records: list[Json] = []
    problems: list[str] = []
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
        try:
            record = finite(json.loads(line))
            if not isinstance(record, dict) or not isinstance(record.get("step"), int):
                raise ValueError("no step")
        except ValueError:
            problems.append(f"{path}: line {number} is cut off or broken; it is left out")
        else:
            records.append(record)
    return records, problems


def load(directory: Path) -> Run:
    """Read a run directory, finished or not.

    Raises:
        RunError: if it is missing, is not a run, or has no evaluation to show.
    """
    if not directory.is_dir():
        raise RunError(f"{directory}: no such run directory")
    if not (directory / MANIFEST).exists():
        raise RunError(f"{directory}: has no {MANIFEST}; not a run directory")
    run = Run(directory, read_yaml(directory / CONFIG), read_json(directory / MANIFEST))
    if (directory / METRICS).exists():
        records, run.problems = read_metrics(directory / METRICS)
        run.evals = [r for r in records if r.get("kind") == "eval"]
        run.steps = [r for r in records if r.get("kind") == "step"]
    if not run.evals:
        raise RunError(f"{directory}: {METRICS} holds no evaluation yet")
    try:
        run.results = read_json(directory / RESULTS)
    except RunError as e:
        missing = not (directory / RESULTS).exists()
        run.problems.append(f"{directory}: not finished, no {RESULTS}" if missing else str(e))
    diverged = [e["step"] for e in run.evals if e.get("train_loss") is None]
    if diverged:
        run.problems.append(f"{directory}: the loss is not a finite number at step {diverged[0]}")
    return run
