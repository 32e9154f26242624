"""Whole gradings of the made-up exercise: what is graded again, what stays after a stop."""

from __future__ import annotations

import csv
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.grading import tiny
from tests.grading.handed_in import OPEN, POSSIBLE, RIGHT, SHRINK, WHICH, hand_in
from weightdecay import runs
from weightdecay.__main__ import main
from weightdecay.grading import gradesheet
from weightdecay.grading.grade import GRADEBOOK, grade
from weightdecay.grading.sandbox import Limits
from weightdecay.runs import Json, RunError

WRONG = (OPEN, SHRINK.replace("lr * lam", "lam"), WHICH)


@pytest.fixture
def exercise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEIGHTDECAY_EXERCISES", str(tmp_path / "exercises"))
    return tiny.write(tmp_path / "exercises")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    hand_in(tmp_path / "in" / "ada.ipynb", *RIGHT)
    hand_in(tmp_path / "in" / "bob.ipynb", *WRONG)
    return tmp_path / "in"


def new(records: list[Json]) -> list[str]:
    return [r["learner"] for r in records if r["graded_now"]]


def attempts(out: Path) -> list[tuple[str, float]]:
    with sqlite3.connect(out / GRADEBOOK) as db:
        return db.execute("select learner, points from attempts order by learner, id").fetchall()


