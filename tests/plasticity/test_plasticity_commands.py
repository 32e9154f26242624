"""``just plasticity`` and ``just plasticity-full``: what they print, keep and refuse."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.test_sweep import contents
from weightdecay import __main__ as command
from weightdecay import evidence, plan, results, runs
from weightdecay.plan import ROOT, Task
from weightdecay.plasticity import commands, records
from weightdecay.plasticity.config import Finetune, Pretrain
from weightdecay.plasticity.task import FINETUNE, PRETRAIN, PRETRAIN_NAME
from weightdecay.runs import Json
from weightdecay.stats import mean_interval
from weightdecay.versioned import parse

FULL = [*records.BASES, *records.FINETUNES]
EXCESS = {0.0: 0.05, 0.1: 0.04, 1.0: 0.06}
RATES = (1e-4, 2e-3)
# Seeds 0, 1 and 2 at each rate, in per cent. In safety the last seed is best at another rate than
# the others.
SCORES = {
    ("exceptions", RATES[0]): (50, 51, 52),
    ("exceptions", RATES[1]): (70, 71, 72),
    ("safety", RATES[0]): (80, 81, 32),
    ("safety", RATES[1]): (30, 31, 62),
}
MEANS = ((65, 66, 42), (50, 51, 67))
BEST = (75, 76, 52)  # seed 2 at the rate that the other two choose


def score(config: Json) -> float:
    """A tenth more after a decay of 1."""
    at: int = SCORES[config["task"], config["learning_rate"]][config["seed"]]
    return at / 100 + 0.1 * float(config["weight_decay"] == 1.0)


def train(config: Json, directory: Path) -> None:
    """In place of training: numbers that are the run's own."""
    directory.mkdir(parents=True)
    runs.write_json(directory / runs.MANIFEST, {"git_commit": "c0ffee"})
    decay, seed = config["weight_decay"], config["seed"]
    measured = (
        {"score": score(config)}
        if "task" in config
        else {"dose": 3 * decay, "excess": EXCESS[decay] + seed / 1000, "norm": 20 - seed}
    )
    # A base model has a row before its last one.
    earlier = [] if "task" in config else [dict.fromkeys(measured, 99.0)]
    runs.write_json(directory / runs.RESULTS, {"rows": [*earlier, measured]})


def rows(directory: Path) -> list[plan.Row]:
    found: list[plan.Row] = runs.read_json(directory / runs.RESULTS)["rows"]
    return found


