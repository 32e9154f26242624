"""The experiment as a task of `weightdecay.sweep`: one config in, one row of a table out.

``just hysteresis-scan`` trains the full scan and the audit; runs that exist are kept. On a GPU,
`train_replicas` takes the place of `weightdecay.sweep.train`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from weightdecay import runs, versioned
from weightdecay.hysteresis.config import PROTOCOL, Config
from weightdecay.plan import Job, Row, Task
from weightdecay.runs import Json

WEIGHTS = "weights.safetensors"

# A run in training needs four buffers (5000, 128) of float32, 10.2 MB, and 1 MB for its weights,
# their gradient, Adam's state and its points; its probes come when these are free, and need less.
# So 120 runs, half an arm of the full scan, take 1.4 GB.
CHUNK = 120
"""Runs at a time on a GPU."""


def check(config: Json, source: str) -> Json:
    """The full config."""
    return versioned.parse(Config, config, source).model_dump()


def train(config: Json, directory: Path) -> None:
    """One run on the CPU. It takes seconds, so an unfinished one starts again."""
    train_together([(versioned.parse(Config, config, str(directory)), directory)])


def train_together(jobs: Sequence[tuple[Config, Path]], device: str = "cpu") -> None:
    """Runs that `protocol.alike` holds to be alike, as replicas; each leaves its own directory."""
    from safetensors.torch import save_file  # torch is imported in the worker only

    from weightdecay.hysteresis import measure, protocol

    started = runs.now()
    for config, directory in jobs:
        manifest = {**runs.environment(), "started": started, "device": device}
        # Forced: of a run that was killed nothing is worth keeping, its manifest least of all.
        runs.prepare(directory, config.model_dump(), manifest, force=True)
    configs = [config for config, _ in jobs]
    imprints = jobs[0][1].parent / "imprints"
    adapted = protocol.adapt(configs, device, imprints)
    for i, numbers in enumerate(measure.measure(configs, adapted)):
        directory = jobs[i][1]
        with runs.atomic_path(directory / WEIGHTS) as temporary:
            ends = {"start": adapted.start[i], "end": adapted.end[i]}
            save_file({k: v.cpu().contiguous() for k, v in ends.items()}, temporary)
        versioned.finish(directory, PROTOCOL, numbers)


def train_replicas(
    todo: Sequence[Job], name: str, device: str, chunk: int = CHUNK
) -> tuple[int, float]:
    """What `weightdecay.sweep.train` does, `chunk` runs at a time as replicas on one device.

    Returns:
        How many runs were trained, and in how many seconds.

    Raises:
        RunError: if another command trains this sweep, or as `train_together`; what is finished is
            kept.
    """
    missing = [job for job in todo if not (job.directory / runs.RESULTS).exists()]
    if not missing:
        return 0, 0.0
    start = time.perf_counter()
    state = missing[0].directory.parent / f".{name}"
    state.mkdir(parents=True, exist_ok=True)
    done = len(todo) - len(missing)
    # disable=None: no bar in a log
    with (
        runs.locked(state),
        tqdm(total=len(todo), initial=done, unit="run", disable=None) as bar,
    ):
        for part in chunks(missing, chunk):
            train_together(part, device)
            bar.update(len(part))
    return len(missing), time.perf_counter() - start


def chunks(todo: Sequence[Job], size: int) -> list[list[tuple[Config, Path]]]:
    """The runs in groups of at most `size` that `protocol.alike` holds to be alike."""
    from weightdecay.hysteresis import protocol

    groups: dict[tuple[object, ...], list[tuple[Config, Path]]] = {}
    for job in todo:
        config = versioned.parse(Config, job.config, str(job.directory))
        groups.setdefault(protocol.alike(config), []).append((config, job.directory))
    return [g[i : i + size] for g in groups.values() for i in range(0, len(g), size)]


def rows(directory: Path) -> list[Row]:
    """What `measure.measure` found, in one row."""
    return [versioned.finished(directory, PROTOCOL)]


TASK = Task(check, train, rows)
