"""The commands of the part: ``just hysteresis``, a small version, and ``just hysteresis-scan``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.table import Table

from weightdecay import evidence
from weightdecay.runs import RunError

if TYPE_CHECKING:
    from weightdecay import plan, results

QUICK = "hysteresis-quick"
ARMS = {"control": "fresh", "imprint": "imprint"}
"""The article's word for an arm, and ours."""

console = Console(highlight=False, soft_wrap=True)


def hysteresis(workers: int | None = None) -> None:
    """Train what is missing of a small hysteresis scan and print it beside the article's numbers.

    Args:
        workers: Runs at a time; without it one per core.
    """
    from weightdecay import plan, results, sweep
    from weightdecay.hysteresis import records, scan

    folder = records.EXPERIMENTS / QUICK
    todo = plan.jobs(folder, scan.TASK)
    # The committed table stays as it is: another machine may round differently.
    sweep.train(todo, scan.TASK, QUICK, workers=workers)
    found = results.Table(results.rows(todo, scan.TASK))
    full = plan.jobs(records.EXPERIMENTS / records.FOLDERS[0], scan.TASK)
    console.print(_beside_the_article(found))
    console.print(
        f"Smaller than the article's scan and ours: {_points(todo)} points in each phase instead "
        f"of {_points(full)}, {len(found.seeds)} seeds instead of {len({j.seed for j in full})}. "
        "The full scan: just hysteresis-scan"
    )


def hysteresis_scan(workers: int | None = None, device: Literal["cpu", "cuda"] = "cpu") -> None:
    """Train what is missing of the full scan, the audit and the erasers; write each one's table.

    Args:
        workers: Runs at a time on the CPU; without it one per core.
        device: cuda trains them as replicas on one GPU.
    """
    from weightdecay import plan, sweep
    from weightdecay.hysteresis import records, scan

    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise RunError("device = cuda: torch finds no such device here; accepted: cpu")
    folders = [records.EXPERIMENTS / name for name in records.FOLDERS]
    plans = [plan.jobs(folder, scan.TASK) for folder in folders]  # all checked before the first run
    for folder, todo in zip(folders, plans, strict=True):
        if device == "cuda":
            trained = scan.train_replicas(todo, folder.name, device)
        else:
            trained = sweep.train(todo, scan.TASK, folder.name, workers=workers)
        evidence.write_table(folder, todo, scan.TASK, trained)


def _beside_the_article(found: results.Table) -> Table:
    """The article's probe, in per cent: both arms and their paired difference, for each decay."""
    from weightdecay.stats import paired_effect

    said = _article()
    table = Table(title="Accuracy of the article's probe in the blind disc, %; intervals: 95%")
    for title in ("decay", "control", "article", "imprint", "article", "imprint − control", "n"):
        table.add_column(title, justify="right", no_wrap=True)
    for decay in found.distinct("weight_decay"):
        cells, scores = [], {}
        for word, arm in ARMS.items():
            at = found.where({"weight_decay": decay, "arm": arm})
            scores[word] = 100 * at.final("article")
            claimed = said.get((word, decay))
            cells.append(f"{scores[word].mean():.1f}")
            cells.append("–" if claimed is None else f"{100 * claimed:.1f}")
        e = paired_effect(scores["imprint"].tolist(), scores["control"].tolist())
        interval = f"{e.mean:+.1f} \\[{e.low:+.1f}, {e.high:+.1f}]"
        table.add_row(f"{decay:g}", *cells, interval, str(e.n))
    return table


def _article() -> dict[tuple[str, float], float]:
    """(arm in the article's words, weight decay) to the accuracy that it gives, from the ledger."""
    from weightdecay import claims

    claimed = next(record.claimed for record in claims.read() if record.id == "H1")
    named = ((name.split(" at "), value) for name, value in claimed.items())
    return {(arm, float(decay)): value for (arm, decay), value in named}


def _points(todo: list[plan.Job]) -> int:
    (points,) = {job.config["points"] for job in todo}
    return int(points)


COMMANDS: dict[str, Callable[..., None]] = {
    "hysteresis": hysteresis,
    "hysteresis-scan": hysteresis_scan,
}
