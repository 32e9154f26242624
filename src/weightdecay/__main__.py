"""The command line: ``python -m weightdecay COMMAND``. The justfile's recipes call it."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tyro.conf import Positional

from weightdecay import exercises
from weightdecay.minitrain import commands, recipe
from weightdecay.runs import DASHBOARD, Run, RunError, load

if TYPE_CHECKING:
    from weightdecay.minitrain.ladder import Report
    from weightdecay.plan import Task

console = Console(highlight=False, soft_wrap=True)
STYLES = {"supported": "green", "not supported": "yellow", "no evidence yet": "dim"}


def corpus() -> None:
    """Print the corpus: every verb form, with the validation cells marked."""
    from weightdecay.minitrain.corpus import PERSONS, TENSES, data_hash, sentences

    cells = {(s.lemma, s.tense, s.person): s for s in sentences()}
    for lemma in dict.fromkeys(s.lemma for s in sentences()):
        regular = cells[lemma, TENSES[0], PERSONS[0]].regular
        print(f"{lemma} ({'regular' if regular else 'irregular'})")
        for tense in TENSES:
            row = [cells[lemma, tense, person] for person in PERSONS]
            forms = (f"{'*' if s.split == 'val' else ' '}{s.text:<20}" for s in row)
            print(f"  {tense:<11}{''.join(forms)}".rstrip())
    val = sum(s.split == "val" for s in sentences())
    print(
        f"{len(cells) - val} training and {val} validation sentences (*); data {data_hash()[:12]}"
    )


def train(
    config: Path = recipe.RECIPE,
    seed: int | None = None,
    weight_decay: float | None = None,
    out: Path | None = None,
    force: bool = False,
) -> None:
    """Train one run of the break lab.

    Args:
        config: The recipe.
        seed: Replaces the recipe's seed.
        weight_decay: Replaces the recipe's weight decay.
        out: Run directory; without it experiments/18-… by weight decay and seed.
        force: Train again where a finished or different run lies.
    """
    from weightdecay.minitrain import config as config_file
    from weightdecay.minitrain import dashboard, loop

    changes: dict[str, dict[str, float] | int] = {}
    if seed is not None:
        changes["seed"] = seed
    if weight_decay is not None:
        changes["optimizer"] = {"weight_decay": weight_decay}
    checked = config_file.read(config, **changes)
    directory = out or recipe.run_directory(checked.optimizer.weight_decay, checked.seed)
    run = loop.train(checked, directory, force=force)
    page = dashboard.write([run], directory / DASHBOARD)
    _final(run)
    print(f"{_shown(directory)}: finished; dashboard {_shown(page)}")


def compare(
    runs: Positional[tuple[Path, ...]] = (), out: Path = Path("dashboard-compare.html")
) -> None:
    """Compare runs: the ladder in the terminal, everything else in one page.

    Args:
        runs: Run directories; without any, control and break are trained if they are missing.
        out: The page to write.
    """
    if not runs:
        jobs = [(recipe.read_config(w), recipe.run_directory(w)) for w in (0.1, 0.0)]
        trained = recipe.train_missing(jobs)
        runs = tuple(directory for _, directory in jobs)
        for directory in runs:
            state = "trained now" if directory in trained else "found, not trained again"
            print(f"{_shown(directory)}: {state}")
    elif len(runs) == 1:
        raise RunError(f"{runs[0]}: one run; compare takes two or more, or none to train the pair")
    from weightdecay.minitrain import dashboard, ladder

    loaded = _readable(runs)
    if len(loaded) < 2:
        raise RunError(f"{len(loaded)} of {len(runs)} run directories can be read; two are needed")
    a, b, others = ladder.choose_pair(loaded)
    report = ladder.diagnose(a, b, [*others, *ladder.siblings(loaded)])
    _print_ladder(report)
    page = dashboard.write(loaded, out, report)
    print(f"Dashboard: {_shown(page)}")


def diagnose(runs: Positional[tuple[Path, ...]]) -> None:
    """Walk the diagnostic ladder: rungs 1 to 4 with two runs, rungs 5 to 8 with one.

    Args:
        runs: One run directory, or two; further ones may serve as the ablation.
    """
    if not runs:
        raise RunError("diagnose takes one run directory, or two and further ones as the ablation")
    from weightdecay.minitrain import ladder, sealing, signatures

    if len(runs) == 1:
        run = _warned(load(runs[0]))
        if sealing.is_sealed(run):
            raise RunError(f"{run.name}: sealed; its dashboard is yours to read, then just reveal")
        _print_ladder(signatures.walk(run))
        return
    a, b = [_warned(load(path)) for path in runs[:2]]
    others = _readable(runs[2:])
    _print_ladder(ladder.diagnose(a, b, [*others, *ladder.siblings([a, b, *others])]))


def reference(workers: int | None = None) -> None:
    """Train the reference runs that the book quotes and write their table.

    Args:
        workers: Runs at a time; without it one per core.
    """
    from weightdecay.minitrain import reference

    print(f"Written: {_shown(reference.make(workers))}")


def sweep(folder: Positional[Path], workers: int | None = None, engine: str = "loky") -> None:
    """Train what is missing of a sweep and write its table.

    Args:
        folder: An experiment with a sweep.yaml, such as experiments/dose-response.
        workers: Runs at a time; without it one per core.
        engine: The joblib backend that runs them.
    """
    from weightdecay import plan, results, sweep

    task = _task(plan.read_plan(folder).task, folder)
    todo = plan.jobs(folder, task)
    trained = sweep.train(todo, task, folder.resolve().name, workers=workers, engine=engine)
    path = results.write(folder, todo, task, trained)
    seconds = f", {trained[0]} of them trained now in {trained[1]:.0f} s" if trained[0] else ""
    print(f"{_shown(path)}: {len(todo)} runs{seconds}")


def reproduce(folder: Positional[Path], quick: bool = False, workers: int | None = None) -> None:
    """Train a sweep again, from nothing, and say whether the results agree with the committed ones.

    Args:
        folder: An experiment with a committed results.csv, such as experiments/dose-response.
        quick: Only the small part that sweep.yaml names.
        workers: Runs at a time; without it one per core.
    """
    from weightdecay import plan
    from weightdecay import reproduce as again

    task = _task(plan.read_plan(folder).task, folder)
    checks = again.run(folder, task, quick=quick, workers=workers)
    table = Table()
    for title in ("run", "column", "again", "committed", "99 % of new seeds", ""):
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
        raise RunError(f"{_shown(folder)}: {outside} of {len(checks)} numbers do not agree")
    print(f"{_shown(folder)}: all {len(checks)} numbers agree")


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


def _task(name: str, folder: Path) -> Task:
    from weightdecay.minitrain import siblings
    from weightdecay.minitrain.task import TASK

    tasks = {"break": TASK, "failures": siblings.TASK}
    if name not in tasks:
        raise RunError(f"{folder / 'sweep.yaml'}: task = {name}; accepted: {', '.join(tasks)}")
    return tasks[name]


def grade(
    paths: Positional[tuple[Path, ...]],
    out: Path = Path("_build/grades"),
    sandbox: bool = True,
    force: bool = False,
) -> None:
    """Grade notebooks, or folders with a notebook or a folder for each learner.

    Args:
        paths: Notebooks or folders.
        out: Where grades.csv, the reports, the results and the gradebook go.
        sandbox: Shut the learners' code in; without, it can read and do what you can.
        force: Grade also what did not change.
    """
    from weightdecay.grading import grade as grader

    if not paths:
        raise RunError("grade takes notebooks, or folders with a notebook or a folder a learner")
    records = grader.grade(paths, out, isolated=sandbox, force=force)
    for record in records:
        print(grader.summary(record))
    new = sum(record["graded_now"] for record in records)
    print(f"{new} graded, {len(records) - new} unchanged; {_shown(out)}: grades.csv, reports/")


def _shown(path: Path) -> str:
    """The path relative to here where possible."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _warned(run: Run) -> Run:
    for problem in run.problems:
        print(f"warning: {problem}", file=sys.stderr)
    return run


