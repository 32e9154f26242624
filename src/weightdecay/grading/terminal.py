"""Checks a notebook from the terminal: its cells in a fresh process, then the public checks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from weightdecay.grading.blame import in_the_cell
from weightdecay.grading.kernel import execute, read_notebook
from weightdecay.grading.load import EXERCISE_NOTEBOOK, Exercise
from weightdecay.runs import RunError

SECONDS = 60  # for a cell, and for all checks; both take a few

# The learner's own call of check() was silent; this one counts, whatever became of the first cell.
CHECK = """import os

os.environ.pop("WEIGHTDECAY_GRADING", None)
from weightdecay.grading import open_exercise

with open(os.devnull, "w") as _nowhere, __import__("contextlib").redirect_stdout(_nowhere):
    _check = open_exercise({id!r})[0]
_check()"""


@dataclass(frozen=True)
class Checked:
    """What came out: errors of cells, a line each, and what check() said."""

    errors: list[str]
    text: str


def notebook_of(exercise: Exercise) -> Path:
    """The notebook that the learner works in."""
    return exercise.folder / EXERCISE_NOTEBOOK


def check_notebook(exercise: Exercise, path: Path) -> Checked:
    """Run the notebook and check what it leaves; the notebook itself is not changed.

    Raises:
        RunError: if it cannot be read, does not come to an end, or ends its process.
    """
    notebook = read_notebook(path)
    notebook.cells.append(nbformat.v4.new_code_cell(CHECK.format(id=exercise.id)))
    try:
        execute(
            notebook,
            path.absolute().parent,
            {"WEIGHTDECAY_GRADING": "1"},
            allow_errors=True,
            timeout=SECONDS,
        )
    except CellTimeoutError:
        raise RunError(
            f"{path}: a cell or the checks ran longer than {SECONDS} s; a loop without end?"
        ) from None
    except DeadKernelError:
        raise RunError(f"{path}: the process that ran the notebook ended or was stopped") from None
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    errors = [
        f"cell [{cell.execution_count}] ({_begin(cell)}) raises {_error(output)}"
        for cell in cells[:-1]
        for output in cell.outputs
        if output.output_type == "error" and output.ename != "NotImplementedError"
    ]
    said = [
        _error(o) if o.output_type == "error" else str(o.get("text", "")) for o in cells[-1].outputs
    ]
    return Checked(errors, "".join(said).strip())


def _error(output: Any) -> str:
    return in_the_cell(f"{output.ename}: {output.evalue}".splitlines()[0])


def _begin(cell: Any) -> str:
    """The first line of a cell: whoever looks for it sees no numbers before having run it."""
    line = str(cell.source).strip().splitlines()[0]
    return f"`{line}`" if len(line) <= 60 else f"`{line[:59]}…`"
