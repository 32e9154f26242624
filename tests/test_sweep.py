"""A sweep trains each run once, whatever is killed, fails or runs beside it."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.minitrain.factory import SHORT
from tests.toy_task import STEPS, TASK
from weightdecay import __main__ as command
from weightdecay import evidence, plan, results, runs, sweep
from weightdecay.plan import Job, Task
from weightdecay.runs import RunError

ROOT = Path(__file__).parents[1]
EXPERIMENTS = sorted(path.parent for path in ROOT.glob("experiments/*/sweep.yaml"))
BASE = "seed: 0\nmap: {rate: 3.9}\nword: base\n"
GRIDS = "  - map.rate: [3.7, 3.8]\n    map.shift: [0.0, 1.0]\n"
QUICK = "{grid: {map.rate: [3.7], map.shift: [0.0]}, seeds: [1], columns: [x]}"


def experiment(
    parent: Path,
    grids: str = GRIDS,
    seeds: str = "[1, 2]",
    quick: str = QUICK,
    name: str = "toy",
    more: str = "",
) -> Path:
    """A folder with a sweep.yaml, and beside it the base."""
    folder = parent / name
    folder.mkdir(parents=True, exist_ok=True)
    (parent / "base.yaml").write_text(BASE)
    text = f"task: toy\nbase: ../base.yaml\ngrids:\n{grids}seeds: {seeds}\nquick: {quick}\n{more}"
    (folder / "sweep.yaml").write_text(text)
    return folder


def jobs(folder: Path) -> list[Job]:
    return plan.jobs(folder, TASK, parent=folder.parent / "runs")


def train(todo: list[Job], name: str = "toy") -> int:
    """In this process, one by one; how many."""
    return sweep.train(todo, TASK, name, workers=1)[0]


@pytest.fixture
def attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Any]]:
    """What was begun so far: (run, process, first step, threads). The gate is open."""
    monkeypatch.setenv("TOY", str(tmp_path))
    (tmp_path / "gate").touch()
    return lambda: read_attempts(tmp_path)


def read_attempts(folder: Path) -> list[Any]:
    path = folder / "attempts"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its time of writing."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def one_line(error: pytest.ExceptionInfo[RunError], *parts: str) -> None:
    assert len(str(error.value).splitlines()) == 1
    for part in parts:
        assert part in str(error.value)


# ---- what a sweep is -----------------------------------------------------------------------


def test_a_grid_is_a_product_and_every_setting_gets_the_same_seeds(tmp_path: Path) -> None:
    todo = jobs(experiment(tmp_path, seeds="[5, 3]"))
    assert [(*job.setting.values(), job.seed) for job in todo] == [
        (rate, shift, seed) for rate in (3.7, 3.8) for shift in (0.0, 1.0) for seed in (5, 3)
    ]
    assert {tuple(job.setting) for job in todo} == {("map.rate", "map.shift")}
    for job in todo:
        assert job.config == {
            "seed": job.seed,
            "map": {"rate": job.setting["map.rate"], "shift": job.setting["map.shift"]},
            "word": "base",
            "fails": False,
        }
    assert len({job.directory for job in todo}) == 8


def test_keys_that_go_together_replace_those_keys_and_no_others(tmp_path: Path) -> None:
    grids = "  - map.shift: [0.5]\n  - map:\n      - {rate: 3.7}\n      - {rate: 3.8, shift: 2.0}\n"
    quick = "{grid: {map.shift: [0.5]}, seeds: [1], columns: [x]}"
    todo = jobs(experiment(tmp_path, grids, "[1]", quick))
    assert [job.config["map"] for job in todo] == [
        {"rate": 3.9, "shift": 0.5},
        {"rate": 3.7, "shift": 0.0},
        {"rate": 3.8, "shift": 2.0},
    ]
    assert {job.config["word"] for job in todo} == {"base"}
    # A setting is told by every key that any grid replaces, whatever replaced it.
    assert [job.setting for job in todo] == [
        {"map.shift": 0.5, "map.rate": 3.9},
        {"map.shift": 0.0, "map.rate": 3.7},
        {"map.shift": 2.0, "map.rate": 3.8},
    ]


def test_an_empty_grid_is_the_base_alone(tmp_path: Path) -> None:
    (only,) = jobs(experiment(tmp_path, "  - {}\n", "[1]", "{grid: {}, seeds: [1], columns: [x]}"))
    assert (only.setting, only.config["map"]["rate"]) == ({}, 3.9)


def test_the_directory_of_a_run_hangs_on_its_config_alone(tmp_path: Path) -> None:
    todo = jobs(experiment(tmp_path))
    other = jobs(experiment(tmp_path, "  - map.rate: [3.7]\n    map.shift: [1, 0.0]\n", name="b"))
    assert todo[0].directory == other[2].directory
    assert len({job.directory for job in [*todo, *other]}) == 10  # 1 is not 1.0 to this task


@pytest.mark.parametrize(
    "grids",
    [
        "  - map.rate: [3.7, 3.8, 3.7]\n    map.shift: [0.0]\n",
        GRIDS + "  - map.rate: [3.7]\n",
        GRIDS + "  - map:\n      - {rate: 3.7, shift: 0.0}\n",
    ],
)
def test_a_setting_twice_is_refused(tmp_path: Path, grids: str) -> None:
    with pytest.raises(RunError) as e:
        jobs(experiment(tmp_path, grids))
    one_line(e, "toy/sweep.yaml", "map.rate = 3.7, map.shift = 0.0, seed = 1", "twice")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"more": "  - [\n"}, ["not valid YAML"]),
        ({"more": "sede: 1\n"}, ["unknown key sede", "accepted: task, base, grids, seeds"]),
        ({"quick": "{seeds: [1]}"}, ["quick.grid is missing"]),
        ({"quick": f"{QUICK[:-1]}, x: 1}}"}, ["unknown key quick.x", "grid, seeds, columns"]),
        ({"seeds": "[1, 2, 1]"}, ["seeds = [1, 2, 1]", "once"]),
        ({"seeds": "[1.5]"}, ["seeds.0 = 1.5", "integer"]),
        ({"seeds": "[true]"}, ["seeds.0 = True", "integer"]),
        ({"seeds": "[]"}, ["seeds = []"]),
        ({"seeds": "3"}, ["seeds = 3", "list"]),
        ({"grids": "  []\n"}, ["grids = []"]),
        ({"grids": "  - map.rate: 3.7\n"}, ["grids.0.map.rate = 3.7", "list"]),
        ({"grids": "  - map.rate: []\n"}, ["grids.0.map.rate = []"]),
        ({"grids": "  - map.rate: [[3.7]]\n"}, ["grids.0", "map.rate", "plain values"]),
        ({"grids": "  - map: [{rate: {a: 1}}]\n"}, ["grids.0", "plain values", "map"]),
        ({"grids": "  - map.rate: [.nan]\n"}, ["grids.0", "plain values", "map.rate"]),
        ({"grids": "  - seed: [1, 2]\n"}, ["grids.0", "seed", "seeds"]),
        ({"grids": "  - map.rat: [1.0]\n"}, ["base.yaml", "unknown key rat"]),
        ({"grids": "  - map.rate: [3.7, 4.5]\n"}, ["rate = 4.5", "accepted"]),
        ({"quick": QUICK.replace("3.7", "3.6")}, ["quick", "map.rate = 3.6", "not a setting"]),
        ({"quick": QUICK.replace("map.rate: [3.7]", "word: [b]")}, ["quick", "not a setting"]),
        ({"quick": QUICK.replace("[x]", "[]")}, ["quick.columns = []"]),
    ],
)
def test_a_mistake_in_the_yaml_is_one_line_that_names_the_file(
    tmp_path: Path, change: dict[str, str], parts: list[str]
) -> None:
    with pytest.raises(RunError) as e:
        jobs(experiment(tmp_path, **change))
    one_line(e, str(tmp_path / "toy" / "sweep.yaml"), *parts)


def test_missing_files_and_keys_are_named(tmp_path: Path) -> None:
    folder = experiment(tmp_path)
    path = folder / "sweep.yaml"
    text = path.read_text()
    path.write_text(text.replace("task: toy\n", ""))
    with pytest.raises(RunError) as e:
        jobs(folder)
    one_line(e, str(path), "task is missing")
    path.write_text(text.replace("../base.yaml", "no.yaml"))
    with pytest.raises(RunError) as e:
        jobs(folder)
    one_line(e, str(folder / "no.yaml"), "No such file")
    with pytest.raises(RunError) as e:
        jobs(tmp_path / "nowhere")
    one_line(e, "nowhere/sweep.yaml", "No such file")


@pytest.mark.parametrize("folder", EXPERIMENTS, ids=lambda p: p.name)
def test_every_experiment_has_a_valid_plan_with_paired_seeds(folder: Path) -> None:
    task = evidence.task_of(plan.read_plan(folder).task, folder)
    todo = plan.jobs(folder, task)
    seeds: dict[str, list[int]] = {}
    for job in todo:
        seeds.setdefault(str(job.setting), []).append(job.seed)
    assert len({tuple(s) for s in seeds.values()}) == 1
    assert len(todo) == len(seeds) * len(next(iter(seeds.values())))
    assert 0 < len(plan.jobs(folder, task, quick=True)) <= 4


# ---- training ------------------------------------------------------------------------------


def test_what_is_finished_is_not_trained_again(
    tmp_path: Path, attempts: Callable[[], list[Any]]
) -> None:
    todo = jobs(experiment(tmp_path))
    assert train(todo) == 8
    before = contents(tmp_path / "runs")
    assert train(todo) == 0
    assert contents(tmp_path / "runs") == before
    (todo[3].directory / runs.RESULTS).unlink()
    assert train(todo) == 1
    assert [run for run, *_ in attempts()] == [j.directory.name for j in [*todo, todo[3]]]
    assert attempts()[-1][2] == STEPS  # gone on from the checkpoint


def test_a_run_of_two_sweeps_is_trained_once(
    tmp_path: Path, attempts: Callable[[], list[Any]]
) -> None:
    first = jobs(experiment(tmp_path))
    quick = "{grid: {map.rate: [3.6]}, seeds: [2], columns: [x]}"
    second = jobs(experiment(tmp_path, "  - map.rate: [3.6, 3.7]\n", "[2, 3]", quick, "other"))
    assert (train(first), train(second, "other")) == (8, 3)
    names = [run for run, *_ in attempts()]
    assert len(names) == len(set(names)) == 11
    # Finished by another sweep between the two commands' looking and training.
    assert sweep._work(TASK, second[2], tmp_path / "lock", None) is None
    assert len(attempts()) == 11


def test_a_failing_run_is_listed_and_the_rest_is_kept(
    tmp_path: Path, attempts: Callable[[], list[Any]]
) -> None:
    quick = "{grid: {fails: [false], map.rate: [3.6]}, seeds: [1], columns: [x]}"
    grids = "  - fails: [true, false]\n    map.rate: [3.6, 3.7]\n"
    todo = jobs(experiment(tmp_path, grids, quick=quick))
    for again in (False, True):
        with pytest.raises(RunError) as e:
            train(todo)
        assert str(e.value).splitlines() == [
            f"4 of {4 if again else 8} runs failed:",
            *(
                f"  fails = True, map.rate = {rate}, seed = {seed}: "
                "ValueError: told to fail, on two lines"
                for rate in (3.6, 3.7)
                for seed in (1, 2)
            ),
        ]
    finished = [(job.directory / runs.RESULTS).exists() for job in todo]
    assert finished == [False] * 4 + [True] * 4
    assert len(attempts()) == 8 + 4


def test_a_wrong_engine_or_number_of_workers_is_one_line(tmp_path: Path) -> None:
    todo = jobs(experiment(tmp_path))
    for engine in ("slurm", "multiprocessing"):  # that one gives its results only at the end
        with pytest.raises(RunError) as e:
            sweep.train(todo, TASK, "toy", engine=engine)
        one_line(e, f"engine = {engine}", "accepted: threading")
        assert "loky" in str(e.value)
        assert engine not in str(e.value).split("accepted")[1]
    for workers in (0, -1):
        with pytest.raises(RunError) as e:
            sweep.train(todo, TASK, "toy", workers=workers)
        one_line(e, f"workers = {workers}", "accepted")


def test_a_second_command_for_the_same_sweep_is_refused(
    tmp_path: Path, attempts: Callable[[], list[Any]]
) -> None:
    todo = jobs(experiment(tmp_path))
    state = tmp_path / "runs" / ".toy"
    state.mkdir(parents=True)
    with runs.locked(state), pytest.raises(RunError) as e:
        train(todo)
    one_line(e, str(state), "another process is training")
    assert attempts() == []
    assert train(todo) == 8


def meeting(config: dict[str, Any], directory: Path) -> None:
    """In place of a training: wait until a second one has begun, too."""
    directory.mkdir(parents=True)
    deadline = time.monotonic() + 120
    while len([p for p in directory.parent.iterdir() if not p.name.startswith(".")]) < 2:
        if time.monotonic() > deadline:
            raise RunError("alone")
        time.sleep(0.02)
    runs.write_json(directory / runs.RESULTS, {"pid": os.getpid()})


@pytest.mark.parametrize("engine", ["threading", "loky"])
def test_another_engine_of_joblib_takes_the_place_of_the_processes(
    tmp_path: Path, engine: str
) -> None:
    todo = jobs(experiment(tmp_path))[:2]
    task = Task(TASK.check, meeting, TASK.rows)
    assert sweep.train(todo, task, "toy", workers=2, engine=engine)[0] == 2
    pids = {runs.read_json(job.directory / runs.RESULTS)["pid"] for job in todo}
    assert pids == {os.getpid()} if engine == "threading" else os.getpid() not in pids
    assert len(pids) == (1 if engine == "threading" else 2)


# ---- the command ---------------------------------------------------------------------------


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """``python -m weightdecay`` with the toy as its only task; code, output and errors."""
    monkeypatch.setattr(evidence, "task_of", lambda name, folder: TASK)
    parent = tmp_path / "runs"
    whole = plan.jobs
    monkeypatch.setattr(plan, "jobs", lambda folder, task: whole(folder, task, parent=parent))

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        code = command.main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_the_command_writes_table_and_manifest_and_says_what_it_did(
    tmp_path: Path, cli: Callable[..., tuple[int, str, str]]
) -> None:
    folder = experiment(tmp_path)
    code, out, err = cli("sweep", folder, "--workers", "1")
    assert (code, err) == (0, "")  # and no progress bar in a log
    assert re.fullmatch(r"\S+/toy/results.csv: 8 runs, 8 of them trained now in \d+ s\n", out)
    before = contents(folder)
    code, out, err = cli("sweep", folder)
    assert (code, err) == (0, "")
    assert out.endswith("/toy/results.csv: 8 runs\n")
    assert contents(folder) == before
    assert set(before) == {"sweep.yaml", "results.csv", "manifest.json"}


def test_the_command_ends_with_1_if_a_run_failed_and_leaves_the_old_table(
    tmp_path: Path, cli: Callable[..., tuple[int, str, str]]
) -> None:
    folder = experiment(tmp_path)
    assert cli("sweep", folder, "--workers", "1")[0] == 0
    before = contents(folder)["results.csv"]
    experiment(tmp_path, GRIDS + "  - fails: [true]\n")
    code, out, err = cli("sweep", folder, "--workers", "1")
    assert (code, out) == (1, "")
    assert err.splitlines()[0] == "error: 2 of 2 runs failed:"
    assert len(err.splitlines()) == 3
    assert contents(folder)["results.csv"] == before


def test_an_unknown_task_names_the_file_and_those_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = experiment(tmp_path)
    for name in ("sweep", "reproduce"):
        assert command.main([name, str(folder)]) == 1
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1
        for part in (str(folder / "sweep.yaml"), "task = toy", "accepted: break"):
            assert part in err


# ---- processes -----------------------------------------------------------------------------


def arguments(folder: Path, engine: str = "loky") -> list[str]:
    parent = str(folder.parent / "runs")
    return [sys.executable, "-m", "tests.toy_task", str(folder), parent, engine]


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "TOY": str(folder.parent), **more}


@contextmanager
def started(folder: Path, **more: str) -> Iterator[psutil.Popen]:
    """A sweep in a process of its own, killed at the end of the block if it still runs."""
    child = psutil.Popen(
        arguments(folder),
        cwd=ROOT,
        env=environment(folder, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def undisturbed(folder: Path, **more: str) -> str:
    """Run a sweep to its end; its output."""
    done = subprocess.run(
        arguments(folder),
        cwd=ROOT,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


def wait(condition: Callable[[], bool], child: psutil.Popen) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def finished(folder: Path) -> set[str]:
    return {p.parent.name for p in folder.glob(f"*/{runs.RESULTS}")}


def held(folder: Path) -> set[str]:
    """Runs that wait at the gate, before their last step."""
    found = set()
    for path in folder.glob(f"*/{runs.CHECKPOINT}"):
        if runs.read_json(path)["step"] == STEPS - 1:
            found.add(path.parent.name)
    return found - finished(folder)


@pytest.mark.parametrize("at_once", [False, True])
def test_a_killed_sweep_goes_on_and_ends_equal_to_one_left_alone(
    tmp_path: Path, at_once: bool
) -> None:
    """kill -9 of the parent; `at_once` starts the next one while its workers may still live."""
    alone = experiment(tmp_path / "alone")
    (alone.parent / "gate").touch()
    assert undisturbed(alone) == "trained 8\n"
    folder = experiment(tmp_path / "killed")
    place, gate = folder.parent / "runs", folder.parent / "gate"
    gate.touch()
    with started(folder) as child:
        wait(lambda: len(finished(place)) >= 2, child)
        gate.unlink()
        wait(lambda: len(held(place)) == 2 or len(finished(place)) > 6, child)
        family = child.children(recursive=True)
        os.kill(child.pid, signal.SIGKILL)
        if not at_once:
            _, alive = psutil.wait_procs(family, timeout=60)
            assert alive == []
        kept = {name: contents(place / name) for name in finished(place)}
        lost = held(place)
        assert 2 <= len(kept) <= 6
        assert len(lost) == 2
        gate.touch()
        output = undisturbed(folder)
    assert {name: contents(place / name) for name in kept} == kept
    begun = read_attempts(folder.parent)
    for name in kept:
        assert [run for run, *_ in begun].count(name) == 1
    for name in lost:
        first, *rest = [step for run, _, step, _ in begun if run == name]
        assert first == 0
        assert all(step >= STEPS - 1 for step in rest)  # gone on from the checkpoint
    assert len(begun) <= 8 + 2
    if not at_once:
        assert output == f"trained {8 - len(kept)}\n"
    table = (folder / results.TABLE).read_bytes()
    assert table == (alone / results.TABLE).read_bytes()
    assert len(table.splitlines()) == 1 + 8 * 2


def test_a_killed_worker_is_one_line_and_costs_its_run_only(tmp_path: Path) -> None:
    grids = "  - map.rate: [3.6, 3.7]\n  - word: [dies]\n"
    quick = "{grid: {map.rate: [3.6]}, seeds: [1], columns: [x]}"
    folder = experiment(tmp_path, grids, "[1, 2]", quick)
    (tmp_path / "gate").touch()
    done = subprocess.run(
        arguments(folder), cwd=ROOT, env=environment(folder), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if "killed from outside" in line]
    assert len(errors) == 1
    assert "--workers 1" in errors[0]
    experiment(tmp_path, grids.replace("dies", "lives"), "[1, 2]", quick)
    undisturbed(folder)
    assert len(finished(tmp_path / "runs")) == 6


def test_an_interrupted_sweep_leaves_no_process(tmp_path: Path) -> None:
    folder = experiment(tmp_path)
    with started(folder) as child:
        wait(lambda: len(held(tmp_path / "runs")) == 2, child)
        family = child.children(recursive=True)
        os.killpg(child.pid, signal.SIGINT)  # as Ctrl-C does
        child.wait(timeout=120)
        assert child.returncode != 0
        _, alive = psutil.wait_procs(family, timeout=60)
        assert alive == []
    (tmp_path / "gate").touch()
    undisturbed(folder)
    assert len(finished(tmp_path / "runs")) == 8


def test_a_terminal_gets_a_bar_with_the_time_to_go_and_a_log_gets_none(tmp_path: Path) -> None:
    folder = experiment(tmp_path)
    (tmp_path / "gate").touch()
    terminal, its_end = pty.openpty()
    termios.tcsetwinsize(its_end, (24, 100))
    child = subprocess.Popen(
        arguments(folder), cwd=ROOT, env=environment(folder), stderr=its_end, stdout=its_end
    )
    os.close(its_end)
    text = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        text += part
    os.close(terminal)
    assert child.wait(timeout=60) == 0
    assert re.search(rb"0/8 \[\d\d:\d\d<\?", text)  # no time to go yet
    assert re.search(rb"8/8 \[\d\d:\d\d<00:00, .*failed=0\]", text)
    shutil.rmtree(tmp_path / "runs")
    assert undisturbed(folder) == "trained 8\n"  # and nothing on standard error


@pytest.mark.slow
def test_each_worker_has_one_thread(tmp_path: Path) -> None:
    folder = experiment(tmp_path)
    (tmp_path / "gate").touch()
    undisturbed(folder, TOY_TORCH="1", OMP_NUM_THREADS="4", MKL_NUM_THREADS="4")
    begun = read_attempts(tmp_path)
    assert len(begun) == 8
    assert {threads for *_, threads in begun} == {1}


@pytest.mark.slow
def test_a_killed_sweep_of_the_break_lab_ends_equal_in_every_digit(tmp_path: Path) -> None:
    def clone(name: str) -> Path:
        root = tmp_path / name
        shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
        folder = root / "experiments" / "short"
        folder.mkdir(parents=True)
        text = SHORT.replace("steps: 40,", "steps: 300,").replace(
            "eval_every: 10", "eval_every: 50"
        )
        (folder / "config.yaml").write_text(text)
        (folder / "sweep.yaml").write_text(
            "task: break\nbase: config.yaml\ngrids:\n  - optimizer.weight_decay: [0.0, 3.0]\n"
            "seeds: [1, 2, 3]\nquick:\n  {grid: {optimizer.weight_decay: [0.0]}, seeds: [1], "
            "columns: [val_loss]}\n"
        )
        return root

    def start(root: Path) -> psutil.Popen:
        return psutil.Popen(
            [sys.executable, "-m", "weightdecay", "sweep", "experiments/short", "--workers", "2"],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root / "src")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    alone, killed = clone("alone"), clone("killed")
    whole = start(alone)
    assert "6 of them trained now" in whole.communicate(timeout=500)[0]
    place = killed / "_build" / "runs"
    child = start(killed)

    def one_done_and_one_on_its_way() -> bool:
        """Far from its end, so that it cannot get there before the signal does."""
        on_its_way = [
            path
            for path in place.glob(f"*/{runs.CHECKPOINT}")
            if runs.read_metrics(path.parent / runs.METRICS)[0][-1]["step"] < 200
        ]
        return bool(finished(place)) and bool(on_its_way)

    wait(one_done_and_one_on_its_way, child)
    family = child.children(recursive=True)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
    kept = {name: contents(place / name) for name in finished(place)}
    assert 1 <= len(kept) <= 5
    again = start(killed)
    out, err = again.communicate(timeout=500)
    assert (again.returncode, err) == (0, "")
    assert f"6 runs, {6 - len(kept)} of them trained now" in out
    assert {name: contents(place / name) for name in kept} == kept
    folder = Path("experiments", "short")
    table = (killed / folder / results.TABLE).read_bytes()
    assert table == (alone / folder / results.TABLE).read_bytes()
    assert len(table.splitlines()) == 1 + 6 * 3
    resumed = [runs.read_json(p)["resumed"] for p in place.glob("*/manifest.json")]
    assert any(resumed)
