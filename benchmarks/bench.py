"""Side-by-side ratios: ``just bench``. Each is ours over the plain way, so smaller is better.

Two are between ways that are both ours: replicas over ordinary runs in processes.

Rounds of the two are interleaved in one process, on the same number of threads, so that whatever
else the machine does falls on both. A record of each goes to ``_build/bench.json``.
"""

from __future__ import annotations

import functools
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import article
import plasticity
import torch
import tyro
from loops import (
    STEP_FLOPS,
    Runs,
    decoders_apart,
    decoders_stacked,
    our_loop,
    plain_loop,
    scan_config,
    scan_run,
    teacher_steps,
    teachers_apart,
    teachers_stacked,
)
from side_by_side import CORES, TORCH_THREADS, record, seconds, workers

from weightdecay import runs, sweep
from weightdecay.hysteresis import scan
from weightdecay.minitrain import corpus, dashboard, ladder, loop, recipe
from weightdecay.plan import Job, Task

ROUNDS, STEPS = 40, 25


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
        torch.set_num_threads(CORES)
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
    torch.set_num_threads(CORES)
    pools = workers()
    for name, (count, whole, steps, apart, stacked) in WORK.items():
        seeds = tuple(range(count))
        shares = [seeds[i::CORES] for i in range(CORES)]

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
                f"{1 if way == 'replicas' else CORES} process(es), "
                f"{rate['processes']:.2f} as ordinary runs in {CORES} processes.",
            )  # fmt: skip
    for pool in pools:
        pool.shutdown()


# ---------------------------------------------------------- the hysteresis article's scan


def bench_scan(
    rounds: int,
    decays: Sequence[float] = (0.0, 1e-4, 1e-3, 1e-2),
    seeds: Sequence[int] = tuple(range(CORES)),
) -> None:
    """A part of the article's scan, both arms: the plain loop against the sweep's processes.

    Points, steps and rules are the same, and so are the networks and the article's probe. Plainly:
    `article.run`, one run after the other, with torch's default threads. Ours: `sweep.train` on all
    cores, from starting the processes to each run's file. Phase A is done once a seed, which the
    scan's 12 decays gain more from than these; and each student is scored on 4000 fresh points as
    well. A second ratio has all that a run of ``just hysteresis-scan`` measures: it is not the same
    work, and says what the audit costs.
    """
    cells = [(w, arm, seed) for w in decays for arm in article.ARMS for seed in seeds]

    def plainly() -> None:
        torch.set_num_threads(TORCH_THREADS)
        for w, arm, seed in cells:
            torch.manual_seed(seed)
            article.run(arm, w)

    def ours(task: Task) -> None:
        with tempfile.TemporaryDirectory() as name:
            jobs = []
            for w, arm, seed in cells:
                config = scan_config(arm, w, seed).model_dump()
                directory = Path(name, f"{w}-{arm}-{seed}")
                jobs.append(Job({"weight_decay": w, "arm": arm}, seed, config, directory))
            sweep.train(jobs, task, "bench")

    tasks = {"": replace(scan.TASK, train=scan_run), "-measured": scan.TASK}
    times: dict[str, list[float]] = {way: [] for way in ("plain", *tasks)}
    for _ in range(rounds):
        times["plain"].append(seconds(plainly))
        for way, task in tasks.items():
            times[way].append(seconds(functools.partial(ours, task)))
    for way, target, inside in (
        ("", 0.5, "Ours: the article's probe only."),
        ("-measured", None, "Ours: with every probe of the audit, which the plain loop lacks."),
    ):
        ratios = [a / b for a, b in zip(times[way], times["plain"], strict=True)]
        record(
            f"hysteresis-scan{way}", ratios, target,
            f"{inside} {len(cells)} runs in {statistics.median(times[way]):.1f} s on "
            f"{CORES} cores; plain in {statistics.median(times['plain']):.1f} s on "
            f"{TORCH_THREADS} threads.",
        )  # fmt: skip


def bench_teacher_step(rounds: int = 20, steps: int = 20, size: int = 2048) -> None:
    """GF/s of the training step on one thread, and its part of what sgemm reaches; no record."""
    torch.set_num_threads(1)
    fit, a, b = teacher_steps(), torch.randn(size, size), torch.randn(size, size)
    fit(steps), a @ b  # warm up
    reached = [
        (steps * STEP_FLOPS / seconds(lambda: fit(steps)), 2 * size**3 / seconds(lambda: a @ b))
        for _ in range(rounds)
    ]
    step, peak = (statistics.median(column) / 1e9 for column in zip(*reached, strict=True))
    part = statistics.median(a / b for a, b in reached)
    print(f"hysteresis step: {step:.1f} GF/s on one thread, {part:.0%} of the {peak:.1f} GF/s that "
          f"a product of {size} x {size} matrices reaches beside it")  # fmt: skip


def main(
    only: tyro.conf.Positional[Sequence[str]] = (),
    pair_rounds: Annotated[int, tyro.conf.arg(help="Rounds of the pair, a slow one.")] = 3,
    scan_rounds: Annotated[int, tyro.conf.arg(help="Rounds of the scan, minutes each.")] = 3,
    plasticity_rounds: Annotated[int, tyro.conf.arg(help="Rounds of plasticity's; 1 tries.")] = 15,
) -> None:
    """Run the benchmarks, or only the named ones: step, pair, replicas, hysteresis-scan,
    plasticity-pretrain, plasticity-sampling, dashboard."""
    from weightdecay.minitrain.reference import DIRECTORY

    names = only or (
        "step", "pair", "replicas", "hysteresis-scan", "plasticity-pretrain",
        "plasticity-sampling", "dashboard",
    )  # fmt: skip
    if "step" in names:
        bench_step()
    if "pair" in names:
        bench_pair(pair_rounds)
    if "replicas" in names:
        bench_replicas()
    if "hysteresis-scan" in names:
        bench_teacher_step()
        bench_scan(scan_rounds)
    if "plasticity-pretrain" in names:
        plasticity.bench_pretrain(plasticity_rounds)
    if "plasticity-sampling" in names:
        plasticity.bench_sampling(plasticity_rounds)
    if "dashboard" in names:
        bench_dashboard([DIRECTORY / "18-control", DIRECTORY / "18-break-wd0"])


if __name__ == "__main__":
    tyro.cli(main)
