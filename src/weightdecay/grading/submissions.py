"""Who handed in what: finds the notebooks below the paths that ``just grade`` is given.

One learner is one notebook file or one folder. Whatever else lies there, and whatever cannot be
read, becomes a submission with a problem: one line, and zero points.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat

from weightdecay.grading.load import EXERCISE_NOTEBOOK, exercise_ids
from weightdecay.runs import RunError

LARGEST = 20 << 20  # bytes; a notebook of an exercise has a few thousand
OPENED = re.compile(r"""open_exercise\(\s*["']([^"'\n]{1,80})["']""")


@dataclass(frozen=True)
class Submission:
    """One notebook of one learner, or the reason why there is none to grade."""

    learner: str
    path: Path
    exercise: str | None = None
    sha256: str = ""
    notebook: str | None = None
    """Its code cells as a notebook of format 4, without outputs; None if there is a problem."""
    problem: str = ""


def find(paths: Iterable[Path]) -> list[Submission]:
    """Every submission below the paths, sorted by learner and exercise.

    Raises:
        RunError: for a path that does not exist.
    """
    found: list[Submission] = []
    for path in paths:
        if not path.exists():
            raise RunError(
                f"{path}: no such file or folder; expected notebooks or a folder of them"
            )
        if path.is_dir():
            found += _folder(path)
        else:
            # Under the name the course gave it, a notebook says nothing of who wrote it.
            known = path.name == EXERCISE_NOTEBOOK or path.stem in exercise_ids()
            learner = path.absolute().parent.name if known else path.stem
            found.append(_read(_name(learner), path, path.absolute().parent))
    count = Counter((s.learner, s.exercise) for s in found if s.exercise)
    found = [
        replace(s, notebook=None, problem=f"{n} notebooks for {s.exercise}; leave the one to grade")
        if s.exercise and (n := count[s.learner, s.exercise]) > 1
        else s
        for s in found
    ]
    return sorted(found, key=lambda s: (s.learner, s.exercise or "", str(s.path)))


def _folder(folder: Path) -> Iterator[Submission]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "__")):
            continue
        name = _name(entry.stem)
        if entry.is_symlink() and not entry.resolve().is_relative_to(folder.resolve()):
            yield Submission(name, entry, problem="a link out of the folder; not followed")
        elif entry.is_dir() and entry.suffix == ".ipynb":
            yield Submission(name, entry, problem="a folder, expected a notebook")
        elif entry.is_dir():
            name = _name(entry.name)
            inside = [
                p for p in sorted(entry.rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts
            ]
            if not inside:
                yield Submission(name, entry, problem="no notebook (*.ipynb) in this folder")
            for path in inside:
                yield _read(name, path, folder)
        else:
            yield _read(name, entry, folder)


def _name(name: str) -> str:
    """A learner's name that every file can hold, from a file name that may be any bytes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8") or "?"


def _read(learner: str, path: Path, inside: Path) -> Submission:
    """The notebook at `path`, which must lie below `inside`."""
    nothing = Submission(learner, path)
    if not path.resolve().is_relative_to(inside.resolve()):
        return replace(nothing, problem="a link out of the folder; not followed")
    if not path.is_file():
        return replace(nothing, problem="not a file, expected a notebook")
    if path.suffix != ".ipynb":
        return replace(nothing, problem="not a notebook: its name does not end in .ipynb")
    try:
        if path.stat().st_size > LARGEST:
            return replace(nothing, problem=f"larger than {LARGEST >> 20} MiB")
        content = path.read_bytes()
    except OSError as e:
        return replace(nothing, problem=f"cannot be read: {e.strerror}")
    nothing = replace(nothing, sha256=hashlib.sha256(content).hexdigest())
    try:
        codes = _code_cells(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return replace(nothing, problem="not a notebook: not UTF-8 text")
    except Exception as e:  # nbformat raises whatever the content makes it stumble over
        return replace(nothing, problem=f"not a notebook: {_line(e)}")
    exercise, problem = _exercise(codes, path)
    if problem:
        return replace(nothing, exercise=exercise, problem=problem)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in codes])
    return replace(nothing, exercise=exercise, notebook=nbformat.writes(book))


def _code_cells(text: str) -> list[str]:
    book: Any = nbformat.reads(text, as_version=4)
    nbformat.validate(book)
    return [str(cell.source) for cell in book.cells if cell.cell_type == "code"]


def _exercise(codes: list[str], path: Path) -> tuple[str | None, str]:
    """Which exercise this is, or why that cannot be known."""
    ids = exercise_ids()
    named = next((m[1] for code in codes if (m := OPENED.search(code))), None)
    if named is not None and named not in ids:
        return None, f"opens the exercise {named!r}, which there is not"
    in_name = [i for i in ids if i in path.stem or i == path.parent.name]
    exercise = named or (in_name[0] if len(in_name) == 1 else None)
    if not codes:
        return exercise, "has no code cells"
    if exercise is None:
        return None, 'no cell says open_exercise("NN-slug"), and no name tells the exercise'
    return exercise, ""


def _line(e: Exception) -> str:
    text = " ".join(str(e).split())
    return text if len(text) <= 120 else text[:119] + "…"
