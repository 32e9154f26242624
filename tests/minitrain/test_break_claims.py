"""The verdicts on the break page's claims, on constructed tables and on the committed one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from weightdecay import claims as ledger
from weightdecay import runs
from weightdecay.claims import Claim, Quantity, Verdict
from weightdecay.minitrain import break_claims, reference
from weightdecay.stats import Estimate, mean_interval

SEEDS = range(9)
STEPS = range(0, 2001, 50)
Curve = Callable[[float, int, int], float]


def table_of(**columns: Curve) -> dict[tuple[float, int], list[dict[str, float]]]:
    """A reference table: each column is a function of weight decay, seed and step."""
    curves = {key.replace("__", "/"): f for key, f in columns.items()}
    return {
        (w, seed): [
            {"step": float(t), **{key: f(w, seed, t) for key, f in curves.items()}} for t in STEPS
        ]
        for w in reference.WEIGHT_DECAYS
        for seed in SEEDS
    }


def measured(
    monkeypatch: pytest.MonkeyPatch, claim_id: str, claimed: dict[str, float], **columns: Curve
) -> Claim:
    monkeypatch.setattr(reference, "read", lambda: table_of(**columns))
    claim = Claim(claim_id, "", claimed)
    break_claims.MEASURES[claim_id](claim, break_claims.Runs())
    return claim


def noise(seed: int) -> float:
    return 0.01 * math.sin(7 * seed + 1)


GROWTH = {"growth without decay": 2.5, "growth with decay 0.1": 1.2}


@pytest.mark.parametrize(
    ("without", "control", "verdict"),
    [
        (2.5, 1.2, Verdict.REPRODUCED),
        (2.6, 1.15, Verdict.REPRODUCED),  # within 10 %
        (9.0, 7.0, Verdict.DIRECTION),
        (7.0, 9.0, Verdict.NOT_REPRODUCED),
    ],
)
def test_sizes_and_direction_decide_the_verdict(
    monkeypatch: pytest.MonkeyPatch, without: float, control: float, verdict: Verdict
) -> None:
    claim = measured(
        monkeypatch,
        "B4",
        GROWTH,
        growth__embedding=lambda w, s, _: (without if w == 0 else control) + noise(s),
    )
    assert claim.verdict == verdict


def test_a_difference_whose_interval_covers_zero_is_no_direction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    claim = measured(
        monkeypatch,
        "B4",
        GROWTH,
        growth__embedding=lambda w, s, _: 9 + (noise(s) if w == 0 else 0.0),
    )
    assert [d.held for d in claim.directions] == [False]
    assert claim.verdict == Verdict.NOT_REPRODUCED


def test_what_never_shows_cannot_be_said_to_show_late(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = measured(
        monkeypatch, "B8", {}, val_loss=lambda w, s, t: 1 + (noise(s + t) if w == 0 else 0.0)
    )
    assert claim.verdict == Verdict.NOT_TESTABLE


@pytest.mark.parametrize(
    ("onset", "verdict"), [(600, Verdict.REPRODUCED), (100, Verdict.NOT_REPRODUCED)]
)
def test_a_difference_counts_as_slow_from_some_hundred_steps(
    monkeypatch: pytest.MonkeyPatch, onset: int, verdict: Verdict
) -> None:
    claim = measured(
        monkeypatch,
        "B8",
        {},
        val_loss=lambda w, s, t: 1 + (noise(s) + (t >= onset) if w == 0 else 0.0),
    )
    assert claim.verdict == verdict
    estimate = claim.directions[0].estimate
    assert estimate is not None
    assert estimate.mean == onset


def test_parting_is_the_last_crossing_and_the_end_if_there_is_none() -> None:
    steps = [0.0, 1.0, 2.0, 3.0, 4.0]
    assert break_claims.parting_step([1, 1, 0, 2, 2], [0, 0, 1, 1, 1], steps) == 3
    assert break_claims.parting_step([1] * 5, [0] * 5, steps) == 0
    assert break_claims.parting_step([0] * 5, [1] * 5, steps) == 4


@pytest.mark.parametrize(
    ("claimed", "agrees"), [(1.0, True), (1.09, True), (1.3, True), (1.31, False), (0.5, False)]
)
def test_a_value_agrees_within_a_tenth_or_within_the_interval(claimed: float, agrees: bool) -> None:
    assert Quantity("x", claimed, Estimate(1.0, 0.9, 1.3, 9)).agrees == agrees


def test_every_claim_of_the_page_is_measured_on_the_committed_runs() -> None:
    claims = list(ledger.measured("B").values())
    assert [c.id for c in claims] == [f"B{i}" for i in range(1, 10)]
    for claim in claims:
        assert claim.quantities or claim.directions
        # A claimed value that no measure takes up would be passed over in silence.
        taken = {q.name for q in claim.quantities if q.claimed is not None}
        assert taken == set(claim.claimed) or claim.id == "B8"
    text = ledger.markdown(claims)
    assert all(f"**{c.id}: {c.verdict}.**" in text for c in claims)


def test_the_table_holds_the_numbers_of_the_committed_run_directories() -> None:
    table = reference.read()
    assert set(table) == {(w, s) for w in reference.WEIGHT_DECAYS for s in reference.SEEDS}
    for w in reference.WEIGHT_DECAYS:
        run = runs.load(reference.directory(w, 42, reference.DIRECTORY))
        assert run.problems == []
        for column in ("val_loss", "growth/embedding", "accuracy/val/irregular", "gap_form"):
            from_table = [e[column] for e in table[w, 42]]
            assert from_table == pytest.approx(run.series(column), rel=1e-4, abs=1e-5)


def test_the_measured_mean_is_the_mean_of_the_last_evaluations() -> None:
    b1 = ledger.measured("B")["B1"]
    last = [rows[-1]["val_loss"] for (w, _), rows in reference.read().items() if w == 0.1]
    assert b1.quantities[1].estimate == mean_interval(last)
    assert b1.quantities[1].estimate.mean == pytest.approx(np.mean(last))
