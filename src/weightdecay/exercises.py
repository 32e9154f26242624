"""The exercises in the terminal: `just exercises`, `just check 02`, `just hint 02`, …

Thin commands over ``weightdecay.grading``, which is imported where it is needed: the other commands
need not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.markdown import Markdown
from rich.progress_bar import ProgressBar
from rich.table import Table
from tyro.conf import Positional

from weightdecay.runs import RunError

if TYPE_CHECKING:
    from weightdecay.grading.load import Exercise

Number = Annotated[str, tyro.conf.arg(metavar="NN")]
console = Console(highlight=False, soft_wrap=True)


def exercises() -> None:
    """List the exercises: minutes, difficulty, points, what is done, and the score."""
    from weightdecay.grading import progress, report
    from weightdecay.grading.load import all_exercises
    from weightdecay.grading.toc import parts

    there, states = all_exercises(), progress.states()
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in ("", "exercise", "chapter", "min", "level", "points", "state"):
        # In a narrow window the chapter is shortened, nothing else.
        right, whole = heading in ("min", "points"), heading != "chapter"
        table.add_column(
            heading,
            justify="right" if right else "left",
            no_wrap=whole,
            overflow="ellipsis",
            min_width=3 if whole else 12,
        )
    part_of = {c: part for part, chapters in parts().items() for c in chapters}
    part = None
    for e in there:
        if part != (part := part_of.get(e.chapter, "")):
            table.add_row("", f"[bold]{part}[/bold]")
        state = states.get(e.id)
        status = report.status(e, state)
        table.add_row(
            f"{e.number:02d}",
            e.title,
            e.chapter,
            str(e.minutes),
            f"{e.difficulty}/5",
            f"{report.points(e, state)}/{e.public_points}",
            f"[green]✓ {status}[/green]" if status.startswith("passed") else status,
        )
    got = sum(report.points(e, states.get(e.id)) for e in there)
    total = sum(e.public_points for e in there)
    bar = ProgressBar(total=total or 1, completed=got, width=20)
    overall = Table.grid(padding=(0, 2))
    overall.add_row(bar, report.score(there, states))
    console.print(table, "", overall, sep="\n", soft_wrap=False)


def check(number: Positional[Number], notebook: Positional[Path | None] = None) -> None:
    """Run a notebook in a fresh process, then the public checks on what it defines; 1 if one fails.

    Args:
        number: Of the exercise, or its full name.
        notebook: Another notebook than the exercise's own.
    """
    from weightdecay.grading import progress
    from weightdecay.grading.load import load
    from weightdecay.grading.terminal import notebook_of

    exercise = load(number)
    _check(exercise, notebook or notebook_of(exercise))
    if progress.state(exercise.id).outcome != "passed":
        raise SystemExit(1)


def watch(number: Positional[Number], notebook: Positional[Path | None] = None) -> None:
    """Check now, and again whenever the notebook is saved.

    Args:
        number: Of the exercise, or its full name.
        notebook: Another notebook than the exercise's own.
    """
    from watchfiles import watch as saves

    from weightdecay.grading.load import load
    from weightdecay.grading.terminal import notebook_of
    from weightdecay.runs import now

    exercise = load(number)
    path = (notebook or notebook_of(exercise)).resolve()
    seen = _stamp(path)
    _check(exercise, path)
    console.print(f"\nWatching {path.name}: save it to check again, Ctrl-C ends.", style="dim")
    try:
        # The folder, for an editor may save by renaming another file to this one's name. And every
        # second, for what was saved while the first check ran.
        for _ in saves(path.parent, recursive=False, yield_on_timeout=True, rust_timeout=1000):
            stamp = _stamp(path)
            if stamp in (seen, None):
                continue
            seen = stamp
            console.rule(now(), style="dim")
            try:
                _check(exercise, path)
            except RunError as e:
                console.print(f"error: {e}", markup=False)
    except KeyboardInterrupt:
        return


def hint(number: Positional[Number]) -> None:
    """Show the next hint; after passing, all of them.

    Args:
        number: Of the exercise, or its full name.
    """
    from weightdecay.grading.lesson import Lesson
    from weightdecay.grading.load import load

    console.print(Markdown(Lesson(load(number), {}).hint()), soft_wrap=False)


def exercises_build(check: bool = False) -> None:
    """Make every exercise.ipynb and solution.ipynb from its source.md.

    Args:
        check: Write nothing, and fail if one differs in more than its outputs.
    """
    from weightdecay.grading import build
    from weightdecay.grading.load import all_exercises

    there = all_exercises()
    if check:
        stale = [line for e in there for line in build.stale(e)]
        if stale:
            raise RunError("\n".join(stale))
    else:
        for exercise in there:
            for line in build.build(exercise):
                print(_shown(line))
    print(f"{len(there)} exercises: both notebooks are what source.md gives")


def new_exercise(slug: Positional[str]) -> None:
    """Make the files of a new exercise, with the next free number.

    Args:
        slug: Its name: words of small letters and digits, joined by hyphens.
    """
    from weightdecay.grading.author import create

    folder = create(slug)
    print(f"{_shown(str(folder))}: written. Next, in CONTRIBUTING.md: Add an exercise")


def reset_exercise(number: Positional[Number], notebook: bool = False) -> None:
    """Forget the progress of one exercise: points, hints seen, giving up.

    Args:
        number: Of the exercise, or its full name.
        notebook: Write a fresh notebook, too; the one with your work is kept beside it.
    """
    from weightdecay.grading import build, progress
    from weightdecay.grading.load import load

    exercise = load(number)
    forgotten = progress.reset(exercise.id)
    print(f"{exercise.id}: progress {'forgotten' if forgotten else 'was empty'}")
    if notebook:
        for line in build.restore(exercise):
            print(_shown(line))
    else:
        again = f"just reset-exercise {exercise.number:02d} --notebook"
        print(f"exercise.ipynb is as it was; `{again}` writes a fresh one and keeps yours")


def _check(exercise: Exercise, path: Path) -> None:
    from weightdecay.grading.terminal import check_notebook

    done = check_notebook(exercise, path)
    for error in done.errors:
        console.print(error, markup=False, style="red")
    console.print(done.text, markup=False)


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What changes when a file is saved; None while there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _shown(line: str) -> str:
    """Paths below the reader's folder are shorter without it."""
    return line.replace(f"{Path.cwd()}/", "")


COMMANDS: dict[str, Callable[..., None]] = {
    "exercises": exercises,
    "check": check,
    "watch": watch,
    "hint": hint,
    "exercises-build": exercises_build,
    "new-exercise": new_exercise,
    "reset-exercise": reset_exercise,
}
