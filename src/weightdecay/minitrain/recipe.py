"""The break lab's recipe: which directory a run belongs in, and several runs at once."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tqdm import tqdm

from weightdecay.minitrain import config as config_file
from weightdecay.minitrain.config import Config
from weightdecay.runs import RESULTS, RunError

ROOT = Path(__file__).resolve().parents[3]
EXPERIMENTS = ROOT / "experiments"
RECIPE = EXPERIMENTS / "18-break-weight-decay" / "config.yaml"
NAMED = {0.1: "18-control", 0.0: "18-break-wd0", 0.5: "18-overdecay"}
SEED = 42


def read_config(weight_decay: float, seed: int = SEED, path: Path = RECIPE) -> Config:
    """The recipe with another weight decay and seed.

    Raises:
        RunError: if the file or one of the two values is invalid.
    """
    return config_file.read(path, seed=seed, optimizer={"weight_decay": float(weight_decay)})


def run_directory(weight_decay: float, seed: int = SEED, parent: Path = EXPERIMENTS) -> Path:
    """``18-control``, ``18-break-wd0``, ``18-overdecay`` or ``18-wd-VALUE``.

    Another seed than 42 is part of the name, so that it does not meet the run of seed 42.
    """
    name = NAMED.get(weight_decay, f"18-wd-{weight_decay:g}")
    return parent / (name if seed == SEED else f"{name}-seed{seed}")


def _train(config: Config, directory: Path, position: int, quiet: bool) -> None:
    from weightdecay.minitrain.loop import train  # torch is imported in the worker only

    train(config, directory, position=position, quiet=quiet)


def train_missing(
    jobs: Sequence[tuple[Config, Path]], *, quiet: bool = False, workers: int | None = None
) -> list[Path]:
    """Train, in parallel processes of one thread each, the runs that are not finished yet.

    Returns:
        The directories that were trained.

    Raises:
        RunError: naming every run that failed, after the others have ended.
    """
    missing = [(c, d) for c, d in jobs if not (d / RESULTS).exists()]
    workers = min(workers or os.cpu_count() or 1, len(missing))
    if not missing:
        return []
    context = multiprocessing.get_context("spawn")
    tqdm.set_lock(context.RLock())
    failures = []
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=tqdm.set_lock, initargs=(tqdm.get_lock(),)
    ) as pool:
        futures = {
            pool.submit(_train, c, d, i % workers, quiet): d for i, (c, d) in enumerate(missing)
        }
        done = as_completed(futures)
        for future in tqdm(done, total=len(futures), unit="run", disable=not quiet or None):
            if error := future.exception():
                failures.append(f"{futures[future].name}: {error}")
    if failures:
        raise RunError("; ".join(failures))
    return [d for _, d in missing]
