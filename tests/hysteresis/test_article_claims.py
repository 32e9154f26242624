"""The verdicts on the hysteresis article's claims, on constructed results and on the committed."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from weightdecay import claims as ledger
from weightdecay.claims import Claim, Verdict
from weightdecay.hysteresis import article_claims, records
from weightdecay.results import Table

SEEDS = range(20)
Level = Callable[[str, str, float, dict[str, Any]], float]
"""(column, arm, weight decay, what is changed) to the mean over seeds."""


def noise(*key: object) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(zlib.crc32(repr(key).encode()))
    return rng.normal(0, 0.01, len(SEEDS))


def measured(
    monkeypatch: pytest.MonkeyPatch, claim_id: str, level: Level, **claimed: float
) -> Claim:
    """One claim, measured on results of these levels."""

    def values(column: str, arm: str, weight_decay: float = 1e-3, **changed: Any) -> list[float]:
        mean = level(column, arm, weight_decay, changed)
        key = (column, arm, weight_decay, *sorted(changed.items()))
        return [float(v) for v in mean + noise(*map(str, key))]

    monkeypatch.setattr(article_claims, "values", values)
    claim = Claim(claim_id, "", claimed)
    article_claims.measure(claim)
    return claim


def test_the_difference_is_confounded_if_norm_matched_weights_score_as_high(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def size(column: str, arm: str, weight_decay: float, changed: dict[str, Any]) -> float:
        return 0.57 if arm == "fresh" else 0.85

    def memory(column: str, arm: str, weight_decay: float, changed: dict[str, Any]) -> float:
        return 0.85 if arm == "imprint" else 0.57

    def nothing(column: str, arm: str, weight_decay: float, changed: dict[str, Any]) -> float:
        return 0.57

    verdicts = [measured(monkeypatch, "H5", f).verdict for f in (size, memory, nothing)]
    assert verdicts == [Verdict.CONFOUNDED, Verdict.REPRODUCED, Verdict.NOT_REPRODUCED]


@pytest.mark.parametrize(
    ("own", "verdict"),
    [
        # (help with own labels at 1e-4, at 1e-2)
        ((0.1, 0.0), Verdict.REPRODUCED),
        ((0.0, 0.0), Verdict.NOT_REPRODUCED),
        ((0.1, 0.1), Verdict.NOT_REPRODUCED),
    ],
)
def test_what_is_hidden_must_help_with_its_own_labels_until_it_is_deleted(
    monkeypatch: pytest.MonkeyPatch, own: tuple[float, float], verdict: Verdict
) -> None:
    def level(column: str, arm: str, weight_decay: float, changed: dict[str, Any]) -> float:
        if column.startswith("head A"):
            return 0.9 if column.endswith("start") else 0.5
        if not column.startswith("mlp/outputs"):
            return 0.8
        labels = column.rsplit("/", 1)[1]
        owner = {"imprint": "checkerboard", "random_cells": "random_cells"}.get(arm)
        helps = own[0] if weight_decay == 1e-4 else own[1]
        return 0.8 + helps * (labels == owner)

    assert measured(monkeypatch, "H8", level).verdict == verdict


def test_the_crossed_control_does_not_see_what_helps_with_all_labels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An arm of larger weights reads everything better; only its own labels count."""

    def level(column: str, arm: str, weight_decay: float, changed: dict[str, Any]) -> float:
        return 0.95 if arm == "imprint" else 0.6

    claim = measured(monkeypatch, "H5", level)
    crossed = next(q for q in claim.quantities if "crossed" in q.name)
    assert abs(crossed.estimate.mean) < 0.01


@pytest.mark.parametrize(
    ("left", "whitened", "verdict"),
    [
        (0.0, 0.6, Verdict.REPRODUCED),
        (0.0, 0.95, Verdict.CONFOUNDED),
        (0.2, 0.6, Verdict.NOT_REPRODUCED),
    ],
)
def test_erasure_means_no_difference_and_no_other_probe_that_reads_it(
    monkeypatch: pytest.MonkeyPatch, left: float, whitened: float, verdict: Verdict
) -> None:
    def level(column: str, arm: str, weight_decay: float, changed: dict[str, Any]) -> float:
        if column.startswith("mlp/whitened"):
            return 0.95 if "steps" in changed else whitened
        advantage = left if weight_decay == 2e-2 else 0.25
        return 0.55 + advantage * (arm == "imprint")

    assert measured(monkeypatch, "H6", level).verdict == verdict


@pytest.mark.parametrize(
    ("peak", "verdict"), [(1e-3, Verdict.REPRODUCED), (2e-3, Verdict.DIRECTION)]
)
def test_the_peak_is_where_no_other_decay_could_be_the_best(
    monkeypatch: pytest.MonkeyPatch, peak: float, verdict: Verdict
) -> None:
    grid = [0.0, 1e-4, 1e-3, 2e-3, 1e-2]
    monkeypatch.setattr(
        records, "table", lambda name: Table([{"weight_decay": d, "seed": 0} for d in grid])
    )

    def level(column: str, arm: str, weight_decay: float, changed: dict[str, Any]) -> float:
        distance = abs(math.log(weight_decay / peak)) if weight_decay else 10
        return 0.5 + (arm == "imprint") * max(0.05, 0.3 - 0.2 * distance)

    claim = measured(monkeypatch, "H2", level, **{"weight decay of the peak": 1e-3})
    assert claim.verdict == verdict
    assert claim.quantities[0].estimate.mean == peak


def test_every_claim_of_the_article_is_measured_on_twenty_seeds() -> None:
    found = ledger.measured("H")
    assert list(found) == [f"H{i}" for i in range(1, 11)]
    for claim in found.values():
        assert claim.verdict is not Verdict.NOT_MEASURED
        assert claim.computed()["n"] == 20