@pytest.mark.slow
def test_only_what_changed_is_graded_again(exercise: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "essay.txt").write_text("dear teacher")
    out = tmp_path / "out"
    first = grade([folder], out)
    assert [(r["learner"], r["points"]) for r in first] == [
        ("ada", POSSIBLE), ("bob", 2), ("essay", 0),
    ]  # fmt: skip
    assert [s["name"] for s in first[1]["symptoms"]] == ["no-lr"]
    assert new(first) == ["ada", "bob", "essay"]
    again = grade([folder], out)
    assert not new(again)
    assert [r | {"graded_now": True} for r in again] == first
    hand_in(folder / "bob.ipynb", *RIGHT)
    assert new(grade([folder], out)) == ["bob"]
    checks = exercise / "checks.py"
    checks.write_text(checks.read_text() + "\n# another word\n")
    assert new(grade([folder], out)) == ["ada", "bob"]
    assert attempts(out) == [
        ("ada", 6), ("ada", 6), ("bob", 2), ("bob", 6), ("bob", 6), ("essay", 0),
    ]  # fmt: skip
    with (out / "grades.csv").open(newline="") as f:
        assert [(r["learner"], r["points"]) for r in csv.DictReader(f)] == [
            ("ada", "6"), ("bob", "6"), ("essay", "0"),
        ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("isolated", [True, False])
def test_what_an_exercise_and_its_checks_give_can_be_read(
    exercise: Path, tmp_path: Path, isolated: bool
) -> None:
    """A folder beside the source, a file a check makes, a module as argument, the results."""
    (exercise / "evidence").mkdir()
    (exercise / "evidence" / "curve.txt").write_text("0.5")
    (exercise / "checks.py").write_text(
        tiny.CHECKS
        + '''

@pytest.mark.points(4)
def test_reads(which, tmp_path):
    """reads what it is given"""
    import torch
    (tmp_path / "given.txt").write_text("7")
    model = torch.nn.Linear(2, 1)
    text, weight = which(str(tmp_path / "given.txt"), model)
    expect(text, "0.5 7")
    expect(weight, model.weight)
'''
    )
    hand_in(
        tmp_path / "ada.ipynb",
        OPEN,
        "import os; from pathlib import Path; print(os.listdir(), sorted(os.listdir('../..')))\n"
        "import weightdecay; print(weightdecay.__file__)",
        "curve = Path('evidence/curve.txt').read_text()\nPath('mine.txt').write_text('x')",
        "def which(path, model):\n    return curve + ' ' + Path(path).read_text(), model.weight",
    )
    (record,) = grade([tmp_path / "ada.ipynb"], tmp_path / "out", isolated=isolated)
    assert [c["outcome"] for c in record["checks"] if c["name"] == "test_reads"] == ["passed"]
    cells = [c["output"] for c in record["cells"]]
    assert "['evidence'] ['exercises', 'experiments', 'src']" in cells[1]
    assert str(Path(runs.__file__).parent) not in cells[1]
    assert record["isolated"] is isolated
    html = (tmp_path / "out" / "reports" / "ada.html").read_text()
    assert (gradesheet.UNGUARDED in html) is not isolated


@pytest.mark.slow
@pytest.mark.usefixtures("exercise")
def test_limits_hold_without_a_sandbox(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    loop = "def shrink(w, lr, lam):\n    while True: pass"
    hand_in(folder / "bob.ipynb", OPEN, loop, WHICH, "x = bytearray(1 << 40)")
    ada, bob = grade([folder], tmp_path / "out", isolated=False, limits=Limits(call_seconds=5))
    assert ada["points"] == POSSIBLE
    assert bob["points"] == 1
    assert "MemoryError" in str(bob["cells"])
    assert "did not return within 5 s" in bob["checks"][0]["message"]
    commands = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
    assert not [c for c in commands if str(tmp_path) in c]
    assert not list((tmp_path / "t").iterdir())


def test_without_bubblewrap_nothing_runs(
    exercise: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match=r"no `bwrap` on the PATH.*install bubblewrap.*--no-sandbox"):
        grade([folder], tmp_path / "out")
    stand_in = tmp_path / "bwrap"
    stand_in.write_text("#!/bin/sh\necho bwrap: no permission >&2\nexit 1\n")
    stand_in.chmod(0o755)
    with pytest.raises(RunError, match=r"cannot make a sandbox here \(bwrap: no permission\)"):
        grade([folder], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert exercise.is_dir()


def test_mistakes_at_the_command_line_are_one_line(
    exercise: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nothing").mkdir()
    for path, line in ((tmp_path / "nothing", "no submission in there"), ("gone", "no such file")):
        assert main(["grade", str(path), "--out", str(tmp_path / "out")]) == 1
        assert line in capsys.readouterr().err
    (exercise / "hints.yml").write_text("start: 3")
    notebook = hand_in(tmp_path / "ada.ipynb", *RIGHT)
    assert main(["grade", str(notebook), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "hints.yml" in error
    assert error.count("\n") == 1


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_a_mistake_in_the_checks_is_the_authors(
    exercise: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (exercise / "checks.py").write_text("def test_x(nothing):\n    '''x'''\n")
    out = str(tmp_path / "out")
    assert main(["grade", str(tmp_path / "in"), "--out", out]) == 1
    error = capfd.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert "checks.py: test_x: needs @pytest.mark.points(n)" in error


def until(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.usefixtures("exercise")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("sandbox", ["--sandbox", "--no-sandbox"])
def test_stopped_at_any_time_it_leaves_no_process_and_keeps_what_is_done(
    tmp_path: Path, how: signal.Signals, sandbox: str
) -> None:
    hand_in(tmp_path / "in" / "ada.ipynb", *RIGHT)
    loop = "while True: pass"
    for learner in ("bob", "cy", "dee"):
        hand_in(tmp_path / "in" / f"{learner}.ipynb", *RIGHT, loop)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "weightdecay", "grade", str(tmp_path / "in"), sandbox]
    environment = {**os.environ, "PYTHONPATH": str(Path(runs.__file__).parents[1])}
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(
            [*command, "--out", str(out)], env=environment, stdout=said, stderr=said
        )
    try:
        until(lambda: (out / GRADEBOOK).exists() and attempts(out) != [], "nothing was graded")
        top = psutil.Process(process.pid)
        until(
            lambda: any("kernel.json" in str(c.cmdline()) for c in top.children(recursive=True)),
            "no kernel came up",
        )
        family = top.children(recursive=True)
        assert len(family) > 3
    finally:
        process.send_signal(how)
    code = process.wait(60)
    _, alive = psutil.wait_procs(family, 60)
    assert not alive
    assert ("ada", POSSIBLE) in attempts(out)
    if how == signal.SIGINT:
        assert code == 130
        assert "Traceback" not in (tmp_path / "said").read_text()
        assert (out / "reports" / "ada.html").exists()
    for learner in ("bob", "cy", "dee"):
        hand_in(tmp_path / "in" / f"{learner}.ipynb", *RIGHT)
    assert new(grade([tmp_path / "in"], out, isolated=sandbox == "--sandbox")) == [
        "bob", "cy", "dee",
    ]  # fmt: skip
