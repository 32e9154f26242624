"""Side-by-side ratios: ``just bench``. Each is ours over the plain way, so smaller is better.

Two are between ways that are both ours: replicas over ordinary runs in processes.

Rounds of the two are interleaved in one process, on the same number of threads, so that whatever
else the machine does falls on both. A record of each goes to ``_build/bench.json``.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from loops import (
    Runs,
    decoders_apart,
    decoders_stacked,
    our_loop,
    plain_loop,
    teachers_apart,
    teachers_stacked,
)

from weightdecay import runs
from weightdecay.minitrain import corpus, dashboard, ladder, loop, recipe

RECORDS = recipe.ROOT / "_build" / "bench.json"
ROUNDS, STEPS = 40, 25


def seconds(function: Callable[[], Any], times: int = 1) -> float:
    """Wall time of some calls."""
    start = time.perf_counter()
    for _ in range(times):
        function()
    return time.perf_counter() - start


def record(name: str, ratios: Sequence[float], target: float | None, what: str) -> None:
    """Print median and quartiles of the ratios and append them to the records.

    Without a target the ratio decides between two ways that are both ours.
    """
    low, median, high = statistics.quantiles(ratios, n=4)
    if target is None:
        verdict = "faster" if high < 1 else "slower" if low > 1 else "neither is faster"
    else:
        verdict = f"target {target:g} {'met' if median <= target else 'MISSED'}"
    print(f"{name}: {median:.3f} [{low:.3f}, {high:.3f}], {len(ratios)} rounds; {verdict}. {what}")
    records = json.loads(RECORDS.read_text()) if RECORDS.exists() else []
    records.append({"name": name, "ratio": median, "low": low, "high": high,
                    "target": target, "better": "lower"})  # fmt: skip
    RECORDS.parent.mkdir(exist_ok=True)
    runs.write_text(RECORDS, json.dumps(records, indent=1) + "\n")


def bench_step() -> None:
    """One training step against the plain loop's, on one thread."""
    torch.set_num_threads(loop.THREADS)
    plain = {"context": plain_loop(corpus.CONTEXT), "longest": plain_loop(None)}
    ours = our_loop()
    for step in (ours, *plain.values()):
        seconds(step, 10)
    ratios: dict[str, list[float]] = {name: [] for name in plain}
    for _ in range(ROUNDS):
        mine = seconds(ours, STEPS)
        for name, step in plain.items():
            ratios[name].append(mine / seconds(step, STEPS))
    record("phase18-step", ratios["context"], 0.75, "Plain: padded to the context of 32.")
    record("phase18-step-longest", ratios["longest"], 0.75,
           "Plain: padded to the longest sentence only.")  # fmt: skip


# As `phase-18-compare` trains its pair: a fresh interpreter that starts the two workers.
PAIR = """
import sys
from pathlib import Path
from weightdecay.minitrain import recipe
parent = Path(sys.argv[1])
jobs = [(recipe.read_config(w), recipe.run_directory(w, parent=parent)) for w in (0.1, 0.0)]
recipe.train_missing(jobs, quiet=True)
"""


