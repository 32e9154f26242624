"""Makes an exercise's two notebooks from its source.md: ``just exercises-build [--check]``.

``exercise.ipynb`` is for the learner and has no outputs; ``solution.ipynb`` is solved and run. The
same source always gives the same cells.
"""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError

from weightdecay.grading.kernel import execute
from weightdecay.grading.load import EXERCISE_NOTEBOOK, SOLUTION_NOTEBOOK, Exercise
from weightdecay.grading.source import CHECKED
from weightdecay.runs import Json, RunError, write_text

KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
OPEN = """from weightdecay.grading import open_exercise

check, hint, solution, progress = open_exercise({arguments})"""
TIMEOUT = 120  # seconds a cell of a solution may take


def learner_notebook(exercise: Exercise) -> Json:
    """The notebook with the solution cut out, as nbformat's JSON."""
    opening = OPEN.format(arguments=f'"{exercise.id}"')
    cells = [("open", "code", opening)]
    for number, cell in enumerate(exercise.cells, 1):
        if cell.learner is not None:
            cells.append((f"cell-{number:02d}", cell.kind, cell.learner))
    return _notebook(exercise, cells)


def solution_notebook(exercise: Exercise) -> Json:
    """The solved notebook, not yet run, as nbformat's JSON."""
    # What the solution passes is nobody's progress.
    opening = OPEN.format(arguments=f'"{exercise.id}", record=False')
    cells = [("open", "code", opening)]
    for number, cell in enumerate(exercise.cells, 1):
        text = cell.text
        if cell.kind == "code" and "check()" in text.splitlines() and CHECKED not in text:
            text = f"{CHECKED}\n{text}"
        cells.append((f"cell-{number:02d}", cell.kind, text))
    return _notebook(exercise, cells)


def build(exercise: Exercise) -> list[str]:
    """Write both notebooks where they differ from the source; what was done, a line each.

    A learner's own work in exercise.ipynb is kept beside it.

    Raises:
        RunError: if a cell of the solution raises; the line names it.
    """
    done = []
    if _differs(exercise, EXERCISE_NOTEBOOK, learner_notebook(exercise)):
        done += restore(exercise)
    if _differs(exercise, SOLUTION_NOTEBOOK, solution_notebook(exercise)):
        path = exercise.folder / SOLUTION_NOTEBOOK
        write_text(path, _text(_executed(exercise)))
        done.append(f"{path}: written and run")
    return done


def restore(exercise: Exercise) -> list[str]:
    """Write a fresh exercise.ipynb; one with work in it is kept under another name."""
    path = exercise.folder / EXERCISE_NOTEBOOK
    done = []
    if path.exists() and _worked_on(path):
        names = (path.with_name(f"exercise.kept-{i}.ipynb") for i in itertools.count(1))
        kept = next(p for p in names if not p.exists())
        path.replace(kept)
        done.append(f"{path}: had work in it, kept as {kept.name}")
    write_text(path, _text(learner_notebook(exercise)))
    return [*done, f"{path}: written"]


def stale(exercise: Exercise) -> list[str]:
    """A line for each notebook that is not what the source gives, outputs aside."""
    return [
        f"{exercise.folder / name}: differs from source.md; run `just exercises-build`"
        for name, fresh in (
            (EXERCISE_NOTEBOOK, learner_notebook(exercise)),
            (SOLUTION_NOTEBOOK, solution_notebook(exercise)),
        )
        if _differs(exercise, name, fresh)
    ]


def _notebook(exercise: Exercise, cells: list[tuple[str, str, str]]) -> Json:
    notebook: Any = nbformat.v4.new_notebook(metadata=dict(KERNEL))
    for name, kind, text in cells:
        new: Any = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
        notebook.cells.append(new(source=text, id=name))
    notebook.metadata["weightdecay"] = {"exercise": exercise.id, "built": _fingerprint(notebook)}
    return dict(notebook)


def _fingerprint(notebook: Any) -> str:
    """Of the texts of all cells: whoever works in the notebook changes it."""
    texts = "\0".join(str(c.source) for c in notebook.cells)
    return hashlib.sha256(texts.encode()).hexdigest()[:16]


def _worked_on(path: Path) -> bool:
    try:
        notebook: Any = nbformat.read(path, as_version=4)
    except Exception:  # not a notebook any more: somebody's, in any case
        return True
    return bool(notebook.metadata.get("weightdecay", {}).get("built") != _fingerprint(notebook))


def _executed(exercise: Exercise) -> Json:
    """The solution with the outputs of a run in a fresh kernel."""
    notebook: Any = nbformat.from_dict(solution_notebook(exercise))
    try:
        execute(notebook, exercise.folder, {}, allow_errors=False, timeout=TIMEOUT)
    except CellExecutionError as e:
        path = exercise.folder / SOLUTION_NOTEBOOK
        raise RunError(f"{path}: a cell fails: {e.ename}: {e.evalue}") from e
    except CellTimeoutError as e:
        path = exercise.folder / SOLUTION_NOTEBOOK
        raise RunError(f"{path}: a cell takes more than {TIMEOUT} s") from e
    notebook.metadata.update(KERNEL)  # the kernel puts its exact version there
    return dict(notebook)


def _text(notebook: Json) -> str:
    return str(nbformat.writes(nbformat.from_dict(notebook)))


def _differs(exercise: Exercise, name: str, fresh: Json) -> bool:
    """Whether the notebook on disk is missing or differs in more than its outputs."""
    path = exercise.folder / name
    try:
        there: Any = nbformat.read(path, as_version=4)
    except Exception:  # missing, or no notebook
        return True
    for cell in there.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return _text(there) != _text(fresh)
