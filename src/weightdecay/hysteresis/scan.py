"""The experiment as a task of `weightdecay.sweep`: one config in, one row of a table out.

``just hysteresis-scan`` trains the full scan and the audit; runs that exist are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from weightdecay import runs
from weightdecay.hysteresis import config as config_file
from weightdecay.hysteresis.config import PROTOCOL, Config
from weightdecay.plan import Row, Task
from weightdecay.runs import Json, RunError

WEIGHTS = "weights.safetensors"


def check(config: Json, source: str) -> Json:
    """The full config."""
    return config_file.parse(config, source).model_dump()


def train(config: Json, directory: Path) -> None:
    """One run on the CPU. It takes seconds, so an unfinished one starts again."""
    train_together([(config_file.parse(config, str(directory)), directory)])


def train_together(jobs: Sequence[tuple[Config, Path]], device: str = "cpu") -> None:
    """Runs that `protocol.alike` holds to be alike, as replicas; each leaves its own directory."""
    from safetensors.torch import save_file  # torch is imported in the worker only

    from weightdecay.hysteresis import measure, protocol

    started = runs.now()
    for config, directory in jobs:
        manifest = {**runs.environment(), "started": started, "device": device}
        runs.prepare(directory, config.model_dump(), manifest)
    configs = [config for config, _ in jobs]
    imprints = jobs[0][1].parent / "imprints"
    adapted = protocol.adapt(configs, device, imprints)
    for i, numbers in enumerate(measure.measure(configs, adapted)):
        directory = jobs[i][1]
        with runs.atomic_path(directory / WEIGHTS) as temporary:
            ends = {"start": adapted.start[i], "end": adapted.end[i]}
            save_file({k: v.cpu().contiguous() for k, v in ends.items()}, temporary)
        manifest = runs.read_json(directory / runs.MANIFEST)
        runs.write_json(directory / runs.MANIFEST, {**manifest, "ended": runs.now()})
        runs.write_json(directory / runs.RESULTS, {"protocol": PROTOCOL, **numbers})


def rows(directory: Path) -> list[Row]:
    """What `measure.measure` found, in one row.

    Raises:
        RunError: for results of another version of the protocol.
    """
    found = runs.read_json(directory / runs.RESULTS)
    if found.get("protocol") != PROTOCOL:
        raise RunError(
            f"{directory / runs.RESULTS}: protocol = {found.get('protocol')}, expected {PROTOCOL}: "
            "results of two versions do not mix; delete the directory, it is trained again"
        )
    return [found]


TASK = Task(check, train, rows)
