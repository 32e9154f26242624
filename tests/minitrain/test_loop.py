"""A run is repeatable to the bit, survives kill -9 at any moment, and is plain torch inside."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import time
from collections.abc import Callable
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Literal, NoReturn

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from weightdecay import runs
from weightdecay.minitrain import build, corpus, loop, metrics
from weightdecay.minitrain.batches import batch_order
from weightdecay.minitrain.config import Config
from weightdecay.transformer import Transformer

WholeRun = Callable[[Config], Path]
Moment = Literal["step", "checkpoint", "metrics", "before-results", "in-results", "manifest"]


def changed(config: Config, **changes: Any) -> Config:
    """The config with some dotted keys replaced (written with two underscores)."""
    value = config.model_dump()
    for key, new in changes.items():
        section, _, name = key.rpartition("__")
        (value[section] if section else value)[name] = new
    return Config.model_validate(value)


def checkpoint(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path / runs.CHECKPOINT, weights_only=True)
    return state


def leaves(value: Any, name: str = "") -> dict[str, Any]:
    """Every tensor and number of a nested state, by its path."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = dict(enumerate(value)).items()
    else:
        return {name: value}
    return {k: v for key, inner in items for k, v in leaves(inner, f"{name}/{key}").items()}


def lines(path: Path) -> list[dict[str, Any]]:
    """The metrics without the one value that is a time."""
    records = [json.loads(line) for line in (path / runs.METRICS).read_text().splitlines()]
    for record in records:
        record.pop("steps_per_second", None)
    return records


def assert_same_run(one: Path, two: Path) -> None:
    """Same weights, optimizer state, metrics and results, to the last bit."""
    a, b = (leaves(checkpoint(path)) for path in (one, two))
    a.pop("/metrics_bytes"), b.pop("/metrics_bytes")  # speeds are written with more or less digits
    assert a.keys() == b.keys()
    assert sum(isinstance(v, Tensor) for v in a.values()) > 30
    for name, value in a.items():
        same = torch.equal(value, b[name]) if isinstance(value, Tensor) else value == b[name]
        assert same, name
    assert lines(one) == lines(two)
    assert (one / runs.RESULTS).read_bytes() == (two / runs.RESULTS).read_bytes()


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """The directory of an uninterrupted run of a config; each is trained once."""
    base = tmp_path_factory.mktemp("uninterrupted")

    @cache
    def train(config: Config) -> Path:
        path = base / f"run{len(list(base.iterdir()))}"
        loop.train(config, path, quiet=True)
        return path

    return train


# ---- what a run writes ---------------------------------------------------------------------


def test_a_run_leaves_its_five_files_and_can_be_read(tiny: Config, whole_run: WholeRun) -> None:
    path = whole_run(tiny)
    names = {p.name for p in path.iterdir()} - {runs.LOCK}
    assert names == {
        "config.yaml", "manifest.json", "metrics.jsonl", "checkpoint.pt", "results.json",
    }  # fmt: skip
    run = runs.load(path)
    assert run.problems == []
    assert run.config == tiny.model_dump()
    assert [e["step"] for e in run.evals] == [0, 10, 20, 30, 40, 50, 60]
    assert [s["step"] for s in run.steps] == [10, 20, 30, 40, 50, 60]
    assert checkpoint(path)["step"] == 60
    assert run.results is not None
    assert run.results["diverged_at"] is None
    assert run.manifest["data_sha256"] == corpus.data_hash()
    assert run.manifest["started"] <= run.manifest["ended"]
    assert run.manifest["threads"] == 1
    assert run.final["val_loss"] < run.evals[0]["val_loss"] - 1


def test_the_last_step_is_evaluated_and_saved_even_off_the_grid(
    tiny: Config, tmp_path: Path
) -> None:
    config = changed(tiny, training__steps=17, training__checkpoint_every=100)
    run = loop.train(config, tmp_path / "run", quiet=True)
    assert [e["step"] for e in run.evals] == [0, 10, 17]
    assert checkpoint(run.path)["step"] == 17


