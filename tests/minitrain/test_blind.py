"""A sealed run says nowhere what is wrong with it, ends as an open one, and is revealed once."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from weightdecay import runs
from weightdecay.minitrain import blind, causes, commands, config, dashboard, loop, sealing
from weightdecay.minitrain.causes import CAUSES
from weightdecay.minitrain.dashboard.tables import config_rows
from weightdecay.runs import Json, RunError

SHORT = """\
model: {d_model: 16, n_head: 2, n_layer: 1, d_ff: 32}
optimizer: {learning_rate: 0.03, final_learning_rate: 0.003, warmup_steps: 5}
training: {steps: 40, batch_size: 8, eval_every: 10, checkpoint_every: 20}
"""


@pytest.fixture(autouse=True)
def short(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe of the causes, made short."""
    path = tmp_path_factory.mktemp("recipe") / "config.yaml"
    path.write_text(SHORT, "utf-8")
    monkeypatch.setattr(causes, "RECIPE", path)
    return path


def seal_over(cause: str) -> str:
    """A seal that hides this cause."""
    return next(s for i in range(10**6) if sealing.cause(s := f"{i:032x}") == cause)


def sealed(parent: Path, cause: str, name: str = "blind-heron", seed: int = 7) -> Path:
    """A finished blind run."""
    blind.train(parent / name, seal_over(cause), seed, quiet=True)
    return parent / name


# The seal


def test_every_cause_is_chosen_about_as_often() -> None:
    counts = Counter(sealing.cause(sealing.new()) for _ in range(5000))
    assert set(counts) == set(CAUSES)
    assert all(850 < n < 1150 for n in counts.values())  # 5 standard deviations: 141


def test_seals_that_are_kept_somewhere_go_on_to_mean_the_same() -> None:
    """Written down when the first was made; changing `CAUSES` or the digest opens them wrongly."""
    assert [sealing.cause(f"{i:032x}") for i in range(8)] == [
        "no-decay",
        "mask",
        "warmup",
        "healthy",
        "no-decay",
        "no-decay",
        "warmup",
        "warmup",
    ]


def texts(directory: Path) -> dict[str, str]:
    """Every text file of a run, without seal, times and versions."""
    found = {}
    for path in sorted(directory.iterdir()):
        if path.name != runs.CHECKPOINT:
            text = path.read_text("utf-8")
            found[path.name] = re.sub(r'"(sealed|started|ended)": "[^"]*"', "", text)
    return found


