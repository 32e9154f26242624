"""Which directory a run belongs in, several runs at once, and the table of reference runs."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import pytest

from tests.minitrain.factory import SHORT, config, construct, trained_pair
from weightdecay import runs
from weightdecay.minitrain import config as config_file
from weightdecay.minitrain import recipe, reference
from weightdecay.minitrain.config import Config
from weightdecay.runs import RunError, load


@pytest.mark.parametrize(
    ("weight_decay", "seed", "name"),
    [
        (0.1, 42, "18-control"),
        (0.0, 42, "18-break-wd0"),
        (0, 42, "18-break-wd0"),
        (0.5, 42, "18-overdecay"),
        (0.2, 42, "18-wd-0.2"),
        (0.01, 42, "18-wd-0.01"),
        (1e-5, 42, "18-wd-1e-05"),
        (30.0, 42, "18-wd-30"),
        (0.1, 43, "18-control-seed43"),
        (0.0, 7, "18-break-wd0-seed7"),
        (0.2, 0, "18-wd-0.2-seed0"),
    ],
)
def test_a_run_lies_in_the_directory_that_the_issue_names(
    weight_decay: float, seed: int, name: str
) -> None:
    assert recipe.run_directory(weight_decay, seed) == recipe.ROOT / "experiments" / name
    assert recipe.run_directory(weight_decay, seed, Path("x")) == Path("x") / name


def test_the_root_is_the_project() -> None:
    assert (recipe.ROOT / "pyproject.toml").is_file()


def test_the_recipe_has_the_numbers_of_the_issue() -> None:
    c = recipe.read_config(0.1)
    o, t = c.optimizer, c.training
    assert (o.beta1, o.beta2, o.eps, o.clip_norm) == (0.9, 0.95, 1e-8, 1.0)
    assert (o.learning_rate, o.final_learning_rate, o.warmup_steps) == (3e-3, 3e-4, 100)
    assert (t.batch_size, t.steps, t.eval_every) == (32, 2000, 50)
    assert (c.model.d_model, c.model.n_head, c.model.n_layer, c.model.d_ff) == (64, 4, 2, 256)


def test_reading_replaces_weight_decay_and_seed_and_nothing_else() -> None:
    control = recipe.read_config(0.1).model_dump()
    other = recipe.read_config(0.25, 7).model_dump()
    assert (other["seed"], other["optimizer"]["weight_decay"]) == (7, 0.25)
    other["seed"], other["optimizer"]["weight_decay"] = 42, 0.1
    assert other == control


@pytest.mark.parametrize(
    ("weight_decay", "seed", "named"),
    [(-0.1, 42, "weight_decay"), (math.nan, 42, "weight_decay"), (0.1, -1, "seed")],
)
def test_an_impossible_value_is_refused_by_name(weight_decay: float, seed: int, named: str) -> None:
    with pytest.raises(RunError, match=named) as e:
        recipe.read_config(weight_decay, seed)
    assert "\n" not in str(e.value)


def short(directory: Path, weight_decay: float, **training: int) -> Config:
    path = directory / "short.yaml"
    path.write_text(SHORT, "utf-8")
    return config_file.read(path, optimizer={"weight_decay": weight_decay}, training=training)


def test_when_every_run_is_finished_none_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_processes(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(recipe, "ProcessPoolExecutor", no_processes)
    jobs = [(config(w), construct(tmp_path / str(w), w)) for w in (0.1, 0.0)]
    assert recipe.train_missing(jobs) == []
    assert recipe.train_missing([]) == []


@pytest.mark.slow
def test_a_failing_run_is_named_and_does_not_stop_the_others(tmp_path: Path) -> None:
    finished = construct(tmp_path / "finished", 0.5)
    before = {p: p.stat().st_mtime_ns for p in finished.iterdir()}
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    good = [tmp_path / "good1", tmp_path / "good2"]
    jobs = [
        (config(0.5), finished),
        (short(tmp_path, 0.1), good[0]),
        (short(tmp_path, 0.1), foreign),
        (short(tmp_path, 0.0), good[1]),
    ]
    with pytest.raises(RunError) as e:
        recipe.train_missing(jobs, quiet=True, workers=2)
    assert "foreign" in str(e.value)
    assert "left alone" in str(e.value)
    assert "good" not in str(e.value).replace(str(tmp_path), "")
    assert "\n" not in str(e.value)
    assert [load(path).final["step"] for path in good] == [40, 40]
    assert {p: p.stat().st_mtime_ns for p in finished.iterdir()} == before
    assert [p.name for p in foreign.iterdir()] == ["thesis.txt"]
    # What the error asked for done, the same call trains what is left and only that.
    (foreign / "thesis.txt").unlink()
    assert recipe.train_missing(jobs, quiet=True, workers=2) == [foreign]


def meet(_: Config, directory: Path, position: int, quiet: bool) -> None:
    """In place of a training: wait until the other run has begun, too."""
    directory.mkdir()
    deadline = time.monotonic() + 60
    while len(list(directory.parent.iterdir())) < 2:
        if time.monotonic() > deadline:
            raise RunError("alone")
        time.sleep(0.02)


def test_two_runs_are_trained_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "_train", meet)
    jobs = [(config(w), tmp_path / str(w)) for w in (0.1, 0.0)]
    assert recipe.train_missing(jobs, quiet=True, workers=2) == [d for _, d in jobs]


def test_constructed_runs_have_the_keys_of_trained_ones(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What the other tests learn on constructed runs holds only if these look like real ones."""
    real = load(trained_pair(tmp_path_factory)[0])
    made = load(construct(tmp_path / "made"))
    matrices = {k for k in made.final if k.startswith("spectral/block1.")}  # one layer more
    for i in (0, -1):
        assert made.evals[i].keys() - matrices == real.evals[i].keys()
    assert made.steps[0].keys() == real.steps[0].keys()
    assert made.manifest.keys() == real.manifest.keys()
    assert made.config.keys() == real.config.keys()
    assert made.results is not None
    assert real.results is not None
    assert made.results.keys() == real.results.keys()
    assert made.results["mistakes"][0].keys() == real.results["mistakes"][0].keys()


