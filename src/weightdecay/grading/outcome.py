"""What a check can say: four outcomes, and the report of all checks of one exercise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Outcome: TypeAlias = Literal["passed", "failed", "raised", "not attempted"]


@dataclass(frozen=True)
class CheckResult:
    """One check: what it claims, what it is worth and what came out."""

    name: str
    claim: str
    points: int
    hidden: bool
    outcome: Outcome
    message: str  # "" where it passed


@dataclass(frozen=True)
class Symptom:
    """A known mistake that a learner's function equals, and the sentence that says so."""

    name: str
    export: str
    says: str


@dataclass(frozen=True)
class Report:
    """All checks of one exercise, run once with one seed."""

    results: list[CheckResult]
    symptoms: list[Symptom]
    seed: int

    @property
    def points(self) -> int:
        return sum(r.points for r in self.results if r.outcome == "passed")

    @property
    def possible(self) -> int:
        return sum(r.points for r in self.results)

    @property
    def outcome(self) -> Outcome:
        """The worst there is: failed, then raised, then not attempted; or passed."""
        there = {r.outcome for r in self.results}
        worst: tuple[Outcome, ...] = ("failed", "raised", "not attempted")
        return next((o for o in worst if o in there), "passed")
