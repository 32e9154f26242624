"""The exercises in the terminal: real notebooks in fresh processes, and what the list says."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.grading import tiny
from weightdecay.__main__ import main
from weightdecay.grading import build, progress, terminal
from weightdecay.grading.load import Exercise
from weightdecay.grading.terminal import check_notebook
from weightdecay.runs import RunError

WRONG = ('raise NotImplementedError(\\"your turn: one line\\")', "return (1 - lam) * w")


@pytest.fixture
def notebook(exercise: Exercise) -> Path:
    """The learner's notebook, as a new learner finds it."""
    build.restore(exercise)
    return exercise.folder / "exercise.ipynb"


def edit(notebook: Path, *changes: tuple[str, str]) -> None:
    text = notebook.read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    notebook.write_text(text, "utf-8")


@pytest.mark.slow
def test_the_notebook_is_run_and_checked_and_left_as_it_was(
    exercise: Exercise, notebook: Path
) -> None:
    broken = ("import numpy as np", "import nunpy as np")
    no_open = ("from weightdecay.grading import open_exercise", "pass")
    edit(notebook, WRONG, broken, no_open)  # not even the first cell is needed
    before = notebook.read_bytes()
    done = check_notebook(exercise, notebook)
    assert notebook.read_bytes() == before
    assert done.errors == [
        "cell [1] (`pass`) raises NameError: name 'open_exercise' is not defined",
        "cell [2] (`import nunpy as np`) raises ModuleNotFoundError: No module named 'nunpy'",
        "cell [4] (`check()`) raises NameError: name 'check' is not defined",
    ]
    assert done.text.startswith("✗ failed: one step leaves")
    assert "Symptom: Your decay is not multiplied by the learning rate." in done.text
    state = progress.state(exercise.id)
    assert (state.attempts, state.symptom) == (1, "no-lr")  # its own check() did not count


@pytest.mark.slow
def test_a_syntax_error_is_told_by_the_line_of_its_cell(exercise: Exercise, notebook: Path) -> None:
    edit(notebook, ("import numpy as np", "import numpy as np\\ny = = 1"))
    assert check_notebook(exercise, notebook).errors == [
        "cell [2] (`import numpy as np`) raises SyntaxError: invalid syntax, line 2 of the cell"
    ]


@pytest.mark.slow
def test_check_says_by_its_exit_code_whether_all_passed(
    exercise: Exercise, notebook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as e:
        main(["check", "1"])
    assert e.value.code == 1
    assert "· not attempted: one step leaves" in capsys.readouterr().out
    right = (WRONG[0], "return (1 - lr * lam) * w")
    edit(notebook, right, ('raise NotImplementedError(\\"your turn\\")', 'return \\"decoupled\\"'))
    elsewhere = notebook.rename(exercise.folder.parent / "mine.ipynb")
    assert main(["check", "01", str(elsewhere)]) == 0
    assert "4 of 4 points. All passed." in capsys.readouterr().out


@pytest.mark.slow
def test_watch_checks_again_when_the_notebook_is_saved(notebook: Path) -> None:
    command = [sys.executable, "-u", "-m", "weightdecay", "watch", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        timer = threading.Timer(300, process.kill)  # so that a mistake here ends
        timer.start()
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            assert any("Watching exercise.ipynb" in line for line in lines)
            saved = notebook.with_name("new")  # as editors do: another file takes the name
            saved.write_bytes(notebook.read_bytes())
            edit(saved, WRONG)
            saved.replace(notebook)
            assert any("Symptom: Your decay" in line for line in lines)
        finally:
            timer.cancel()
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "9"], "no exercise 9; there are 01-tiny"),
        (["check", "1", "no-such.ipynb"], "no-such.ipynb: No such file or directory"),
        (["check", "1", "exercises/01-tiny/checks.py"], "checks.py: not a notebook: "),
        (["exercises-build", "--check"], "exercise.ipynb: differs from source.md; run `just ex"),
        (["new-exercise", "Not a slug"], "slug = 'Not a slug'; accepted: "),
    ],
)
def test_a_mistake_is_told_in_words(
    exercise: Exercise,
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(exercise.folder.parent.parent)
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert (out, err[:7]) == ("", "error: ")
    assert said in err


def test_the_list_shows_part_state_points_and_score(
    exercise: Exercise, exercises: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.write(exercises, "02-other", source=tiny.SOURCE.replace("Shrink a weight", "Another"))
    with progress.changed(exercise.id) as state:
        state.attempts, state.best, state.passed = 3, 4, True
    with progress.changed("02-other") as state:
        state.attempts, state.best = 1, 1
    assert main(["exercises"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Part 1 · Theory" in lines[1]
    rows = [line.split() for line in lines[2:4]]
    assert rows[0][:5] == ["01", "Shrink", "a", "weight", "theory/shrinkage"]
    assert rows[0][-3:] == ["4/4", "✓", "passed"]
    assert rows[1][-2:] == ["1/4", "begun"]
    assert lines[-1].rstrip().endswith("Score: 5 of 8 points, 1 of 2 exercises passed.")


def test_hint_and_reset(
    exercise: Exercise, notebook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say: Callable[[], str] = lambda: capsys.readouterr().out  # noqa: E731
    assert main(["hint", "1"]) == 0
    assert "Hint 1 of 3. What does one step do" in say()
    assert main(["reset-exercise", "1"]) == 0
    assert "progress forgotten" in (out := say())
    assert "just reset-exercise 01 --notebook" in out
    assert progress.states() == {}
    edit(notebook, WRONG)
    assert main(["reset-exercise", "1", "--notebook"]) == 0
    assert "had work in it, kept as exercise.kept-1.ipynb" in say()
    assert "your turn: one line" in notebook.read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "seconds", "told"),
    [
        ("while True: pass", 4, "ran longer than 4 s; a loop without end?"),
        ("import os; os._exit(3)", 60, "the process that ran the notebook ended"),
    ],
)
def test_a_function_that_never_returns_or_ends_its_process_is_told_in_one_line(
    exercise: Exercise,
    notebook: Path,
    body: str,
    seconds: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(terminal, "SECONDS", seconds)
    edit(notebook, (WRONG[0], body))
    with pytest.raises(RunError, match=re.escape(told)) as e:
        check_notebook(exercise, notebook)
    assert "\n" not in str(e.value)
    assert progress.state(exercise.id).attempts == 0
