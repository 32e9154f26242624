"""Claims C2 to C7 of the contraction note: tuning by rewards, measured on the committed tables.

What holds each claim, and which control confounds it, was written down before any full run was
looked at; learning rates were chosen on a seed that is in no table. `weightdecay.verdicts` has the
rules. Differences are paired: a seed's runs all start from one policy, and its first row is that.

Pass@k is that of whole solutions: the answer alone is one of ten digits, so that of 64 guesses one
is right nearly always. Points of a curve, such as its lowest, are chosen on the other seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from weightdecay.claims import Claim, Direction
from weightdecay.contraction.records import table
from weightdecay.results import Array, Table
from weightdecay.stats import less, mean_interval

METHODS, PHASES, DRIFT = "reward-methods", "reward-phases", "reward-drift"
RATE = 2e-4
"""Of all methods."""
FAR_BELOW = 1e-5
"""As far below the peak in pretraining, 3e-3, as rates of RL are in language models."""
USUAL: dict[str, dict[str, Any]] = {
    METHODS: {
        "weight_decay": 0.1, "share": 0.5, "expert_examples": 0, "method": "reinforce",
        "learning_rate": RATE, "finetune_decay": 0.0, "kl": 0.0, "draw": 0,
    },
    PHASES: {"finetune_decay": 0.0},
    DRIFT: {"method": "reinforce", "finetune_decay": 0.0, "to_start": 0.0, "kl": 0.0},
}  # fmt: skip
REWARDED = ("reinforce", "positive", "negative")
WORDS = {
    "reinforce": "REINFORCE",
    "positive": "its positive half",
    "negative": "its negative half",
    "sft": "supervised tuning",
}
FORMATS = ("last", "first")
SPARSE, NEAR_FULL, DOMINANT = 0.3, 0.9, 0.9
KEPT = 0.02
"""A loss of less than this share of the prompts keeps Pass@64, or matches a first-task score."""
SECOND = ("lists", "safety")
KNOBS = {"kl": "a KL penalty", "to_start": "decay to the start", "finetune_decay": "decay to zero"}
LARGE_DECAY = 3.0
"""In the experiment with phases; the other is 0."""


def part(name: str, phase: str, **changed: Any) -> Table:
    """The rows of one phase of the runs of one setting."""
    return table(name).where({**USUAL[name], **changed, "phase": phase})


def end(column: str, name: str = METHODS, phase: str = "method", **changed: Any) -> list[float]:
    """A column at the end of a phase, one number for each seed."""
    return [float(v) for v in part(name, phase, **changed).final(column)]


def change(column: str, name: str = METHODS, **changed: Any) -> list[float]:
    """By how much a column differs at the end from the start."""
    return less(end(column, name, **changed), end(column, name, "start", **changed))


# ------------------------------------------------------------------------ C2: without a penalty


def c2(claim: Claim) -> None:
    """No decay, in pretraining neither, and no KL penalty: the policy is as free as can be."""
    free: dict[str, Any] = {"weight_decay": 0.0}
    claim.direction("entropy falls", change("entropy", **free), -1)
    start, now = (shares(phase, **free) for phase in ("start", "method"))
    larger = less(now.max(0).tolist(), start.max(0).tolist())
    claim.direction("the larger format's share rises", larger, +1)
    drift = less(end("KL(start, model)", **free), end("KL(start, model)", **free, method="sft"))
    claim.direction("less KL drift than under more supervised tuning", drift, -1)
    claim.add("change of entropy, base model of decay 0.1", change("entropy"))
    claim.add("the same with decay 10 in tuning", change("entropy", finetune_decay=10.0))
    claim.add("the same with a KL penalty of 0.1", change("entropy", kl=0.1))


def shares(phase: str, epoch: float | None = None, **changed: Any) -> Array:
    """(formats, seeds) share of each format among the samples, at an epoch or a phase's end."""
    found = part(METHODS, phase, **changed)
    if epoch is not None:
        found = found.where({"epoch": epoch})
    return np.array([found.final(f"share/{name}") for name in FORMATS])


# ---------------------------------------------------------------------------- C3: sparse updates