@pytest.fixture
def reference_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reference recipe over two weight decays and two seeds, its runs already there."""
    work = tmp_path / "work"
    monkeypatch.setattr(reference, "WEIGHT_DECAYS", (0.0, 0.1))
    monkeypatch.setattr(reference, "SEEDS", (42, 43))
    monkeypatch.setattr(reference, "DIRECTORY", tmp_path / "reference")
    monkeypatch.setattr(reference, "TABLE", tmp_path / "reference" / "evals.csv")
    monkeypatch.setattr(
        reference, "directory", lambda w, s, parent=work: recipe.run_directory(w, s, parent)
    )
    for w in (0.0, 0.1):
        for seed in (42, 43):
            final = {"val_loss": 1 + w + seed, "grad_norm": None}
            path = recipe.run_directory(w, seed, work)
            path = construct(path, w, final, changes={"seed": seed}, diverged=w == 0.0)
            (path / runs.CHECKPOINT).write_bytes(b"large")
    return work


def test_the_reference_table_has_every_evaluation_of_every_run(reference_runs: Path) -> None:
    assert reference.make() == reference.TABLE
    table = reference.read()
    assert list(table) == [(0.0, 42), (0.0, 43), (0.1, 42), (0.1, 43)]
    for (w, seed), rows in table.items():
        evals = load(recipe.run_directory(w, seed, reference_runs)).evals
        assert [row["step"] for row in rows] == [e["step"] for e in evals]
        assert set(rows[0]) == {"step", *reference.COLUMNS}
        for row, e in zip(rows, evals, strict=True):
            for column in reference.COLUMNS:
                expected = e.get(column)
                expected = math.nan if expected is None else expected
                assert row[column] == pytest.approx(expected, rel=1e-4, nan_ok=True)
    assert math.isnan(table[0.0, 42][-1]["val_loss"])
    assert table[0.1, 43][-1]["val_loss"] == pytest.approx(44.1)


def test_what_is_kept_of_the_reference_runs_is_small_and_readable(reference_runs: Path) -> None:
    reference.make()
    kept = sorted(p.name for p in reference.DIRECTORY.iterdir())
    assert kept == ["18-break-wd0", "18-control", "evals.csv", "manifest.json"]
    control = load(reference.DIRECTORY / "18-control")
    assert control.evals == load(reference_runs / "18-control").evals
    assert not (control.path / runs.CHECKPOINT).exists()
    manifest = json.loads((reference.DIRECTORY / "manifest.json").read_text("utf-8"))
    assert manifest["runs"] == 4
    assert manifest["data_sha256"] == control.manifest["data_sha256"]
    assert manifest["versions"] == control.manifest["versions"]
    assert manifest["seeds"] == [42, 43]
    assert manifest["weight_decays"] == [0.0, 0.1]


def test_a_missing_reference_table_says_what_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "TABLE", tmp_path / "evals.csv")
    with pytest.raises(RunError, match="just phase-18-reference"):
        reference.read()
