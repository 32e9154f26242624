"""Side-by-side ratios: ``just bench``. Each is ours over the plain way, so smaller is better.

Rounds of the two are interleaved in one process, on the same number of threads, so that whatever
else the machine does falls on both. A record of each goes to ``_build/bench.json``.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import tyro

from weightdecay import runs
from weightdecay.minitrain import build, corpus, dashboard, ladder, loop, recipe
from weightdecay.minitrain.batches import PairedBatches, batch_order

RECORDS = recipe.ROOT / "_build" / "bench.json"
ROUNDS, STEPS = 40, 25


def plain_loop(width: int | None) -> Callable[[], None]:
    """A step of the plainest loop: eager, default AdamW, every batch padded to the same width.

    The model, its initial weights, the batch order and the clipping are ours.
    """
    config = recipe.read_config(0.1)
    model = build.build_model(config)
    o = config.optimizer
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=o.learning_rate, betas=(o.beta1, o.beta2), weight_decay=0.1
    )
    inputs, targets = corpus.padded(corpus.split("train"))
    if width is not None:
        inputs = F.pad(inputs, (0, width - inputs.shape[1]), value=corpus.TOKEN_ID[corpus.PAD])
        targets = F.pad(targets, (0, width - targets.shape[1]), value=-1)
    order = iter(batch_order(config.seed, len(inputs), config.training.batch_size, 10**5))

    def step() -> None:
        rows = next(order)
        logits = model(inputs[rows])
        loss = F.cross_entropy(logits.flatten(0, 1), targets[rows].flatten(), ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), o.clip_norm)
        optimizer.step()
        loss.item()

    return step


def our_loop() -> Callable[[], None]:
    """A step of the lab's loop."""
    config = recipe.read_config(0.1)
    model = build.build_model(config)
    optimizer = build.build_optimizer(model, config)
    sentences = corpus.split("train")
    order = batch_order(config.seed, len(sentences), config.training.batch_size, 2000)
    batches = PairedBatches(sentences, order)
    done = 0

    def step() -> None:
        nonlocal done
        loss = build.train_step(model, optimizer, batches, done % len(order))
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.clip_norm)
        optimizer.step()
        float(loss)
        done += 1

    return step


def seconds(function: Callable[[], Any], times: int = 1) -> float:
    """Wall time of some calls."""
    start = time.perf_counter()
    for _ in range(times):
        function()
    return time.perf_counter() - start


def record(name: str, ratios: Sequence[float], target: float, what: str) -> None:
    """Print median and quartiles of the ratios and append them to the records."""
    low, median, high = statistics.quantiles(ratios, n=4)
    met = "met" if median <= target else "MISSED"
    print(f"{name}: {median:.3f} [{low:.3f}, {high:.3f}], {len(ratios)} rounds; "
          f"target {target:g} {met}. {what}")  # fmt: skip
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


def main(
    only: tyro.conf.Positional[Sequence[str]] = (),
    pair_rounds: Annotated[int, tyro.conf.arg(help="Rounds of the slow one.")] = 3,
) -> None:
    """Run the benchmarks, or only the named ones: step, pair, dashboard."""
    from weightdecay.minitrain.reference import DIRECTORY

    names = only or ("step", "pair", "dashboard")
    if "step" in names:
        bench_step()
    if "pair" in names:
        bench_pair(pair_rounds)
    if "dashboard" in names:
        bench_dashboard([DIRECTORY / "18-control", DIRECTORY / "18-break-wd0"])


if __name__ == "__main__":
    tyro.cli(main)
