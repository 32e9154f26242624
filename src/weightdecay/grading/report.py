"""The words of the exercises: what a check, a hint, a solution and the progress look like."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from weightdecay.grading.check import SEED
from weightdecay.grading.load import START, Exercise
from weightdecay.grading.outcome import Outcome, Report
from weightdecay.grading.progress import State

WORDS: dict[Outcome, str] = {
    "passed": "passed",
    "failed": "failed",
    "raised": "raised an error",
    "not attempted": "not attempted",
}
SIGNS: dict[Outcome, str] = {"passed": "✓", "failed": "✗", "raised": "!", "not attempted": "·"}
GENERAL = "General hints"
LOCKED = (
    "The solution opens once every check has passed. To see it now, give up: "
    "`solution(give_up=True)`. That is kept, and the score of this exercise then stays where it is."
)


def of_checks(exercise: Exercise, result: Report, state: State) -> str:
    """What came out, check by check; then the symptoms; then what to do next. Plain text."""
    lines = []
    for r in result.results:
        points = f"{r.points} point{'s' * (r.points != 1)}"
        lines.append(f"{SIGNS[r.outcome]} {WORDS[r.outcome]}: {r.claim} ({points})")
        lines += textwrap.indent(r.message, "    ").splitlines()
    for symptom in result.symptoms:
        lines += ["", f"Symptom: {symptom.says}"]
    lines += ["", f"{result.points} of {result.possible} points. {_next(exercise, result)}"]
    if result.outcome in ("failed", "raised"):
        lines.append(f"The same random inputs again: {SEED}={result.seed}")
    if state.surrendered and not state.passed_at < state.last:
        lines.append("The solution was shown before this passed, so the score stays as it was.")
    return "\n".join(lines)


def _next(exercise: Exercise, result: Report) -> str:
    if result.outcome == "passed":
        more = exercise.points - result.possible
        hidden = f"Hidden checks, worth {more} more, are run when it is graded. " if more else ""
        return f"All passed. {hidden}solution() and hint() now show everything."
    if result.outcome == "not attempted":
        return "Write what the notebook asks for, then check() again; hint() helps to begin."
    return "hint() gives a hint."


def hints(exercise: Exercise, symptom: str, shown: int, heading: str) -> str:
    """The first `shown` hints against a symptom. Markdown."""
    entry = exercise.hints[symptom]
    parts = [heading]
    for number, hint in enumerate(entry.hints[:shown], 1):
        parts.append(f"**Hint {number} of {len(entry.hints)}.** {hint.strip()}")
    last = "That was the last hint" if shown == len(entry.hints) else "Ask again for the next one"
    return "\n\n".join([*parts, f"*{last}.*"])


def all_hints(exercise: Exercise) -> str:
    """Every hint of the exercise. Markdown."""
    parts = []
    for symptom, entry in exercise.hints.items():
        # Whoever reads all of them need not have made a mistake that is unknown.
        parts.append(f"**{GENERAL if symptom == START else entry.says.strip()}**")
        parts += [f"{i}. {_inside(hint)}" for i, hint in enumerate(entry.hints, 1)]
    return "\n\n".join(parts)


def _inside(text: str) -> str:
    """Markdown as the content of a numbered entry."""
    return textwrap.indent(text.strip(), "   ").lstrip()


def solution(exercise: Exercise) -> str:
    """Solution and explanation. Markdown."""
    return f"```python\n{exercise.solution}\n```\n\n{exercise.explanation}".strip()


def status(exercise: Exercise, state: State | None) -> str:
    """Where the learner stands with one exercise, in a few words."""
    if state is None or not (state.attempts or state.surrendered):
        return "not begun"
    word = "passed" if state.passed else "begun"
    return f"{word}, after giving up" if state.surrendered else word


def points(exercise: Exercise, state: State | None) -> int:
    """Points of the public checks so far."""
    return 0 if state is None else min(state.best, exercise.public_points)


def score(exercises: Sequence[Exercise], states: Mapping[str, State]) -> str:
    """Points and exercises done, in one line."""
    got = sum(points(e, states.get(e.id)) for e in exercises)
    there = sum(e.public_points for e in exercises)
    passed = sum(e.id in states and states[e.id].passed for e in exercises)
    return f"Score: {got} of {there} points, {passed} of {len(exercises)} exercises passed."


def table(exercises: Sequence[Exercise], states: Mapping[str, State]) -> str:
    """Every exercise on a line, and the score. Plain text."""
    rows = []
    width = max((len(e.title) for e in exercises), default=0)
    for e in exercises:
        state = states.get(e.id)
        worth = f"{points(e, state):>2} / {e.public_points:<2}"
        rows.append(f"{e.number:02d}  {e.title:<{width}}  {worth}  {status(e, state)}")
    return "\n".join([*rows, "", score(exercises, states)])
