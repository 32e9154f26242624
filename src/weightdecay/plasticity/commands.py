"""The commands of the part: ``just plasticity``, a small version, and ``just plasticity-full``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from rich import box
from rich.console import Console
from rich.table import Table

from weightdecay import evidence

if TYPE_CHECKING:
    from pathlib import Path

    from weightdecay import plan, results

    Planned: TypeAlias = tuple[Path, list[plan.Job], plan.Task]

QUICK = ("plasticity-quick-pretrain", "plasticity-quick-finetune")

console = Console(highlight=False, soft_wrap=True)


def plasticity(workers: int | None = None) -> None:
    """Train what is missing of a small plasticity experiment and print what each decay gives.

    Args:
        workers: Runs at a time; without it one per core.
    """
    from weightdecay import results, sweep
    from weightdecay.plasticity import records

    quick = _planned(QUICK)
    full = _planned([records.BASES[0], records.FINETUNES[0]])
    tables = []
    for folder, todo, task in quick:
        # The committed table stays as it is: another machine may round differently.
        sweep.train(todo, task, folder.name, workers=workers)
        tables.append(results.Table(results.rows(todo, task)))
    console.print(_by_decay(*tables), soft_wrap=False)
    console.print(_smaller(quick[1][1], full[1][1]))


def plasticity_full(workers: int | None = None) -> None:
    """Train what is missing of the base models, the fine-tunes and the controls; write each one's
    table.

    Args:
        workers: Runs at a time; without it one per core.
    """
    from weightdecay import sweep
    from weightdecay.plasticity import records

    # All checked before the first run; the base models come first, as fine-tunes start from them.
    for folder, todo, task in _planned([*records.BASES, *records.FINETUNES]):
        trained = sweep.train(todo, task, folder.name, workers=workers)
        evidence.write_table(folder, todo, task, trained)


def _planned(names: Sequence[str]) -> list[Planned]:
    from weightdecay import plan
    from weightdecay.plasticity import records

    found = []
    for folder in (records.EXPERIMENTS / name for name in names):
        task = evidence.task_of(plan.read_plan(folder).task, folder)
        found.append((folder, plan.jobs(folder, task), task))
    return found


def _by_decay(bases: results.Table, tunes: results.Table) -> Table:
    """One row for each decay: what the base models are, and what their fine-tunes score."""
    import numpy as np

    from weightdecay.plasticity.records import left_out

    rates = tunes.distinct("learning_rate")
    tasks = list(dict.fromkeys(tunes.column("task")))
    table = Table(
        title=f"Base models, and their scores after fine-tuning, in %, mean of {', '.join(tasks)}",
        caption="Mean over seeds ± half of its 95% interval. best: for each task, at the learning "
        "rate that is the better one for the other seeds' models.",
        box=box.SIMPLE,
        padding=(0, 1),
    )
    scored = [f"score at {rate:g}" for rate in rates]
    for title in ("decay", "dose", "excess loss", "weight norm", *scored, "best", "n"):
        table.add_column(title, justify="right")
    for decay in bases.distinct("weight_decay"):
        base, tuned = (t.where({"weight_decay": decay}) for t in (bases, tunes))
        scores = 100 * np.array(
            [
                [tuned.where({"task": t, "learning_rate": r}).final("score") for r in rates]
                for t in tasks
            ]
        )  # (tasks, rates, seeds)
        seeds = range(len(base.seeds))
        best = np.mean([task[left_out(task), seeds] for task in scores], 0)
        table.add_row(
            f"{decay:g}",
            f"{base.final('dose').mean():.2f}",  # the same for every seed
            _interval(base.final("excess"), ".4f"),
            _interval(base.final("norm"), ".2f"),
            *(_interval(at_rate, ".1f") for at_rate in scores.mean(0)),
            _interval(best, ".1f"),
            str(len(seeds)),
        )
    return table


def _interval(values: results.Array, digits: str) -> str:
    from weightdecay.stats import mean_interval

    e = mean_interval(values.tolist())
    return f"{e.mean:{digits}}\n±{(e.high - e.low) / 2:{digits}}"  # two lines: 80 columns suffice


def _smaller(quick: Sequence[plan.Job], full: Sequence[plan.Job]) -> str:
    """How two plans of fine-tunes differ."""

    def values(todo: Sequence[plan.Job], key: str) -> list[object]:
        return list(dict.fromkeys(job.config[key] for job in todo))

    counts = ", ".join(
        f"{len(values(quick, key))} {word} instead of {len(values(full, key))}"
        for key, word in {
            "weight_decay": "decays", "seed": "seeds", "task": "tasks", "learning_rate": "rates",
        }.items()
    )  # fmt: skip
    (small,), (large,) = values(quick, "size"), values(full, "size")
    return (
        f"Smaller than the full one: {small} parameters instead of {large}, {counts}, and no "
        "controls. The full one: just plasticity-full"
    )


COMMANDS: dict[str, Callable[..., None]] = {
    "plasticity": plasticity,
    "plasticity-full": plasticity_full,
}
