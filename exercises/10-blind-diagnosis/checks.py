"""Checks of 10-blind-diagnosis: one sealed run by eye, and a rule on runs of other seeds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from weightdecay.grading import Mismatch, expect

Records = list[dict[str, Any]]
HERE = Path(__file__).resolve().parent
SHOWN: dict[str, Records] = json.loads((HERE / "evidence/runs.json").read_text("utf-8"))["runs"]
SEALED: dict[str, Any] = json.loads((HERE / "sealed.json").read_text("utf-8"))
CAUSE_OF: dict[str, str] = SEALED["shown"]
OTHERS: dict[str, Records] = SEALED["runs"]  # by cause and seed: "no-decay-103"
CAUSES = ("healthy", "no-decay", "init", "warmup", "mask")
FACTOR = 1.5


@pytest.mark.points(2)
def test_heron(cause: Callable[..., Any]) -> None:
    """the heron's cause is named, by its name in the table"""
    answer = cause()
    if answer not in CAUSES:
        raise Mismatch(f"observed: {answer!r}\nexpected: one of {', '.join(CAUSES)}")
    if answer != CAUSE_OF["heron"]:  # the right one is not told: there are only five
        raise Mismatch(f"observed: {answer}, which does not fit the heron\nexpected: another cause")


def stands_out(answer: Any, healthy: list[Records]) -> None:
    """The heron's value there is FACTOR times away from that of every healthy run."""
    columns, steps = [k for k in SHOWN["heron"][0] if k != "step"], [r["step"] for r in healthy[0]]
    pair = isinstance(answer, tuple | list) and len(answer) == 2
    if pair and isinstance(answer[1], str):
        raise Mismatch(
            f"observed: {answer!r}\nexpected: the step as a whole number, without quotation marks"
        )
    if not pair or answer[0] not in columns or answer[1] not in steps:
        raise Mismatch(
            f"observed: {answer!r}\nexpected: a column of the table and a step, 0, 100, …, 2000"
        )
    column, step = answer
    heron, *others = (
        next(r[column] for r in records if r["step"] == step)
        for records in (SHOWN["heron"], *healthy)
    )
    place = f"{column} at step {step}"
    if heron is None:
        raise Mismatch(f"observed: {place} is None\nexpected: a step at which it was measured")
    if not all(heron > FACTOR * h or heron < h / FACTOR for h in others):
        raise Mismatch(
            f"observed: {place} is {heron:g} for the heron\n"
            f"expected: more than {FACTOR} times as large or as small as in every healthy run\n"
            f"inputs:   the healthy runs have {', '.join(f'{h:g}' for h in others)} there"
        )


@pytest.mark.points(1)
def test_stands_out(telltale: Callable[..., Any]) -> None:
    """at this column and step the heron differs from both healthy runs"""
    stands_out(telltale(), [SHOWN["healthy-1"], SHOWN["healthy-2"]])


@pytest.mark.points(1)
@pytest.mark.hidden
def test_stands_out_from_other_seeds(telltale: Callable[..., Any]) -> None:
    """at this column and step the heron differs from healthy runs of other seeds, too"""
    stands_out(telltale(), [r for name, r in OTHERS.items() if name.startswith("healthy")])


def diagnosed(diagnose: Callable[..., Any], runs: dict[str, tuple[Records, str]]) -> None:
    for name, (records, expected) in runs.items():
        inputs = {"records of": name}
        expect(diagnose(records), expected, inputs=inputs, what="the cause is")


@pytest.mark.points(1)
def test_healthy(diagnose: Callable[..., Any]) -> None:
    """the two healthy runs are called healthy"""
    names = ("healthy-1", "healthy-2")
    diagnosed(diagnose, {name: (SHOWN[name], CAUSE_OF[name]) for name in names})


@pytest.mark.points(3)
def test_birds(diagnose: Callable[..., Any]) -> None:
    """each bird but the heron is diagnosed rightly"""
    birds = [name for name in SHOWN if name != "heron" and not name.startswith("healthy")]
    diagnosed(diagnose, {name: (SHOWN[name], CAUSE_OF[name]) for name in birds})


def of_other_seeds(*causes: str) -> dict[str, tuple[Records, str]]:
    """Runs the learner has not seen, under names that tell nothing."""
    found = [
        (records, cause)
        for cause in causes
        for name, records in OTHERS.items()
        if name.rpartition("-")[0] == cause
    ]
    return {f"an unseen run ({i})": pair for i, pair in enumerate(found, 1)}


@pytest.mark.points(2)
@pytest.mark.hidden
def test_other_seeds_init_and_mask(diagnose: Callable[..., Any]) -> None:
    """unseen runs with too large weights and with an open mask are diagnosed rightly"""
    diagnosed(diagnose, of_other_seeds("init", "mask"))


@pytest.mark.points(2)
@pytest.mark.hidden
def test_other_seeds(diagnose: Callable[..., Any]) -> None:
    """unseen runs without warmup, without decay, and healthy ones are diagnosed rightly"""
    diagnosed(diagnose, of_other_seeds("warmup", "no-decay", "healthy"))
