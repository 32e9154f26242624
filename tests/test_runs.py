"""A run directory survives kills, strangers and broken files."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weightdecay import runs
from weightdecay.runs import RunError

OLD = {"seed": 1}
NEW = {"seed": 2}


def manifest(config: dict[str, int]) -> dict[str, Any]:
    """A manifest that belongs to one config."""
    return {"started": "2025-01-01T00:00:00+00:00", "of": config["seed"]}


def finished_run(path: Path, config: dict[str, int] = OLD) -> Path:
    """A directory with every file of a run."""
    assert not runs.prepare(path, config, manifest(config))
    record = {"kind": "eval", "step": 0, "train_loss": 4.0}
    (path / runs.METRICS).write_text(json.dumps(record) + "\n", encoding="utf-8")
    (path / runs.CHECKPOINT).write_bytes(b"weights")
    (path / runs.DASHBOARD).write_text("<p>")
    runs.write_json(path / runs.RESULTS, {"final": record})
    return path


def contents(path: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()
    }


def one_line(error: pytest.ExceptionInfo[RunError], path: Path) -> str:
    message = str(error.value)
    assert len(message.splitlines()) == 1
    assert str(path) in message
    return message


# ---- writing -------------------------------------------------------------------------------


def _write_half_and_wait(path: Path, ready: Connection) -> None:
    with runs.atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as f:
        f.write('{"half": ')
        f.flush()
        ready.send(temporary.name)
        time.sleep(60)


@pytest.mark.parametrize("before", [None, b'{"old": 1}\n'], ids=["new-file", "replacing"])
def test_a_writer_killed_half_way_leaves_the_old_file_or_none(
    tmp_path: Path, processes: ForkServerContext, before: bytes | None
) -> None:
    path = tmp_path / "results.json"
    if before is not None:
        path.write_bytes(before)
    ours, theirs = processes.Pipe()
    child = processes.Process(target=_write_half_and_wait, args=(path, theirs))
    child.start()
    assert ours.poll(60)
    assert ours.recv() != path.name
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join(20)
    assert child.exitcode == -signal.SIGKILL
    assert (path.read_bytes() if path.exists() else None) == before


def _write_without_end(path: Path, ready: Connection) -> None:
    for number in range(10**9):
        runs.write_json(path, {"number": number, "filling": ["x" * 50] * 2000})
        if number == 0:
            ready.send("started")


@pytest.mark.parametrize("delay", [0.0, 0.013, 0.05, 0.11])
def test_a_file_rewritten_all_the_time_is_whole_whenever_its_writer_is_killed(
    tmp_path: Path, processes: ForkServerContext, delay: float
) -> None:
    path = tmp_path / "manifest.json"
    ours, theirs = processes.Pipe()
    child = processes.Process(target=_write_without_end, args=(path, theirs))
    child.start()
    assert ours.poll(60)
    for _ in range(20):
        assert len(runs.read_json(path)["filling"]) == 2000
    time.sleep(delay)
    child.kill()
    child.join(20)
    assert len(runs.read_json(path)["filling"]) == 2000


def test_a_writer_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    runs.write_yaml(path, OLD)
    before = contents(tmp_path)

    def fail() -> None:
        with runs.atomic_path(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with pytest.raises(TypeError):
        runs.write_json(path, {"no": object()})
    assert contents(tmp_path) == before


def test_a_written_file_is_readable_by_others(tmp_path: Path) -> None:
    """Temporary files are private; what is published from a shared machine is not."""
    runs.write_json(tmp_path / "a.json", {})
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o644
    finished_run(tmp_path / "run")
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o755


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [without_nan(v) for v in value]
    if isinstance(value, dict):
        return {k: without_nan(v) for k, v in value.items()}
    return value


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_json_comes_back_equal_with_null_for_what_is_no_number(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    runs.write_json(path, value)
    text = path.read_text(encoding="utf-8")
    assert runs.read_json(path) == without_nan(value)
    assert text.endswith("}\n")

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    json.loads(text, parse_constant=refuse)


# ---- preparing a directory -----------------------------------------------------------------


def test_a_new_directory_gets_config_and_manifest_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "experiments" / "deep" / "run"
    assert runs.prepare(path, OLD, manifest(OLD)) is False
    assert sorted(contents(path)) == [runs.CONFIG, runs.MANIFEST]
    assert runs.read_yaml(path / runs.CONFIG) == OLD
    assert runs.read_json(path / runs.MANIFEST) == manifest(OLD)
    assert [p.name for p in path.parent.iterdir()] == ["run"]


def test_an_existing_empty_directory_is_used(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert runs.prepare(tmp_path / "run", OLD, manifest(OLD)) is False
    assert sorted(contents(tmp_path / "run")) == [runs.CONFIG, runs.MANIFEST]


def test_an_unfinished_run_with_the_same_config_goes_on_with_its_own_manifest(
    tmp_path: Path,
) -> None:
    path = finished_run(tmp_path / "run")
    (path / runs.RESULTS).unlink()
    before = contents(path)
    assert runs.prepare(path, OLD, {**manifest(OLD), "started": "later"}) is True
    assert contents(path) == before


def test_a_finished_run_is_not_overwritten(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "run")
    before = contents(path)
    with pytest.raises(RunError, match="finished run; --force") as e:
        runs.prepare(path, OLD, manifest(OLD))
    one_line(e, path)
    assert contents(path) == before


@pytest.mark.parametrize("finished", [True, False])
def test_a_run_with_another_config_is_not_overwritten(tmp_path: Path, finished: bool) -> None:
    path = finished_run(tmp_path / "run")
    if not finished:
        (path / runs.RESULTS).unlink()
    before = contents(path)
    with pytest.raises(RunError, match="another config; --force replaces it") as e:
        runs.prepare(path, NEW, manifest(NEW))
    one_line(e, path)
    assert contents(path) == before


def test_force_replaces_the_files_of_a_run_and_keeps_everything_else(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "run")
    (path / "notes.txt").write_text("mine")
    (path / "plots").mkdir()
    (path / "plots" / "results.json").write_text("mine, too")
    assert runs.prepare(path, NEW, manifest(NEW), force=True) is False
    left = contents(path)
    left.pop(runs.LOCK, None)
    assert sorted(left) == [runs.CONFIG, runs.MANIFEST, "notes.txt", "plots/results.json"]
    assert (left["notes.txt"], left["plots/results.json"]) == (b"mine", b"mine, too")
    assert runs.read_yaml(path / runs.CONFIG) == NEW
    assert runs.read_json(path / runs.MANIFEST) == manifest(NEW)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "files",
    [
        {"thesis.tex": "years"},
        {"config.yaml": "seed: 1\n", "results.json": "{}", "checkpoint.pt": "theirs"},
        {"manifest.json": '{"name": "a web app"}', "config.yaml": "seed: 1\n"},
        {"manifest.json": "not even JSON", "metrics.jsonl": "theirs"},
        {"manifest.json": "[]", "dashboard.html": "theirs"},
        {".hidden": ""},
        {"sub/manifest.json": "{}"},
    ],
)
def test_a_directory_that_is_no_run_is_left_alone_even_with_force(
    tmp_path: Path, files: dict[str, str], force: bool
) -> None:
    path = tmp_path / "theirs"
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    before = contents(path)
    with pytest.raises(RunError) as e:
        runs.prepare(path, OLD, manifest(OLD), force=force)
    one_line(e, path)
    assert contents(path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["theirs"]


@pytest.mark.parametrize("force", [False, True])
def test_a_file_in_the_place_of_the_directory_is_left_alone(tmp_path: Path, force: bool) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(RunError, match="is a file, expected a run directory"):
        runs.prepare(path, OLD, manifest(OLD), force=force)
    assert path.read_text() == "mine"


CHANGES = ("unlink", "replace", "rename", "mkdir", "rmdir", "chmod", "fsync")


def _prepare_and_die(path: Path, calls: int, force: bool) -> None:
    """Prepare, but get killed (for real) instead of making the change number `calls`."""
    done = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def change(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            if done == calls:
                os.kill(os.getpid(), signal.SIGKILL)
            done += 1
            return real(*args, **kwargs)

        return change

    for name in CHANGES:
        setattr(os, name, counted(getattr(os, name)))
    runs.prepare(path, NEW, manifest(NEW), force=force)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["nothing", "finished", "another"])
def test_preparing_can_be_killed_at_any_change_and_repeated(
    tmp_path: Path, processes: ForkServerContext, start: str
) -> None:
    """After each kill: no state mixes two runs, and the same command then works."""
    killed = 0
    for calls in range(100):
        path = tmp_path / str(calls) / "run"
        if start != "nothing":
            finished_run(path, OLD if start == "another" else NEW)
        child = processes.Process(target=_prepare_and_die, args=(path, calls, start != "nothing"))
        child.start()
        child.join(60)
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        killed += 1
        for config in (OLD, NEW):  # without force: refused, or a run that is all of one piece
            copy = tmp_path / str(calls) / f"copy{config['seed']}"
            if path.exists():
                shutil.copytree(path, copy)
            try:
                goes_on = runs.prepare(copy, config, manifest(config))
            except RunError:
                assert start != "nothing"
                continue
            assert runs.read_json(copy / runs.MANIFEST)["of"] == config["seed"]
            assert goes_on or not (copy / runs.CHECKPOINT).exists()
        runs.prepare(path, NEW, manifest(NEW), force=start != "nothing")
        assert runs.read_yaml(path / runs.CONFIG) == NEW
        assert runs.read_json(path / runs.MANIFEST) == manifest(NEW)
        assert not (path / runs.RESULTS).exists()
    assert killed >= 6
    assert child.exitcode == 0


# ---- the lock ------------------------------------------------------------------------------


def _hold(path: Path, ready: Connection) -> None:
    with runs.locked(path):
        ready.send("held")
        time.sleep(60)


def test_one_writer_at_a_time_and_a_killed_one_leaves_no_lock(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    path = finished_run(tmp_path / "run")
    ours, theirs = processes.Pipe()
    child = processes.Process(target=_hold, args=(path, theirs))
    child.start()
    assert ours.poll(60)
    before = contents(path)
    with pytest.raises(RunError, match="another process is training here") as e, runs.locked(path):
        pass
    one_line(e, path)
    with pytest.raises(RunError, match="another process"):
        runs.prepare(path, NEW, manifest(NEW), force=True)
    assert contents(path) == before
    child.kill()
    child.join(20)
    with runs.locked(path):
        pass
    with runs.locked(path):  # and it is free again after use
        pass


# ---- reading -------------------------------------------------------------------------------


def record(step: int, **values: float | None) -> str:
    return json.dumps({"kind": "eval", "step": step, "train_loss": 1.0, **values})


def test_a_run_reads_back_as_written(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "run")
    lines = [record(0), '{"kind": "step", "step": 10, "batch_loss": 2.5}', record(50, dose=0.25)]
    (path / runs.METRICS).write_text("\n".join(lines) + "\n")
    run = runs.load(path)
    assert (run.name, run.config, run.manifest) == ("run", OLD, manifest(OLD))
    assert [e["step"] for e in run.evals] == [0, 50]
    assert [s["batch_loss"] for s in run.steps] == [2.5]
    assert run.final["dose"] == 0.25
    assert run.results is not None
    assert run.results["final"]["train_loss"] == 4.0
    assert run.problems == []


def test_null_and_missing_values_are_nan_in_a_series(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "run")
    nan = runs.finite({"kind": "eval", "step": 1, "train_loss": math.nan, "gap": -math.inf})
    assert nan == {"kind": "eval", "step": 1, "train_loss": None, "gap": None}
    (path / runs.METRICS).write_text(f"{record(0, gap=2)}\n{json.dumps(nan)}\n{record(2)}\n")
    run = runs.load(path)
    assert run.series("gap")[0] == 2.0
    assert all(math.isnan(value) for value in run.series("gap")[1:])
    assert [math.isnan(value) for value in run.series("train_loss")] == [False, True, False]
    assert run.problems == [f"{path}: the loss is not a finite number at step 1"]


def test_metrics_cut_off_at_any_byte_lose_one_line_at_most_and_say_so(tmp_path: Path) -> None:
    path = tmp_path / runs.METRICS
    text = "".join(record(step, gap=step / 7) + "\n" for step in (0, 50, 100)).encode()
    line_ends = [i for i, byte in enumerate(text) if byte == ord("\n")]
    for size in range(len(text) + 1):
        path.write_bytes(text[:size])
        records, problems = runs.read_metrics(path)
        whole = sum(end <= size for end in line_ends)  # complete but for its newline counts
        assert [r["step"] for r in records] == [0, 50, 100][:whole]
        cut = size > 0 and text[size - 1 : size] != b"\n" and size not in line_ends
        expected = f"{path}: line {whole + 1} is cut off or broken; it is left out"
        assert problems == ([expected] if cut else [])


@pytest.mark.parametrize(
    "broken",
    [b"", b"\x00\x00", b"\xff\xfe", b"[]", b"3", b"null", b"{}", b'{"step": "1"}', b'{"step":'],
)
def test_a_broken_line_in_the_middle_is_left_out_and_named(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / runs.METRICS
    path.write_bytes(record(0).encode() + b"\n" + broken + b"\n" + record(50).encode() + b"\n")
    records, problems = runs.read_metrics(path)
    assert [r["step"] for r in records] == [0, 50]
    assert problems == [f"{path}: line 2 is cut off or broken; it is left out"]


def test_a_cut_off_metrics_file_and_missing_results_do_not_hide_the_rest(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "run")
    (path / runs.METRICS).write_text(record(0) + "\n" + record(50)[:30])
    (path / runs.RESULTS).unlink()
    run = runs.load(path)
    assert [e["step"] for e in run.evals] == [0]
    assert run.results is None
    assert run.problems == [
        f"{path / runs.METRICS}: line 2 is cut off or broken; it is left out",
        f"{path}: not finished, no results.json",
    ]


def test_broken_results_are_a_problem_of_the_run_not_an_error(tmp_path: Path) -> None:
    path = finished_run(tmp_path / "run")
    (path / runs.RESULTS).write_text('{"final": ')
    run = runs.load(path)
    assert run.results is None
    (problem,) = run.problems
    assert problem.startswith(f"{path / runs.RESULTS}: not valid JSON")
    assert len(problem.splitlines()) == 1


def _remove(name: str) -> Callable[[Path], None]:
    return lambda path: (path / name).unlink()


def _fill(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda path: (path / name).write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "names"),
    [
        (shutil.rmtree, "no such run directory"),
        (_remove(runs.MANIFEST), "manifest.json"),
        (_fill(runs.MANIFEST, b'{"seed": '), "manifest.json: not valid JSON"),
        (_fill(runs.MANIFEST, b"[1]"), "manifest.json: holds list, expected an object"),
        (_fill(runs.MANIFEST, b"\xff\xff"), "manifest.json: not valid JSON"),
        (_remove(runs.CONFIG), "config.yaml: No such file"),
        (_fill(runs.CONFIG, b"a: [1"), "config.yaml: not valid YAML"),
        (_remove(runs.METRICS), "metrics.jsonl holds no evaluation"),
        (_fill(runs.METRICS, b""), "metrics.jsonl holds no evaluation"),
        (_fill(runs.METRICS, b'{"kind": "step", "step": 10}\n'), "holds no evaluation"),
    ],
)
def test_an_unreadable_run_is_one_line_that_names_the_file(
    tmp_path: Path, spoil: Callable[[Path], object], names: str
) -> None:
    path = finished_run(tmp_path / "run")
    spoil(path)
    with pytest.raises(RunError) as e:
        runs.load(path)
    assert names in one_line(e, path)


def test_environment_says_versions_threads_and_times_but_no_name_and_no_path() -> None:
    found = runs.environment()
    assert set(found["versions"]) >= {"weightdecay", "python", "torch"}
    assert found["threads"] >= 1
    assert found["ended"] is None
    assert "T" in found["started"]
    text = json.dumps(found)
    assert str(Path.home()) not in text
    assert str(Path(__file__).parents[1]) not in text
