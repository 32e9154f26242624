"""Runs on disk: replicas as one by one, begun again after a kill, refused where they do not mix."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.test_sweep import contents, one_line
from weightdecay import plan, runs
from weightdecay.hysteresis import config, probe, protocol, scan
from weightdecay.plan import Job
from weightdecay.runs import RunError

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
SMALL = "seed: 0\narm: fresh\nweight_decay: 0.001\nsteps: 5\npoints: 60\n"
QUICK = "{grid: {arm: [fresh], weight_decay: [0.001]}, seeds: [0], columns: [article]}"
GRID = "  - arm: [fresh, imprint]\n    weight_decay: [0.001, 1.0]\n"


def experiment(parent: Path, grids: str = GRID, name: str = "toy", base: str = SMALL) -> Path:
    """A folder with a sweep.yaml over a small config, in which a run takes a fraction of a second
    once `small_probes` is on."""
    folder = parent / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(base)
    (folder / "sweep.yaml").write_text(
        f"task: hysteresis\nbase: config.yaml\ngrids:\n{grids}seeds: [0, 1, 2]\nquick: {QUICK}\n"
    )
    return folder


@pytest.fixture(autouse=True)
def small_probes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few points and steps, also of phase A: what a run measures means nothing."""
    monkeypatch.setattr(protocol, "IMPRINT_STEPS", 5)
    for name, value in (("STEPS", 5), ("POINTS", 50), ("TEST_POINTS", 200)):
        monkeypatch.setattr(probe, name, value)
    probe.points.cache_clear()
    yield
    probe.points.cache_clear()


def jobs(tmp_path: Path, where: str = "runs", grids: str = GRID) -> list[Job]:
    return plan.jobs(experiment(tmp_path, grids), scan.TASK, parent=tmp_path / where)


def finished(todo: Sequence[Job]) -> list[bool]:
    return [(job.directory / runs.RESULTS).exists() for job in todo]


# ---- replicas ------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "lengths"), [(4, [4, 2, 4, 2, 3]), (100, [6, 6, 3])])
def test_a_chunk_holds_runs_that_are_alike_and_every_run_is_in_one(
    tmp_path: Path, size: int, lengths: list[int]
) -> None:
    """Seeds and strengths of decay go together; arms, and a phase B of other length, do not."""
    todo = jobs(tmp_path, grids=GRID + "  - steps: [6]\n    arm: [fresh]\n")
    found = scan.chunks(todo, size)
    assert [len(part) for part in found] == lengths
    for part in found:
        assert len({protocol.alike(c) for c, _ in part}) == 1
    told = {directory: c.model_dump() for part in found for c, directory in part}
    assert told == {job.directory: job.config for job in todo}


@pytest.mark.parametrize("device", DEVICES)
def test_replicas_leave_what_separate_runs_leave(tmp_path: Path, device: str) -> None:
    alone, together = jobs(tmp_path, "alone"), jobs(tmp_path, "together")
    for job in alone:
        scan.train(job.config, job.directory)
    assert scan.train_replicas(together, "toy", device, chunk=4)[0] == 12
    for one, other in zip(alone, together, strict=True):
        names = {p.name for p in one.directory.iterdir()}
        assert names == {runs.CONFIG, runs.MANIFEST, runs.RESULTS, scan.WEIGHTS}
        assert {p.name for p in other.directory.iterdir()} == names
        for name, w in load_file(one.directory / scan.WEIGHTS).items():
            far = (w - load_file(other.directory / scan.WEIGHTS)[name]).abs().mean()
            assert far < 1e-5  # another seed's weights are 0.05 away
        (numbers,), (others,) = scan.rows(one.directory), scan.rows(other.directory)
        assert list(numbers) == list(others)
        for key, value in numbers.items():
            # One of 50 points may change sides of a probe.
            assert others[key] == pytest.approx(value, rel=1e-3, abs=0.021), key
            if key.startswith("norm"):
                assert others[key] == pytest.approx(value, rel=1e-4), key
        manifest = runs.read_json(other.directory / runs.MANIFEST)
        assert manifest["device"] == device
        assert manifest["started"] <= manifest["ended"]