def plans(parent: Path) -> None:
    """experiments/ with small plans: base models, fine-tunes, and controls."""
    tuned = "weight_decay: [0.0, 0.1, 1.0], task: [exceptions, safety], learning_rate: "
    grids = {
        commands.QUICK[0]: "{size: [30k], weight_decay: [0.0, 0.1, 1.0]}",
        commands.QUICK[1]: f"{{size: [30k], {tuned}[1.0e-4, 2.0e-3]}}",
        "plasticity-pretrain": "{weight_decay: [0.0, 0.1]}",
        "plasticity-finetune": "{weight_decay: [0.0, 0.1], task: [exceptions], "
        "learning_rate: [1.0e-4]}",
        "plasticity-controls": "{start: [norm_matched], weight_decay: [0.0], task: [exceptions], "
        "learning_rate: [2.0e-3]}",
        "plasticity-moments": f"{{start: [optimizer_kept], {tuned}[1.0e-4]}}",
        "plasticity-regimes": "{size: [30k], style: [olmo2], weight_decay: [0.0, 0.1]}",
        "plasticity-regimes-finetune": f"{{size: [30k], style: [olmo2], {tuned}[1.0e-4]}}",
        "plasticity-settings": f"{{batch_size: [8], {tuned}[1.0e-4]}}",
    }
    for name, grid in grids.items():
        base = "finetune" if name in (*records.FINETUNES, commands.QUICK[1]) else "pretrain"
        (parent / name).mkdir(parents=True)
        (parent / name / plan.SWEEP).write_text(
            f"task: {base}\nbase: ../plasticity-{base}/config.yaml\n"
            f"grids:\n  - {grid}\nseeds: [0, 1, 2]\n"
            f"quick: {{grid: {grid}, seeds: [0], columns: [score]}}\n"
        )
    for base in ("pretrain", "finetune"):
        (parent / f"plasticity-{base}" / runs.CONFIG).write_text("size: 100k\n")


Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def experiments(tmp_path: Path) -> Path:
    plans(tmp_path / "experiments")
    return tmp_path / "experiments"


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    experiments: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Cli:
    """``python -m weightdecay`` with these plans, nothing trained, runs in tmp_path."""
    whole = plan.jobs
    monkeypatch.setattr(
        plan, "jobs", lambda folder, task: whole(folder, task, parent=tmp_path / "runs")
    )
    monkeypatch.setattr(records, "EXPERIMENTS", experiments)
    checks = {True: PRETRAIN.check, False: FINETUNE.check}
    monkeypatch.setattr(
        evidence, "task_of", lambda name, folder: Task(checks[name == PRETRAIN_NAME], train, rows)
    )

    def call(name: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = command.main([name, "--workers", "1"])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def shown(values: Sequence[float], digits: str) -> tuple[str, str]:
    e = mean_interval(values)
    return f"{e.mean:{digits}}", f"±{e.high - e.mean:{digits}}"


def test_the_small_one_prints_a_row_for_each_decay_and_changes_no_file(
    tmp_path: Path, experiments: Path, cli: Cli
) -> None:
    before = contents(experiments)
    code, out, err = cli("plasticity")
    assert (code, err) == (0, "")
    assert contents(experiments) == before
    lines = out.splitlines()
    assert max(map(len, lines[:-1])) <= 80  # all but the sentence behind the table
    for decay in EXCESS:
        more = 10 * (decay == 1.0)
        cells = [
            shown([EXCESS[decay] + s / 1000 for s in range(3)], ".4f"),
            shown([20, 19, 18], ".2f"),
            *(shown([score + more for score in scores], ".1f") for scores in (*MEANS, BEST)),
        ]
        means, halves = zip(*cells, strict=True)
        row = [" ".join([f"{decay:g} {3 * decay:.2f}", *means, "3"]), " ".join(halves)]
        words = [" ".join(line.split()) for line in lines]
        assert row[0] in words, out
        assert words[words.index(row[0]) + 1] == row[1]
    flat = " ".join(out.split())
    assert "mean of exceptions, safety" in flat
    assert "30k parameters instead of 100k, 3 decays instead of 2, 3 seeds instead of 3" in out
    assert "2 tasks instead of 1, 2 rates instead of 1" in out
    runs_before = contents(tmp_path / "runs")
    assert sum(path.endswith(runs.RESULTS) for path in runs_before) == 9 + 36
    assert cli("plasticity") == (0, out, "")
    assert contents(tmp_path / "runs") == runs_before


def test_the_full_one_writes_a_table_after_each_of_its_sweeps(experiments: Path, cli: Cli) -> None:
    code, out, err = cli("plasticity-full")
    assert (code, err) == (0, "")
    for line, name, n in zip(out.splitlines(), FULL, (6, 6, 6, 3, 18, 18, 18), strict=True):
        assert f"{name}/results.csv: {n} runs, {n} of them trained now" in line
        manifest = runs.read_json(experiments / name / runs.MANIFEST)
        assert manifest["command"] == f"just sweep experiments/{name}"
    assert not (experiments / commands.QUICK[0] / results.TABLE).exists()
    before = contents(experiments)
    code, out, err = cli("plasticity-full")
    assert (code, err) == (0, "")
    assert "trained now" not in out
    assert contents(experiments) == before


@pytest.mark.parametrize(
    ("name", "folder"), [("plasticity", commands.QUICK[-1]), ("plasticity-full", FULL[-1])]
)
@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"weight_decay": [-0.1]}, ["weight_decay = -0.1", "equal to 0"]),
        ({"task": ["sums"]}, ["task = 'sums'", "'chains', 'lists'"]),
        ({"decay": [0.1]}, ["unknown key decay", "accepted: protocol, seed"]),
    ],
)
def test_a_mistake_in_the_last_plan_is_one_line_before_anything_is_trained(
    tmp_path: Path,
    experiments: Path,
    cli: Cli,
    name: str,
    folder: str,
    change: Json,
    parts: list[str],
) -> None:
    path = experiments / folder / plan.SWEEP
    good = {"weight_decay": [0.3], "task": ["exceptions"], "learning_rate": [1e-3]}
    grid = json.dumps({**good, **change})
    path.write_text(path.read_text().replace("grids:\n", f"grids:\n  - {grid}\n"))
    code, out, err = cli(name)
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    for part in (path.name, folder, *parts):
        assert part in err
    assert not (tmp_path / "runs").exists()


# ---- the plans as they are committed -------------------------------------------------------


def trained(name: str) -> list[Json]:
    folder = ROOT / "experiments" / name
    task = evidence.task_of(plan.read_plan(folder).task, folder)
    return [job.config for job in plan.jobs(folder, task)]


def bases(names: list[str]) -> set[str]:
    configs = [parse(Finetune, config, "") for name in names for config in trained(name)]
    started = [c.base() for c in configs]
    started += [c.base(c.norms_of) for c in configs if c.start == "norm_matched"]
    return {json.dumps(base.model_dump()) for base in started}


@pytest.mark.parametrize(
    ("pretrained", "tuned"),
    [(commands.QUICK[:1], commands.QUICK[1:]), (records.BASES, records.FINETUNES)],
)
def test_every_fine_tune_starts_from_a_base_model_of_the_plan(
    pretrained: tuple[str, ...], tuned: tuple[str, ...]
) -> None:
    configs = [parse(Pretrain, config, "") for name in pretrained for config in trained(name)]
    known = {json.dumps(c.model_dump()) for c in configs}
    assert bases(list(tuned)) <= known
