"""The four verbs of an exercise, as texts: check, hint, solution, progress.

The notebook prints them, the panel shows them, the terminal shows them: all three say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weightdecay.grading import progress, report
from weightdecay.grading.check import run_checks
from weightdecay.grading.load import START, Exercise, all_exercises
from weightdecay.grading.progress import State
from weightdecay.runs import now


@dataclass
class Lesson:
    """One exercise and the learner's names."""

    exercise: Exercise
    names: Mapping[str, Any]
    record: bool = True  # False in the solution notebook: what it passes is nobody's progress

    def check(self) -> str:
        """Run the public checks; plain text."""
        result = run_checks(self.exercise, self.names, include_hidden=False)
        if not self.record:
            return report.of_checks(self.exercise, result, State())
        with progress.changed(self.exercise.id) as state:
            state.attempts += 1
            state.outcome = result.outcome
            state.symptom = result.symptoms[0].name if result.symptoms else ""
            if not state.surrendered:
                state.best = max(state.best, result.points)
            if result.outcome == "passed" and not state.passed:
                state.passed, state.passed_at = True, now()
        return report.of_checks(self.exercise, result, state)

    def hint(self) -> str:
        """The next hint against the last symptom, below those already seen; Markdown.

        After passing, every hint of the exercise.
        """
        if not self.record or progress.state(self.exercise.id).passed:
            return report.all_hints(self.exercise)
        with progress.changed(self.exercise.id) as state:
            # A symptom of an older version of the course may be gone.
            symptom = state.symptom if state.symptom in self.exercise.hints else START
            there = len(self.exercise.hints[symptom].hints)
            shown = min(state.hints.get(symptom, 0) + 1, there)
            state.hints[symptom] = shown
            unknown = state.outcome in ("failed", "raised") and not state.symptom
        known = symptom != START or unknown
        heading = self.exercise.hints[symptom].says.strip() if known else report.GENERAL
        return report.hints(self.exercise, symptom, shown, heading)

    def solution(self, give_up: bool = False) -> str:
        """Solution and explanation after passing, or after giving up, which is kept; Markdown."""
        state = progress.state(self.exercise.id)
        if self.record and not (state.passed or state.surrendered):
            if not give_up:
                return report.LOCKED
            with progress.changed(self.exercise.id) as state:
                state.surrendered = True
        return report.solution(self.exercise)

    def progress(self) -> str:
        """A table of every exercise, and the score; plain text."""
        return report.table(all_exercises(), progress.states())
