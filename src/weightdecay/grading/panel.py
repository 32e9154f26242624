"""Buttons for the four verbs, below the cell that calls ``check()``, where a browser shows it.

The buttons say what the functions print. They stay where they are while the answer changes, so that
the keyboard's focus does; the answer is announced to a screen reader.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from weightdecay.grading.lesson import Lesson
from weightdecay.runs import RunError

BUTTONS = {
    "Check": "Check the functions as the cells last run define them",
    "Hint": "Show the next hint",
    "Solution": "Show the solution, once every check has passed",
    "Progress": "Show every exercise with its points, and the score",
}


def panel(lesson: Lesson) -> Any:
    """The widget: a row of buttons, and the answer of the last one pressed."""
    answer = ipywidgets.HTMLMath()
    says: dict[str, Callable[[], str]] = {
        "Check": lambda: plain(lesson.check()),
        "Hint": lambda: drawn(lesson.hint()),
        "Solution": lambda: drawn(lesson.solution()),
        "Progress": lambda: plain(lesson.progress()),
    }

    def button(name: str) -> Any:
        def press(_: Any) -> None:
            try:
                text = says[name]()
            except RunError as e:
                text = plain(str(e))
            # A fresh element with this role is read aloud. The name says which button it answers.
            answer.value = f'<div role="alert" aria-label="{name}">{text}</div>'

        made = ipywidgets.Button(description=name, tooltip=BUTTONS[name])
        made.on_click(press)
        return made

    row = ipywidgets.HBox([button(name) for name in BUTTONS], layout={"flex_flow": "row wrap"})
    return ipywidgets.VBox([row, answer])


def plain(text: str) -> str:
    """Text as HTML, with every character as itself."""
    return f'<pre style="white-space: pre-wrap">{escape(text)}</pre>'


def drawn(markdown: str) -> str:
    """Markdown as HTML; HTML inside it is shown, not obeyed, and formulas are left to MathJax."""
    parser = MarkdownIt("commonmark", {"html": False})
    dollarmath_plugin(parser, renderer=_formula)
    return str(parser.render(markdown))


def _formula(tex: str, options: dict[str, Any]) -> str:
    return escape(f"$${tex}$$" if options.get("display_mode") else f"${tex}$")
