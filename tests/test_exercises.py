"""Every exercise keeps its promises: stub, solution, mistakes and hints, one by one.

`python -m pytest tests/test_exercises.py -k 03` proves one exercise. That the solutions print what
is committed is compared by nbval, a part of its own of `just test`.
"""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import pytest

import weightdecay.grading.diagnose as grading
from weightdecay.grading import build, lint
from weightdecay.grading.check import run_checks
from weightdecay.grading.diagnose import Mistake, diagnose, mistakes
from weightdecay.grading.load import Exercise, all_exercises

SEEDS = range(5)
EXERCISES = all_exercises()
KNOWN = {e.id: mistakes(e) for e in EXERCISES}
CASES = [(e, m) for e in EXERCISES for m in KNOWN[e.id][1]]

every = pytest.mark.parametrize("exercise", EXERCISES, ids=[e.id for e in EXERCISES])
every_mistake = pytest.mark.parametrize(
    ("exercise", "mistake"), CASES, ids=[f"{e.id}-{m.symptom}" for e, m in CASES]
)


@pytest.fixture(scope="session")
def solved() -> dict[str, dict[str, Any]]:
    """The names of each solution, run once."""
    return {}


def solution_of(exercise: Exercise, solved: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if exercise.id not in solved:
        solved[exercise.id] = lint.names_in(exercise, build.solution_notebook(exercise))
    return solved[exercise.id]


@pytest.fixture
def probed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a known mistake shows with a seed is found out once, not for every other mistake."""
    monkeypatch.setattr(grading, "mistakes", lambda exercise: KNOWN[exercise.id])
    monkeypatch.setattr(grading, "probed", probed)


probed = functools.cache(grading.probed)


@every
def test_keeps_the_rules_for_authors(exercise: Exercise) -> None:
    assert lint.problems(exercise) == []


@every
def test_the_stub_is_not_attempted(exercise: Exercise) -> None:
    names = lint.names_in(exercise, build.learner_notebook(exercise))
    assert set(exercise.exports) <= names.keys()
    report = run_checks(exercise, names, include_hidden=True)
    assert {r.outcome for r in report.results} == {"not attempted"}
    assert report.symptoms == []


@pytest.mark.slow
@every
def test_the_solution_passes_with_every_seed(
    exercise: Exercise, solved: dict[str, dict[str, Any]]
) -> None:
    names = solution_of(exercise, solved)
    for seed in SEEDS:
        report = run_checks(exercise, names, include_hidden=True, seed=seed)
        assert [r.message for r in report.results if r.outcome != "passed"] == []
        assert report.points == exercise.points
        assert diagnose(exercise, names, exercise.exports, seed) == []


@pytest.mark.slow
@every_mistake
@pytest.mark.usefixtures("probed_once")
def test_the_mistake_fails_and_shows_its_symptom_alone(
    exercise: Exercise, mistake: Mistake, solved: dict[str, dict[str, Any]]
) -> None:
    names = {**solution_of(exercise, solved), mistake.export: mistake.function}
    for seed in SEEDS:
        # In public, for a learner never sees what a hidden check says.
        report = run_checks(exercise, names, include_hidden=False, seed=seed)
        assert "failed" in {r.outcome for r in report.results}
        assert [s.name for s in report.symptoms] == [mistake.symptom]


@every
def test_the_notebooks_are_what_the_source_gives(exercise: Exercise) -> None:
    assert build.stale(exercise) == []


def test_numbers_and_titles_are_unique() -> None:
    assert len({e.number for e in EXERCISES}) == len(EXERCISES)
    assert len({e.title for e in EXERCISES}) == len(EXERCISES)


def test_every_part_has_its_exercises() -> None:
    parts = Counter(e.chapter.split("/")[0] for e in all_exercises())
    expected = {"theory": 6, "break": 6, "hysteresis": 5, "plasticity": 5, "contraction": 3}
    assert parts == expected
