"""The verdict on C1, on constructed results."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pytest

from weightdecay.claims import Claim, Verdict
from weightdecay.contraction import note_claims
from weightdecay.contraction.records import PROBLEMS

Change = Callable[[str, str, str], float]
"""(column, problem, arm) to the mean change over seeds, at the decay of the verdict."""


def measured(monkeypatch: pytest.MonkeyPatch, mean: Change) -> Claim:
    def change(column: str, problem: str, weight_decay: float, arm: str = "own") -> list[float]:
        assert weight_decay == note_claims.DECAY
        rng = np.random.default_rng(zlib.crc32(f"{column}{problem}{arm}".encode()))
        noise = rng.normal(0, 0.01, 20)
        noise -= noise.mean()  # so that no effect is none: its interval covers zero
        return [float(v) for v in mean(column, problem, arm) + noise]

    monkeypatch.setattr(note_claims, "change", change)
    claim = Claim("C1", "", {})
    note_claims.measure(claim)
    return claim


def near_falls(column: str, problem: str, arm: str) -> float:
    """By 0.2 with decay, in the controls not at all; at both kinds of points."""
    if column == "near":
        return -0.2 * (arm == "own")
    return -0.5


def test_what_no_control_does_is_decays_own(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = measured(monkeypatch, near_falls)
    assert claim.verdict is Verdict.REPRODUCED
    assert claim.confounded is None
    assert len(claim.directions) == 2 * len(PROBLEMS)
    assert claim.computed()["n"] == 20


@pytest.mark.parametrize("arm", note_claims.CONTROLS)
@pytest.mark.parametrize("where", PROBLEMS)
def test_it_is_confounded_if_in_one_problem_a_control_does_as_much(
    monkeypatch: pytest.MonkeyPatch, arm: str, where: str
) -> None:
    def change(column: str, problem: str, found: str) -> float:
        does = (found, problem) == (arm, where) and column == "near"
        return -0.3 if does else near_falls(column, problem, found)

    claim = measured(monkeypatch, change)
    assert claim.verdict is Verdict.CONFOUNDED
    words = note_claims.CONTROLS[arm]
    expected = f"without decay the difference falls as much with {words} ({where})"
    assert claim.confounded == expected


def test_decay_toward_the_start_is_decay_too_and_no_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def change(column: str, problem: str, arm: str) -> float:
        return -0.3 if arm == "l2_init" else near_falls(column, problem, arm)

    assert measured(monkeypatch, change).verdict is Verdict.REPRODUCED


@pytest.mark.parametrize("where", PROBLEMS)
@pytest.mark.parametrize("column", ["near", "F/train"])
def test_contraction_everywhere_alike_or_none_is_not_it_and_one_problem_is_enough(
    monkeypatch: pytest.MonkeyPatch, column: str, where: str
) -> None:
    def change(asked: str, problem: str, arm: str) -> float:
        none = (asked, problem, arm) == (column, where, "own")
        return 0.0 if none else near_falls(asked, problem, arm)

    assert measured(monkeypatch, change).verdict is Verdict.NOT_REPRODUCED
