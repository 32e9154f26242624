"""Checks of 09-name-the-difference: dotted keys, facts that count, curves by step."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from weightdecay.grading import expect

Nested = dict[str, Any]


def yaml(value: Nested, *, flow: bool = False) -> str:
    writer, out = YAML(typ="safe", pure=True), io.StringIO()
    writer.default_flow_style = flow
    writer.dump(value, out)
    return out.getvalue()


def config(rng: np.random.Generator) -> Nested:
    return {
        "seed": int(rng.integers(100)),
        "model": {"d_model": int(rng.choice([32, 64, 128])), "style": "gpt"},
        "optimizer": {
            "name": "adamw",
            "betas": [0.9, 0.95],
            "learning_rate": float(rng.uniform(1e-3, 1e-2)),
            "weight_decay": float(rng.uniform(0.05, 1)),
        },
    }


def manifest(rng: np.random.Generator) -> Nested:
    digest = rng.bytes(8).hex()
    return {
        "seed": int(rng.integers(100)),
        "data_sha256": digest,
        "initial_weights_sha256": digest[::-1],
        "batch_order_sha256": digest[4:],
        "versions": {"python": "3.11.7", "torch": "2.13.0+cpu"},
        "git_commit": rng.bytes(20).hex(),
        "host": {"machine": "x86_64", "cpus": int(rng.integers(1, 64))},
        "threads": 1,
        "started": f"2026-11-23T01:{int(rng.integers(10, 60))}:36+00:00",
    }


@pytest.mark.points(1)
def test_one_key(config_differences: Callable[..., Any], rng: np.random.Generator) -> None:
    """two configs that differ in one nested key: this key by its dotted name, with both values"""
    a, b = config(rng), config(rng)
    b = {**a, "optimizer": {**a["optimizer"], "weight_decay": b["optimizer"]["weight_decay"]}}
    expect(
        config_differences(yaml(a), yaml(b)),
        {"optimizer.weight_decay": [c["optimizer"]["weight_decay"] for c in (a, b)]},
        inputs={"a": a, "b": b},
        what="the differences",
    )


@pytest.mark.points(1)
def test_section_in_a_section(
    config_differences: Callable[..., Any], rng: np.random.Generator
) -> None:
    """a key in a section of a section: its dotted name has both of them"""
    shares = rng.uniform(0.1, 0.4, 2).tolist()
    plain = config(rng)
    a = {**plain, "data": {"seed": 1, "split": {"by": "verb", "share": shares[0]}}}
    b = {**plain, "data": {"seed": 1, "split": {"by": "verb", "share": shares[1]}}}
    expect(
        config_differences(yaml(a), yaml(b)),
        {"data.split.share": shares},
        inputs={"a": a, "b": b},
        what="the differences",
    )


@pytest.mark.points(1)
def test_missing_key(config_differences: Callable[..., Any], rng: np.random.Generator) -> None:
    """a key that one config leaves out is a difference, from either side"""
    a = config(rng)
    optimizer = {k: v for k, v in a["optimizer"].items() if k != "weight_decay"}
    b = {**a, "optimizer": {**optimizer, "clip_norm": 1.0}}
    expect(
        config_differences(yaml(a), yaml(b)),
        {
            "optimizer.weight_decay": [a["optimizer"]["weight_decay"], "not set"],
            "optimizer.clip_norm": ["not set", 1.0],
        },
        inputs={"a": a, "b": b},
        what="the differences",
    )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_same_in_other_words(
    config_differences: Callable[..., Any], rng: np.random.Generator
) -> None:
    """another order, layout or spelling of a number is no difference"""
    a = config(rng)
    turned = {k: a[k] for k in reversed(a)}
    turned["optimizer"] = dict(reversed(a["optimizer"].items()))
    block = yaml({**a, "clip": 0.003}).replace("clip: 0.003", "clip: 3e-3")
    flow = yaml({**turned, "clip": 0.003}, flow=True)
    expect(
        config_differences(block, flow), {}, inputs={"a": block, "b": flow}, what="the differences"
    )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_deep(config_differences: Callable[..., Any], rng: np.random.Generator) -> None:
    """keys at any depth, lists as a whole; the seed of a config counts"""
    a = {**config(rng), "data": {"split": {"val": {"share": 0.2, "by": ["verb", "tense"]}}}}
    b = {**a, "data": {"split": {"val": {"share": 0.2, "by": ["verb"]}}}, "seed": a["seed"] + 1}
    expect(
        config_differences(yaml(a), yaml(b)),
        {
            "seed": [a["seed"], a["seed"] + 1],
            "data.split.val.by": [["verb", "tense"], ["verb"]],
        },
        inputs={"a": a, "b": b},
        what="the differences",
    )


@pytest.mark.points(1)
def test_bookkeeping(manifest_differences: Callable[..., Any], rng: np.random.Generator) -> None:
    """start time, commit, host and seed of a manifest are not reported"""
    a = manifest(rng)
    other = manifest(rng)
    b = {**a, **{key: other[key] for key in ("seed", "git_commit", "host", "started")}}
    b["started"], b["seed"] = "2026-11-24T02:00:00+00:00", a["seed"] + 1
    expect(
        manifest_differences(json.dumps(a), json.dumps(b)),
        {},
        inputs={"a": a, "b": b},
        what="the differences",
    )


@pytest.mark.points(1)
def test_facts_that_count(
    manifest_differences: Callable[..., Any], rng: np.random.Generator
) -> None:
    """another torch version and other initial weights are reported"""
    a = manifest(rng)
    weights, torch_version = rng.bytes(8).hex(), f"2.{rng.integers(14, 99)}.0"
    b = {
        **a,
        "initial_weights_sha256": weights,
        "versions": {"python": "3.12.1", "torch": torch_version},
    }
    expect(
        manifest_differences(json.dumps(a), json.dumps(b)),
        {
            "initial_weights_sha256": [a["initial_weights_sha256"], weights],
            "versions.torch": ["2.13.0+cpu", torch_version],
        },
        inputs={"a": a, "b": b},
        what="the differences",
    )


@pytest.mark.points(1)
def test_fact_not_stated(
    manifest_differences: Callable[..., Any], rng: np.random.Generator
) -> None:
    """a fact that only one manifest states is reported"""
    a = manifest(rng)
    b = {k: v for k, v in a.items() if k != "threads"}
    expect(
        manifest_differences(json.dumps(b), json.dumps(a)),
        {"threads": ["not set", 1]},
        inputs={"a": b, "b": a},
        what="the differences",
    )


def evaluations(steps: list[int], values: list[float]) -> list[dict[str, Any]]:
    return [
        {"step": s, "val_loss": v, "train_loss": 1.0} for s, v in zip(steps, values, strict=True)
    ]


def parted(
    rng: np.random.Generator, steps: list[int], apart: list[bool], threshold: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Two curves that are further apart than the threshold where `apart` says so."""
    first = rng.uniform(1, 4, len(steps))
    share = np.where(apart, rng.uniform(1.5, 4, len(steps)), rng.uniform(0, 0.8, len(steps)))
    sign = rng.choice([-1, 1])  # the second run above or below the first, throughout
    second = first + sign * share * threshold
    return evaluations(steps, first.tolist()), evaluations(steps, second.tolist())


