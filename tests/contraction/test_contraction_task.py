"""Runs on disk: their rows, begun again after a kill, refused where they do not mix."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.test_sweep import one_line
from weightdecay import evidence, plan, results, runs, sweep
from weightdecay.contraction import problems, records, task
from weightdecay.contraction import train as training
from weightdecay.contraction.config import Config, Name
from weightdecay.contraction.note_claims import DECAY
from weightdecay.contraction.problems import Problem
from weightdecay.plan import Row
from weightdecay.runs import Json, RunError
from weightdecay.versioned import parse

NAMES: tuple[Name, ...] = get_args(Name)
STEPS = 40
ARMS = ["loss_matched", "norm_matched", "norm_held", "l2_init", "own"]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps: what a run measures means nothing."""
    monkeypatch.setattr(training, "train", functools.partial(training.train, steps=STEPS))
    monkeypatch.setattr(problems, "ELSEWHERE", 32)


def config(**changed: object) -> Json:
    return task.check({"seed": 0, "problem": "regression", "weight_decay": 20.0, **changed}, "x")


def by_arm(rows: list[Row]) -> dict[str, Row]:
    return {str(row["arm"]): row for row in rows}


def number(row: Row, key: str) -> float:
    value = row[key]
    assert isinstance(value, int | float)
    return float(value)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_has_a_row_for_each_arm_and_that_of_the_decayed_network_last(
    name: Name, tmp_path: Path
) -> None:
    task.train(config(problem=name), tmp_path / "run")
    rows = task.rows(tmp_path / "run")
    assert [row["arm"] for row in rows] == ARMS
    arms = by_arm(rows)
    full = 20.0 * sum(training.rates(STEPS))
    doses = {arm: number(row, "dose") for arm, row in arms.items()}
    assert doses == pytest.approx(dict(zip(ARMS, (0.0, 0.0, 0.0, full, full), strict=True)))
    own, matched = arms["own"], arms["norm_matched"]
    assert number(matched, "norm") == pytest.approx(number(own, "norm"), rel=1e-5)
    stopped = arms["loss_matched"]
    assert stopped["reached"] is True
    assert 0 < number(stopped, "steps") < STEPS
    assert number(stopped, "train loss") <= number(own, "train loss")
    assert number(own, "norm") < number(arms["l2_init"], "norm")  # zero is farther than the start
    assert {row["steps"] for arm, row in arms.items() if arm != "loss_matched"} == {STEPS}


def test_without_decay_there_is_the_network_alone_and_it_is_what_the_others_are_compared_with(
    tmp_path: Path,
) -> None:
    task.train(config(weight_decay=0.0), tmp_path / "plain")
    (plain,) = task.rows(tmp_path / "plain")
    assert (plain["arm"], plain["dose"]) == ("own", 0.0)
    # A decay of next to nothing leaves next to nothing for the arms to differ in.
    task.train(config(weight_decay=1e-9), tmp_path / "hardly")
    for row in task.rows(tmp_path / "hardly"):
        if row["arm"] != "loss_matched":
            assert number(row, "F/train") == pytest.approx(number(plain, "F/train"), abs=1e-4)


def test_a_target_that_is_never_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = training.train

    def longer_with_decay(problem: Problem, seed: int, decay: float, **more: Any) -> Any:
        """So the decayed network ends lower than the other ever comes."""
        if decay and not more.get("to_init"):
            return usual(problem, seed, 0.0, steps=5 * STEPS, **more)
        return usual(problem, seed, decay, **more)

    monkeypatch.setattr(training, "train", longer_with_decay)
    arms = by_arm(task.compared(parse(Config, config(), "x")))
    assert arms["loss_matched"]["reached"] is False
    assert arms["loss_matched"]["steps"] == STEPS
    assert number(arms["loss_matched"], "train loss") > number(arms["own"], "train loss")


