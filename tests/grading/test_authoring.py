"""From source.md to two notebooks, and what an author is told of a mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.grading import tiny
from weightdecay.grading import author, build, lint
from weightdecay.grading.check import run_checks
from weightdecay.grading.load import Exercise, all_exercises, load
from weightdecay.runs import RunError


def texts(path: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"]]


def test_the_learner_gets_stubs_and_no_solution(exercise: Exercise) -> None:
    assert build.restore(exercise) == [f"{exercise.folder / 'exercise.ipynb'}: written"]
    cells = texts(exercise.folder / "exercise.ipynb")
    assert cells[0].endswith(f'check, hint, solution, progress = open_exercise("{tiny.ID}")')
    assert cells[3] == (
        'def shrink(w, lr, lam):\n    """The weight after one step."""\n'
        '    raise NotImplementedError("your turn: one line")\n\n\n'
        'def which() -> str:\n    raise NotImplementedError("your turn")'
    )
    everything = "\n".join(cells)
    for secret in ("(1 - lr * lam)", '"decoupled"', "print(shrink", "Decay multiplies", "NBVAL"):
        assert secret not in everything


def test_the_solution_is_solved_and_its_text_is_compared(exercise: Exercise) -> None:
    notebook = build.solution_notebook(exercise)
    cells = [cell["source"] for cell in notebook["cells"]]
    assert "    return (1 - lr * lam) * w" in cells[3]
    assert "SOLUTION" not in "".join(cells)
    assert cells[5] == "# NBVAL_CHECK_OUTPUT\ncheck()"
    assert "record=False" in cells[0]
    assert exercise.explanation == "Decay multiplies the weight by $1 - \\eta\\lambda$."
    ids = [cell["id"] for cell in notebook["cells"]]
    assert ids == [cell["id"] for cell in build.solution_notebook(load(1))["cells"]]


@pytest.mark.slow
def test_build_runs_the_solution_and_the_second_time_does_nothing(exercise: Exercise) -> None:
    assert len(build.stale(exercise)) == 2
    assert len(build.build(exercise)) == 2
    assert build.stale(exercise) == []
    assert build.build(exercise) == []
    solved = (exercise.folder / "solution.ipynb").read_text("utf-8")
    assert "4 of 4 points. All passed." in solved
    (exercise.folder / "solution.ipynb").write_text(solved.replace("4 of 4", "5 of 4"))
    assert build.stale(exercise) == []  # an output: what nbval compares
    (exercise.folder / "solution.ipynb").write_text(solved.replace("lr * lam", "lr + lam"))
    assert len(build.stale(exercise)) == 1


@pytest.mark.slow
def test_a_solution_that_raises_is_one_line_and_nothing_is_written(exercises: Path) -> None:
    tiny.write(exercises, source=tiny.SOURCE.replace("print(shrink(", "print(shrunk("))
    with pytest.raises(RunError, match=r"solution\.ipynb: a cell fails: NameError: .*shrunk"):
        build.build(load(1))
    assert not (exercises / tiny.ID / "solution.ipynb").exists()


def test_a_learners_work_is_kept_when_the_notebook_is_written_anew(exercise: Exercise) -> None:
    build.restore(exercise)
    path = exercise.folder / "exercise.ipynb"
    untouched = path.read_text()
    for number in (1, 2):
        mine = untouched.replace("your turn: one line", f"mine, {number}")
        path.write_text(mine)
        lines = build.restore(exercise)
        assert lines[0].endswith(f"had work in it, kept as exercise.kept-{number}.ipynb")
        assert path.with_name(f"exercise.kept-{number}.ipynb").read_text() == mine
        assert path.read_text() == untouched
    # Run, but not changed: outputs are no work.
    run: dict[str, Any] = json.loads(untouched)
    run["cells"][0]["execution_count"] = 4
    path.write_text(json.dumps(run))
    assert build.restore(exercise) == [f"{path}: written"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("minutes: 5", "minutes: 30", "exercise.minutes = 30; accepted: less than or equal to 20"),
        ("minutes: 5", "minute: 5", "exercise.minutes is missing"),
        ("minutes: 5", "minutes: 5\n  color: red", "unknown key exercise.color; accepted: title,"),
        ("exercise:", "exercises:", "the header has no `exercise:`"),
        ("title: Shrink", "title: [Shrink", "not a MyST notebook"),
        ("    # END SOLUTION\n\n\n", "\n\n", "cell 3: `# BEGIN SOLUTION` without its partner"),
        ("    # BEGIN SOLUTION one line\n", "", "cell 3: `# END SOLUTION` without its partner"),
        ("[shrink, which]", "[shrink, Which]", "exercise.exports.1 = 'Which'; accepted:"),
    ],
)
def test_a_wrong_source_is_one_line_with_file_and_key(
    exercises: Path, old: str, new: str, said: str
) -> None:
    assert old in tiny.SOURCE
    tiny.write(exercises, source=tiny.SOURCE.replace(old, new, 1))
    with pytest.raises(RunError, match=r"source\.md: ") as e:
        load(1)
    assert said in str(e.value)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("start:", "begin:", "no key start"),
        ("[mild, medium, direct]", "[mild, medium]", "coupled.hints = ['mild', 'medium']"),
        ("  says: You say", "  say: You say", "coupled.says is missing"),
    ],
)
def test_wrong_hints_are_one_line(exercises: Path, old: str, new: str, said: str) -> None:
    tiny.write(exercises, hints=tiny.HINTS.replace(old, new))
    with pytest.raises(RunError, match=r"hints\.yml: ") as e:
        load(1)
    assert said in str(e.value)


def test_an_exercise_is_found_by_number_and_by_name(exercises: Path) -> None:
    with pytest.raises(RunError, match="no exercise 1; there are none"):
        load(1)
    tiny.write(exercises, "01-tiny")
    tiny.write(exercises, "07-other")
    (exercises / "notes").mkdir()
    (exercises / "02-without-source").mkdir()
    assert [e.id for e in all_exercises()] == ["01-tiny", "07-other"]
    assert load("7").id == load("07").id == load(7).id == load("07-other").id == "07-other"
    with pytest.raises(RunError, match="no exercise 2; there are 01-tiny, 07-other"):
        load("2")
    tiny.write(exercises, "07-twin")
    with pytest.raises(RunError, match="2 exercises 7"):
        load(7)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("source", "points: 6", "points: 7", "points = 7; the checks have 6"),
        ("source", "theory/shrinkage", "theory/no-such", "theory/no-such; not in book/_toc.yml"),
        ("source", "`hint()`", "a hint", "no text says that hint() helps"),
        ("source", "\ncheck()", "\n1", "no cell of the learner's calls check()"),
        ("source", '["explanation"]', "[]", "no cell"),
        ("hints", "coupled:", "unused: {says: A, hints: [a, b, c]}\ncoupled:", "unused is no"),
        ("hints", "direct help", "return ( 1-lr * lam)*w", "no-lr, hint 3 contains the solution's"),
        ("checks", "points(1)\ndef", "hidden\n@pytest.mark.points(1)\ndef", ""),
    ],
)
def test_the_lint_finds_each_broken_rule(
    exercises: Path, file: str, old: str, new: str, said: str
) -> None:
    text = tiny.FILES[next(f for f in tiny.FILES if f.startswith(file))]
    assert old in text
    tiny.write(exercises, **{file: text.replace(old, new)})
    found = lint.problems(load(1))
    assert len(found) == (1 if said else 0), found
    assert said in "".join(found)


def test_the_made_up_exercise_breaks_no_rule(exercise: Exercise) -> None:
    assert lint.problems(exercise) == []


def test_a_new_exercise_keeps_the_rules_and_fails_its_checks(exercises: Path) -> None:
    tiny.write(exercises, "04-tiny")
    folder = author.create("tied-heads")
    assert folder == exercises / "05-tied-heads"
    exercise = load(5)
    assert exercise.title == "Tied heads"
    assert lint.problems(exercise) == []
    stub = lint.names_in(exercise, build.learner_notebook(exercise))
    assert run_checks(exercise, stub, include_hidden=True).outcome == "not attempted"
    solved = lint.names_in(exercise, build.solution_notebook(exercise))
    assert run_checks(exercise, solved, include_hidden=True).outcome == "failed"
    assert sorted(p.name for p in exercises.iterdir()) == ["04-tiny", "05-tied-heads"]
    for slug, said in {"Tied": "accepted: small letters", "tied-heads": "there is an ex"}.items():
        with pytest.raises(RunError, match=said):
            author.create(slug)
