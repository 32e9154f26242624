"""What every benchmark uses: the clock, and a record of ratios in ``_build/bench.json``."""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch

from weightdecay import runs
from weightdecay.plan import ROOT

RECORDS = ROOT / "_build" / "bench.json"
CORES = os.cpu_count() or 1
TORCH_THREADS = torch.get_num_threads()  # torch's default, before anything sets it


def seconds(function: Callable[[], Any], times: int = 1) -> float:
    """Wall time of some calls."""
    start = time.perf_counter()
    for _ in range(times):
        function()
    return time.perf_counter() - start


def workers() -> list[ProcessPoolExecutor]:
    """A process of one thread for each core, as a sweep has them; what it caches, it keeps."""
    context = multiprocessing.get_context("spawn")
    return [
        ProcessPoolExecutor(1, context, initializer=torch.set_num_threads, initargs=(1,))
        for _ in range(CORES)
    ]


def record(name: str, ratios: Sequence[float], target: float | None, what: str) -> None:
    """Print median and quartiles of the ratios and append them to the records.

    Without a target the ratio decides between two ways that are both ours. One round alone, to see
    that everything runs, is printed but leaves no record.
    """
    if len(ratios) == 1:
        print(f"{name}: {ratios[0]:.3f}, one round: no record. {what}")
        return
    low, median, high = statistics.quantiles(ratios, n=4)
    if target is None:
        verdict = "faster" if high < 1 else "slower" if low > 1 else "neither is faster"
    else:
        verdict = f"target {target:.3g} {'met' if median <= target else 'MISSED'}"
    print(f"{name}: {median:.3f} [{low:.3f}, {high:.3f}], {len(ratios)} rounds; {verdict}. {what}")
    records = json.loads(RECORDS.read_text()) if RECORDS.exists() else []
    records.append({"name": name, "ratio": median, "low": low, "high": high,
                    "target": target, "better": "lower"})  # fmt: skip
    RECORDS.parent.mkdir(exist_ok=True)
    runs.write_text(RECORDS, json.dumps(records, indent=1) + "\n")