def test_results_agree_with_the_last_evaluation_and_with_the_saved_model(
    tiny: Config, whole_run: WholeRun
) -> None:
    """The mistakes are those that the model of the checkpoint makes, as it writes them."""
    path = whole_run(changed(tiny, training__steps=200, training__batch_size=32))
    results = runs.read_json(path / runs.RESULTS)
    last = runs.load(path).final
    kept = {k: v for k, v in last.items() if k not in ("kind", "steps_per_second")}
    assert results["final"] == kept
    model = build.build_model(Config.model_validate(runs.read_yaml(path / runs.CONFIG)))
    model.load_state_dict(checkpoint(path)["model"])
    written = metrics.greedy_forms(model, corpus.sentences())
    mistakes = [
        {"lemma": s.lemma, "tense": s.tense, "person": s.person, "split": s.split,
         "expected": s.text, "written": text}
        for s, text in zip(corpus.sentences(), written, strict=True)
        if text != s.text
    ]  # fmt: skip
    assert 0 < len(mistakes) <= 300
    assert results["mistakes"] == mistakes


def test_group_counts_are_printed_as_the_run_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config.model_validate(
        {"optimizer": {"warmup_steps": 0}, "training": {"steps": 1, "batch_size": 1}}
    )
    loop.train(config, tmp_path / "run")
    out = capsys.readouterr().out
    assert "run: weight decay 0.1: 9 tensors, 102,400 parameters" in out
    assert "run: weight decay 0: 14 tensors, 1,280 parameters" in out


# ---- the same as plain torch ---------------------------------------------------------------


