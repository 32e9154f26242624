"""What an error in a check means for the learner: its outcome, and a message without traceback."""

from __future__ import annotations

import linecache
import re
import sysconfig
from pathlib import Path
from traceback import walk_tb

from weightdecay.grading.outcome import Outcome

HERE = Path(__file__).resolve().parents[1]  # the package: never the learner's code
LIBRARIES = tuple({sysconfig.get_path(k) for k in ("stdlib", "platstdlib", "purelib", "platlib")})
LONGEST = 400  # characters of what an error says
LINE = 2000  # characters of a line of a check's own, whose values are shortened one by one
_CELL = re.compile(r" \(\d+\.py, line (\d+)\)$")  # a kernel's name for the file of a cell


def blamed(error: BaseException, folder: Path) -> tuple[Outcome, str]:
    """Outcome and message of a check of the exercise in `folder` that ended with this error."""
    if isinstance(error, AssertionError) and learner_line(error, folder) is None:
        return "failed", _short(_said(str(error)) or "the claim does not hold", LINE, each=True)
    if isinstance(error, NotImplementedError) and not _in_library(error):
        return "not attempted", _short(str(error))
    text = _short(in_the_cell(f"{type(error).__name__}: {error}".strip().removesuffix(":")))
    line = learner_line(error, folder)
    return "raised", text if line is None else f"{text}\n{line}"


def in_the_cell(text: str) -> str:
    """What an error says, with a line of a cell named so that a learner finds it."""
    return _CELL.sub(r", line \1 of the cell", text)


def _said(text: str) -> str:
    """What an assertion says: its author's own message, or the line that pytest makes of it.

    What pytest explains below that line would only repeat it.
    """
    lines = text.splitlines()
    at = next((i for i, line in enumerate(lines) if line.startswith("assert ")), len(lines))
    return "\n".join(lines[:at] or lines[:1])


def learner_line(error: BaseException, folder: Path) -> str | None:
    """The last line of the learner's own code that the error came through."""
    found = None
    for frame, number in walk_tb(error.__traceback__):
        name = frame.f_code.co_filename
        if _is_library(name) or any(Path(name).is_relative_to(p) for p in (folder, HERE)):
            continue
        code = linecache.getline(name, number).strip()
        place = f"line {number} of the cell, in {frame.f_code.co_name}"
        found = f"{place}: {code}" if code else place
    return found


def _in_library(error: BaseException) -> bool:
    """Whether a library raised it: torch says so of a Module without forward."""
    last = [frame.f_code.co_filename for frame, _ in walk_tb(error.__traceback__)][-1:]
    return any(_is_library(name) for name in last)


def _is_library(name: str) -> bool:
    return name.startswith(LIBRARIES) or name.startswith("<frozen")


def _short(text: str, longest: int = LONGEST, each: bool = False) -> str:
    """At most six lines, and so many characters, of all or of each line."""
    lines = [line.rstrip() for line in text.strip().splitlines()][:6]
    parts = lines if each else ["\n".join(lines)]
    return "\n".join(p if len(p) <= longest else p[: longest - 1] + "…" for p in parts)