def c3(claim: Claim) -> None:
    """The claimed shares were read off checkpoints in bfloat16, so ours are, too; float32 is the
    control. The overlap is that of two draws, with the chance of masks of these sizes."""
    by_method = np.array([end("changed/bf16", method=method) for method in REWARDED])
    claim.add("least share changed", by_method.min(0).tolist())
    claim.add("largest share changed", by_method.max(0).tolist())
    largest = mean_interval(by_method.max(0).tolist())
    claim.directions.append(
        Direction("at most 30% changed in bfloat16", largest.high <= SPARSE, largest)
    )
    rank = mean_interval(end("rank"))
    claim.directions.append(Direction("update of nearly full rank", rank.low > NEAR_FULL, rank))
    above = less(end("overlap", draw=1), end("overlap/chance", draw=1))
    claim.direction("two draws change the same entries more than chance has it", above, +1)
    size = less(end("overlap", draw=1), end("overlap/chance by size", draw=1))
    claim.add("overlap of two draws over chance that knows the weights' sizes", size)
    claim.add("effective rank of the update over full rank", end("effective rank"))
    claim.add("cosine of the updates of two draws", end("cosine", draw=1))
    made = False
    for rate in (RATE, FAR_BELOW):
        exact, cast = (
            claim.add(f"changed in {words}, rate {rate:g}", end(column, learning_rate=rate))
            for words, column in (("float32", "changed"), ("bfloat16", "changed/bf16"))
        )
        made |= cast.high <= SPARSE < exact.low
        supervised = end("changed/bf16", method="sft", learning_rate=rate)
        claim.add(f"changed in bfloat16 by supervised tuning, rate {rate:g}", supervised)
    if made:
        claim.confounded = "number format: in float32 more than 30% of the entries change"


# --------------------------------------------------------------------------- C4: one format wins


def c4(claim: Claim) -> None:
    """The winner is the format with the larger share at the end of the first epoch."""
    found = winners()
    e = mean_interval(found["winner"])
    words = "the winner has over 90% after one epoch"
    claim.directions.append(Direction(words, e.low > DOMINANT, e))
    claim.direction("its share rises in the first epoch", found["rise"], +1)
    claim.direction("the other's share falls", found["fall"], -1)
    supervised = winners(method="sft")["rise"]
    more = claim.add("rises by more than under supervised tuning", less(found["rise"], supervised))
    claim.add("share of the winner at the end", shares("method").max(0).tolist())
    claim.add("seeds in which the winner was the more accurate at first", found["better"])
    claim.add("seeds in which the winner was the more frequent at first", found["frequent"])
    for share in (0.3, 0.7):
        of = winners(share=share)
        claim.add(f"winner after one epoch, {share:.0%} of results last", of["winner"])
        claim.add(f"the winner was the more frequent, {share:.0%} last", of["frequent"])
    if more.low <= 0:
        claim.confounded = "more supervised tuning does as much to the formats"


def winners(**changed: Any) -> dict[str, list[float]]:
    """Share of the winner after one epoch, by how much it rose and the other fell, and whether the
    winner was the more accurate and the more frequent at first, seed by seed."""
    before, after = shares("start", **changed), shares("method", 1, **changed)
    right = np.array([part(METHODS, "start", **changed).final(f"right/{f}") for f in FORMATS])
    won = after.argmax(0)
    seeds = np.arange(len(won))
    return {
        "winner": after[won, seeds].tolist(),
        "rise": (after - before)[won, seeds].tolist(),
        "fall": (after - before)[1 - won, seeds].tolist(),
        "better": (right[won, seeds] > right[1 - won, seeds]).astype(float).tolist(),
        "frequent": (before[won, seeds] > before[1 - won, seeds]).astype(float).tolist(),
    }


# -------------------------------------------------------------------- C5: halves of the rewards


def c5(claim: Claim) -> None:
    lost = change("solved@64", method="positive")
    claim.direction("positive only: Pass@64 below the start's", lost, -1)
    e = mean_interval(change("solved@64", method="negative"))
    claim.directions.append(Direction("negative only: Pass@64 kept", e.low > -KEPT, e))
    for method in ("positive", "negative"):
        gain = change("solved@1", method=method)
        claim.direction(f"{method} only: Pass@1 above the start's", gain, +1)
    claim.add("Pass@64 at the start", end("solved@64", phase="start"))
    for method in (*REWARDED, "sft"):
        by = WORDS[method]
        claim.add(f"change of entropy by {by}", change("entropy", method=method))
        claim.add(f"change of Pass@64 by the answer alone, {by}", change("pass@64", method=method))
    claim.add("change of Pass@64 by REINFORCE", change("solved@64"))
    claim.add("change of Pass@64 by supervised tuning", change("solved@64", method="sft"))


# ----------------------------------------------------------------------------- C6: three phases


def c6(claim: Claim) -> None:
    """Score falls below the start's, rises again, and then the expert's held-out loss rises while
    its training loss still falls."""
    free, held = phases(0.0), phases(LARGE_DECAY)
    claim.direction("shift: the score falls below the start's", free["shift"], -1)
    claim.direction("readaptation: it rises again", free["readapt"], +1)
    claim.direction("overfitting: the held-out loss of the expert rises", free["overfit"], +1)
    claim.direction("while the training loss falls", free["train"], -1)
    claim.add("score that REINFORCE adds after it", free["rl"])
    with_decay = {
        "shift": "shift",
        "readapt": "readaptation",
        "overfit": "overfitting",
        "rl": "score that REINFORCE adds",
    }
    for name, words in with_decay.items():
        claim.add(f"{words}, with decay 3", held[name])
    claim.add("held-out loss at the end, with decay less without", less(held["end"], free["end"]))


