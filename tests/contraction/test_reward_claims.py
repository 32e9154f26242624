"""C2 to C7 on tables made to hold them, and with one thing changed that undoes each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from weightdecay.claims import Claim, Verdict
from weightdecay.contraction import reward_claims
from weightdecay.contraction.reward_claims import DRIFT, FAR_BELOW, METHODS, PHASES, RATE, USUAL
from weightdecay.plan import Row
from weightdecay.results import Table

SEEDS = range(9)
C3 = {"least share changed": 0.05, "largest share changed": 0.3}
Change = Callable[[Row], None]


def methods(noise: np.random.Generator) -> Iterator[Row]:
    """Shares, entropies and so on as each claim would have them."""
    settings: list[dict[str, Any]] = [
        *({"method": m, "draw": d} for m in (*reward_claims.REWARDED, "sft") for d in (0, 1)),
        *({"method": m, "learning_rate": FAR_BELOW} for m in ("reinforce", "sft")),
        *({"method": m, "weight_decay": 0.0} for m in ("reinforce", "sft")),
        {"share": 0.3}, {"share": 0.7}, {"kl": 0.1}, {"finetune_decay": 10.0},
    ]  # fmt: skip
    for setting, seed in itertools.product(settings, SEEDS):
        full = {**USUAL[METHODS], **setting}
        supervised, e = full["method"] == "sft", float(noise.normal(0, 0.002))
        sparse = {"reinforce": 0.2, "positive": 0.051, "negative": 0.28, "sft": 0.9}
        for phase, epoch in (("start", 0), ("method", 1), ("method", 8)):
            moved = phase == "method" and not supervised
            lost = 0.3 if moved and full["method"] == "positive" else 0.0
            yield {
                **full, "seed": seed, "phase": phase, "epoch": epoch,
                "entropy": 0.5 + e - 0.2 * moved,
                "KL(start, model)": (0.1 + 0.2 * supervised + e) * (phase == "method"),
                "share/last": 0.5 + e + 0.45 * moved, "share/first": 0.5 - e - 0.45 * moved,
                "right/last": 0.3, "right/first": 0.4,
                "solved@1": 0.3 + e + 0.2 * moved, "solved@64": 0.9 + e - lost,
                "pass@64": 1.0, "changed": sparse[full["method"]] + e,
                "changed/bf16": sparse[full["method"]] + e, "rank": 0.99, "effective rank": 0.6,
                "overlap": 0.6 + e, "overlap/chance": 0.2, "overlap/chance by size": 0.4,
                "cosine": 0.5,
            }  # fmt: skip


def phases(noise: np.random.Generator) -> Iterator[Row]:
    scores = {0: 0.6, 1: 0.3, 2: 0.2, 4: 0.5, 8: 0.5}
    test = {1: 2.0, 2: 1.0, 4: 0.6, 8: 0.9}
    for decay, seed in itertools.product((0.0, 3.0), SEEDS):
        e, row = float(noise.normal(0, 0.002)), {"finetune_decay": decay, "seed": seed}
        for epoch, score in scores.items():
            phase = "expert" if epoch else "start"
            yield {
                **row, "phase": phase, "epoch": epoch, "score": score + e,
                "expert/test loss": test[epoch] + e if epoch else None,
                "expert/train loss": 2 / epoch if epoch else None,
            }  # fmt: skip
        yield {**row, "phase": "method", "epoch": 4, "score": 0.7 + e,
               "expert/test loss": None, "expert/train loss": None}  # fmt: skip


def drift(noise: np.random.Generator) -> Iterator[Row]:
    knobs = [{}, *({k: s} for k in reward_claims.KNOBS for s in (1.0, 5.0, 25.0))]
    for method, knob, seed in itertools.product(("reinforce", "sft"), knobs, SEEDS):
        e, strength = float(noise.normal(0, 0.002)), max(knob.values(), default=0.0)
        close = strength / 25 if "kl" in knob else 0.0
        for phase in ("start", "method"):
            row: Row = {
                **USUAL[DRIFT], "method": method, **knob, "seed": seed, "phase": phase,
                "epoch": 4, "score": 0.8 + e - 0.2 * (strength == 25),
                "KL(start, model)": 0.5 - 0.4 * close + e, "moved": 0.1 - strength / 500 + e,
            }  # fmt: skip
            for name in reward_claims.SECOND:
                row[f"{name}/score/1"] = 0.3 + 0.4 * close + e
            yield row


MADE = {METHODS: methods, PHASES: phases, DRIFT: drift}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Claim]:
    def measure(name: str, change: Change = lambda row: None) -> Claim:
        tables = {}
        for experiment, make in MADE.items():
            rows = list(make(np.random.default_rng(0)))
            for row in rows:
                change(row)
            tables[experiment] = Table(rows)
        monkeypatch.setattr(reward_claims, "table", tables.__getitem__)
        claim = Claim(name, "", C3 if name == "C3" else {})
        reward_claims.MEASURES[name](claim)
        return claim

    return measure


@pytest.mark.parametrize("name", reward_claims.MEASURES)
def test_a_world_as_the_note_has_it_gives_every_claim(
    name: str, measured: Callable[..., Claim]
) -> None:
    claim = measured(name)
    assert claim.verdict is Verdict.REPRODUCED, claim.directions
    names = [q.name for q in claim.quantities] + [d.words for d in claim.directions]
    assert len(set(names)) == len(names)


def at_end(**wanted: Any) -> Callable[[Row], bool]:
    return lambda row: row["phase"] == "method" and all(row.get(k) == v for k, v in wanted.items())


def put(column: str, value: Any, when: Callable[[Row], bool]) -> Change:
    def change(row: Row) -> None:
        if column in row and when(row):
            row[column] = value

    return change


@pytest.mark.parametrize(
    ("name", "change", "verdict"),
    [
        ("C2", put("entropy", 0.5, at_end(weight_decay=0.0)), Verdict.NOT_REPRODUCED),
        ("C2", put("KL(start, model)", 0.5, at_end(method="reinforce")), Verdict.NOT_REPRODUCED),
        ("C3", put("changed", 1.0, at_end(learning_rate=RATE)), Verdict.CONFOUNDED),
        ("C3", put("overlap", 0.2, at_end(draw=1)), Verdict.NOT_REPRODUCED),
        ("C3", put("changed/bf16", 0.9, at_end(method="positive")), Verdict.NOT_REPRODUCED),
        ("C4", put("share/last", 0.8, at_end(epoch=1)), Verdict.NOT_REPRODUCED),
        ("C4", put("share/last", 0.99, at_end(method="sft")), Verdict.CONFOUNDED),
        ("C5", put("solved@64", 0.8, at_end(method="negative")), Verdict.NOT_REPRODUCED),
        ("C5", put("solved@64", 0.95, at_end(method="positive")), Verdict.NOT_REPRODUCED),
        ("C6", put("score", 0.65, lambda row: row["epoch"] in (1, 2)), Verdict.NOT_REPRODUCED),
        ("C6", put("expert/test loss", 0.3, lambda r: r["epoch"] == 8), Verdict.NOT_REPRODUCED),
        ("C7", put("lists/score/1", 0.1, at_end(kl=5.0)), Verdict.NOT_REPRODUCED),
        ("C7", put("score", 0.5, lambda row: bool(row.get("kl"))), Verdict.NOT_TESTABLE),
    ],
)
def test_one_thing_changed_undoes_it(
    name: str, change: Change, verdict: Verdict, measured: Callable[..., Claim]
) -> None:
    assert measured(name, change).verdict is verdict


def test_a_knob_is_taken_at_the_largest_strength_that_costs_nothing(
    measured: Callable[..., Claim],
) -> None:
    strength = {q.name: q.estimate.mean for q in measured("C7").quantities}
    assert strength["strength of a KL penalty"] == 5.0  # 25 costs 20 points
