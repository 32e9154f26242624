"""Checks of 07-slice-accuracy: exact match, counted slice by slice."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from weightdecay.grading import expect
from weightdecay.minitrain import corpus, reference

SLICES = {
    "train/regular": ("train", True),
    "train/irregular": ("train", False),
    "val/regular": ("val", True),
    "val/irregular": ("val", False),
}


def record(split: str, regular: bool, expected: str, written: str) -> dict[str, Any]:
    return {"split": split, "regular": regular, "expected": expected, "written": written}


def right(split: str, regular: bool) -> dict[str, Any]:
    return record(split, regular, "he goes", "he goes")


def wrong(split: str, regular: bool) -> dict[str, Any]:
    return record(split, regular, "he goes", "he gows")


def known_slices(rng: np.random.Generator) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Shuffled records, and the accuracies they were made to have: no counting needed."""
    records, expected = [], {}
    for name, (split, regular) in SLICES.items():
        hits, misses = (int(n) for n in rng.integers(1, 9, 2))
        records += [right(split, regular) for _ in range(hits)]
        records += [wrong(split, regular) for _ in range(misses)]
        expected[name] = hits / (hits + misses)
    return [records[i] for i in rng.permutation(len(records))], expected


@pytest.mark.points(2)
def test_right_to_the_last_letter(accuracy: Callable[..., Any], rng: np.random.Generator) -> None:
    """a form with one wrong letter is wrong"""
    hits, misses = (int(n) for n in rng.integers(1, 9, 2))
    records = [right("val", True)] * hits + [wrong("val", True)] * misses
    expect(
        accuracy(records),
        hits / (hits + misses),
        inputs={"written 'he goes' for 'he goes'": hits, "written 'he gows'": misses},
        what="the accuracy",
    )


@pytest.mark.points(1)
def test_no_records(accuracy: Callable[..., Any]) -> None:
    """of no records there is no accuracy: None"""
    expect(accuracy([]), None, inputs={"records": []}, what="the accuracy")


@pytest.mark.points(1)
def test_cut_short(accuracy: Callable[..., Any]) -> None:
    """a form that stops too early is wrong"""
    pairs = [("he goes", "he go"), ("you played", "you play"), ("I am", "I am")]
    records = [record("val", False, expected, written) for expected, written in pairs]
    expect(accuracy(records), 1 / 3, inputs={"(expected, written)": pairs}, what="the accuracy")


@pytest.mark.points(1)
@pytest.mark.hidden
def test_too_long_or_nothing(accuracy: Callable[..., Any]) -> None:
    """a form with something after it, or no form at all, is wrong"""
    pairs = [("I go", "I goes"), ("I go", "I go "), ("he goes", ""), ("I am", "I am")]
    records = [record("val", False, expected, written) for expected, written in pairs]
    expect(accuracy(records), 0.25, inputs={"(expected, written)": pairs}, what="the accuracy")


@pytest.mark.points(2)
def test_each_slice_by_itself(slice_accuracy: Callable[..., Any], rng: np.random.Generator) -> None:
    """each of the four numbers counts the records of its own slice only"""
    records, expected = known_slices(rng)
    expect(slice_accuracy(records), expected, inputs={"records": records}, what="the slices")


@pytest.mark.points(1)
def test_agrees_with_the_run(slice_accuracy: Callable[..., Any]) -> None:
    """on the reference run with λ = 30 the slices equal those in its own log"""
    text = (reference.DIRECTORY / "18-wd-30" / "results.json").read_text("utf-8")
    results = json.loads(text)
    written = {(m["lemma"], m["tense"], m["person"]): m["written"] for m in results["mistakes"]}
    records = [
        record(s.split, s.regular, s.text, written.get((s.lemma, s.tense, s.person), s.text))
        for s in corpus.sentences()
    ]
    expect(
        slice_accuracy(records),
        {name: results["final"][f"accuracy/{name}"] for name in SLICES},
        inputs={"records": "the 300 records of experiments/18-break-weight-decay, λ = 30"},
        what="the slices",
        atol=1e-6,  # the log has seven digits
    )


@pytest.mark.points(1)
def test_empty_slice(slice_accuracy: Callable[..., Any], rng: np.random.Generator) -> None:
    """a slice without records is there, and is None"""
    without(slice_accuracy, rng, [list(SLICES)[rng.integers(4)]])


@pytest.mark.points(1)
@pytest.mark.hidden
def test_one_split_only(slice_accuracy: Callable[..., Any], rng: np.random.Generator) -> None:
    """records of one split only: the two slices of the other are None"""
    without(slice_accuracy, rng, list(SLICES)[:2] if rng.integers(2) else list(SLICES)[2:])


def without(
    slice_accuracy: Callable[..., Any], rng: np.random.Generator, missing: list[str]
) -> None:
    records, expected = known_slices(rng)
    left_out = [SLICES[name] for name in missing]
    kept = [r for r in records if (r["split"], r["regular"]) not in left_out]
    expect(
        slice_accuracy(kept),
        {name: None if name in missing else share for name, share in expected.items()},
        inputs={"slices without records": missing},
        what="the slices",
    )
