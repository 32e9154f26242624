"""The commands of the evidence machine: `just sweep`, `just reproduce`, `just claims`.

Thin, and what they call is imported where it is needed: the other commands need not wait for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tyro.conf import Positional

from weightdecay.runs import RunError

if TYPE_CHECKING:
    from weightdecay.plan import Job, Task

console = Console(highlight=False, soft_wrap=True)


def sweep(folder: Positional[Path], workers: int | None = None, engine: str = "loky") -> None:
    """Train what is missing of a sweep and write its table.

    Args:
        folder: An experiment with a sweep.yaml, such as experiments/dose-response.
        workers: Runs at a time; without it one per core.
        engine: The joblib backend that runs them.
    """
    from weightdecay import plan, sweep

    task = task_of(plan.read_plan(folder).task, folder)
    todo = plan.jobs(folder, task)
    trained = sweep.train(todo, task, folder.resolve().name, workers=workers, engine=engine)
    write_table(folder, todo, task, trained)


def write_table(folder: Path, todo: Sequence[Job], task: Task, trained: tuple[int, float]) -> None:
    """Write the table of a finished sweep, and say where it is and what was trained for it."""
    from weightdecay import results

    path = results.write(folder, todo, task, trained)
    seconds = f", {trained[0]} of them trained now in {trained[1]:.0f} s" if trained[0] else ""
    print(f"{shown(path)}: {len(todo)} runs{seconds}")


def reproduce(folder: Positional[Path], quick: bool = False, workers: int | None = None) -> None:
    """Train a sweep again, from nothing, and say whether the results agree with the committed ones.

    Args:
        folder: An experiment with a committed results.csv, such as experiments/dose-response.
        quick: Only the small part that sweep.yaml names.
        workers: Runs at a time; without it one per core.
    """
    from weightdecay import plan
    from weightdecay import reproduce as again

    task = task_of(plan.read_plan(folder).task, folder)
    checks = again.run(folder, task, quick=quick, workers=workers)
    table = Table()
    for title in ("run", "column", "again", "committed", "99% of new seeds", ""):
        table.add_column(title, overflow="fold")  # no name is cut
    for c in checks:
        interval = escape(f"[{c.interval.low:.4g}, {c.interval.high:.4g}]")
        committed = "–" if c.committed is None else f"{c.committed:.6g}"
        verdict = "agrees" if c.agrees else "[red]differs[/red]"
        job, column = escape(c.job), escape(c.column)
        table.add_row(job, column, f"{c.again:.6g}", committed, interval, verdict)
    console.print(table)
    outside = sum(not c.agrees for c in checks)
    if outside:
        raise RunError(f"{shown(folder)}: {outside} of {len(checks)} numbers do not agree")
    print(f"{shown(folder)}: all {len(checks)} numbers agree")


def claims(write: bool = False) -> None:
    """Check that every value and verdict in claims.yml and in the book follows from the results.

    Args:
        write: Put what the results give into claims.yml first.
    """
    from weightdecay import claims

    if write:
        claims.write()
    problems = [*claims.differences(), *claims.sentences()]
    if problems:
        raise RunError("\n  ".join(["claims.yml and the results disagree:", *problems]))
    counts = Counter(record.verdict for record in claims.read())
    print("; ".join(f"{n} {verdict}" for verdict, n in counts.items()))


def task_of(name: str, folder: Path) -> Task:
    """The part of the course that trains a sweep, by the name in its sweep.yaml."""
    from weightdecay.contraction import task as contraction
    from weightdecay.hysteresis import scan
    from weightdecay.minitrain import siblings
    from weightdecay.minitrain.task import TASK
    from weightdecay.plasticity import reinforce_task as reinforce
    from weightdecay.plasticity import task as plasticity

    tasks = {
        "break": TASK,
        "failures": siblings.TASK,
        "hysteresis": scan.TASK,
        plasticity.PRETRAIN_NAME: plasticity.PRETRAIN,
        plasticity.FINETUNE_NAME: plasticity.FINETUNE,
        contraction.NAME: contraction.TASK,
        reinforce.NAME: reinforce.TASK,
    }
    if name not in tasks:
        raise RunError(f"{folder / 'sweep.yaml'}: task = {name}; accepted: {', '.join(tasks)}")
    return tasks[name]


def shown(path: Path) -> str:
    """The path relative to here where possible."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
