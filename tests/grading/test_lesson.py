"""The learner's side: check, hint, solution, progress, and what is kept of them."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.grading import tiny
from weightdecay.grading import open_exercise, progress
from weightdecay.grading.lesson import Lesson
from weightdecay.grading.load import Exercise, load
from weightdecay.grading.panel import drawn, plain

GOOD: dict[str, Any] = {
    "shrink": lambda w, lr, lam: w - lr * lam * w,
    "which": lambda: "decoupled",
}
NO_LR: dict[str, Any] = {**GOOD, "shrink": lambda w, lr, lam: w - lam * w}


def shown(text: str) -> list[str]:
    return re.findall(r"Hint (\d) of 3", text)


def test_each_call_gives_the_next_hint_below_those_seen(exercise: Exercise) -> None:
    lesson = Lesson(exercise, NO_LR)
    lesson.check()
    lesson.check()  # however often: a hint never comes by itself
    assert shown(lesson.hint()) == ["1"]
    assert shown(lesson.hint()) == ["1", "2"]
    lesson.check()
    third = lesson.hint()
    assert shown(third) == ["1", "2", "3"]
    assert third.startswith("Your decay is not multiplied by the learning rate.")
    assert lesson.hint() == third  # all of them, as often as one likes


def test_hints_are_counted_for_each_symptom(exercise: Exercise) -> None:
    lesson = Lesson(exercise, {})
    assert "What does one step do" in lesson.hint()  # before any check
    lesson.names = NO_LR
    lesson.check()
    lesson.hint()
    assert shown(lesson.hint()) == ["1", "2"]
    lesson.names = {**GOOD, "shrink": lambda w, lr, lam: w}  # wrong in no known way
    lesson.check()
    assert "It multiplies it." in lesson.hint()
    assert progress.state(exercise.id).hints == {"start": 2, "no-lr": 2}


def test_after_passing_everything_can_be_read(exercise: Exercise) -> None:
    lesson = Lesson(exercise, GOOD)
    assert "return (1 - lr * lam) * w" not in lesson.solution()
    said = lesson.check()
    assert "4 of 4 points. All passed. Hidden checks, worth 2 more" in said
    assert "return (1 - lr * lam) * w" in lesson.solution()
    assert "Decay multiplies the weight" in lesson.solution()
    hints = lesson.hint()
    assert all(h in hints for e in exercise.hints.values() for h in e.hints)
    assert all(e.says in hints for name, e in exercise.hints.items() if name != "start")
    assert hints.startswith("**General hints**")
    assert "Nothing here matches" not in hints
    assert not progress.state(exercise.id).surrendered


UNKNOWN = "Nothing here matches a mistake we know."


def test_only_a_mistake_that_is_unknown_is_called_so(exercise: Exercise) -> None:
    lesson = Lesson(exercise, {})
    assert lesson.hint().startswith("General hints\n")  # before any check
    lesson.check()
    assert lesson.hint().startswith("General hints\n")  # nothing attempted
    lesson.names = {**GOOD, "shrink": lambda w, lr, lam: w}
    lesson.check()
    assert lesson.hint().startswith(UNKNOWN)
    with progress.changed(exercise.id) as state:
        state.symptom = "gone"  # named by an older version of the course
    assert lesson.hint().startswith("General hints\n")
    lesson.names = NO_LR
    lesson.check()
    assert lesson.hint().startswith("Your decay is not multiplied")
    lesson.names = GOOD
    lesson.check()
    lesson.names = NO_LR
    lesson.check()
    assert UNKNOWN not in lesson.hint()  # all of them, after passing once


def test_the_solution_has_no_comments_for_the_build(exercises: Path) -> None:
    marked = """# NBVAL_CHECK_OUTPUT
# BEGIN SOLUTION two lines
print(shrink(1.0, 0.5, 0.5))
# END SOLUTION"""
    old = "# NBVAL_CHECK_OUTPUT\nprint(shrink(1.0, 0.5, 0.5))"
    assert old in tiny.SOURCE
    tiny.write(exercises, source=tiny.SOURCE.replace(old, marked))
    said = Lesson(load(tiny.ID), GOOD, record=False).solution()
    assert "print(shrink(1.0, 0.5, 0.5))" in said
    assert "return (1 - lr * lam) * w" in said
    assert not any(word in said for word in ("NBVAL", "BEGIN", "END"))


def test_passing_once_is_kept_when_a_later_check_fails(exercise: Exercise) -> None:
    Lesson(exercise, GOOD).check()
    Lesson(exercise, NO_LR).check()
    state = progress.state(exercise.id)
    assert (state.passed, state.best, state.attempts, state.outcome) == (True, 4, 2, "failed")


def test_giving_up_is_asked_for_recorded_and_freezes_the_score(exercise: Exercise) -> None:
    lesson = Lesson(exercise, NO_LR)
    lesson.check()
    locked = lesson.solution()
    assert "solution(give_up=True)" in locked
    assert not progress.state(exercise.id).surrendered
    assert "return (1 - lr * lam) * w" in lesson.solution(give_up=True)
    assert "return (1 - lr * lam) * w" in lesson.solution()  # open from now on
    lesson.names = GOOD
    assert "The solution was shown before this passed" in lesson.check()
    state = progress.state(exercise.id)
    assert (state.surrendered, state.passed, state.best) == (True, True, 2)
    assert "Score: 2 of 4 points, 1 of 1 exercises passed." in lesson.progress()
    assert "passed, after giving up" in lesson.progress()


