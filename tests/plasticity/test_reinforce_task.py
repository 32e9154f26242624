"""Runs of tuning by rewards, shrunk: their rows, the same ones again, siblings, bad configs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.plasticity import shrunk
from weightdecay import runs
from weightdecay.evidence import task_of
from weightdecay.plan import run_name
from weightdecay.plasticity import reinforce, reinforce_measure, reinforce_task, task
from weightdecay.plasticity.config import Pretrain
from weightdecay.runs import Json, RunError

CONFIG: Json = {"seed": 3, "size": "30k", "learning_rate": 1e-3, "epochs": 1, "method": "positive"}
SIZES: list[tuple[Any, str, Any]] = [
    (reinforce, "PROMPTS", 8),
    (reinforce_task, "START", 48),
    (reinforce_task, "PROMPTS", 32),
    (reinforce_task, "HELD_OUT", 8),
    (reinforce_task, "START_EPOCHS", 1),
    (reinforce_task, "SECOND_EXAMPLES", 32),
    (reinforce_task, "SECOND_EPOCHS", 2),
    (reinforce_measure, "GREEDY", 16),
    (reinforce_measure, "ASKED", 6),
    (reinforce_measure, "SAMPLES", 8),
    (reinforce_measure, "MIDWAY", 4),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with the base model."""
    found = tmp_path_factory.mktemp("runs")
    base = Pretrain(seed=3, weight_decay=0.1, size="30k")
    with pytest.MonkeyPatch.context() as patch:
        shrunk.shrink(patch.setattr)
        small = base.model_copy(update={"tokens_per_parameter": 1})
        task.train_base(small.model_dump(), found / run_name("pretrain", base.model_dump()))
    return found


@pytest.fixture(autouse=True)
def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in SIZES:
        monkeypatch.setattr(module, name, value)
    # Uncached, so that no other test meets these few prompts.
    monkeypatch.setattr(reinforce_measure, "asked", reinforce_measure.asked.__wrapped__)


def run(folder: Path, **changed: object) -> tuple[Path, list[dict[str, Any]]]:
    values = reinforce_task.check({**CONFIG, **changed}, "x")
    directory = folder / run_name(reinforce_task.NAME, values)
    reinforce_task.train(values, directory)
    return directory, reinforce_task.rows(directory)


def test_the_name_in_a_sweep_leads_here() -> None:
    assert task_of("reinforce", Path("x")) is reinforce_task.TASK


def test_a_runs_rows_are_the_start_the_expert_the_way_and_the_end(folder: Path) -> None:
    directory, rows = run(
        folder, expert_examples=20, expert_epochs=5, second=True, finetune_decay=1
    )
    phases = [(row["phase"], row["epoch"]) for row in rows]
    assert phases == [
        ("start", 0), *(("expert", epoch) for epoch in (1, 2, 3, 4, 5)),
        ("method", 0.25), ("method", 0.5), ("method", 1),
    ]  # fmt: skip
    start, *_, first, last = rows
    assert (start["moved"], start["changed"], start["rank"]) == (0, 0, 0)
    assert start["KL(start, model)"] == pytest.approx(0, abs=1e-9)
    assert 0 < start["entropy"] < math.log(200)
    assert all(row["expert/train loss"] > 0 for row in rows if row["phase"] == "expert")
    assert rows[5]["expert/train loss"] < rows[1]["expert/train loss"]
    assert "pass@8" in last
    assert "pass@8" not in first  # fewer samples on the way
    assert 0 < first["moved"] < last["moved"]
    assert last["changed"] >= last["changed/bf16"] > 0
    assert last["KL(start, model)"] > 0 < last["KL(model, start)"]
    shares = [last[f"share/{kind}"] for kind in ("last", "first", "neither")]
    assert sum(shares) == pytest.approx(1)
    assert 0 <= last["solved@1"] <= last["pass@1"] <= last["pass@4"] <= 1
    for name in ("lists", "safety"):
        assert 0 <= last[f"{name}/score/2"] <= 1
        assert last[f"{name}/loss/2"] < last[f"{name}/loss/1"] < last[f"{name}/loss/0"]
    assert runs.read_json(directory / runs.MANIFEST)["ended"]


def test_an_unfinished_run_starts_again_and_gives_the_same(folder: Path) -> None:
    directory, rows = run(folder)
    weights = (directory / task.WEIGHTS).read_bytes()
    (directory / runs.RESULTS).unlink()
    (directory / task.WEIGHTS).write_bytes(b"half")
    assert run(folder) == (directory, rows)
    assert (directory / task.WEIGHTS).read_bytes() == weights
    before = (directory / runs.RESULTS).stat().st_mtime_ns
    run(folder)  # a finished one is left alone
    assert (directory / runs.RESULTS).stat().st_mtime_ns == before


def test_a_run_of_another_draw_trains_its_sibling_and_compares_itself_with_it(folder: Path) -> None:
    sibling = reinforce_task.check({**CONFIG, "method": "sft"}, "x")
    other = folder / run_name(reinforce_task.NAME, sibling)
    assert not other.exists()
    directory, rows = run(folder, method="sft", draw=1)
    assert (other / runs.RESULTS).exists()
    last = rows[-1]
    assert 0 < last["overlap/chance"] <= last["overlap"] <= 1
    assert 0 < last["cosine"] < 1
    a, b = (load_file(where / task.WEIGHTS) for where in (directory, other))
    assert any((a[name] != b[name]).any() for name in a)
    # One start for both: the base model tuned once, for the whole seed.
    assert len(list(folder.glob("policy-*.safetensors"))) == 1
    assert rows[0] == reinforce_task.rows(other)[0]
    assert "overlap" not in reinforce_task.rows(other)[-1]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "ppo"}, r"x: method = 'ppo'; Input should be 'sft', 'reinforce'"),
        ({"lr": 1}, r"x: unknown key lr; accepted: protocol, seed, draw"),
        ({"share": 1.5}, r"x: share = 1.5; .* less than or equal to 1"),
        ({"kl": -1}, r"x: kl = -1; .* greater than or equal to 0"),
        ({"protocol": 0}, r"x: protocol = 0"),
        ({"finetune_decay": 1.0, "to_start": 2.0}, r"x: to_start = 2.0; .*weights decay one way"),
    ],
)
def test_a_bad_config_is_told_in_one_line(changed: Json, message: str) -> None:
    with pytest.raises(RunError, match=message) as caught:
        reinforce_task.check({**CONFIG, **changed}, "x")
    assert "\n" not in str(caught.value)


def test_a_config_without_a_rate_is_told() -> None:
    with pytest.raises(RunError, match="x: learning_rate is missing"):
        reinforce_task.check({"seed": 0}, "x")
