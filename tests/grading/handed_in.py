"""Submissions of the made-up exercise for the tests of the grader."""

from __future__ import annotations

from pathlib import Path

import nbformat

from tests.grading import tiny

OPEN = f"""from weightdecay.grading import open_exercise
check, hint, solution, progress = open_exercise("{tiny.ID}")"""
SHRINK = "def shrink(w, lr, lam):\n    return (1 - lr * lam) * w"
WHICH = 'def which():\n    return "decoupled"'
RIGHT = (OPEN, SHRINK, WHICH, "check()")
POSSIBLE = 6  # shrink earns 5 of them, which 1


def hand_in(path: Path, *cells: str) -> Path:
    """Write a notebook of these code cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    path.write_text(nbformat.writes(book), encoding="utf-8")
    return path