def test_what_is_finished_is_kept_when_replicas_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    todo = jobs(tmp_path)
    whole, calls = scan.train_together, []

    def second_fails(part: Sequence[tuple[config.Config, Path]], device: str = "cpu") -> None:
        calls.append(len(part))
        if len(calls) == 2:
            raise RunError("told to fail")
        whole(part, device)

    monkeypatch.setattr(scan, "train_together", second_fails)
    with pytest.raises(RunError, match="told to fail"):
        scan.train_replicas(todo, "toy", "cpu", chunk=5)
    assert finished(todo) == [True] * 5 + [False] * 7
    before = {job.directory.name: contents(job.directory) for job in todo[:5]}
    calls[:] = [0, 0]
    assert scan.train_replicas(todo, "toy", "cpu", chunk=5)[0] == 7
    assert calls[2:] == [1, 5, 1]
    assert {job.directory.name: contents(job.directory) for job in todo[:5]} == before
    assert scan.train_replicas(todo, "toy", "cpu", chunk=5) == (0, 0.0)
    assert len(calls) == 5


def test_one_command_at_a_time_trains_a_sweep_as_replicas(tmp_path: Path) -> None:
    todo = jobs(tmp_path)
    state = tmp_path / "runs" / ".toy"
    state.mkdir(parents=True)
    with runs.locked(state), pytest.raises(RunError) as e:
        scan.train_replicas(todo, "toy", "cpu")
    one_line(e, str(state), "another process is training")
    assert not any(finished(todo))


# ---- half written --------------------------------------------------------------------------


@pytest.mark.parametrize("left", [[], [scan.WEIGHTS], [f".{scan.WEIGHTS}.x1y2", runs.LOCK]])
def test_a_run_that_was_killed_starts_again_and_ends_as_if_it_had_not_been(
    tmp_path: Path, left: list[str]
) -> None:
    """Killed between its manifest and its results, with a part of its weights written or none."""
    (alone, *_), (killed, *_) = jobs(tmp_path, "alone"), jobs(tmp_path)
    scan.train(alone.config, alone.directory)
    long_ago = {"started": "2001-01-01T00:00:00+00:00", "ended": None, "device": "abacus"}
    assert not runs.prepare(killed.directory, killed.config, long_ago)
    for name in left:
        (killed.directory / name).write_bytes(b"half")
    scan.train(killed.config, killed.directory)
    assert scan.rows(killed.directory) == scan.rows(alone.directory)
    one, other = (load_file(job.directory / scan.WEIGHTS) for job in (alone, killed))
    assert torch.equal(one["end"], other["end"])
    manifest = runs.read_json(killed.directory / runs.MANIFEST)
    assert manifest["device"] == "cpu"  # of the training that made the results, not of the killed
    assert manifest["started"] > long_ago["started"]


def test_a_directory_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    first = jobs(tmp_path)[0]
    first.directory.mkdir(parents=True)
    (first.directory / "thesis.txt").write_text("mine")
    with pytest.raises(RunError) as e:
        scan.train(first.config, first.directory)
    one_line(e, str(first.directory), "not a run, left alone")
    assert [p.name for p in first.directory.iterdir()] == ["thesis.txt"]


def test_a_kept_imprint_that_is_cut_off_is_named_and_made_again_once_deleted(
    tmp_path: Path,
) -> None:
    todo = jobs(tmp_path)
    imprinted = next(job for job in todo if job.config["arm"] == "imprint")
    scan.train(imprinted.config, imprinted.directory)
    before = scan.rows(imprinted.directory)
    shutil.rmtree(imprinted.directory)
    (kept,) = (tmp_path / "runs" / "imprints").iterdir()
    whole = kept.read_bytes()
    for size in (0, 5, 100, len(whole) - 1):
        kept.write_bytes(whole[:size])
        with pytest.raises(RunError) as e:
            scan.train(imprinted.config, imprinted.directory)
        one_line(e, str(kept), "cannot be read", "delete it, it is made again")
        assert not (imprinted.directory / runs.RESULTS).exists()
    kept.unlink()
    scan.train(imprinted.config, imprinted.directory)
    assert scan.rows(imprinted.directory) == before
    assert kept.read_bytes() == whole


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('{"protocol": 1, "arti', ["not valid JSON"]),
        ("", ["not valid JSON"]),
        ("[1]", ["holds list"]),
        (json.dumps({"protocol": config.PROTOCOL + 1}), [f"protocol = {config.PROTOCOL + 1}"]),
        (json.dumps({"article": 0.9}), ["protocol = None", "do not mix"]),
    ],
)
def test_results_that_cannot_be_used_are_named_with_the_way_out(
    tmp_path: Path, text: str, parts: list[str]
) -> None:
    (tmp_path / runs.RESULTS).write_text(text)
    with pytest.raises(RunError) as e:
        scan.rows(tmp_path)
    one_line(e, str(tmp_path / runs.RESULTS), *parts, "delete the directory, it is trained again")
