"""Exercises on the page: a card with their hints in nested dropdowns, and the list of all.

A small Sphinx extension. The hints come from the same ``hints.yml`` that ``hint()`` reads in a
notebook: hint 2 cannot be reached before hint 1 is open, with no script on the page.

    ```{graded-exercise} 02-adamw-decay
    ```
    ```{graded-exercises}
    ```
"""

from __future__ import annotations

from os.path import relpath
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from launch import binder, colab, exercise_file, repository
from sphinx.util.docutils import SphinxDirective

from weightdecay.grading.load import (
    EXERCISE_NOTEBOOK,
    HINTS,
    SOURCE,
    START,
    Exercise,
    all_exercises,
    load,
)
from weightdecay.runs import RunError

STRENGTHS = ("mild", "medium", "direct")


def _stars(n: int) -> str:
    return f"{n}\N{NO-BREAK SPACE}of\N{NO-BREAK SPACE}5"


def _fence(depth: int) -> str:
    """Outer fences are longer than inner ones; hints may hold fences of backticks."""
    return ":" * (10 - depth)


def _dropdown(title: str, body: str, depth: int) -> str:
    return f"{_fence(depth)}{{dropdown}} {title}\n{body}\n{_fence(depth)}"


def cascade(hints: list[str], depth: int, first: int = 1) -> str:
    """Each hint in a dropdown that holds the next."""
    text, *rest = hints
    strength = STRENGTHS[min(first, len(STRENGTHS)) - 1]
    inside = f"\n\n{cascade(rest, depth + 1, first + 1)}" if rest else ""
    return _dropdown(f"Hint {first} ({strength})", f"{text.strip()}{inside}", depth)


def card(exercise: Exercise, where: str, repo: str = "") -> str:
    """MyST text of the card.

    Args:
        exercise: What it is for.
        where: The path from the page to the folder of exercises.
        repo: ``OWNER/NAME`` on GitHub; without it there are no links to Binder and Colab.
    """
    h = exercise.header
    hidden = h.points - exercise.public_points
    more = f" and {hidden} more when graded" if hidden else ""
    facts = (
        f"{h.minutes} minutes · {exercise.public_points} points{more} · "
        f"difficulty {_stars(h.difficulty)} · importance {_stars(h.importance)}"
    )
    notebook = f"{where}/{exercise.id}/{EXERCISE_NOTEBOOK}"
    start, *others = [START, *(name for name in exercise.hints if name != START)]
    symptoms = "\n\n".join(
        _dropdown(exercise.hints[name].says.strip(), cascade(exercise.hints[name].hints, 3), 2)
        for name in others
    )
    return "\n\n".join(
        (
            f"{_fence(0)}{{admonition}} Exercise {exercise.number}. {exercise.title}\n"
            f":class: exercise-card\n:name: exercise-{exercise.id}\n\n{facts}",
            f"Open `exercises/{exercise.id}/exercise.ipynb` in Jupyter, fill in "
            + _and([f"`{name}`" for name in exercise.exports])
            + f", and type `check()`; or in a terminal `./justw check {exercise.number:02}`. "
            f"{{download}}`The notebook alone <{notebook}>` needs the library installed."
            f"{_elsewhere(exercise, repo)}",
            cascade(exercise.hints[start].hints, 2),
            _dropdown("If check() says which mistake it is", symptoms, 1),
            _fence(0),
        )
    )


def _and(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _elsewhere(exercise: Exercise, repo: str) -> str:
    if not repo:
        return ""
    file = exercise_file(exercise.id)
    on, inside = (
        f"[{n}]({link(repo, file)})" for n, link in (("Binder", binder), ("Colab", colab))
    )
    return f" To install nothing, open it on {on} or in {inside}."


class GradedExercise(SphinxDirective):
    """One card."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        try:
            exercise = load(self.arguments[0])
        except RunError as e:
            raise self.error(str(e)) from e
        for name in (SOURCE, HINTS):
            self.env.note_dependency(str(exercise.folder / name))
        page = Path(self.env.doc2path(self.env.docname)).parent
        where = relpath(exercise.folder.parent, page)
        return parsed(self, card(exercise, where, self.env.config.launch_repository))


class GradedExercises(SphinxDirective):
    """A table of all, with links to their chapters."""

    def run(self) -> list[nodes.Node]:
        rows = [
            "| | exercise | chapter | minutes | points | difficulty | importance |",
            "|---|---|---|---|---|---|---|",
        ]
        exercises = all_exercises()
        for e in exercises:
            self.env.note_dependency(str(e.folder / SOURCE))
            rows.append(
                f"| {e.number} | {{ref}}`{e.title} <exercise-{e.id}>` | {{doc}}`/{e.chapter}` "
                f"| {e.minutes} | {e.points} "
                f"| {e.difficulty} | {e.importance} |"
            )
        total = f"| | all | | {sum(e.minutes for e in exercises)} "
        rows.append(total + f"| {sum(e.points for e in exercises)} | | |")
        return parsed(self, "\n".join(rows))


def parsed(directive: SphinxDirective, text: str) -> list[nodes.Node]:
    """Nodes of a MyST text that a directive made, headings aside."""
    container = nodes.Element()
    directive.state.nested_parse(
        StringList(text.splitlines(), source=directive.env.docname), 0, container
    )
    return list(container.children)


def setup(app: Any) -> dict[str, bool]:
    app.add_config_value("launch_repository", repository(), "env")
    app.add_directive("graded-exercise", GradedExercise)
    app.add_directive("graded-exercises", GradedExercises)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
