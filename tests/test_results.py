"""The table of a sweep says what its runs say, and a rerun of its quick part can contradict it."""

from __future__ import annotations

import csv
import json
import math
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.test_sweep import EXPERIMENTS, contents, experiment, one_line
from tests.toy_task import TASK
from weightdecay import __main__ as command
from weightdecay import evidence, plan, reproduce, results, runs, sweep
from weightdecay.plan import Job, Row, Task
from weightdecay.results import Table
from weightdecay.runs import Json, RunError
from weightdecay.stats import Estimate

Written = tuple[Path, list[Job]]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A finished sweep of four settings and eight seeds with its table."""
    folder = experiment(tmp_path, seeds="[3, 1, 2, 4, 5, 6, 7, 8]")
    return folder, finish(folder)


def finish(folder: Path, task: Task = TASK) -> list[Job]:
    todo = plan.jobs(folder, task, parent=folder.parent / "runs")
    trained = sweep.train(todo, task, folder.name, workers=1)
    assert results.write(folder, todo, task, trained) == folder / "results.csv"
    return todo


# ---- the table -----------------------------------------------------------------------------


def test_the_table_holds_each_row_of_each_run_in_the_order_of_the_plan(written: Written) -> None:
    folder, todo = written
    with (folder / "results.csv").open(newline="") as f:
        header, *lines = csv.reader(f)
    assert header == ["map.rate", "map.shift", "seed", "step", "x"]
    expected = [
        [f"{job.setting['map.rate']}", f"{job.setting['map.shift']:g}", str(job.seed),
         str(row["step"]), f"{row['x']:.6g}"]
        for job in todo for row in TASK.rows(job.directory)
    ]  # fmt: skip
    assert lines == expected
    assert len(lines) == 4 * 8 * 2


def test_the_table_is_the_same_whatever_the_order_of_training(tmp_path: Path) -> None:
    tables = []
    for name, step in (("a", 1), ("b", -1)):
        folder = experiment(tmp_path / name)
        todo = plan.jobs(folder, TASK, parent=tmp_path / name / "runs")
        assert sweep.train(todo[::step], TASK, "toy", workers=1)[0] == 8
        results.write(folder, todo, TASK, (8, 1.0))
        tables.append((folder / "results.csv").read_bytes())
    assert tables[0] == tables[1]


def test_the_manifest_says_what_the_runs_say(written: Written) -> None:
    folder, todo = written
    manifest = runs.read_json(folder / "manifest.json")
    assert manifest["command"] == "just sweep experiments/toy"
    assert manifest["runs"] == 32
    assert manifest["trained_by_last_command"]["runs"] == 32
    assert manifest["trained_by_last_command"]["seconds"] > 0
    assert manifest["git_commits"] == ["c0ffee"]
    assert (manifest["versions"], manifest["threads"]) == ({"toy": "1"}, 1)
    assert "host" not in manifest  # the toy does not say
    # Runs of two machines: both are told, not the first and not none.
    other = runs.read_json(todo[5].directory / "manifest.json")
    other |= {"versions": {"toy": "2"}, "git_commit": None}
    runs.write_json(todo[5].directory / "manifest.json", other)
    results.write(folder, todo, TASK, (1, 2.04))
    manifest = runs.read_json(folder / "manifest.json")
    assert manifest["versions"] == [{"toy": "1"}, {"toy": "2"}]
    assert manifest["git_commits"] == ["c0ffee", "unknown"]
    assert manifest["trained_by_last_command"] == {"runs": 1, "seconds": 2.0}


def test_writing_what_is_there_changes_nothing_and_mends_what_is_not(written: Written) -> None:
    folder, todo = written
    before = contents(folder)
    results.write(folder, todo, TASK, (0, 0.0))
    assert contents(folder) == before
    (folder / "results.csv").write_text("map.rate\n")
    results.write(folder, todo, TASK, (0, 0.0))
    assert contents(folder)["results.csv"][0] == before["results.csv"][0]
    manifest = runs.read_json(folder / "manifest.json")
    assert manifest["trained_by_last_command"] == {"runs": 0, "seconds": 0.0}


def test_a_table_that_cannot_be_finished_leaves_the_old_one(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, todo = written
    before = contents(folder)
    (todo[-1].directory / runs.RESULTS).write_text("{")
    with pytest.raises(RunError) as e:
        results.write(folder, todo, TASK, (1, 1.0))
    one_line(e, todo[-1].directory.name, "not valid JSON")
    assert contents(folder) == before
    (todo[-1].directory / runs.RESULTS).write_text('{"rows": [{"step": 4, "x": 1.5}]}')

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        results.write(folder, todo, TASK, (1, 1.0))
    assert contents(folder) == before


def odd(directory: Path) -> list[Row]:
    return [
        {"x": math.nan, "y": math.inf, "word": 'a "b", c', "yes": True, "z": -1e-9},
        {"step": 10**12, "x": 1234567.8, "w": None},
    ]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    grids = "  - map.rate: [3.123456789, 3.123456788]\n    word: [a, null]\n    fails: [false]\n"
    quick = "{grid: {map.rate: [3.123456789], word: [a], fails: [false]}, seeds: [1], columns: [x]}"
    folder = experiment(tmp_path, grids, "[1]", quick)
    todo = finish(folder, Task(TASK.check, TASK.train, odd))
    table = results.read(folder)
    first: Row = {
        **todo[0].setting, "seed": 1, "x": None, "y": None, "word": 'a "b", c', "yes": True,
        "z": -1e-9, "step": None, "w": None,
    }  # fmt: skip
    assert table.rows[0] == first
    assert table.rows[1]["step"] == 10**12
    assert table.rows[1]["x"] == 1234570.0
    assert len(table.rows) == 8
    for rate in (3.123456789, 3.123456788):  # settings in full: these are not the same
        assert len(table.where({"map.rate": rate}).rows) == 4


def test_seeds_pair_up_in_curves(written: Written) -> None:
    folder, todo = written
    table = results.read(folder)
    assert table.seeds == list(range(1, 9))
    assert table.distinct("map.rate") == [3.7, 3.8]
    setting = {"map.rate": 3.8, "map.shift": 1.0}
    curves = table.where(setting).curves("x")
    assert curves.shape == (8, 2)
    for job in todo:
        if job.setting == setting:
            expected = [row["x"] for row in TASK.rows(job.directory)]
            assert curves[job.seed - 1].tolist() == pytest.approx(expected, rel=1e-5)
    plain = table.where({**setting, "map.shift": 0.0})
    difference = table.where(setting).final("x") - plain.final("x")
    assert difference == pytest.approx(np.ones(8), abs=1e-5)


def test_what_the_table_does_not_have_is_one_line(written: Written) -> None:
    table = results.read(written[0])
    with pytest.raises(RunError) as e:
        table.where({"map.rate": 3.9})
    one_line(e, "map.rate = 3.9", "one of 3.7, 3.8")
    for ask in (
        lambda: table.where({"map.rat": 3.7}),
        lambda: table.curves("loss"),
        lambda: table.distinct("loss"),
    ):
        with pytest.raises(RunError) as e:
            ask()
        one_line(e, "no column", "it has map.rate, map.shift, seed")
    uneven = Table([r for r in table.rows if (r["seed"], r["step"]) != (1, 0)])
    with pytest.raises(RunError) as e:
        uneven.curves("x")
    one_line(e, "different numbers of rows")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (b"", "not a table"),
        (b"seed,x\n", "no rows"),
        (b"seed,x\n1,2\n1\n", "line 3 has 1 fields, expected 2"),
        (b"seed,x\n1,2,3\n", "line 2 has 3 fields"),
        (b"seed,x\none,2\n", "line 2: seed = one"),
        (b"sede,x\n1,2\n", "line 2: seed = None"),
        (b"seed,x\n1,\xff\n", "not a table"),
        (b'seed,x\n1,"2\n', "not a table"),
    ],
)
def test_a_broken_table_is_one_line(tmp_path: Path, text: bytes, part: str) -> None:
    (tmp_path / "results.csv").write_bytes(text)
    with pytest.raises(RunError) as e:
        results.read(tmp_path)
    one_line(e, str(tmp_path / "results.csv"), part)
    (tmp_path / "results.csv").unlink()
    with pytest.raises(RunError) as e:
        results.read(tmp_path)
    one_line(e, "No such file", f"just sweep experiments/{tmp_path.name} makes it")


# ---- reproduce -----------------------------------------------------------------------------


def check(again: float, committed: float | None, low: float, high: float) -> bool:
    return reproduce.Check("", "", again, committed, Estimate(0.0, low, high, 8)).agrees


def test_a_number_agrees_if_it_and_the_committed_one_lie_in_the_interval() -> None:
    assert check(1.0, 2.0, 0.5, 2.5)
    assert check(1.0, None, 0.5, 2.5)
    assert not check(0.4, 2.0, 0.5, 2.5)
    assert not check(1.0, 2.6, 0.5, 2.5)
    assert not check(math.nan, 1.0, 0.5, 2.5)
    assert not check(1.0, math.nan, 0.5, 2.5)
    # No width, but rounded: the table has six digits.
    assert check(0.123457, 0.123457, 0.12345700000000001, 0.12345700000000001)
    assert not check(0.12347, 0.123457, 0.123457, 0.123457)
    # The loss is lost for every seed: again, or not.
    assert check(math.nan, math.nan, math.nan, math.nan)
    assert check(math.nan, None, math.nan, math.nan)
    assert not check(1.0, math.nan, math.nan, math.nan)


def tampered(folder: Path, change: Callable[[dict[str, str]], None]) -> None:
    """The table with a change of each row."""
    path = folder / "results.csv"
    with path.open(newline="") as f:
        rows = list(csv.DictReader(f))
    for row in rows:
        change(row)
    with path.open("w", newline="") as f:
        out = csv.DictWriter(f, list(rows[0]), lineterminator="\n")
        out.writeheader()
        out.writerows(rows)


def rerun(folder: Path, *, quick: bool = True) -> list[reproduce.Check]:
    return reproduce.run(folder, TASK, quick=quick, workers=1)


def test_an_honest_rerun_agrees_and_touches_nothing(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, todo = written
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    before = contents(tmp_path)
    (only,) = rerun(folder)
    assert only.agrees
    assert only.again == only.committed
    known = {
        job.seed: TASK.rows(job.directory)[-1]["x"]
        for job in todo
        if job.setting == {"map.rate": 3.7, "map.shift": 0.0}
    }
    assert only.committed == pytest.approx(known.pop(1), rel=1e-5)
    others = np.array(list(known.values()), dtype=float)
    assert only.interval.n == 7
    assert only.interval.mean == pytest.approx(others.mean(), rel=1e-5)
    # Student's t with 6 degrees of freedom leaves 1 % outside 3.707.
    half = 3.7074 * others.std(ddof=1) * math.sqrt(1 + 1 / 7)
    assert only.interval.high - only.interval.low == pytest.approx(2 * half, rel=1e-3)
    assert contents(tmp_path) == before
    whole = rerun(folder, quick=False)
    assert len(whole) == 32
    assert sum(c.agrees for c in whole) >= 30  # one in a hundred falls outside
    assert contents(tmp_path) == before


def shifted(row: dict[str, str]) -> None:
    row["x"] = str(float(row["x"]) + 1)


def own_seed_shifted(row: dict[str, str]) -> None:
    if row["seed"] == "1":
        shifted(row)


def emptied(row: dict[str, str]) -> None:
    if row["seed"] == "1":
        row["x"] = ""


@pytest.mark.parametrize("change", [shifted, own_seed_shifted, emptied])
def test_a_changed_table_is_contradicted(
    written: Written, change: Callable[[dict[str, str]], None]
) -> None:
    tampered(written[0], change)
    (only,) = rerun(written[0])
    assert not only.agrees


def test_a_table_of_another_recipe_is_contradicted(written: Written) -> None:
    base = written[0].parent / "base.yaml"
    base.write_text(base.read_text() + "map2: 1\n")
    with pytest.raises(RunError, match="unknown key map2"):
        rerun(written[0])
    experiment(written[0].parent, seeds="[3, 1, 2, 4, 5, 6, 7, 8]", quick="{grid: {map.rate: "
               "[3.7], map.shift: [0.0]}, seeds: [99], columns: [x]}")  # fmt: skip
    (new,) = rerun(written[0])  # a seed that is not in the table
    assert new.committed is None
    assert new.interval.n == 8


def seeds_left_out(row: dict[str, str]) -> None:
    if row["seed"] in ("2", "3"):
        row["x"] = ""


def never(config: Json, directory: Path) -> None:
    raise AssertionError("trained")


@pytest.mark.parametrize(
    ("quick", "change", "parts"),
    [
        ("columns: [y]", None, ["no column y"]),
        ("columns: [x]", seeds_left_out, ["x of map.rate = 3.7", "5 of 7 other seeds"]),
        ("columns: [x]", lambda row: row.update({"map.rate": "3.0"}), ["no row with map.rate"]),
        ("columns: [x]", lambda row: row.update({"seed": "1"}), ["0 of 0 other seeds"]),
    ],
)
def test_what_cannot_be_compared_is_said_before_anything_is_trained(
    written: Written, quick: str, change: Callable[[dict[str, str]], None] | None, parts: list[str]
) -> None:
    folder, _ = written
    grid = "grid: {map.rate: [3.7], map.shift: [0.0]}"
    experiment(folder.parent, quick=f"{{{grid}, seeds: [1], {quick}}}")
    if change:
        tampered(folder, change)
    with pytest.raises(RunError) as e:
        reproduce.run(folder, Task(TASK.check, never, TASK.rows), quick=True, workers=1)
    one_line(e, str(folder / "results.csv"), *parts)


def test_a_lost_loss_is_reproduced_if_it_is_lost_again(written: Written) -> None:
    def lose(row: dict[str, str]) -> None:
        row["x"] = ""

    tampered(written[0], lose)
    (only,) = rerun(written[0])
    assert not only.agrees  # it was not lost this time
    lost = Task(TASK.check, TASK.train, odd)  # its last row has no x of a number
    (only,) = reproduce.run(
        written[0],
        Task(lost.check, lost.train, lambda d: lost.rows(d)[:1]),
        quick=True,
        workers=1,
    )
    assert only.agrees


def test_a_failing_rerun_is_an_error_and_no_agreement(written: Written) -> None:
    def fail(config: Json, directory: Path) -> None:
        raise ValueError("no")

    with pytest.raises(RunError, match="1 of 1 runs failed"):
        reproduce.run(written[0], Task(TASK.check, fail, TASK.rows), quick=True, workers=1)


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setattr(evidence, "task_of", lambda name, folder: TASK)

    def call(folder: Path) -> tuple[int, str, str]:
        capsys.readouterr()
        code = command.main(["reproduce", str(folder), "--quick", "--workers", "1"])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_the_command_says_agrees_or_differs(
    written: Written, cli: Callable[..., tuple[int, str, str]]
) -> None:
    folder, _ = written
    code, out, err = cli(folder)
    assert (code, err) == (0, "")
    assert out.endswith("/toy: all 1 numbers agree\n")
    assert "agrees" in out
    assert "differs" not in out
    (only,) = rerun(folder)
    for number in (f"{only.again:.6g}", f"[{only.interval.low:.4g}, {only.interval.high:.4g}]"):
        assert number in out
    tampered(folder, shifted)
    before = contents(folder)
    code, out, err = cli(folder)
    assert code == 1
    assert "differs" in out
    assert "agree" not in out
    assert len(err.splitlines()) == 1
    assert "1 of 1 numbers do not agree" in err
    assert contents(folder) == before


# ---- what is committed ---------------------------------------------------------------------


@pytest.mark.parametrize("folder", EXPERIMENTS, ids=lambda p: p.name)
def test_every_experiment_has_its_results_and_how_they_were_made(folder: Path) -> None:
    table = results.read(folder)
    manifest = runs.read_json(folder / "manifest.json")
    todo = plan.jobs(folder, evidence.task_of(plan.read_plan(folder).task, folder))
    assert manifest["command"] == f"just sweep experiments/{folder.name}"
    assert manifest["runs"] == len(todo)
    assert manifest["versions"]["torch"]
    assert {"host", "threads", "git_commits", "written"} <= manifest.keys()
    if plan.read_plan(folder).task in ("break", "failures"):  # these are trained on a corpus
        assert "data_sha256" in manifest
    found = {json.dumps([*(row[k] for k in todo[0].setting), row["seed"]]) for row in table.rows}
    wanted: list[list[Any]] = [[*job.setting.values(), job.seed] for job in todo]
    assert found == {json.dumps(read_back(setting)) for setting in wanted}
    settings = {str(job.setting): job.setting for job in todo}.values()
    for setting in settings:
        assert table.where(setting).seeds == sorted(plan.read_plan(folder).seeds)


def read_back(values: list[Any]) -> list[Any]:
    """Whole numbers are read as such."""
    return [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all experiments: those that start from one base model train it once."""
    return tmp_path_factory.mktemp("trained")


@pytest.mark.slow
@pytest.mark.parametrize("folder", EXPERIMENTS, ids=lambda p: p.name)
def test_the_quick_part_of_every_experiment_is_reproduced(
    folder: Path,
    trained: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryDirectory", lambda: nullcontext(str(trained)))
    before = contents(folder)
    code = command.main(["reproduce", str(folder), "--quick"])
    out = capsys.readouterr().out
    assert code == 0, out
    assert "numbers agree" in out
    assert contents(folder) == before
