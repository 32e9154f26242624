"""What every exercise must be, beyond a valid header: for authors, and for tests/test_exercises.py.

``problems`` reads; `names_in` runs the cells of a notebook, solved or not, without a kernel.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from typing import Any

from weightdecay.grading.check import run_checks
from weightdecay.grading.diagnose import mistakes
from weightdecay.grading.load import CHECKS, HINTS, MISTAKES, SOURCE, START, Exercise
from weightdecay.grading.toc import parts
from weightdecay.runs import Json, RunError

SHORTEST = 8  # characters of a line of code that a hint must not contain


def problems(exercise: Exercise) -> list[str]:
    """A line for each rule that the exercise breaks; its solution need not be right for this.

    Raises:
        RunError: if mistakes.py or checks.py cannot be used at all.
    """
    folder = exercise.folder
    listed = mistakes(exercise)[1]
    symptoms = {m.symptom for m in listed}
    found = []
    if len(symptoms) < 2:
        found.append(f"{folder / MISTAKES}: {len(symptoms)} symptoms; at least two are needed")
    unused = exercise.hints.keys() - symptoms - {START}
    found += [f"{folder / HINTS}: {key} is no symptom of mistakes.py" for key in sorted(unused)]
    checks = run_checks(exercise, {}, include_hidden=True, seed=0).results
    points = sum(c.points for c in checks)
    public = sum(c.points for c in checks if not c.hidden)
    if points != exercise.points:
        found.append(f"{folder / SOURCE}: points = {exercise.points}; the checks have {points}")
    if not public:
        found.append(f"{folder / CHECKS}: every check is hidden")
    if public != exercise.public_points:
        found.append(f"{folder / CHECKS}: a check is parametrized, or its marks are not plain")
    if not any(c.kind == "code" and "check()" in (c.learner or "") for c in exercise.cells):
        found.append(f"{folder / SOURCE}: no cell of the learner's calls check()")
    if not any("hint()" in (c.learner or "") for c in exercise.cells if c.kind == "markdown"):
        found.append(f"{folder / SOURCE}: no text says that hint() helps")
    if not exercise.explanation:
        found.append(f'{folder / SOURCE}: no cell {{"tags": ["explanation"]}}')
    if not any(exercise.chapter in chapters for chapters in parts().values()):
        found.append(f"{folder / SOURCE}: chapter = {exercise.chapter}; not in book/_toc.yml")
    return found + [f"{folder / HINTS}: {told}" for told in told_away(exercise)]


def told_away(exercise: Exercise) -> list[str]:
    """Each hint that contains a line of the solution."""
    lines = {_squeezed(line) for c in exercise.cells for line in c.solution.splitlines()}
    code = {line for line in lines if len(line) >= SHORTEST and re.search(r"[=*/+(\[@-]", line)}
    return [
        f"{key}, hint {number} contains the solution's `{line}`"
        for key, entry in exercise.hints.items()
        for number, hint in enumerate(entry.hints, 1)
        for line in sorted(code)
        if line in "".join(hint.split())
    ]


def _squeezed(line: str) -> str:
    """A line of code without comment, spaces and `return`; "" for an import."""
    line = line.partition("#")[0].strip()
    if line.startswith(("import ", "from ")):
        return ""
    return "".join(line.removeprefix("return ").split())


def names_in(exercise: Exercise, notebook: Json) -> dict[str, Any]:
    """Run the code cells, where the notebook lies, and give the names they leave.

    The four verbs do nothing; a cell that calls a stub ends there, as it does for a learner.

    Raises:
        RunError: if a cell raises anything but NotImplementedError.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    with _graded(), chdir(exercise.folder):
        for cell in notebook["cells"]:
            if cell["cell_type"] != "code":
                continue
            try:
                exec(compile(cell["source"], f"<{exercise.id} {cell['id']}>", "exec"), names)
            except NotImplementedError:
                continue
            except Exception as e:
                where = f"{exercise.folder / SOURCE}: {cell['id']}"
                raise RunError(f"{where}: {type(e).__name__}: {e}") from e
    return names


@contextmanager
def _graded() -> Iterator[None]:
    """As the grader runs a notebook: the verbs are silent, and no window opens."""
    before = {key: os.environ.get(key) for key in ("WEIGHTDECAY_GRADING", "MPLBACKEND")}
    os.environ.update({"WEIGHTDECAY_GRADING": "1", "MPLBACKEND": "agg"})
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
