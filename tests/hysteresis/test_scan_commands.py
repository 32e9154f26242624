"""``just hysteresis`` and ``just hysteresis-scan``: what they print, keep, refuse, and survive."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from tests.test_sweep import contents
from weightdecay import __main__ as command
from weightdecay import claims, plan, results, runs
from weightdecay.hysteresis import commands, config, measure, protocol, records, scan
from weightdecay.hysteresis.config import Config
from weightdecay.hysteresis.protocol import Adapted
from weightdecay.runs import Json
from weightdecay.stats import paired_effect

ROOT = Path(__file__).parents[2]
BASE = "seed: 0\narm: imprint\nweight_decay: 0.001\nsteps: 0\npoints: 60\n"
# The small scan, and the three that make up the full one, with a setting or two of each.
GRIDS = {
    commands.QUICK: "{arm: [fresh, imprint], weight_decay: [0.0, 0.001, 0.5], points: [30]}",
    "hysteresis-scan": "{arm: [fresh, imprint], weight_decay: [0.001]}",
    "hysteresis-audit": "{arm: [shuffled], weight_decay: [0.001]}",
    "hysteresis-erasers": "{arm: [top_reset], weight_decay: [0.001]}",
}


def plans(parent: Path, base: str = BASE) -> Path:
    """experiments/ with small plans, seeds 0 and 1."""
    for name, grid in GRIDS.items():
        (parent / name).mkdir(parents=True)
        (parent / name / "sweep.yaml").write_text(
            "task: hysteresis\nbase: ../hysteresis-scan/config.yaml\n"
            f"grids:\n  - {grid}\nseeds: [0, 1]\n"
            f"quick: {{grid: {grid}, seeds: [0], columns: [article]}}\n"
        )
    (parent / "hysteresis-scan" / "config.yaml").write_text(base)
    return parent


def measured(configs: Sequence[Config], adapted: Adapted) -> list[Json]:
    """In place of the probes, which take seconds: a number that is the run's own."""
    return [
        {"article": 0.5 + c.weight_decay / 4 + c.seed / 100 + 0.2 * (c.arm == "imprint")}
        for c in configs
    ]


Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def experiments(tmp_path: Path) -> Path:
    return plans(tmp_path / "experiments")


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    experiments: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Cli:
    """``python -m weightdecay`` with these plans and runs in tmp_path; code, output, errors."""
    whole = plan.jobs
    monkeypatch.setattr(
        plan, "jobs", lambda folder, task: whole(folder, task, parent=tmp_path / "runs")
    )
    monkeypatch.setattr(records, "EXPERIMENTS", experiments)
    monkeypatch.setattr(measure, "measure", measured)
    monkeypatch.setattr(protocol, "IMPRINT_STEPS", 1)

    def call(name: str, *arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        workers = [] if "cuda" in arguments else ["--workers", "1"]
        code = command.main([name, *map(str, arguments), *workers])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def refused(done: tuple[int, str, str], *parts: str | Path) -> None:
    """Code 1, no output, and one line that holds all parts."""
    code, out, err = done
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")
    for part in parts:
        assert str(part) in err


def trained(tmp_path: Path) -> set[Path]:
    return {path.parent for path in (tmp_path / "runs").glob(f"*/{runs.RESULTS}")}


# ---- just hysteresis -----------------------------------------------------------------------


def test_the_small_scan_stands_beside_the_article_and_changes_no_file(
    tmp_path: Path, experiments: Path, cli: Cli
) -> None:
    before = contents(experiments)
    code, out, err = cli("hysteresis")
    assert (code, err) == (0, "")
    assert contents(experiments) == before
    rows = [[c.strip() for c in line.split("│")[1:-1]] for line in out.splitlines() if "│" in line]
    said = next(record.claimed for record in claims.read() if record.id == "H1")
    for cells, decay, key in zip(rows, (0.0, 0.001, 0.5), ("0", "1e-3", None), strict=True):
        one = [100 * (0.505 + decay / 4), 100 * (0.705 + decay / 4)]
        article = [f"{100 * said[f'{a} at {key}']:.1f}" if key else "–" for a in commands.ARMS]
        ours = [f"{value:.1f}" for value in one]
        interval = "+20.0 [+20.0, +20.0]"  # the same for both seeds, by the numbers of `measured`
        assert cells == [f"{decay:g}", ours[0], article[0], ours[1], article[1], interval, "2"]
    assert re.search(r"30 points in each phase instead of 60, 2 seeds instead of 2", out)
    runs_before = contents(tmp_path / "runs")
    assert cli("hysteresis") == (0, out, "")
    assert contents(tmp_path / "runs") == runs_before


def test_the_interval_is_of_paired_differences(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def noisy(configs: Sequence[Config], adapted: Adapted) -> list[Json]:
        return [{"article": 0.5 + 0.1 * c.seed * (c.arm == "imprint")} for c in configs]

    monkeypatch.setattr(measure, "measure", noisy)
    _, out, _ = cli("hysteresis")
    e = paired_effect([50.0, 60.0], [50.0, 50.0])
    assert out.count(f"{e.mean:+.1f} [{e.low:+.1f}, {e.high:+.1f}]") == 3


# ---- just hysteresis-scan ------------------------------------------------------------------


def test_the_full_scan_writes_a_table_after_each_of_its_sweeps(
    tmp_path: Path, experiments: Path, cli: Cli
) -> None:
    code, out, err = cli("hysteresis-scan")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 3
    for line, name, n in zip(lines, records.FOLDERS, (4, 2, 2), strict=True):
        expected = rf"\S*/{name}/results\.csv: {n} runs, {n} of them trained now in \d+ s"
        assert re.fullmatch(expected, line)
        assert len(results.read(experiments / name).rows) == n
        manifest = runs.read_json(experiments / name / runs.MANIFEST)
        assert manifest["command"] == f"just sweep experiments/{name}"
    assert len(trained(tmp_path)) == 8
    before = contents(experiments)
    code, out, err = cli("hysteresis-scan")
    assert (code, err) == (0, "")
    assert "trained now" not in out
    assert contents(experiments) == before


def test_cuda_trains_replicas_of_what_is_missing(
    tmp_path: Path, experiments: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processor in place of the GPU: which runs go there, and that the table is the same."""
    assert cli("hysteresis-scan")[0] == 0
    before = {name: (experiments / name / results.TABLE).read_bytes() for name in records.FOLDERS}
    todo = plan.jobs(experiments / "hysteresis-scan", scan.TASK)
    shutil.rmtree(todo[0].directory)
    shutil.rmtree(todo[3].directory)
    calls: list[tuple[int, str]] = []
    whole = scan.train_together

    def here(part: Sequence[tuple[Config, Path]], device: str = "cpu") -> None:
        calls.append((len(part), device))
        whole(part)

    monkeypatch.setattr(scan, "train_together", here)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    code, out, err = cli("hysteresis-scan", "--device", "cuda")
    assert (code, err) == (0, "")
    assert calls == [(1, "cuda"), (1, "cuda")]
    assert "4 runs, 2 of them trained now" in out
    for name, table in before.items():
        assert (experiments / name / results.TABLE).read_bytes() == table


def test_cuda_where_there_is_none_is_one_line(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refused(cli("hysteresis-scan", "--device", "cuda"), "device = cuda", "accepted: cpu")
    assert not (tmp_path / "runs").exists()


# ---- bad input -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hysteresis", "hysteresis-scan"])
@pytest.mark.parametrize(
    ("grid", "parts"),
    [
        ("weight_decay: [-0.001]", ["weight_decay = -0.001", "equal to 0"]),
        ("weight_decay: [much]", ["weight_decay = 'much'", "number"]),
        ("arm: [imprinted]", ["arm = 'imprinted'", "should be 'fresh', 'imp"]),
        ("decay: [0.1]", ["unknown key decay", "accepted: protocol, s"]),
        ("protocol: [2]", ["protocol = 2", "should be 1"]),
    ],
)
def test_a_mistake_in_a_plan_is_one_line_before_anything_is_trained(
    tmp_path: Path, experiments: Path, cli: Cli, name: str, grid: str, parts: list[str]
) -> None:
    """In the last of the sweeps that the command trains."""
    folder = commands.QUICK if name == "hysteresis" else records.FOLDERS[-1]
    path = experiments / folder / "sweep.yaml"
    path.write_text(path.read_text().replace("grids:\n", f"grids:\n  - {grid}\n"))
    refused(cli(name), path, *parts)
    refused(cli("sweep", path.parent), path, *parts)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("base", "parts"),
    [
        (f"{BASE}protocol: {config.PROTOCOL + 1}\n", [f"protocol = {config.PROTOCOL + 1}"]),
        (BASE.replace("steps: 0", "steps: -1"), ["steps = -1"]),
        (BASE + "arms: 2\n", ["unknown key arms"]),
        (BASE + "arm: [\n", ["not valid YAML"]),
    ],
)
def test_a_mistake_in_the_config_is_one_line(
    tmp_path: Path, experiments: Path, cli: Cli, base: str, parts: list[str]
) -> None:
    (experiments / "hysteresis-scan" / "config.yaml").write_text(base)
    refused(cli("hysteresis"), "config.yaml", *parts)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (json.dumps({"protocol": 0, "article": 0.9}), ["protocol = 0, expected 1", "do not mix"]),
        ('{"protocol": 1, "artic', ["not valid JSON"]),
    ],
)
def test_results_that_do_not_belong_stop_the_table_and_say_what_to_do(
    tmp_path: Path, experiments: Path, cli: Cli, text: str, parts: list[str]
) -> None:
    assert cli("hysteresis-scan")[0] == 0
    before = contents(experiments)
    kept = trained(tmp_path)
    spoiled = plan.jobs(experiments / "hysteresis-audit", scan.TASK)[1].directory
    (spoiled / runs.RESULTS).write_text(text)
    code, out, err = cli("hysteresis-scan")
    assert code == 1
    assert out.count("\n") == 1  # of the scan, whose table stands
    refused((code, "", err), spoiled / runs.RESULTS, *parts, "delete the directory")
    assert contents(experiments) == before
    assert trained(tmp_path) == kept
    shutil.rmtree(spoiled)  # what the line says
    code, out, err = cli("hysteresis-scan")
    assert (code, err) == (0, "")
    for name in records.FOLDERS:
        table = f"{name}/{results.TABLE}"
        assert contents(experiments)[table][0] == before[table][0]


# ---- kill -9 -------------------------------------------------------------------------------


def clone(root: Path) -> Path:
    """The package with small plans: its commands keep their runs there."""
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    plans(root / "experiments", BASE.replace("steps: 0", "steps: 20"))
    return root


def started(root: Path) -> psutil.Popen:
    return psutil.Popen(
        [sys.executable, "-m", "weightdecay", "hysteresis-scan", "--workers", "2"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(child: psutil.Popen) -> str:
    out, err = child.communicate(timeout=1500)
    assert (child.returncode, err) == (0, "")
    return str(out)


def tables(root: Path) -> dict[str, bytes]:
    return {n: (root / "experiments" / n / results.TABLE).read_bytes() for n in records.FOLDERS}


@pytest.mark.slow
def test_a_killed_scan_goes_on_with_the_same_command_and_ends_with_the_same_tables(
    tmp_path: Path,
) -> None:
    """Real processes, probes and all; killed when one run is done and another one is not."""
    alone, killed = clone(tmp_path / "alone"), clone(tmp_path / "killed")
    assert ended(started(alone)).count("trained now") == 3
    child = started(killed)
    family: list[Any] = []
    try:
        begun: set[Path] = set()
        while not (trained(killed / "_build") and begun - trained(killed / "_build")):
            assert child.poll() is None, child.communicate()
            begun = {p.parent for p in (killed / "_build" / "runs").glob(f"*/{runs.MANIFEST}")}
            time.sleep(0.01)
    finally:
        family = child.children(recursive=True)
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
    kept = {path: contents(path) for path in trained(killed / "_build")}
    assert 1 <= len(kept) < 8
    again = ended(started(killed))
    assert {path: contents(path) for path in kept} == kept
    counts = [int(n) for n in re.findall(r"(\d+) of them trained now", again)]
    assert sum(counts) == 8 - len(kept)
    assert tables(killed) == tables(alone)
    assert len(tables(killed)["hysteresis-scan"].splitlines()) == 1 + 4
