"""The command line: real processes where a process is the point, in-process for its messages."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.minitrain.factory import SHORT, construct, trained_pair
from weightdecay import runs
from weightdecay.__main__ import main
from weightdecay.minitrain import blind, causes, recipe
from weightdecay.minitrain.corpus import PERSONS, TENSES, sentences

SOURCE = Path(runs.__file__).resolve().parents[1]


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Standard error, line by line."""
        return self.err.splitlines()


def process(*arguments: str, cwd: Path, source: Path = SOURCE) -> Done:
    """``python -m weightdecay …`` as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "weightdecay", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Done]:
    """The same command inside this process, in an empty directory; any traceback fails the test."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")

    def call(*arguments: str | Path) -> Done:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return call


@pytest.fixture
def short(tmp_path: Path) -> Path:
    path = tmp_path / "short.yaml"
    path.write_text(SHORT, "utf-8")
    return path


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Control and break, constructed."""
    return construct(tmp_path / "runs" / "18-control", 0.1), construct(
        tmp_path / "runs" / "18-break-wd0", 0.0
    )


def refused(done: Done, *parts: str | Path) -> None:
    """The command ended with 1 and one line on standard error that holds all `parts`."""
    assert done.code == 1
    assert len(done.lines) == 1
    assert done.err.startswith("error: ")
    for part in parts:
        assert str(part) in done.err


# Processes


def test_corpus_prints_300_forms_with_60_marked(tmp_path: Path) -> None:
    done = process("corpus", cwd=tmp_path)
    assert done.code == 0
    assert not done.err
    forms = re.findall(r"(\*| )((?:I|you|he) [a-z ]+?)(?=  |\n)", done.out)
    assert len(forms) == 300
    marked = {text for mark, text in forms if mark == "*"}
    assert sorted(marked) == sorted(s.text for s in sentences() if s.split == "val")
    assert sum(mark == "*" for mark, _ in forms) == 60
    assert [text for _, text in forms] == [s.text for s in sentences()]
    assert "240 training and 60 validation sentences" in done.out
    assert len(PERSONS) * len(TENSES) * 20 == 300


def test_a_process_ends_with_1_and_one_line_for_a_mistake(tmp_path: Path) -> None:
    done = process("diagnose", "nowhere", "neither", cwd=tmp_path)
    refused(done, "nowhere: no such run directory")


def test_an_unknown_command_ends_with_2_and_the_list_of_commands(tmp_path: Path) -> None:
    done = process("trian", cwd=tmp_path)
    assert done.code == 2
    for command in ("corpus", "train", "compare", "diagnose", "reference"):
        assert command in done.out + done.err


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m weightdecay corpus | head -n 1"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.stdout == "work (regular)\n"
    assert not done.stderr


@pytest.fixture
def clone(tmp_path: Path, short: Path) -> Path:
    """A copy of the project with a short recipe: its commands have their own experiments/."""
    root = tmp_path / "clone"
    shutil.copytree(
        SOURCE / "weightdecay",
        root / "src" / "weightdecay",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (root / "experiments" / "18-break-weight-decay").mkdir(parents=True)
    shutil.copy(short, root / "experiments" / "18-break-weight-decay" / "config.yaml")
    return root


@pytest.mark.slow
def test_compare_without_arguments_trains_what_is_missing_and_shows_everything(
    clone: Path,
) -> None:
    def compare() -> Done:
        done = process("compare", cwd=clone, source=clone / "src")
        assert done.code == 0
        assert [line for line in done.lines if line.startswith("warning")] == []
        assert done.out.splitlines()[-1] == "Dashboard: dashboard-compare.html"
        for number in (1, 2, 3, 4):
            assert f"Rung {number}. " in done.out
        assert "exactly one key: optimizer.weight_decay 0.1 → 0.0." in done.out
        assert (clone / "dashboard-compare.html").stat().st_size > 1_000_000
        return done

    names = ("18-control", "18-break-wd0")
    first = compare()
    for name in names:
        assert f"experiments/{name}: trained now" in first.out
        config = runs.read_yaml(clone / "experiments" / name / runs.CONFIG)
        assert config["optimizer"]["weight_decay"] == recipe_decay(name)
        assert config["training"]["steps"] == 40

    def states() -> dict[str, bytes]:
        return {name: (clone / "experiments" / name / runs.MANIFEST).read_bytes() for name in names}

    before = states()
    shutil.rmtree(clone / "experiments" / "18-break-wd0")
    second = compare()
    assert "experiments/18-control: found, not trained again" in second.out
    assert "experiments/18-break-wd0: trained now" in second.out
    assert states()["18-control"] == before["18-control"]
    after = states()
    third = compare()
    assert third.out.count("found, not trained again") == 2
    assert states() == after


def recipe_decay(name: str) -> float:
    return {v: k for k, v in recipe.NAMED.items()}[name]


@pytest.mark.slow
def test_compare_names_the_run_that_failed_and_trains_the_other(clone: Path) -> None:
    foreign = clone / "experiments" / "18-break-wd0"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    done = process("compare", cwd=clone, source=clone / "src")
    assert done.code == 1
    error = [line for line in done.lines if line.startswith("error: ")]
    assert len(error) == 1
    assert "18-break-wd0" in error[0]
    assert "left alone" in error[0]
    assert runs.load(clone / "experiments" / "18-control").final["step"] == 40
    assert [p.name for p in foreign.iterdir()] == ["thesis.txt"]


@pytest.mark.slow
def test_train_without_out_writes_to_the_directory_of_the_recipe(clone: Path) -> None:
    done = process(
        "train", "--weight-decay", "0.5", "--seed", "43", cwd=clone, source=clone / "src"
    )
    assert done.code == 0
    run = runs.load(clone / "experiments" / "18-overdecay-seed43")
    assert (run.config["seed"], run.config["optimizer"]["weight_decay"]) == (43, 0.5)
    assert (run.path / runs.DASHBOARD).exists()
    assert "experiments/18-overdecay-seed43: finished" in done.out


@pytest.mark.slow
def test_an_interrupted_command_says_how_to_go_on_and_does(clone: Path) -> None:
    text = (clone / "experiments" / "18-break-weight-decay" / "config.yaml").read_text("utf-8")
    (clone / "long.yaml").write_text(text.replace("steps: 40,", "steps: 100000,"), "utf-8")
    command = ["train", "--config", "long.yaml", "--out", "run"]
    child = subprocess.Popen(
        [sys.executable, "-m", "weightdecay", *command],
        cwd=clone,
        env={**os.environ, "PYTHONPATH": str(clone / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while not (clone / "run" / runs.CHECKPOINT).exists():
            assert child.poll() is None
            time.sleep(0.02)
        os.killpg(child.pid, signal.SIGINT)
        _, err = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == 130
    assert "Traceback" not in err
    assert "goes on from the last checkpoint" in err
    assert runs.load(clone / "run").results is None


# train


def test_train_writes_a_whole_run_and_does_not_overwrite_it(
    cli: Callable[..., Done], short: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    train = ("train", "--config", short, "--out", out, "--weight-decay", "0.3", "--seed", "9")
    done = cli(*train)
    assert done.code == 0
    run = runs.load(out)
    assert (run.config["seed"], run.config["optimizer"]["weight_decay"]) == (9, 0.3)
    assert run.final["step"] == 40
    assert {p.name for p in out.iterdir()} >= set(runs.RUN_FILES)
    assert re.search(r"step 40: train \d\.\d{4}, validation \d\.\d{4}, gap ", done.out)
    assert "finished; dashboard" in done.out

    contents = {p: p.read_bytes() for p in out.iterdir()}
    refused(cli(*train), out, "finished run", "--force")
    refused(cli(*train, "--seed", "8"), out, "another config", "--force")
    assert {p: p.read_bytes() for p in out.iterdir()} == contents
    # The clock in the manifest is too coarse to tell; a spoiled file shows the new training.
    (out / runs.RESULTS).write_text("{}")
    assert cli(*train, "--force").code == 0
    assert runs.load(out).evals[-1]["val_loss"] == run.final["val_loss"]
    assert (out / runs.RESULTS).read_bytes() == contents[out / runs.RESULTS]


def test_train_leaves_a_directory_that_holds_something_else_alone(
    cli: Callable[..., Done], short: Path, tmp_path: Path
) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    for force in ([], ["--force"]):
        done = cli("train", "--config", short, "--out", out, *force)
        refused(done, out, "left alone")
    assert [p.name for p in out.iterdir()] == ["thesis.txt"]
    refused(cli("train", "--config", short, "--out", out / "thesis.txt"), "is a file")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("seed: 42\nsede: 1\n", ["unknown key sede", "accepted"]),
        ("optimizer: {weight_decay: -1}\n", ["optimizer.weight_decay = -1", "accepted"]),
        ("training: {steps: many}\n", ["training.steps = 'many'"]),
        ("seed: [1\n", ["not valid YAML"]),
        ("- 1\n", ["expected keys"]),
    ],
)
def test_a_mistake_in_the_config_names_file_key_and_value(
    cli: Callable[..., Done], tmp_path: Path, text: str, parts: Sequence[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text, "utf-8")
    refused(cli("train", "--config", config, "--out", tmp_path / "run"), config, *parts)
    assert not (tmp_path / "run").exists()


def test_a_missing_config_and_impossible_options_are_one_line(
    cli: Callable[..., Done], short: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    refused(cli("train", "--config", tmp_path / "no.yaml", "--out", out), "no.yaml")
    for option, value in (("--weight-decay", "nan"), ("--weight-decay", "1e9"), ("--seed", "-1")):
        done = cli("train", "--config", short, "--out", out, f"{option}={value}")
        refused(done, option.strip("-").replace("-", "_"), "accepted")
    assert not out.exists()


def test_a_diverged_training_ends_well_and_says_so(
    cli: Callable[..., Done], tmp_path: Path
) -> None:
    config = tmp_path / "config.yaml"
    text = SHORT.replace("learning_rate: 0.01", "learning_rate: 1.0, weight_decay: 100.0")
    config.write_text(text, "utf-8")
    out = tmp_path / "run"
    done = cli("train", "--config", config, "--out", out)
    assert done.code == 0
    run = runs.load(out)
    assert run.results is not None
    assert run.results["diverged_at"] == run.final["step"]
    assert "not finite at step" in done.out + done.err
    assert "train none, validation none" in done.out
    assert (out / runs.DASHBOARD).exists()


# compare and diagnose: what is broken is named, what can be shown is shown


def compared(cli: Callable[..., Done], *paths: Path) -> tuple[Done, str]:
    """A comparison that succeeded, with its page."""
    done = cli("compare", *paths)
    assert done.code == 0
    assert done.out.splitlines()[-1] == "Dashboard: dashboard-compare.html"
    return done, Path("dashboard-compare.html").read_text("utf-8")


def test_compare_prints_the_ladder_and_writes_the_page(
    cli: Callable[..., Done], pair: tuple[Path, Path]
) -> None:
    done, page = compared(cli, *pair)
    assert not done.err
    for part in ("[supported]", "[no evidence yet]", "Supported if ", "Next: ", "Rungs supported"):
        assert part in done.out
    assert "18-control" in page
    assert "Diagnostic ladder" in page


def test_compare_finds_the_ablation_beside_the_runs(
    cli: Callable[..., Done], pair: tuple[Path, Path]
) -> None:
    assert "18-overdecay" not in compared(cli, *pair)[0].out.replace("/18-overdecay just", "")
    losses = {"train_loss": 1.0, "val_loss": 1.0}
    construct(pair[0].parent / "18-overdecay", 0.5, losses)
    done, _ = compared(cli, *pair)
    assert "18-overdecay (λ = 0.5): train loss 1.000" in done.out


def test_diagnose_walks_the_ladder_without_a_page(
    cli: Callable[..., Done], pair: tuple[Path, Path]
) -> None:
    done = cli("diagnose", *pair)
    assert done.code == 0
    assert [f"Rung {n}. " in done.out for n in (1, 2, 3, 4)] == [True] * 4
    assert list(Path().iterdir()) == []
    two = cli("diagnose", *reversed(pair)).out
    assert two.splitlines()[-1] == done.out.splitlines()[-1]


def test_diagnose_takes_a_further_run_as_the_ablation(
    cli: Callable[..., Done], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    losses = {"train_loss": 1.0, "val_loss": 1.0}
    over = construct(tmp_path / "elsewhere" / "over", 0.5, losses)
    done = cli("diagnose", *pair, over)
    assert done.code == 0
    assert "over (λ = 0.5)" in done.out


def test_out_says_where_the_page_goes(
    cli: Callable[..., Done], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    done = cli("compare", *pair, "--out", tmp_path / "new" / "page.html")
    assert done.code == 0
    assert (tmp_path / "new" / "page.html").exists()
    assert f"Dashboard: {tmp_path / 'new' / 'page.html'}" in done.out


def test_a_page_that_cannot_be_written_is_one_line(
    cli: Callable[..., Done], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    for out in (tmp_path, tmp_path / "file" / "page.html"):
        done = cli("compare", *pair, "--out", out)
        refused(done, out.parent if out.parent.is_file() else out)
    assert (tmp_path / "file").read_text() == "x"


def test_too_few_runs_are_an_error_that_says_what_is_taken(
    cli: Callable[..., Done], pair: tuple[Path, Path]
) -> None:
    refused(cli("compare", pair[0]), "two or more")
    refused(cli("diagnose"), "one run directory, or two")


def test_diagnose_looks_at_one_run_by_itself(
    cli: Callable[..., Done], pair: tuple[Path, Path]
) -> None:
    done = cli("diagnose", pair[0])
    assert done.code == 0
    assert [f"Rung {n}. " in done.out for n in (5, 6, 7, 8)] == [True] * 4
    assert done.out.splitlines()[-1].startswith("18-control: none of the four signatures is there")


def test_a_blind_run_is_guessed_and_revealed_in_the_terminal(
    cli: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = tmp_path / "config.yaml"
    short.write_text(SHORT, "utf-8")
    monkeypatch.setattr(causes, "RECIPE", short)
    monkeypatch.setattr(blind.choose, "__defaults__", (tmp_path,))
    monkeypatch.setattr(blind.reveal, "__defaults__", (tmp_path,))
    assert cli("blind-run").code == 0
    (path,) = tmp_path.glob("blind-*")
    refused(cli("diagnose", path), "sealed")
    refused(cli("reveal", path.name, "--guess", "luck"), "--guess = luck", "accepted")
    refused(cli("reveal", "blind-dodo", "--guess", "mask"), "there are", path.name)
    told = cli("reveal", path.name, "--guess", "mask")
    assert told.code == 0
    assert " of 1 right so far." in told.out
    refused(cli("reveal", path.name, "--guess", "mask"), "revealed already")
    assert cli("diagnose", path).code == 0


@pytest.mark.parametrize("command", ["compare", "diagnose"])
@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        (lambda d: shutil.rmtree(d), "no such run directory"),
        (lambda d: (d / runs.MANIFEST).write_text('{"seed": 4'), "manifest.json: not valid JSON"),
        (lambda d: (d / runs.MANIFEST).write_text("[]"), "manifest.json: holds list"),
        (lambda d: (d / runs.MANIFEST).write_bytes(b"\xff\xfe"), "manifest.json: not valid"),
        (lambda d: (d / runs.MANIFEST).unlink(), "no manifest.json"),
        (lambda d: (d / runs.CONFIG).unlink(), "config.yaml: No such file"),
        (lambda d: (d / runs.CONFIG).write_text("a: [1"), "config.yaml: not valid YAML"),
        (lambda d: (d / runs.METRICS).unlink(), "holds no evaluation"),
        (lambda d: (d / runs.METRICS).write_text(""), "holds no evaluation"),
        (lambda d: (d / runs.METRICS).write_text('{"kind": "ev'), "holds no evaluation"),
    ],
    ids=[
        "missing", "manifest cut off", "manifest a list", "manifest binary", "no manifest",
        "no config", "config broken", "no metrics", "empty metrics", "only half a line",
    ],
)  # fmt: skip
def test_a_broken_run_is_named_with_what_is_wrong(
    cli: Callable[..., Done],
    pair: tuple[Path, Path],
    command: str,
    breaks: Callable[[Path], object],
    words: str,
) -> None:
    breaks(pair[1])
    done = cli(command, *pair)
    assert done.code == 1
    assert done.lines[-1].startswith("error: ")
    named = [line for line in done.lines if str(pair[1]) in line]
    assert len(named) == 1
    assert words in named[0]


def test_runs_that_can_be_read_are_shown_without_the_broken_one(
    cli: Callable[..., Done], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    done, page = compared(cli, tmp_path / "nowhere", *pair)
    assert done.lines == [f"warning: {tmp_path / 'nowhere'}: no such run directory; left out"]
    assert "18-control" in page
    assert "18-break-wd0" in page


def test_a_broken_third_run_does_not_stop_the_diagnosis_of_two(
    cli: Callable[..., Done], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    done = cli("diagnose", *pair, tmp_path / "nowhere")
    assert done.code == 0
    assert done.lines == [f"warning: {tmp_path / 'nowhere'}: no such run directory; left out"]
    assert "Rung 4. " in done.out


def test_metrics_cut_off_in_a_line_are_shown_up_to_there(
    cli: Callable[..., Done], pair: tuple[Path, Path]
) -> None:
    metrics = pair[1] / runs.METRICS
    text = metrics.read_text("utf-8")
    metrics.write_text(text[: len(text) - 200], "utf-8")
    lines = len(text.splitlines())
    done, page = compared(cli, *pair)
    assert any(f"line {lines} is cut off" in line for line in done.lines)
    assert f"line {lines} is cut off" in page
    assert "What could not be read" in page


def test_an_unfinished_run_is_shown_with_the_command_that_finishes_it(
    cli: Callable[..., Done], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    half = construct(tmp_path / "half", 0.0, stop=100)
    done, page = compared(cli, pair[0], half)
    assert done.lines == [f"warning: {half}: not finished, no results.json"]
    assert f"out={half}" in done.out
    assert "half is not finished" in page


def test_a_diverged_run_is_shown_and_named_with_its_step(
    cli: Callable[..., Done], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    lost = construct(tmp_path / "lost", 0.0, diverged=True)
    done, page = compared(cli, pair[0], lost)
    assert done.lines == [f"warning: {lost}: the loss is not a finite number at step 200"]
    assert "lost has no finite loss at step 200: it diverged" in done.out
    assert "not a finite number at step 200" in page


def test_other_data_are_a_warning_and_everything_is_still_shown(
    cli: Callable[..., Done], pair: tuple[Path, Path], tmp_path: Path
) -> None:
    other = construct(tmp_path / "other", 0.0, manifest={"data_sha256": "0" * 64})
    done, page = compared(cli, pair[0], other)
    assert "tokeniser, sentences or split" in done.out
    assert "Stopped at rung 1" in done.out
    assert "tokeniser, sentences or split" in page


def test_a_manifest_without_the_baselines_only_leaves_their_lines_out(
    cli: Callable[..., Done], pair: tuple[Path, Path]
) -> None:
    for path in pair:
        manifest = runs.read_json(path / runs.MANIFEST)
        assert "trigram" in manifest["baselines"]
        del manifest["baselines"], manifest["entropy_floor"]
        runs.write_json(path / runs.MANIFEST, manifest)
    _, page = compared(cli, *pair)
    assert "Train and validation loss" in page
    assert '"entropy floor"' not in page
    assert "trigram, validation" not in page


@pytest.mark.parametrize("text", ["{}", "optimizer: 3\n", "seed: x\noptimizer: {}\n"])
def test_a_config_that_is_none_of_ours_is_shown_and_not_judged(
    cli: Callable[..., Done], pair: tuple[Path, Path], text: str
) -> None:
    (pair[1] / runs.CONFIG).write_text(text)
    done, _ = compared(cli, *pair)
    assert "Stopped at rung 1" in done.out


def test_names_that_look_like_markup_are_printed_as_they_are(
    cli: Callable[..., Done], tmp_path: Path
) -> None:
    a = construct(tmp_path / "[bold]a[" / "[b]x[]", 0.1)
    b = construct(tmp_path / "[bold]a[" / "[red]y", 0.0)
    done, _ = compared(cli, a, b)
    assert "[b]x[]" in done.out
    assert "above those of [b]x[]." in done.out
    assert cli("compare", a, b, "--out", Path("[i]p.html")).out.splitlines()[-1] == (
        "Dashboard: [i]p.html"
    )
    closing = construct(tmp_path / "[" / "end]", 0.1), construct(tmp_path / "[" / "b", 0.0)
    assert cli("compare", *closing).code == 0


def test_a_run_is_named_even_if_it_is_the_current_directory(
    cli: Callable[..., Done], pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pair[0])
    done = cli("diagnose", Path(), Path("..") / "18-break-wd0")
    assert done.code == 0
    assert "in 18-control" in done.out


def test_two_trained_runs_are_compared(
    cli: Callable[..., Done], tmp_path_factory: pytest.TempPathFactory
) -> None:
    done, page = compared(cli, *trained_pair(tmp_path_factory))
    assert not done.err
    assert json.loads(page.split('type="application/json">')[1].split("</script>")[0])["panels"]
    assert "exactly one key: optimizer.weight_decay 0.1 → 0.0." in page
