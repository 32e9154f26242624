"""The command line: ``python -m weightdecay COMMAND``. The justfile's recipes call it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.console import Console
from rich.markup import escape
from tyro.conf import Positional

from weightdecay import evidence, exercises
from weightdecay.evidence import shown
from weightdecay.hysteresis import commands as hysteresis
from weightdecay.minitrain import commands, recipe
from weightdecay.plasticity import commands as plasticity
from weightdecay.runs import DASHBOARD, Run, RunError, load

if TYPE_CHECKING:
    from weightdecay.minitrain.ladder import Report

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
    print(f"{shown(directory)}: finished; dashboard {shown(page)}")


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
            print(f"{shown(directory)}: {state}")
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
    print(f"Dashboard: {shown(page)}")


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

    print(f"Written: {shown(reference.make(workers))}")


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
    print(f"{new} graded, {len(records) - new} unchanged; {shown(out)}: grades.csv, reports/")


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
    "sweep": evidence.sweep,
    "reproduce": evidence.reproduce,
    "claims": evidence.claims,
    "grade": grade,
    **commands.COMMANDS,
    **hysteresis.COMMANDS,
    **plasticity.COMMANDS,
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
