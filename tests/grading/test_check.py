"""Checking: four outcomes, messages without traceback, symptoms, and no trace left behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.grading import tiny
from weightdecay.grading.check import run_checks
from weightdecay.grading.load import Exercise, load
from weightdecay.runs import RunError

GOOD: dict[str, Any] = {
    "shrink": lambda w, lr, lam: w - lr * lam * w,
    "which": lambda: "decoupled",
}


def outcomes(exercise: Exercise, **names: Any) -> list[str]:
    report = run_checks(exercise, {**GOOD, **names}, include_hidden=False)
    return [r.outcome for r in report.results]


def test_a_right_answer_passes_and_hidden_checks_are_run_when_asked(exercise: Exercise) -> None:
    public = run_checks(exercise, GOOD, include_hidden=False)
    assert (public.outcome, public.points, public.possible) == ("passed", 4, 4)
    everything = run_checks(exercise, GOOD, include_hidden=True)
    assert [r.hidden for r in everything.results] == [False, False, False, True]
    assert (everything.points, everything.possible, everything.symptoms) == (6, 6, [])


def test_what_is_missing_or_a_stub_is_not_attempted(exercise: Exercise) -> None:
    def stub(w: Any, lr: float, lam: float) -> Any:
        raise NotImplementedError("your turn: one line")

    assert run_checks(exercise, {}, include_hidden=True).outcome == "not attempted"
    report = run_checks(exercise, {**GOOD, "shrink": stub}, include_hidden=False)
    assert [r.outcome for r in report.results] == ["not attempted", "not attempted", "passed"]
    assert report.results[0].message == "your turn: one line"


def test_a_wrong_answer_shows_observed_expected_and_inputs(exercise: Exercise) -> None:
    report = run_checks(
        exercise, {**GOOD, "shrink": lambda w, lr, lam: w}, include_hidden=False, seed=3
    )
    first, second, third = report.results
    assert (first.outcome, second.outcome, third.outcome) == ("failed", "passed", "passed")
    w = np.random.default_rng(3).normal(size=3)
    assert f"inputs:   w = [{w[0]:.6g}, {w[1]:.6g}" in first.message
    assert report.symptoms == []  # wrong, but in no way that is known


def test_known_mistakes_are_named_and_only_those(exercise: Exercise) -> None:
    names = {"shrink": lambda w, lr, lam: w - lam * w, "which": lambda: "coupled"}
    both = run_checks(exercise, names, include_hidden=False)
    assert [s.name for s in both.symptoms] == ["no-lr", "coupled"]
    assert both.symptoms[0].says == "Your decay is not multiplied by the learning rate."
    one = run_checks(exercise, {**GOOD, "which": names["which"]}, include_hidden=False)
    assert [(s.name, s.export) for s in one.symptoms] == [("coupled", "which")]


def test_an_error_of_the_learners_is_its_last_line_and_the_line_of_code(
    exercise: Exercise,
) -> None:
    def shrink(w: Any, lr: float, lam: float) -> Any:
        return torch.ones(2) @ torch.ones(3)

    first = run_checks(exercise, {**GOOD, "shrink": shrink}, include_hidden=False).results[0]
    assert first.outcome == "raised"
    error, line = first.message.splitlines()
    assert error.startswith("RuntimeError: ")
    assert line.endswith("in shrink: return torch.ones(2) @ torch.ones(3)")
    assert "Traceback" not in first.message


def test_a_function_that_prints_instead_of_returning_is_asked_about_it(
    exercise: Exercise,
) -> None:
    def prints(w: Any, lr: float, lam: float) -> None:
        print(w - lr * lam * w)

    first = run_checks(exercise, {**GOOD, "shrink": prints}, include_hidden=False).results[0]
    observed = "observed: the result None, does the function return its result?"
    assert first.message.splitlines()[0] == observed


def test_the_last_of_many_long_inputs_can_be_read(exercises: Path) -> None:
    changed = 'inputs={**{f"text{i}": "x" * 900 for i in range(4)}, "λ": 0.5}'
    tiny.write(
        exercises, checks=tiny.CHECKS.replace('inputs={"w": w, "lr": 0.1, "λ": 0.5}', changed)
    )
    wrong = {**GOOD, "shrink": lambda w, lr, lam: w}
    message = run_checks(load(1), wrong, include_hidden=False).results[0].message
    assert message.endswith("…, λ = 0.5")


def test_the_line_of_a_syntax_error_is_one_of_the_cell(exercise: Exercise) -> None:
    def shrink(w: Any, lr: float, lam: float) -> Any:
        compile("x = 1\ny = (", "4261292991.py", "exec")

    first = run_checks(exercise, {**GOOD, "shrink": shrink}, include_hidden=False).results[0]
    error = first.message.splitlines()[0]
    assert error == "SyntaxError: '(' was never closed, line 2 of the cell"


def test_exit_and_failed_asserts_of_the_learners_are_raised_too(exercise: Exercise) -> None:
    def leaves(w: Any, lr: float, lam: float) -> Any:
        sys.exit(3)

    def asserts(w: Any, lr: float, lam: float) -> Any:
        assert lr > 1, "a large rate"

    assert outcomes(exercise, shrink=leaves) == ["raised", "raised", "passed"]
    assert outcomes(exercise, shrink=asserts) == ["raised", "raised", "passed"]


def test_what_torch_has_not_implemented_was_attempted(exercise: Exercise) -> None:
    def shrink(w: Any, lr: float, lam: float) -> Any:
        return torch.nn.Module()(w)  # a Module without forward raises NotImplementedError

    assert outcomes(exercise, shrink=shrink) == ["raised", "raised", "passed"]


def test_a_name_that_is_no_function_fails(exercise: Exercise) -> None:
    report = run_checks(exercise, {**GOOD, "which": "decoupled"}, include_hidden=False)
    assert report.results[2].outcome == "failed"
    assert "observed: which = 'decoupled'" in report.results[2].message


def test_changing_an_argument_in_place_stays_with_the_learner(exercise: Exercise) -> None:
    def shrink(w: Any, lr: float, lam: float) -> Any:
        result = (1 - lr * lam) * w
        w *= 0
        return result

    assert outcomes(exercise, shrink=shrink) == ["passed"] * 3


def test_the_seed_repeats_the_inputs(exercise: Exercise, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {**GOOD, "shrink": lambda w, lr, lam: w}
    fresh = {run_checks(exercise, wrong, include_hidden=False).seed for _ in range(3)}
    assert len(fresh) == 3
    monkeypatch.setenv("WEIGHTDECAY_CHECK_SEED", "12")
    again = [run_checks(exercise, wrong, include_hidden=False) for _ in range(2)]
    assert again[0] == again[1]
    assert again[0].seed == 12
    monkeypatch.setenv("WEIGHTDECAY_CHECK_SEED", "twelve")
    with pytest.raises(RunError, match="WEIGHTDECAY_CHECK_SEED = 'twelve'"):
        run_checks(exercise, wrong, include_hidden=False)


def test_nothing_is_left_behind(
    exercise: Exercise,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (exercise.folder / "conftest.py").write_text("raise RuntimeError\n")
    checks_of_their_own = type(sys)("checks")
    monkeypatch.setitem(sys.modules, "checks", checks_of_their_own)
    run_checks(exercise, GOOD, include_hidden=False)  # imports what pytest imports late
    modules, state = set(sys.modules), torch.random.get_rng_state()
    before = sorted(tmp_path.rglob("*"))

    def loud() -> str:
        print("a line of the learner's")
        return "decoupled"

    assert outcomes(exercise, which=loud) == ["passed"] * 3
    assert set(sys.modules) == modules
    assert sys.modules["checks"] is checks_of_their_own
    assert torch.equal(torch.random.get_rng_state(), state)
    assert sorted(tmp_path.rglob("*")) == before
    assert os.environ["PYTEST_ADDOPTS"] == "--no-such-option"
    assert Path.cwd() == tmp_path
    assert capsys.readouterr() == ("", "")


def test_an_edited_check_is_read_again(exercise: Exercise) -> None:
    assert outcomes(exercise) == ["passed"] * 3
    path = exercise.folder / "checks.py"
    path.write_text(path.read_text().replace('== "decoupled"', '== "not decoupled any more"'))
    assert outcomes(exercise) == ["passed", "passed", "failed"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("@pytest.mark.points(1)\n", "", "needs @pytest.mark.points"),
        ('    """AdamW is decoupled"""\n', "", "test_names_it: needs a docstring"),
        ("(which)", "(witch)", "witch is no export and no fixture"),
        ("import numpy as np", "import no_such_module", "No module named 'no_such_module'"),
        ("    assert which", "    pytest.skip()\n    assert which", "a check does not skip"),
    ],
)
def test_a_mistake_of_the_authors_is_one_line(
    exercises: Path, old: str, new: str, said: str
) -> None:
    tiny.write(exercises, checks=tiny.CHECKS.replace(old, new))
    with pytest.raises(RunError, match=r"checks\.py: ") as e:
        run_checks(load(1), GOOD, include_hidden=False)
    assert said in str(e.value)
    assert "\n" not in str(e.value)