def _readable(paths: tuple[Path, ...]) -> list[Run]:
    """Every run that can be read; the others are named."""
    found: list[Run] = []
    for path in paths:
        try:
            found.append(_warned(load(path)))
        except RunError as e:
            print(f"warning: {e}; left out", file=sys.stderr)
    return found


def _final(run: Run) -> None:
    f = run.final
    loss = {k: "none" if f[k] is None else f"{f[k]:.4f}" for k in ("train_loss", "val_loss", "gap")}
    console.print(
        f"step {f['step']}: train {loss['train_loss']}, validation {loss['val_loss']}, "
        f"gap {loss['gap']}, dose {f['dose']:.3g}"
    )


def _print_ladder(report: Report) -> None:
    for rung in report.rungs:
        style = STYLES[rung.verdict]
        console.print(
            f"\n[bold]Rung {rung.number}. {rung.claim}[/bold] [{style}]\\[{rung.verdict}][/{style}]"
        )
        console.print(f"  Supported if {escape(rung.threshold)}.", style="dim")
        for sentence in rung.evidence:
            console.print(f"  - {escape(sentence)}")
        if rung.next_step:
            console.print(f"  Next: {escape(rung.next_step)}")
    console.print(f"\n{escape(report.conclusion)}")


COMMANDS: dict[str, Callable[..., None]] = {
    "corpus": corpus,
    "train": train,
    "compare": compare,
    "diagnose": diagnose,
    "reference": reference,
    "sweep": sweep,
    "reproduce": reproduce,
    "claims": claims,
    "grade": grade,
    **commands.COMMANDS,
    **exercises.COMMANDS,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 1 and one line on standard error for a mistake of the user's."""
    try:
        tyro.extras.subcommand_cli_from_dict(
            COMMANDS, prog="python -m weightdecay", description=__doc__, args=arguments
        )
        sys.stdout.flush()
    except RunError as e:
        here = f"{Path.cwd()}/"  # paths below the reader's folder are shorter without it
        print(f"error: {e}".replace(here, ""), file=sys.stderr)
        return 1
    except BrokenPipeError:  # piped into `head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as e:
        print(f"error: {e.filename2 or e.filename}: {e.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