def phases(decay: float) -> dict[str, list[float]]:
    """The three phases' sizes, seed by seed, at epochs chosen on the other seeds."""
    expert = part(PHASES, "expert", finetune_decay=decay)
    start = part(PHASES, "start", finetune_decay=decay).final("score")
    score, test, train = (
        expert.curves(f"{name}") for name in ("score", "expert/test loss", "expert/train loss")
    )
    found: dict[str, list[float]] = {n: [] for n in ("shift", "readapt", "overfit", "train", "end")}
    for seed in range(len(score)):
        others_score, others_test = (np.delete(c, seed, 0).mean(0) for c in (score, test))
        low = int(others_score.argmin())
        high = low + int(others_score[low:].argmax())
        least = int(others_test.argmin())
        found["shift"].append(float(score[seed, low] - start[seed]))
        found["readapt"].append(float(score[seed, high] - score[seed, low]))
        found["overfit"].append(float(test[seed, -1] - test[seed, least]))
        found["train"].append(float(train[seed, -1] - train[seed, least]))
        found["end"].append(float(test[seed, -1]))
    tuned = part(PHASES, "method", finetune_decay=decay).final("score")
    return {**found, "rl": (tuned - score[:, -1]).tolist()}


# --------------------------------------------------------------------------- C7: staying close


def c7(claim: Claim) -> None:
    """Each knob at the largest strength that costs less than 2 points of the first task's score on
    average; what it is worth is the mean score of the second tasks after their first epoch."""
    gains: dict[str, list[float]] = {}
    for knob, words in KNOBS.items():
        strength = matched(knob)
        if strength is None:
            continue
        setting: dict[str, Any] = {knob: strength}
        gains[knob] = less(learned(**setting), learned())
        drift = less(end("KL(start, model)", DRIFT, **setting), end("KL(start, model)", DRIFT))
        moved = less(end("moved", DRIFT, **setting), end("moved", DRIFT))
        if knob == "kl":
            claim.direction("a KL penalty lowers KL drift", drift, -1)
            claim.direction("and the second tasks are learned better", gains[knob], +1)
        else:
            claim.add(f"KL drift, {words} less none", drift)
            claim.add(f"second tasks, {words} less none", gains[knob])
        claim.add(f"strength of {words}", [strength] * len(drift))
        claim.add(f"parameter drift, {words} less none", moved)
    if "kl" not in gains:
        claim.testable = False
    elif "to_start" in gains:
        more = less(gains["kl"], gains["to_start"])
        claim.direction("by more than with decay to the start", more, +1)
    for method in ("reinforce", "sft"):
        for column, words in (("KL(start, model)", "KL drift"), ("moved", "parameter drift")):
            r = correlations(column, method)
            claim.add(f"r of {words} and second tasks over settings, {WORDS[method]}", r)


def learned(**setting: Any) -> list[float]:
    """Mean score of the second tasks after their first epoch, seed by seed."""
    each = [end(f"{task}/score/1", DRIFT, **setting) for task in SECOND]
    return [float(v) for v in np.mean(each, 0)]


def strengths(knob: str) -> list[float]:
    """Of a knob, those above 0."""
    return [s for s in table(DRIFT).distinct(knob) if s > 0]


def matched(knob: str) -> float | None:
    """The largest strength that keeps the first task's mean score, if any does."""
    free = float(np.mean(end("score", DRIFT)))
    settings: list[dict[str, Any]] = [{knob: s} for s in strengths(knob)]
    kept = [s[knob] for s in settings if np.mean(end("score", DRIFT, **s)) > free - KEPT]
    return max(kept, default=None)


def correlations(column: str, method: str) -> list[float]:
    """Of a measure of drift and what the second tasks then score, over settings, seed by seed."""
    settings: list[dict[str, Any]] = [{}, *({k: s} for k in KNOBS for s in strengths(k))]
    drift = np.array([end(column, DRIFT, method=method, **s) for s in settings])
    scores = np.array([learned(method=method, **s) for s in settings])
    return [float(np.corrcoef(d, s)[0, 1]) for d, s in zip(drift.T, scores.T, strict=True)]


MEASURES: dict[str, Callable[[Claim], None]] = {
    "C2": c2, "C3": c3, "C4": c4, "C5": c5, "C6": c6, "C7": c7,
}  # fmt: skip
