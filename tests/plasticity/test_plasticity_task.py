"""The two experiments on disk: killed and gone on with, trained once, read back."""

from __future__ import annotations

import math
import os
import signal
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.plasticity import shrunk
from tests.plasticity.shrunk import BASE
from weightdecay import runs
from weightdecay.plan import run_name
from weightdecay.plasticity import evaluate, pretrain, reward, task
from weightdecay.plasticity.config import Pretrain
from weightdecay.plasticity.downstream import TASKS, examples
from weightdecay.runs import Json, RunError

FULL = Pretrain.model_validate(BASE).model_dump()
TUNE: Json = {**BASE, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with one base model, trained without a break."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        shrunk.shrink(patch.setattr)
        task.train_base(FULL, folder / run_name("pretrain", FULL))
    return folder


def base_files(folder: Path) -> dict[str, Any]:
    directory = folder / run_name("pretrain", FULL)
    found = {name: (directory / name).read_bytes() for name in (task.WEIGHTS, task.MOMENTS)}
    return {**found, "rows": task.pretrain_rows(directory)}


@pytest.mark.parametrize("name", TASKS)
def test_no_prompt_is_trained_on_and_asked(name: str) -> None:
    """The experiments' own numbers and seeds, and the reward model's."""
    asked = {e.prompt for e in examples(name, "test", task.TEST[name], task.TEST_SEED)}
    shown = {e.prompt for s in (0, 8) for e in examples(name, "train", task.TRAIN[name], s)}
    if name in ("chains", "lists"):
        for s in (1000, 1001):
            shown |= {e.prompt for e in examples(name, "train", reward.PROMPTS, s)}
    assert len(asked) == task.TEST[name]
    assert len(shown) >= task.TRAIN[name]
    assert asked.isdisjoint(shown)


def test_a_base_models_rows_are_its_curve_and_at_last_everything(trained: Path) -> None:
    rows = base_files(trained)["rows"]
    n = pretrain.steps(Pretrain.model_validate(BASE))
    steps = [row["step"] for row in rows]
    assert steps == [*range(n // 8, n, n // 8), n][: len(steps)]
    assert steps[-1] == n
    assert all("train loss" in row and "pseudo-rank/QK" in row for row in rows)
    assert ["val loss" in row for row in rows] == [False] * (len(rows) - 1) + [True]
    assert rows[-1]["train loss"] < rows[0]["train loss"]
    directory = trained / run_name("pretrain", FULL)
    assert not (directory / pretrain.CHECKPOINT).exists()
    assert runs.read_json(directory / runs.MANIFEST)["ended"]
    assert runs.read_yaml(directory / runs.CONFIG) == FULL


def test_a_killed_run_goes_on_bit_for_bit(
    trained: Path, tmp_path: Path, small: None, processes: ForkServerContext
) -> None:
    """A real process, killed behind step 22 of 32; the last checkpoint is that of step 16."""
    directory = tmp_path / run_name("pretrain", FULL)
    process = processes.Process(target=shrunk.stuck_base, args=(FULL, str(directory)))
    process.start()
    deadline = time.monotonic() + 120
    while not (tmp_path / "stuck").exists() and time.monotonic() < deadline:
        assert process.is_alive(), "the process ended before it got stuck"
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (directory / pretrain.CHECKPOINT).exists()
    assert not (directory / runs.RESULTS).exists()
    steps_done: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        step = pretrain.step

        def counted(*arguments: Any) -> None:
            steps_done.append(1)
            step(*arguments)

        patch.setattr(pretrain, "step", counted)
        task.train_base(FULL, directory)
    assert len(steps_done) == pretrain.steps(Pretrain.model_validate(BASE)) - 16
    assert base_files(tmp_path) == base_files(trained)


def test_an_untrained_base_model_is_a_run_too(tmp_path: Path, small: None) -> None:
    values = {**FULL, "tokens_per_parameter": 0}
    task.train_base(values, tmp_path / "none")
    (row,) = task.pretrain_rows(tmp_path / "none")
    assert (row["step"], row["dose"]) == (0, 0)
    assert load_file(tmp_path / "none" / task.MOMENTS) == {}


@pytest.mark.parametrize("name", TASKS)
def test_a_fine_tune_has_its_tasks_score_and_leaves_its_base_alone(
    trained: Path, small: None, name: str
) -> None:
    before = base_files(trained)
    directory = trained / f"finetune-{name}"
    task.train_finetune(task.check_finetune({**TUNE, "task": name}, "x"), directory)
    (row,) = task.finetune_rows(directory)
    metric = {"safety": "balanced", "agreement": "cloze", "exceptions": "cloze"}.get(name, "greedy")
    assert row["score"] == row[metric]
    assert {"train loss", "test loss", "excess after", "upstream/sums"} <= set(row)
    assert ("rm@16" in row) == (metric == "greedy")
    assert before["rows"][-1]["excess"] != row["excess after"]
    assert base_files(trained) == before


def test_the_three_starts_give_three_fine_tunes(
    trained: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sibling = {**FULL, "weight_decay": 0.1}
    found = {}
    for start in ("own", "norm_matched", "optimizer_kept"):
        config = task.check_finetune({**TUNE, "task": "exceptions", "start": start}, "x")
        task.train_finetune(config, trained / start)
        (found[start],) = task.finetune_rows(trained / start)
        assert (trained / run_name("pretrain", sibling) / task.WEIGHTS).exists() == (start != "own")
    losses = [row["test loss"] for row in found.values()]
    assert len(set(losses)) == 3
    assert all(isinstance(loss, float) and math.isfinite(loss) for loss in losses)


def test_two_fine_tunes_at_once_train_their_base_model_once(
    trained: Path, tmp_path: Path, processes: ForkServerContext
) -> None:
    started = []
    for name in ("exceptions", "safety"):
        config = task.check_finetune({**TUNE, "task": name}, "x")
        process = processes.Process(target=shrunk.finetuned, args=(config, str(tmp_path / name)))
        process.start()
        started.append(process)
    for process in started:
        process.join(240)
        assert process.exitcode == 0
    lines = (tmp_path / "trained").read_text().splitlines()
    assert [line.split()[1] for line in lines] == [run_name("pretrain", FULL)]
    for name in ("exceptions", "safety"):
        assert len(task.finetune_rows(tmp_path / name)) == 1
    assert base_files(tmp_path) == base_files(trained)


def test_results_of_another_protocol_or_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"results\.json: .*delete the directory"):
        task.pretrain_rows(tmp_path)
    runs.write_json(tmp_path / runs.RESULTS, {"protocol": 0, "rows": []})
    with pytest.raises(RunError, match=r"protocol = 0, expected 1: .*delete the directory"):
        task.finetune_rows(tmp_path)


def test_the_samples_are_those_of_the_configs_seed(
    trained: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    solutions = evaluate.solutions

    def noted(*arguments: Any) -> dict[str, float]:
        asked.append((arguments[2], arguments[4]))
        return solutions(*arguments)

    monkeypatch.setattr(evaluate, "solutions", noted)
    config = task.check_finetune({**TUNE, "task": "lists", "epochs": 1}, "x")
    task.train_finetune(config, trained / "sampled")
    assert asked == [(task.SAMPLED, BASE["seed"])]