def test_a_failed_check_has_no_traceback_and_says_how_to_repeat_it(exercise: Exercise) -> None:
    lines = Lesson(exercise, NO_LR).check().splitlines()
    assert lines[0] == "✗ failed: one step leaves (1 - lr·λ)·w (2 points)"
    assert [line.strip().split(":")[0] for line in lines[1:4]] == ["observed", "expected", "inputs"]
    assert "Symptom: Your decay is not multiplied by the learning rate." in lines
    assert re.fullmatch(r"The same random inputs again: WEIGHTDECAY_CHECK_SEED=\d+", lines[-1])
    assert "Traceback" not in "".join(lines)


def test_the_solution_notebook_keeps_no_progress(exercise: Exercise) -> None:
    lesson = Lesson(exercise, GOOD, record=False)
    first = lesson.check()
    assert lesson.check() == first  # nbval compares it
    assert "mild help" in lesson.hint()
    assert "return" in lesson.solution()
    assert not progress.progress_file().exists()


def test_the_four_verbs_print_and_find_the_names_of_the_caller(
    exercise: Exercise, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    caller: dict[str, Any] = {"open_exercise": open_exercise}
    exec(f"check, hint, solution, progress = open_exercise({exercise.id!r})", caller)
    assert "torch" in capsys.readouterr().out
    caller.update(GOOD)  # defined after opening
    for verb, said in {
        "check": "4 of 4 points",
        "hint": "mild help",
        "solution": "return (1 - lr * lam) * w",
        "progress": "Score: 4 of 4",
    }.items():
        exec(f"result = {verb}()", caller)
        assert said in capsys.readouterr().out
        assert caller["result"] is None
    monkeypatch.setenv("WEIGHTDECAY_GRADING", "1")
    exec(f"check, hint, solution, progress = open_exercise({exercise.id!r})", caller)
    exec("check(), hint(), solution(give_up=True), progress()", caller)
    assert capsys.readouterr().out == ""


def test_a_reset_forgets_one_exercise_and_unknown_entries_survive(exercise: Exercise) -> None:
    Lesson(exercise, GOOD).check()
    path = progress.progress_file()
    content = json.loads(path.read_text())
    content["from a later version"] = [1]
    content["exercises"]["99-gone"] = {"best": 3, "more": "kept"}
    content["exercises"][exercise.id]["note"] = "kept"
    content["exercises"][exercise.id]["attempts"] = "many"  # spoiled: counts as not there
    path.write_text(json.dumps(content))
    Lesson(exercise, NO_LR).check()
    assert progress.state(exercise.id).attempts == 1
    assert json.loads(path.read_text())["exercises"][exercise.id]["note"] == "kept"
    assert progress.reset(exercise.id)
    assert not progress.reset(exercise.id)
    content = json.loads(path.read_text())
    assert content["from a later version"] == [1]
    assert content["exercises"] == {"99-gone": {"best": 3, "more": "kept"}}


def test_a_broken_progress_file_is_set_aside(
    exercise: Exercise, capsys: pytest.CaptureFixture[str]
) -> None:
    path = progress.progress_file()
    path.write_text('{"exercises": {"01-ti')
    Lesson(exercise, GOOD).check()
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "set aside as progress.broken-" in err
    (aside,) = path.parent.glob("progress.broken-*.json")
    assert aside.read_text() == '{"exercises": {"01-ti'
    assert progress.state(exercise.id).passed


def test_where_nothing_can_be_written_the_lesson_goes_on(
    exercise: Exercise, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WEIGHTDECAY_PROGRESS", str(exercise.folder / "source.md" / "progress.json"))
    assert "All passed." in Lesson(exercise, GOOD).check()
    assert "progress is not kept" in capsys.readouterr().err


def _attempts(number: int) -> None:
    for _ in range(number):
        with progress.changed("01-tiny") as state:
            state.attempts += 1


def test_two_processes_lose_nothing_of_each_other(exercises: Path) -> None:
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_attempts, args=(20,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert progress.state("01-tiny").attempts == 40


def test_progress_lies_where_xdg_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WEIGHTDECAY_PROGRESS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert progress.progress_file() == tmp_path / "weightdecay" / "progress.json"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    assert progress.progress_file().is_relative_to(tmp_path / ".local" / "share")


def test_the_panels_html_is_escaped_and_formulas_stay(exercise: Exercise) -> None:
    assert "&lt;b&gt;" in plain("<b>")
    assert "<b>" not in drawn("a <b>bold</b> *hint*")
    assert "<em>hint</em>" in drawn("a <b>bold</b> *hint*")
    assert "$w_{a} * b_c * d$" in drawn("the $w_{a} * b_c * d$ of it")