def bench_pair(rounds: int) -> None:
    """Both runs from nothing, interpreters and evaluations included, against one plain loop.

    The plain loop has all cores, evaluates nothing, writes nothing and has started already.
    """
    steps = recipe.read_config(0.1).training.steps
    ratios: dict[str, list[float]] = {"context": [], "longest": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as parent:
            command = [sys.executable, "-c", PAIR, parent]
            ours = seconds(lambda command=command: subprocess.run(command, check=True))  # type: ignore[misc]
        torch.set_num_threads(os.cpu_count() or 1)
        for name, width in (("context", corpus.CONTEXT), ("longest", None)):
            ratios[name].append(ours / seconds(plain_loop(width), steps))
    record("phase18-pair", ratios["context"], 1.0, "Plain: padded to the context of 32.")
    record(
        "phase18-pair-longest",
        ratios["longest"],
        1.0,
        "Plain: padded to the longest sentence only.",
    )


def bench_dashboard(directories: Sequence[Path]) -> None:
    """Seconds for reading two runs and writing their page; no ratio, so no record."""
    out = Path(tempfile.mkdtemp()) / "dashboard-compare.html"

    def make() -> None:
        a, b = (runs.load(d) for d in directories)
        dashboard.write([a, b], out, ladder.diagnose(a, b))

    first = seconds(make)
    print(f"dashboard: {first:.2f} s for two runs, {out.stat().st_size / 1e6:.2f} MB; target 2 s")


# ------------------------------------------------------------- replicas against processes


# Runs, steps of a whole run, steps of a round; apart and stacked.
WORK: dict[str, tuple[int, int, int, Callable[..., Runs], Callable[..., Runs]]] = {
    "replicas": (16, 2000, 20, decoders_apart, decoders_stacked),
    "replicas-hysteresis": (20, 800, 10, teachers_apart, teachers_stacked),
}


@functools.cache
def runs_here(make: Callable[..., Runs], seeds: tuple[int, ...]) -> Runs:
    """This process's runs, which go on from call to call."""
    return make(seeds)


def advance_here(make: Callable[..., Runs], seeds: tuple[int, ...], steps: int) -> list[float]:
    return runs_here(make, seeds)(steps)


def bench_replicas(rounds: int = 10) -> None:
    """R runs on all cores: as replicas in one process, against processes of one thread each.

    A second ratio is for replicas split among those processes. Starting is not counted.
    """
    cores = os.cpu_count() or 1
    torch.set_num_threads(cores)
    context = multiprocessing.get_context("spawn")
    pools = [
        ProcessPoolExecutor(1, context, initializer=torch.set_num_threads, initargs=(1,))
        for _ in range(cores)
    ]
    for name, (count, whole, steps, apart, stacked) in WORK.items():
        seeds = tuple(range(count))
        shares = [seeds[i::cores] for i in range(cores)]

        def in_processes(make: Callable[..., Runs], n: int, shares: Any = shares) -> list[float]:
            jobs = zip(pools, shares, strict=True)
            futures = [pool.submit(advance_here, make, share, n) for pool, share in jobs]
            return [loss for future in futures for loss in future.result()]

        ways: dict[str, Callable[[int], list[float]]] = {
            "replicas": functools.partial(advance_here, stacked, seeds),
            "processes": functools.partial(in_processes, apart),
            "split": functools.partial(in_processes, stacked),
        }
        losses = {way: sorted(advance(3)) for way, advance in ways.items()}  # and warm up
        for other in ("replicas", "split"):  # the same work, or there is nothing to compare
            torch.testing.assert_close(losses[other], losses["processes"], rtol=1e-3, atol=0)
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, advance in ways.items():
                times[way].append(seconds(functools.partial(advance, steps)))
        rate = {
            way: 60 * count * steps / whole / statistics.median(taken)
            for way, taken in times.items()
        }
        for way, suffix in (("replicas", ""), ("split", "-split")):
            ratios = [a / b for a, b in zip(times[way], times["processes"], strict=True)]
            record(
                name + suffix, ratios, None,
                f"{count} runs of {whole} steps, a minute: {rate[way]:.2f} as replicas in "
                f"{1 if way == 'replicas' else cores} process(es), "
                f"{rate['processes']:.2f} as ordinary runs in {cores} processes.",
            )  # fmt: skip
    for pool in pools:
        pool.shutdown()


def main(
    only: tyro.conf.Positional[Sequence[str]] = (),
    pair_rounds: Annotated[int, tyro.conf.arg(help="Rounds of the slow one.")] = 3,
) -> None:
    """Run the benchmarks, or only the named ones: step, pair, replicas, dashboard."""
    from weightdecay.minitrain.reference import DIRECTORY

    names = only or ("step", "pair", "replicas", "dashboard")
    if "step" in names:
        bench_step()
    if "pair" in names:
        bench_pair(pair_rounds)
    if "replicas" in names:
        bench_replicas()
    if "dashboard" in names:
        bench_dashboard([DIRECTORY / "18-control", DIRECTORY / "18-break-wd0"])


if __name__ == "__main__":
    tyro.cli(main)