def test_the_same_config_gives_the_same_rows_and_a_killed_run_starts_again(tmp_path: Path) -> None:
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    task.train(config(), alone)
    long_ago = {"started": "2001-01-01T00:00:00+00:00", "ended": None, "device": "abacus"}
    assert not runs.prepare(killed, config(), long_ago)
    (killed / f".{runs.RESULTS}.x1y2").write_text('{"protocol": 1, "ro')
    task.train(config(), killed)
    assert task.rows(killed) == task.rows(alone)
    manifest = runs.read_json(killed / runs.MANIFEST)
    assert manifest["device"] == "cpu"  # of the training that made the results
    assert long_ago["started"] < manifest["started"] <= manifest["ended"]
    assert {p.name for p in alone.iterdir()} == {runs.CONFIG, runs.MANIFEST, runs.RESULTS}


def test_a_run_that_fails_leaves_no_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError("told to fail")

    with monkeypatch.context() as patch:
        patch.setattr(training, "norm_matched", fails)
        with pytest.raises(OSError, match="told to fail"):
            task.train(config(), tmp_path / "run")
    assert not (tmp_path / "run" / runs.RESULTS).exists()
    task.train(config(), tmp_path / "run")
    assert len(task.rows(tmp_path / "run")) == len(ARMS)


def test_a_directory_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError) as e:
        task.train(config(), tmp_path)
    one_line(e, str(tmp_path), "not a run, left alone")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{"protocol": 1, "ro', ["not valid JSON"]),
        (json.dumps({"protocol": 0, "rows": []}), ["protocol = 0, expected 1"]),
        (json.dumps({"rows": []}), ["protocol = None", "do not mix"]),
    ],
)
def test_results_that_cannot_be_used_are_named_with_the_way_out(
    tmp_path: Path, text: str, parts: list[str]
) -> None:
    (tmp_path / runs.RESULTS).write_text(text)
    with pytest.raises(RunError) as e:
        task.rows(tmp_path)
    one_line(e, str(tmp_path / runs.RESULTS), *parts, "delete the directory, it is trained again")


def test_a_sweep_finds_the_task_and_its_table_is_asked_by_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / records.JACOBIAN
    folder.mkdir()
    (folder / "config.yaml").write_text("seed: 0\nproblem: regression\nweight_decay: 0.0\n")
    (folder / plan.SWEEP).write_text(
        "task: contraction\nbase: config.yaml\n"
        "grids:\n  - problem: [regression]\n    weight_decay: [0.0, 20.0]\nseeds: [1, 0]\n"
        "quick: {grid: {weight_decay: [20.0]}, seeds: [0], columns: [near]}\n"
    )
    found = evidence.task_of(plan.read_plan(folder).task, folder)
    assert found is task.TASK
    todo = plan.jobs(folder, found, parent=tmp_path / "runs")
    trained = sweep.train(todo, found, "toy", workers=1)
    results.write(folder, todo, found, trained)
    monkeypatch.setattr(records, "table", lambda name: results.read(tmp_path / name))
    runs_of = {(job.setting["weight_decay"], job.seed): task.rows(job.directory) for job in todo}
    for arm in ARMS:
        expected = [number(by_arm(runs_of[20.0, seed])[arm], "near") for seed in (0, 1)]
        assert records.values("near", "regression", 20.0, arm) == pytest.approx(expected, rel=1e-5)
        less = [e - number(by_arm(runs_of[0.0, s])["own"], "near") for s, e in enumerate(expected)]
        assert records.change("near", "regression", 20.0, arm) == pytest.approx(less, rel=1e-4)
    assert records.values("reached", "regression", 20.0, "loss_matched") == [1.0, 1.0]
    with pytest.raises(RunError, match=r"no row with .*arm = l2_init; arm is one of own"):
        records.values("near", "regression", 0.0, "l2_init")


def test_the_decay_that_the_verdict_asks_for_is_a_dose_of_3() -> None:
    assert DECAY * sum(training.rates()) == pytest.approx(3, rel=0.02)