def test_all_five_causes_write_the_same_config_and_manifest(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    written = []
    for cause in CAUSES:
        parent = tmp_path / cause
        blind.train(parent / "blind-heron", seal_over(cause), 7)
        said = re.sub(
            r"\d+\.\d\d?(step/s|s/step)|\d\d:\d\d|[\s█▏▎▍▌▋▊▉]+", "", "".join(capfd.readouterr())
        )
        files = texts(parent / "blind-heron")
        written.append((files[runs.CONFIG], files[runs.MANIFEST], sorted(files), said))
    assert all(w == written[0] for w in written)
    assert "weight_decay: sealed" in written[0][0]
    assert "failure: sealed" in written[0][0]


def test_the_files_of_a_sealed_run_name_no_cause_and_draw_no_config(tmp_path: Path) -> None:
    run = runs.load(sealed(tmp_path, "no-decay"))
    for record in run.evals:
        assert not {"dose", "learning_rate"} & record.keys()
    assert run.results is not None
    assert not {"dose", "learning_rate"} & run.results["final"].keys()
    assert "initial_weights_sha256" not in run.manifest
    for name, text in texts(run.path).items():
        if name != runs.DASHBOARD:  # Plotly, which is in it, has many words
            assert not re.search(r"no-decay|\bmask\b|weight_decay: 0", text), name
    rows = dict(config_rows([run]).rows)
    assert (rows["failure"], rows["optimizer.weight_decay"]) == ("sealed", "sealed")
    assert (rows["model.init_std"], rows["optimizer.warmup_steps"]) == ("0.02", "5")


def test_a_sealed_run_trains_as_the_open_one_with_its_cause(tmp_path: Path) -> None:
    for cause in CAUSES:
        hidden = runs.load(sealed(tmp_path / cause, cause))
        open_run = loop.train(causes.config(cause, 7), tmp_path / cause / "open", quiet=True)
        for one, other in zip(hidden.evals, open_run.evals, strict=True):
            assert one["train_loss"] == other["train_loss"]
            assert one["growth/embedding"] == other["growth/embedding"]


def test_the_dashboard_has_every_panel_and_tells_no_value_of_the_config(tmp_path: Path) -> None:
    run = runs.load(sealed(tmp_path, "no-decay"))
    open_run = loop.train(causes.config("healthy", 7), tmp_path / "open", quiet=True)
    pages = [dashboard.panels.build([r])["panels"] for r in (run, open_run)]
    assert [p["id"] for p in pages[0]] == [p["id"] for p in pages[1]]
    for panel in pages[0]:
        values = {v for s in panel["variants"].values() for line in s for v in line["y"]}
        withheld = panel["id"] in ("rate", "dose")
        assert (values == {None}) == withheld
        assert ("Withheld until the reveal: blind-heron." in panel["reading"]) == withheld


def test_sealed_runs_of_two_seeds_are_not_drawn_as_one_setting(tmp_path: Path) -> None:
    pair = [
        runs.load(sealed(tmp_path, cause, name, seed))
        for cause, name, seed in (("mask", "blind-owl", 1), ("init", "blind-newt", 2))
    ]
    assert len(dashboard.panels.build(pair)["settings"]) == 2


# Choosing and going on


def test_a_new_run_gets_a_name_that_is_free(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(blind, "ANIMALS", ("owl", "newt"))
    (tmp_path / "blind-owl").mkdir()
    assert blind.choose(tmp_path)[0] == tmp_path / "blind-newt"
    (tmp_path / "blind-newt").mkdir()
    with pytest.raises(RunError, match="every name for a blind run is taken"):
        blind.choose(tmp_path)


class KilledError(Exception):
    """Stands for a kill."""


def test_a_killed_run_goes_on_under_its_seal_and_ends_as_if_not_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal, save = seal_over("warmup"), loop._Loop.save

    def saved_then_killed(self: Any, out: Any) -> None:
        save(self, out)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(loop._Loop, "save", saved_then_killed)
        with pytest.raises(KilledError):
            blind.train(tmp_path / "blind-heron", seal, 7, quiet=True)
    with pytest.raises(RunError, match="blind-heron: not finished; just blind-run goes on with it"):
        blind.reveal("blind-heron", "mask", tmp_path)
    chosen = blind.choose(tmp_path)
    assert chosen == (tmp_path / "blind-heron", seal, 7)
    blind.train(*chosen, quiet=True)
    whole = runs.load(sealed(tmp_path / "whole", "warmup"))
    for one, other in zip(runs.load(chosen[0]).evals, whole.evals, strict=True):
        assert one["train_loss"] == other["train_loss"]


def test_a_run_killed_before_its_dashboard_gets_one_without_training(tmp_path: Path) -> None:
    directory = sealed(tmp_path, "mask")
    metrics = (directory / runs.METRICS).read_bytes()
    (directory / runs.DASHBOARD).unlink()
    chosen = blind.choose(tmp_path)
    assert chosen[0] == directory
    assert blind.train(*chosen, quiet=True).exists()
    assert (directory / runs.METRICS).read_bytes() == metrics
    assert blind.choose(tmp_path)[0] != directory


def test_a_spoiled_seal_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    directory = sealed(tmp_path, "mask")
    manifest = runs.read_json(directory / runs.MANIFEST)
    runs.write_json(directory / runs.MANIFEST, {**manifest, "sealed": "mask"})
    with pytest.raises(RunError, match=r"manifest\.json: sealed = 'mask'; accepted: 32 hex"):
        blind.reveal("blind-heron", "mask", tmp_path)


# The reveal


@pytest.mark.parametrize("cause", CAUSES)
def test_a_reveal_tells_the_truth_with_this_runs_numbers(tmp_path: Path, cause: str) -> None:
    directory = sealed(tmp_path, cause)
    before = runs.load(directory)
    told = blind.reveal("blind-heron", "init", tmp_path)
    assert told.cause == cause
    assert told.right_now == (cause == "init")
    assert (told.right, told.reveals) == (int(cause == "init"), 1)
    assert len(told.because) == (4 if cause == "healthy" else 1)
    assert all(line.startswith('Panel "') for line in told.because)
    if cause == "init":
        assert f"{before.evals[0]['train_loss']:.2f} nats per token" in told.because[0]


def test_revealed_it_is_the_open_run_of_its_config(tmp_path: Path) -> None:
    directory = sealed(tmp_path, "mask")
    blind.reveal(str(directory), "mask", tmp_path)
    revealed = runs.load(directory)
    open_run = loop.train(causes.config("mask", 7), tmp_path / "open", quiet=True)

    def timeless(record: Json) -> Json:
        return {k: v for k, v in record.items() if k != "steps_per_second"}

    assert revealed.config == open_run.config
    assert [timeless(e) for e in revealed.evals] == [timeless(e) for e in open_run.evals]
    assert revealed.steps == open_run.steps
    assert revealed.results == open_run.results
    assert "sealed" not in (directory / runs.DASHBOARD).read_text("utf-8").lower()
    assert config.read(directory / runs.CONFIG).failure == "mask"


def test_a_second_reveal_is_refused_and_counts_nothing(tmp_path: Path) -> None:
    sealed(tmp_path, "mask")
    blind.reveal("blind-heron", "init", tmp_path)
    tally = (tmp_path / blind.TALLY).read_bytes()
    message = "^blind-heron: revealed already: mask, your guess was init$"
    with pytest.raises(RunError, match=message):
        blind.reveal("blind-heron", "mask", tmp_path)
    assert (tmp_path / blind.TALLY).read_bytes() == tally


def test_the_tally_goes_on_over_runs_also_over_one_that_was_removed(tmp_path: Path) -> None:
    sealed(tmp_path, "mask", "blind-owl")
    assert blind.reveal("blind-owl", "mask", tmp_path).right == 1
    (tmp_path / "blind-owl").rename(tmp_path / "elsewhere")
    sealed(tmp_path, "init", "blind-owl")
    told = blind.reveal("blind-owl", "mask", tmp_path)
    assert (told.right, told.reveals, told.right_now) == (1, 2, False)


def test_a_reveal_that_was_killed_half_way_is_made_again_and_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = sealed(tmp_path, "no-decay")
    write = runs.write_json

    def killed(path: Path, value: Any) -> None:
        if path.name == runs.MANIFEST:
            raise KilledError
        write(path, value)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "write_json", killed)
        with pytest.raises(KilledError):
            blind.reveal("blind-heron", "mask", tmp_path)
    told = blind.reveal("blind-heron", "no-decay", tmp_path)
    assert (told.right, told.reveals) == (1, 1)
    assert runs.load(directory).final["dose"] == 0.0


@pytest.mark.parametrize("name", ["blind-dodo", "18-control", "../x", ""])
def test_a_name_that_is_none_is_one_line_with_those_there_are(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="no blind run of that name; just blind-run trains one"):
        blind.reveal(name, "mask", tmp_path)
    sealed(tmp_path, "mask", "blind-owl")
    with pytest.raises(RunError, match="no blind run of that name; there are blind-owl"):
        blind.reveal(name, "mask", tmp_path)


def test_a_guess_outside_the_list_is_one_line_with_the_list(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"^--guess = dropout; accepted: healthy, no-decay, init"):
        blind.reveal("blind-heron", "dropout", tmp_path)


def test_a_spoiled_tally_is_named_and_nothing_is_revealed(tmp_path: Path) -> None:
    directory = sealed(tmp_path, "mask")
    (tmp_path / blind.TALLY).write_text('{"x": 1}', "utf-8")
    with pytest.raises(RunError, match=r"blind-tally\.json: not a tally"):
        blind.reveal("blind-heron", "mask", tmp_path)
    assert sealing.is_sealed(runs.load(directory))


def test_the_commands_print_no_cause_before_the_reveal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blind.choose, "__defaults__", (tmp_path,))
    monkeypatch.setattr(blind.reveal, "__defaults__", (tmp_path,))
    commands.blind_run()
    first = capsys.readouterr().out.splitlines()
    name = first[0].split(":")[0]
    assert first[0] == f"{name}: one of {', '.join(CAUSES)}; which one is sealed"
    assert first[-1] == f"When you know: just reveal {name} --guess CAUSE"
    cause = sealing.cause(sealing.read(tmp_path / name / runs.MANIFEST))
    commands.reveal(name, "healthy")
    out = capsys.readouterr().out
    assert out.startswith(f"{name}: {cause}: {CAUSES[cause]}.\n")
    assert f"is {'right' if cause == 'healthy' else 'wrong'}; " in out