def plain_run(config: Config, steps: int) -> tuple[list[float], list[float], list[Transformer]]:
    """Padded batches, torch's unfused AdamW, its scheduler and clipping: the textbook loop.

    Returns batch losses, gradient norms before clipping, and the model before and after the last
    step.
    """
    o, t = config.optimizer, config.training
    model = build.build_model(config)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": o.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=o.learning_rate,
        betas=(o.beta1, o.beta2),
        eps=o.eps,
        foreach=False,
    )

    def factor(step: int) -> float:
        if step < o.warmup_steps:
            return (step + 1) / o.warmup_steps
        progress = (step + 1 - o.warmup_steps) / (t.steps - o.warmup_steps)
        low = o.final_learning_rate / o.learning_rate
        return low + (1 - low) * (1 + math.cos(math.pi * progress)) / 2

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    train = corpus.split("train")
    order = batch_order(config.seed, len(train), t.batch_size, t.steps)
    before = build.build_model(config)
    losses, norms = [], []
    for step in range(steps):
        before.load_state_dict(model.state_dict())
        inputs, targets = corpus.padded([train[i] for i in order[step].tolist()])
        loss = F.cross_entropy(model(inputs).transpose(1, 2), targets, ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        squares = [
            float(p.grad.double().square().sum()) for p in matrices + others if p.grad is not None
        ]
        norms.append(math.sqrt(sum(squares)))
        losses.append(float(loss.detach()))
        torch.nn.utils.clip_grad_norm_(model.parameters(), o.clip_norm)
        optimizer.step()
        scheduler.step()
    return losses, norms, [before, model]


@pytest.mark.parametrize("clip_norm", [1e-3, 1.0, 1e6])
def test_training_is_that_of_the_plain_torch_loop(
    tiny: Config, tmp_path: Path, clip_norm: float
) -> None:
    """Also: the gradient norm on record is the one before clipping, however hard that clips."""
    config = changed(
        tiny,
        optimizer__clip_norm=clip_norm,
        optimizer__weight_decay=2.0,
        training__steps=20,
        training__eval_every=10,
    )
    run = loop.train(config, tmp_path / "run", quiet=True)
    losses, norms, (before, after) = plain_run(config, 20)
    assert [s["batch_loss"] for s in run.steps] == pytest.approx([losses[9], losses[19]], rel=1e-3)
    assert [s["grad_norm"] for s in run.steps] == pytest.approx([norms[9], norms[19]], rel=1e-2)
    assert run.series("grad_norm")[1:] == [s["grad_norm"] for s in run.steps]
    assert norms[9] > 0.05
    ours = build.build_model(config)
    ours.load_state_dict(checkpoint(run.path)["model"])
    for (name, a), b in zip(ours.named_parameters(), after.parameters(), strict=True):
        difference = float((a - b).detach().norm() / b.detach().norm().clamp(min=1e-2))
        assert difference < 5e-3, name
    old, new = metrics.group_vectors(before), metrics.group_vectors(after)
    start = metrics.group_vectors(build.build_model(config))
    for group in metrics.GROUPS:
        update = float((new[group] - old[group]).norm() / old[group].norm())
        assert run.final[f"update/{group}"] == pytest.approx(update, rel=2e-2)
        assert run.final[f"norm/{group}"] == pytest.approx(float(new[group].norm()), rel=1e-3)
        growth = float(new[group].norm() / start[group].norm())
        assert run.final[f"growth/{group}"] == pytest.approx(growth, rel=1e-3)
        assert run.evals[0][f"growth/{group}"] == 1.0


def test_step_epoch_learning_rate_and_dose_on_record_are_those_of_the_steps_done(
    tiny: Config, whole_run: WholeRun
) -> None:
    config = changed(tiny, optimizer__weight_decay=0.3)
    run = runs.load(whole_run(config))
    rates = [0.01 * (k + 1) / 5 for k in range(5)] + [
        3e-4 + (0.01 - 3e-4) * (1 + math.cos(math.pi * k / 55)) / 2 for k in range(1, 56)
    ]
    for e in run.evals:
        step = e["step"]
        assert e["epoch"] == pytest.approx(step * 8 / 240)
        assert e["learning_rate"] == pytest.approx(rates[step - 1] if step else 0.0)
        assert e["dose"] == pytest.approx(0.3 * sum(rates[:step]), rel=1e-6)


# ---- repeatable ----------------------------------------------------------------------------


def test_two_runs_of_one_config_are_equal_to_the_bit_whatever_the_global_random_state(
    tiny: Config, whole_run: WholeRun, tmp_path: Path
) -> None:
    torch.manual_seed(123)
    loop.train(tiny, tmp_path / "again", quiet=True)
    assert_same_run(whole_run(tiny), tmp_path / "again")


def test_runs_that_differ_in_lambda_start_from_one_model_and_see_the_same_batches(
    tiny: Config, whole_run: WholeRun
) -> None:
    hashes = ("data_sha256", "initial_weights_sha256", "batch_order_sha256")
    control = runs.load(whole_run(tiny))
    other = runs.load(whole_run(changed(tiny, optimizer__weight_decay=0.3)))
    assert [control.manifest[k] for k in hashes] == [other.manifest[k] for k in hashes]
    ignored = ("steps_per_second", "dose")
    start = [{k: v for k, v in r.evals[0].items() if k not in ignored} for r in (control, other)]
    assert start[0] == start[1]
    assert control.final["norm/embedding"] != other.final["norm/embedding"]


def test_another_seed_means_other_weights_and_another_order_of_the_same_data(
    tiny: Config, whole_run: WholeRun, tmp_path: Path
) -> None:
    one = runs.load(whole_run(tiny)).manifest
    config = changed(tiny, seed=8, training__steps=6)
    two = loop.train(config, tmp_path / "run", quiet=True).manifest
    assert one["data_sha256"] == two["data_sha256"]
    assert one["initial_weights_sha256"] != two["initial_weights_sha256"]
    assert one["batch_order_sha256"] != two["batch_order_sha256"]
    assert (one["seed"], two["seed"]) == (7, 8)


# ---- kill -9 -------------------------------------------------------------------------------


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("survived SIGKILL")


def _train_until(config: Config, path: Path, moment: Moment, step: int) -> None:
    """Train in this process, which gets SIGKILL at a moment of one step."""
    current = 0
    advance = loop._Loop.advance

    def counting(self: Any) -> Any:
        nonlocal current
        if moment == "step" and self.step == step:
            _die()
        facts = advance(self)
        current = self.step
        return facts

    def half_checkpoint(state: Any, target: Path) -> None:
        whole = io.BytesIO()
        real_save(state, whole)
        target.write_bytes(whole.getvalue()[: whole.tell() // 2 if current == step else None])
        if current == step:
            _die()

    def half_line(out: Any, record: dict[str, Any]) -> dict[str, Any]:
        if current == step:
            out.write(json.dumps(record)[:40])
            out.flush()
            _die()
        return real_append(out, record)

    def no_results(target: Path, value: dict[str, Any]) -> None:
        if target.name == runs.MANIFEST and value["ended"] and moment == "manifest":
            _die()
        if target.name == runs.RESULTS:
            if moment == "in-results":
                (target.parent / f".{target.name}.half").write_text('{"final": ')
            _die()
        real_write(target, value)

    real_save, real_append, real_write = torch.save, loop._append, runs.write_json
    loop._Loop.advance = counting  # type: ignore[method-assign]
    if moment == "checkpoint":
        torch.save = half_checkpoint  # type: ignore[assignment]
    elif moment == "metrics":
        loop._append = half_line
    elif moment != "step":
        runs.write_json = no_results  # type: ignore[assignment]
    loop.train(config, path, quiet=True)


def kill_run(
    processes: ForkServerContext, config: Config, path: Path, moment: Moment, step: int
) -> None:
    child = processes.Process(target=_train_until, args=(config, path, moment, step))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    assert not (path / runs.RESULTS).exists()


@pytest.mark.parametrize(
    ("moment", "step", "saved"),
    [
        ("step", 0, None),  # after the first evaluation, before the first step
        ("step", 7, None),  # before there is a checkpoint
        ("step", 20, 20),  # just after one was written
        ("step", 35, 20),  # between two, with evaluations that have to be taken back
        ("step", 59, 40),
        ("metrics", 30, 20),  # in the middle of a line
        ("checkpoint", 20, None),  # in the middle of the first one
        ("checkpoint", 40, 20),  # in the middle of replacing one
        ("checkpoint", 60, 40),
        ("manifest", 60, 60),  # after the last step, before anything says so
        ("before-results", 60, 60),
        ("in-results", 60, 60),
    ],
)
def test_a_run_killed_at_any_moment_ends_bit_equal_to_one_left_alone(
    tiny: Config,
    processes: ForkServerContext,
    whole_run: WholeRun,
    tmp_path: Path,
    moment: Moment,
    step: int,
    saved: int | None,
) -> None:
    path = tmp_path / "run"
    kill_run(processes, tiny, path, moment, step)
    assert (checkpoint(path)["step"] if (path / runs.CHECKPOINT).exists() else None) == saved
    before = {**runs.read_json(path / runs.MANIFEST), "started": "2001-01-01T00:00:00+00:00"}
    runs.write_json(path / runs.MANIFEST, before)
    run = loop.train(tiny, path, quiet=True)
    assert_same_run(whole_run(tiny), path)
    assert run.manifest["started"] == before["started"]
    same = {k: v for k, v in run.manifest.items() if k not in ("ended", "resumed")}
    assert same == {k: v for k, v in before.items() if k not in ("ended", "resumed")}
    assert run.manifest["ended"] is not None
    assert run.manifest["resumed"] is True
    assert run.problems == []


def test_a_run_killed_again_and_again_still_ends_bit_equal(
    tiny: Config, processes: ForkServerContext, whole_run: WholeRun, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    moments: list[tuple[Moment, int]] = [
        ("step", 13), ("step", 25), ("checkpoint", 40), ("step", 45), ("in-results", 60),
    ]  # fmt: skip
    for moment, step in moments:
        kill_run(processes, tiny, path, moment, step)
    loop.train(tiny, path, quiet=True)
    assert_same_run(whole_run(tiny), path)


def _train_quietly(config: Config, path: Path) -> None:
    loop.train(config, path, quiet=True)


@pytest.mark.parametrize("evaluations", [1, 3, 12])
def test_a_run_killed_from_outside_ends_bit_equal(
    tiny: Config,
    processes: ForkServerContext,
    whole_run: WholeRun,
    tmp_path: Path,
    evaluations: int,
) -> None:
    """The kill comes whenever it comes: nothing in the child knows of it."""
    config = changed(tiny, training__steps=400)
    path = tmp_path / "run"
    child = processes.Process(target=_train_quietly, args=(config, path))
    child.start()
    metrics_file = path / runs.METRICS
    end = time.monotonic() + 120
    while time.monotonic() < end and child.is_alive():
        if metrics_file.exists() and metrics_file.read_bytes().count(b'"eval"') >= evaluations:
            break
        time.sleep(0.001)
    child.kill()
    child.join(20)
    assert child.exitcode == -signal.SIGKILL
    assert not (path / runs.RESULTS).exists()
    loop.train(config, path, quiet=True)
    assert_same_run(whole_run(config), path)


def test_a_second_process_cannot_train_in_the_same_directory(
    tiny: Config, processes: ForkServerContext, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    child = processes.Process(
        target=_train_quietly, args=(changed(tiny, training__steps=5000), path)
    )
    child.start()
    end = time.monotonic() + 120
    while time.monotonic() < end and not (path / runs.METRICS).exists():
        time.sleep(0.01)
    try:
        with pytest.raises(runs.RunError, match="another process is training here"):
            loop.train(changed(tiny, training__steps=5000), path, quiet=True)
        with pytest.raises(runs.RunError, match="another process is training here"):
            loop.train(tiny, path, quiet=True, force=True)
    finally:
        child.kill()
        child.join(20)


def test_a_finished_run_is_trained_again_only_with_force(tiny: Config, tmp_path: Path) -> None:
    config = changed(tiny, training__steps=6)
    path = tmp_path / "run"
    loop.train(config, path, quiet=True)
    first = {p.name: p.read_bytes() for p in path.iterdir()}
    with pytest.raises(runs.RunError, match="finished run"):
        loop.train(config, path, quiet=True)
    assert {p.name: p.read_bytes() for p in path.iterdir()} == first
    other = changed(config, optimizer__weight_decay=0.0)
    run = loop.train(other, path, quiet=True, force=True)
    assert run.config["optimizer"]["weight_decay"] == 0.0
    assert run.evals[0]["step"] == 0
    assert run.manifest["resumed"] is False


# ---- divergence ----------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "seen"), [(4, 5), (9, 10), (59, 60)])
def test_a_run_whose_loss_is_lost_ends_there_and_can_be_read(
    tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, seen: int
) -> None:
    """One weight becomes NaN: before an evaluation, at one, and at the last step."""
    advance = loop._Loop.advance

    def spoiled(self: Any) -> Any:
        if self.step == at:
            with torch.no_grad():
                self.model.embedding.weight[5, 5] = math.nan
        return advance(self)

    monkeypatch.setattr(loop._Loop, "advance", spoiled)
    run = loop.train(tiny, tmp_path / "run", quiet=True)
    assert run.results is not None
    assert run.results["diverged_at"] == seen
    assert run.evals[-1]["step"] == seen
    assert run.final["train_loss"] is None
    assert math.isnan(run.series("spectral/embedding")[-1])
    assert not math.isnan(run.series("train_loss")[0])
    assert run.problems == [f"{run.path}: the loss is not a finite number at step {seen}"]
    assert len(run.results["mistakes"]) == 300
    text = (run.path / runs.METRICS).read_text() + (run.path / runs.RESULTS).read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert runs.load(run.path).final == run.final
    with pytest.raises(runs.RunError, match="finished run"):
        loop.train(tiny, run.path, quiet=True)


def test_a_recipe_that_diverges_by_itself_is_reported(tiny: Config, tmp_path: Path) -> None:
    """No patch: weights so large that the scores overflow."""
    config = changed(tiny, failure="init", model__init_std=1e16, optimizer__learning_rate=1.0)
    run = loop.train(config, tmp_path / "run", quiet=True)
    assert run.results is not None
    assert run.results["diverged_at"] is not None
    assert len(run.problems) == 1
    assert "not a finite number" in run.problems[0]


def test_metrics_shorter_than_their_checkpoint_are_refused(tiny: Config, tmp_path: Path) -> None:
    path = tmp_path / "run"
    loop.train(tiny, path, quiet=True)
    (path / runs.RESULTS).unlink()
    (path / runs.METRICS).write_text("")
    with pytest.raises(runs.RunError, match="shorter than its checkpoint says"):
        loop.train(tiny, path, quiet=True)


def test_leftovers_of_a_kill_while_saving_are_swept(tiny: Config, tmp_path: Path) -> None:
    path = tmp_path / "run"
    loop.train(tiny, path, quiet=True)
    (path / runs.RESULTS).unlink()
    (path / ".checkpoint.pt.abc").write_bytes(b"half")
    loop.train(tiny, path, quiet=True)
    assert not list(path.glob(".checkpoint.pt.*"))


def test_a_loss_lost_by_the_very_last_update_counts_as_diverged(
    tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = loop._Loop.advance

    def spoiled(state: loop._Loop) -> loop._Facts:
        facts = advance(state)
        if state.step == tiny.training.steps:
            with torch.no_grad():
                state.model.embedding.weight.fill_(math.nan)
        return facts

    monkeypatch.setattr(loop._Loop, "advance", spoiled)
    run = loop.train(tiny, tmp_path / "run", quiet=True)
    assert run.results is not None
    assert run.results["diverged_at"] == tiny.training.steps


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_a_broken_checkpoint_is_named_in_one_line(
    tiny: Config, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "run"
    loop.train(tiny, path, quiet=True)
    (path / runs.RESULTS).unlink()
    (path / runs.CHECKPOINT).write_bytes(content)
    with pytest.raises(runs.RunError, match="not a readable checkpoint; --force trains again"):
        loop.train(tiny, path, quiet=True)
    assert loop.train(tiny, path, quiet=True, force=True).results is not None