def check_parting(
    parting_step: Callable[..., Any], pair: Any, threshold: float, expected: int | None
) -> None:
    a, b = ([(e["step"], round(e["val_loss"], 3)) for e in run] for run in pair)
    expect(
        parting_step(*pair, "val_loss", threshold),
        expected,
        inputs={"a": a, "b": b, "threshold": threshold},
        what="the step",
    )


@pytest.mark.points(1)
def test_parts(parting_step: Callable[..., Any], rng: np.random.Generator) -> None:
    """the first step from which on the curves stay apart; an earlier spike does not count"""
    # In both orders: one curve is above the other, whichever comes first.
    steps = list(range(0, 400, 50))
    start = int(rng.integers(4, 7))
    apart = [i >= start or i == start - 2 for i in range(8)]
    threshold = float(rng.uniform(0.05, 0.2))
    pair = parted(rng, steps, apart, threshold)
    for both in (pair, pair[::-1]):
        check_parting(parting_step, both, threshold, steps[start])


@pytest.mark.points(1)
def test_meets_again(parting_step: Callable[..., Any], rng: np.random.Generator) -> None:
    """curves that are together at the end do not part: None"""
    steps = list(range(0, 400, 50))
    apart = [2 <= i < 7 for i in range(8)]
    check_parting(parting_step, parted(rng, steps, apart, 0.1), 0.1, None)


@pytest.mark.points(1)
def test_other_steps(parting_step: Callable[..., Any], rng: np.random.Generator) -> None:
    """a run that was evaluated half as often: only the common steps are compared"""
    steps = list(range(0, 800, 50))
    apart = [i >= 9 for i in range(16)]
    a, b = parted(rng, steps, apart, 0.1)
    check_parting(parting_step, (a[::2], b), 0.1, 500)


@pytest.mark.points(1)
def test_exactly_the_threshold(parting_step: Callable[..., Any], rng: np.random.Generator) -> None:
    """a distance of exactly the threshold is not apart"""
    # Quarters, so that no distance is rounded.
    distances = rng.choice([-1, 1]) * np.array([0, 0.25, 0.5, 0.75, 0.5, 0.5, 1, 0.75])
    first = rng.integers(8, 16, 8) / 4
    steps = list(range(0, 400, 50))
    pair = (evaluations(steps, list(map(float, v))) for v in (first, first + distances))
    check_parting(parting_step, tuple(pair), 0.5, 300)


@pytest.mark.points(1)
@pytest.mark.hidden
def test_shorter_run(parting_step: Callable[..., Any], rng: np.random.Generator) -> None:
    """a run that ended earlier: what the other did afterwards does not count"""
    steps = list(range(0, 800, 50))
    a, b = parted(rng, steps, [7 <= i < 12 for i in range(16)], 0.1)
    pair = (a[:12], b) if rng.integers(2) else (a, b[:12])
    check_parting(parting_step, pair, 0.1, 350)
