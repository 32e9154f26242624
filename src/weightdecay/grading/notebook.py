"""What the first cell of an exercise calls: ``open_exercise`` and the four verbs it returns.

Under ``WEIGHTDECAY_GRADING=1`` all of them do nothing: the grader runs the notebook and
asks later.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from typing import Any, Protocol

from IPython.core.getipython import get_ipython
from IPython.display import display

from weightdecay.grading.lesson import Lesson
from weightdecay.grading.load import load


class Verb(Protocol):
    """check, hint and progress."""

    def __call__(self) -> None: ...


class Solution(Protocol):
    """solution: it alone can be told to give up."""

    def __call__(self, give_up: bool = False) -> None: ...


def being_graded() -> bool:
    """Whether the grader runs this notebook."""
    return os.environ.get("WEIGHTDECAY_GRADING") == "1"


def open_exercise(name: str, *, record: bool = True) -> tuple[Verb, Verb, Solution, Verb]:
    """Open an exercise for the notebook that calls this.

    Args:
        name: ``NN-slug``.
        record: Whether to keep the progress; the solution notebook does not.

    Returns:
        check, hint, solution and progress. They find the learner's functions among the globals of
        the caller, print, and return nothing.

    Raises:
        RunError: if there is no such exercise, or its author made a mistake.
    """
    if being_graded():
        return _nothing, _nothing, _nothing, _nothing
    lesson = Lesson(load(name), sys._getframe(1).f_globals, record)

    def check() -> None:
        """Check the functions of this notebook."""
        print(lesson.check())
        if live():
            from weightdecay.grading.panel import panel

            display(panel(lesson))

    def hint() -> None:
        """Show the next hint; after passing, all of them."""
        show_markdown(lesson.hint())

    def solution(give_up: bool = False) -> None:
        """Show solution and explanation, after passing or with `give_up`."""
        show_markdown(lesson.solution(give_up))

    def progress() -> None:
        """Show every exercise with its points, and the score."""
        print(lesson.progress())

    e = lesson.exercise
    print(
        f"{e.number:02d} · {e.title}: {e.minutes} minutes, {e.points} points\n"
        f"weightdecay {version('weightdecay')}, torch {version('torch')}, "
        f"Python {platform.python_version()}"
    )
    return check, hint, solution, progress


def _nothing(give_up: bool = False) -> None:
    """Each of the four while a notebook is graded: the exercise is out of its reach."""


def in_kernel() -> bool:
    """Whether a notebook's kernel runs this."""
    shell: Any = get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def live() -> bool:
    """Whether a Jupyter server runs this kernel, for a notebook that somebody has open.

    Not so where a notebook is only executed: then nothing but text is to be seen.
    """
    return in_kernel() and "JPY_SESSION_NAME" in os.environ


def show_markdown(text: str) -> None:
    """Show Markdown: drawn in a notebook, as it is elsewhere."""
    if not in_kernel():
        print(text)
        return
    display({"text/plain": text, "text/markdown": text}, raw=True)
