"""One file, two notebooks: reads an exercise's ``source.md`` and cuts its solution out.

In a code cell, the lines between ``# BEGIN SOLUTION`` and ``# END SOLUTION`` are the solution; a
code cell tagged ``solution`` is one as a whole; a Markdown cell tagged ``explanation`` is what the
learner reads after passing. ``just exercises-build`` makes the notebooks from it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightdecay.runs import Json, RunError

BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"
CHECKED = "# NBVAL_CHECK_OUTPUT"
_BEGIN = re.compile(rf"(?P<indent>\s*){BEGIN}(?: (?P<text>.*\S))?\s*")


@dataclass(frozen=True)
class Cell:
    """A cell of the source."""

    kind: str  # "code" or "markdown"
    text: str
    learner: str | None  # the text without the solution; None where the learner gets no such cell
    solution: str  # the lines that the learner does not get, "" for most cells
    tags: tuple[str, ...] = ()


def read_source(path: Path) -> tuple[Json, list[Cell]]:
    """The ``exercise:`` part of the header (unchecked) and the cells.

    Raises:
        RunError: for a missing or unreadable file, one without that part, or a marker without
            its partner.
    """
    import jupytext  # here: a kernel that only imports `open_exercise` does not wait for it

    try:
        notebook: Any = jupytext.reads(path.read_text(encoding="utf-8"), fmt="md:myst")
    except OSError as e:
        raise RunError(f"{path}: {e.strerror}") from e
    except Exception as e:  # jupytext names no errors of its own; what YAML raises passes through
        raise RunError(f"{path}: not a MyST notebook: {' '.join(str(e).split())}") from e
    header = notebook.metadata.get("exercise")
    if not isinstance(header, dict):
        raise RunError(f"{path}: the header has no `exercise:` with title, minutes, points, …")
    return dict(header), [_cell(path, number, c) for number, c in enumerate(notebook.cells, 1)]


def _cell(path: Path, number: int, cell: Any) -> Cell:
    tags = tuple(cell.metadata.get("tags", ()))
    text = str(cell.source).strip("\n")
    if cell.cell_type != "code":
        explained = "explanation" in tags
        return Cell("markdown", text, None if explained else text, "", tags)
    if "solution" in tags:
        return Cell("code", text, None, text, tags)
    return _cut(f"{path}: cell {number}", text, tags)


def _cut(where: str, text: str, tags: tuple[str, ...]) -> Cell:
    """The cell as the learner gets it, as it is solved, and the lines that make the difference."""
    solved: list[str] = []
    stub: list[str] = []
    cut: list[str] = []
    inside = False
    for line in text.splitlines():
        begins = _BEGIN.fullmatch(line)
        ends = line.strip() == END
        if (begins and inside) or (ends and not inside):
            raise RunError(f"{where}: `{line.strip()}` without its partner")
        if begins:
            asked = ": ".join(["your turn", *filter(None, [begins["text"]])])
            message = json.dumps(asked, ensure_ascii=False)
            stub.append(f"{begins['indent']}raise NotImplementedError({message})")
        if begins or ends:
            inside = not inside
            continue
        solved.append(line)
        (cut if inside else stub).append(line)
    if inside:
        raise RunError(f"{where}: `{BEGIN}` without its partner `{END}`")
    # The comment for nbval is of no use to a learner.
    shown = [line for line in stub if line.strip() != CHECKED]
    return Cell("code", "\n".join(solved), "\n".join(shown).strip("\n"), "\n".join(cut), tags)
