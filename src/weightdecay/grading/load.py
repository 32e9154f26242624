"""Exercises on disk: ``exercises/NN-slug/`` with source.md, hints.yml, checks.py and mistakes.py.

`load` reads one, `all_exercises` every one; a mistake of the author's is one line with the file
and the key. The environment variable ``WEIGHTDECAY_EXERCISES`` names another folder of exercises.
"""

from __future__ import annotations

import ast
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from weightdecay.grading.source import BEGIN, CHECKED, END, Cell, read_source
from weightdecay.runs import RunError, read_yaml

SOURCE, CHECKS, MISTAKES, HINTS = "source.md", "checks.py", "mistakes.py", "hints.yml"
EXERCISE_NOTEBOOK, SOLUTION_NOTEBOOK = "exercise.ipynb", "solution.ipynb"
FOLDER = re.compile(r"(?P<number>\d{2})-[a-z0-9]+(-[a-z0-9]+)*")
START = "start"  # the hints for whoever has not begun, or whose mistake we do not know

Text: TypeAlias = Annotated[str, Field(min_length=1)]
Scale: TypeAlias = Annotated[int, Field(ge=1, le=5)]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Header(_Strict):
    """What stands below ``exercise:`` in the header of source.md."""

    title: Text
    minutes: Annotated[int, Field(ge=5, le=20)]
    difficulty: Scale
    importance: Scale
    points: Annotated[int, Field(ge=1)]
    chapter: Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")]
    exports: Annotated[list[Name], Field(min_length=1)]


class Hints(_Strict):
    """What is said of one symptom, and the hints against it, mild to direct (Markdown)."""

    says: Text
    hints: Annotated[list[Text], Field(min_length=3)]


@dataclass(frozen=True)
class Exercise:
    """One exercise as its author wrote it."""

    folder: Path
    header: Header
    cells: tuple[Cell, ...]
    hints: dict[str, Hints]

    @property
    def id(self) -> str:
        """``NN-slug``, the name of the folder."""
        return self.folder.name

    @property
    def number(self) -> int:
        return int(self.id[:2])

    @property
    def title(self) -> str:
        return self.header.title

    @property
    def minutes(self) -> int:
        return self.header.minutes

    @property
    def difficulty(self) -> int:
        return self.header.difficulty

    @property
    def importance(self) -> int:
        return self.header.importance

    @property
    def points(self) -> int:
        """Points of all checks, hidden ones included."""
        return self.header.points

    @property
    def chapter(self) -> str:
        """File of the chapter below ``book/``, without ending."""
        return self.header.chapter

    @property
    def exports(self) -> tuple[str, ...]:
        """The functions that the learner gives."""
        return tuple(self.header.exports)

    @cached_property
    def public_points(self) -> int:
        """Points of the checks that are not hidden: what a learner can reach alone."""
        return public_points(self.folder / CHECKS)

    @cached_property
    def explanation(self) -> str:
        """Markdown to read after passing."""
        return "\n\n".join(c.text for c in self.cells if "explanation" in c.tags)

    @cached_property
    def solution(self) -> str:
        """Code of the cells that hold a solution, solved; the stub around it included.

        Comments that are meant for the build or for nbval are left out.
        """
        return "\n\n\n".join(_without_markers(c.text) for c in self.cells if c.solution)


def _without_markers(code: str) -> str:
    lines = code.splitlines()
    return "\n".join(x for x in lines if not x.strip().startswith((BEGIN, END, CHECKED))).strip(
        "\n"
    )


def exercises_folder() -> Path:
    """Where the exercises lie."""
    other = os.environ.get("WEIGHTDECAY_EXERCISES")
    return Path(other) if other else Path(__file__).resolve().parents[3] / "exercises"


def exercise_ids() -> list[str]:
    """Every ``NN-slug`` that has a source.md, in order."""
    folder = exercises_folder()
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(p.name for p in found if FOLDER.fullmatch(p.name) and (p / SOURCE).is_file())


def load(name: str | int) -> Exercise:
    """Read the exercise with this id (``02-coupled``) or number (``2``, ``"02"``).

    Raises:
        RunError: if there is none, or its header or hints are wrong.
    """
    ids = exercise_ids()
    wanted = str(name).strip().strip("/")
    number = int(wanted) if wanted.isdecimal() else None
    found = [i for i in ids if i == wanted or (number is not None and int(i[:2]) == number)]
    if len(found) != 1:
        there = "there are none" if not ids else f"there are {', '.join(ids)}"
        problem = "no exercise" if not found else f"{len(found)} exercises"
        raise RunError(f"{exercises_folder()}: {problem} {wanted}; {there}")
    return _read(exercises_folder() / found[0])


def all_exercises() -> list[Exercise]:
    """Every exercise, in the order of the numbers.

    Raises:
        RunError: for the first that cannot be read.
    """
    return [_read(exercises_folder() / name) for name in exercise_ids()]


def _read(folder: Path) -> Exercise:
    header, cells = read_source(folder / SOURCE)
    hints = read_yaml(folder / HINTS)
    if START not in hints:
        raise RunError(f"{folder / HINTS}: no key {START}; it holds the hints for a first attempt")
    checked = {
        str(key): _valid(Hints, folder / HINTS, f"{key}.", value) for key, value in hints.items()
    }
    return Exercise(
        folder,
        _valid(Header, folder / SOURCE, "exercise.", header),
        tuple(cells),
        checked,
    )


def public_points(path: Path) -> int:
    """The sum of ``@pytest.mark.points(n)`` over the checks without ``hidden``.

    Read from the text, for a list of exercises need not import every one.

    Raises:
        RunError: if the file cannot be read.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise RunError(f"{path}: {e.strerror}") from e
    except SyntaxError as e:
        raise RunError(f"{path}: line {e.lineno}: {e.msg}") from e
    total = 0
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = [ast.unparse(d) for d in node.decorator_list]
            if "pytest.mark.hidden" not in marks:
                total += sum(
                    int(found[1])
                    for mark in marks
                    if (found := re.fullmatch(r"pytest\.mark\.points\((\d+)\)", mark))
                )
    return total


Model = TypeVar("Model", bound=_Strict)


def _valid(model: type[Model], path: Path, before: str, value: Any) -> Model:
    """The value as the model, or one line: file, key, value, what is accepted."""
    try:
        return model.model_validate(value)
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
    key = (before + ".".join(map(str, first["loc"]))).strip(".")
    if first["type"] == "missing":
        raise RunError(f"{path}: {key} is missing")
    if first["type"] == "extra_forbidden":
        raise RunError(f"{path}: unknown key {key}; accepted: {', '.join(model.model_fields)}")
    shown = repr(first["input"])
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    accepted = first["msg"].removeprefix("Input should be ")
    raise RunError(f"{path}: {key} = {shown}; accepted: {accepted}")
