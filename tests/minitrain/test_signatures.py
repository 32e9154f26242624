"""Rungs 5 to 8: each fires on its own failure and on no other, at its threshold and not before."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.minitrain.factory import construct
from weightdecay import runs
from weightdecay.minitrain import causes, corpus, loop, signatures
from weightdecay.minitrain.config import parse
from weightdecay.minitrain.rungs import NO_EVIDENCE, NOT_SUPPORTED, SUPPORTED
from weightdecay.runs import Json, Run

RECIPE = {
    "optimizer.learning_rate": 0.03,
    "optimizer.final_learning_rate": 0.003,
    "optimizer.warmup_steps": 100,
    "training.steps": 2000,
}
SEEDS = (100, 101, 102)  # none of those that the thresholds were chosen on
SHORT = 400  # steps: the first 200 show three of the signatures, the dose shows the fourth


def told(
    path: Path,
    *,
    start: float = 4.15,
    early: float = 0.35,
    late: float = 0.18,
    spelled: float = 1.0,
    growth: float = 15.0,
    dose: float | None = 3.3,
    changes: Mapping[str, Any] = {},
    stop: int | None = None,
) -> Run:
    """A constructed run of the recipe that shows these numbers; the defaults are healthy."""
    final = {
        "growth/embedding": growth,
        "accuracy/train/regular": spelled,
        "accuracy/train/irregular": spelled,
    }
    construct(path, 0.1, final, changes={**RECIPE, **changes}, stop=stop)
    lines = []
    for record in runs.read_metrics(path / runs.METRICS)[0]:
        step = record["step"]
        if record["kind"] == "step":
            record["batch_loss"] = early if 100 < step <= 200 else 4.0 if step < 100 else late
        elif dose is None:
            del record["dose"]
        else:
            record["dose"] = dose * step / 2000
        if record["kind"] == "eval" and step == 0:
            record["train_loss"] = start
        lines.append(json.dumps(record) + "\n")
    (path / runs.METRICS).write_text("".join(lines), "utf-8")
    return runs.load(path)


def fired(run: Run) -> list[str]:
    rungs = {cause: rung(run) for cause, rung in signatures.RUNGS.items()}
    return [cause for cause, rung in rungs.items() if rung.verdict == SUPPORTED]


# The floor


def test_knowing_the_training_sentences_by_heart_costs_what_the_counts_say() -> None:
    """By another way: tense given lemma, person given both, and the form is then certain."""
    train = corpus.split("train")
    nats = 0.0
    for s in train:
        lemma = [t for t in train if t.lemma == s.lemma]
        tense = [t for t in lemma if t.tense == s.tense]
        nats += math.log(len(lemma) / len(tense)) + math.log(len(tense))
    tokens = sum(len(s.tokens) - 1 for s in train)
    assert signatures.memory_floor() == pytest.approx(nats / tokens)
    assert signatures.memory_floor() < corpus.entropy_floor("train")


# Thresholds, on chosen numbers


def test_a_healthy_run_shows_none(tmp_path: Path) -> None:
    report = signatures.walk(told(tmp_path / "fine"))
    assert [r.number for r in report.rungs] == [5, 6, 7, 8]
    assert [r.verdict for r in report.rungs] == [NOT_SUPPORTED] * 4
    assert report.conclusion == "fine: none of the four signatures is there."
    assert not any(r.next_step for r in report.rungs)


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        ({"start": 8.31}, []),
        ({"start": 8.32}, ["init"]),
        ({"start": 36.0, "early": 1.5}, ["init"]),  # its slow start is not held against the warmup
        ({"early": 0.49}, []),
        ({"early": 0.5}, ["warmup"]),
        ({"late": 0.13, "spelled": 0.0}, ["mask"]),
        ({"late": 0.14, "spelled": 0.0}, []),
        ({"late": 0.0, "spelled": 0.06}, []),
        ({"dose": 0.0}, ["no-decay"]),
        ({"growth": 40.0}, []),  # the dose is known: the norm has another reason
        ({"dose": None, "growth": 24.9}, []),
        ({"dose": None, "growth": 25.0}, ["no-decay"]),
        ({"start": 36.0, "dose": 0.0}, ["init", "no-decay"]),
    ],
)
def test_each_fires_at_its_threshold(
    tmp_path: Path, numbers: dict[str, Any], found: list[str]
) -> None:
    run = told(tmp_path / "run", **numbers)
    assert fired(run) == found
    report = signatures.walk(run)
    for cause in found:
        assert causes.CAUSES[cause] in report.conclusion
    for rung in report.rungs:
        assert bool(rung.next_step) == (rung.verdict == SUPPORTED)


def test_the_evidence_holds_the_numbers_and_every_threshold_is_stated(tmp_path: Path) -> None:
    run = told(tmp_path / "run", start=9.876, early=0.7654, late=0.0123, growth=12.34, dose=1.5)
    words = [" ".join(r.evidence) for r in signatures.walk(run).rungs]
    for part, said in zip(("9.88", "0.765", "0.0123", "12.34×"), words, strict=True):
        assert part in said
    thresholds = [r.threshold for r in signatures.walk(run).rungs]
    for part, said in zip(("8.32", "0.5 nats", "0.135", "25×"), thresholds, strict=True):
        assert part in said


# What cannot be judged


def test_a_run_that_has_just_begun_is_judged_by_its_start_alone(tmp_path: Path) -> None:
    run = told(tmp_path / "run", start=36.0, stop=0)
    verdicts = [r.verdict for r in signatures.walk(run).rungs]
    assert verdicts == [SUPPORTED, NO_EVIDENCE, NO_EVIDENCE, NO_EVIDENCE]
    assert "No evidence yet: 6, 7, 8." in signatures.walk(run).conclusion


@pytest.mark.parametrize(
    "change", [{"optimizer.learning_rate": 0.003}, {"model.d_ff": 128}, {"training.batch_size": 16}]
)
def test_another_recipe_is_not_held_against_the_healthy_runs_of_this_one(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    run = told(tmp_path / "run", early=2.0, growth=99.0, dose=None, changes=change)
    _, warmup, _, decay = signatures.walk(run).rungs
    for rung in (warmup, decay):
        assert rung.verdict == NO_EVIDENCE
        assert next(iter(change)) in rung.evidence[0]


def test_a_norm_of_another_length_of_run_is_not_judged(tmp_path: Path) -> None:
    run = told(tmp_path / "run", growth=99.0, dose=None, changes={"training.steps": 1000})
    assert signatures.no_decay(run).verdict == NO_EVIDENCE
    half = told(tmp_path / "half", growth=99.0, dose=None, stop=1000)
    assert signatures.no_decay(half).verdict == NO_EVIDENCE


# Real runs


def train(cause: str, seed: int, path: Path) -> Run:
    value: Json = causes.config(cause, seed).model_dump()
    value["training"]["steps"] = SHORT
    return loop.train(parse(value, "test"), path, quiet=True)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Run]:
    """Three short runs of each of the five causes."""
    parent = tmp_path_factory.mktemp("causes")
    return {
        (cause, seed): train(cause, seed, parent / f"{cause}-{seed}")
        for cause, seed in product(causes.CAUSES, SEEDS)
    }


@pytest.mark.slow
@pytest.mark.parametrize("cause", causes.CAUSES)
def test_on_three_real_runs_a_rung_fires_on_its_own_failure_and_on_no_other(
    trained: dict[tuple[str, int], Run], cause: str
) -> None:
    for seed in SEEDS:
        assert fired(trained[cause, seed]) == ([] if cause == "healthy" else [cause])


@pytest.mark.slow
def test_at_this_rate_a_run_trains_well_with_warmup_and_worse_without(
    trained: dict[tuple[str, int], Run],
) -> None:
    for seed in SEEDS:
        healthy, failed = (signatures.measure(trained[c, seed]) for c in ("healthy", "warmup"))
        assert healthy.spelled == 1.0
        assert failed.spelled < 1.0
        assert healthy.end_loss < failed.end_loss
