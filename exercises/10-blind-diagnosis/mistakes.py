"""Wrong answers to 10-blind-diagnosis that learners give.

A learner's thresholds are their own, so a rule is known by what it gets wrong in five given runs,
one of each cause. The rules here have a sign too few, a sign too many, or two signs taken for one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from weightdecay.grading import Mistake

Records = list[dict[str, Any]]
Sign = Callable[[Records], bool]
HERE = Path(__file__).resolve().parent


def probe_cause(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    return f()


def probe_telltale(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """Of the last steps and of step 0 the column does not matter."""
    column, step = f()
    if step >= 1500:
        return "late"
    return "start" if step == 0 else [column, step]


def probe_diagnose(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """The first of these that is so; else all answers. A rule half made lacks several signs."""
    runs = json.loads((HERE / "evidence" / "runs.json").read_text("utf-8"))["runs"]
    names = {"healthy": "bittern", "no-decay": "crane", "init": "stork", "warmup": "ibis"}
    said = {cause: f(runs[name]) for cause, name in {**names, "mask": "egret"}.items()}
    if said["healthy"] == "no-decay":
        return "calls a healthy run grown"
    if said["mask"] != "mask":
        return "does not find the mask"
    if said["init"] == said["warmup"] in ("init", "warmup"):
        return "takes init and warmup for one"
    if "healthy" in (said["init"], said["warmup"]):
        return "calls a run healthy that began badly"
    if said["no-decay"] == "healthy":
        return "calls a run healthy that has no decay"
    return said


def bad_start(evals: Records) -> bool:
    return bool(evals[0]["train_loss"] > 10)


def slow_start(evals: Records) -> bool:
    return bool(evals[1]["train_loss"] > 0.65)


def too_easy(evals: Records) -> bool:
    return bool(evals[-1]["batch_loss"] < 0.1 * evals[-1]["train_loss"])


def high_end(evals: Records) -> bool:
    return bool(evals[-1]["train_loss"] > 5)


def shrunk(evals: Records) -> bool:
    return bool(evals[-1]["growth/embedding"] < 1)


def climbed_far(evals: Records) -> bool:
    return bool(evals[-1]["growth/vo"] > 15)


def climbed(evals: Records) -> bool:
    return bool(evals[-1]["growth/embedding"] > 2)


def rule(*signs: tuple[Sign, str], otherwise: str = "healthy") -> Callable[..., str]:
    """The first sign that is there decides."""

    def diagnose(evals: Records) -> str:
        return next((cause for sign, cause in signs if sign(evals)), otherwise)

    return diagnose


INIT, MASK, WARMUP = (bad_start, "init"), (too_easy, "mask"), (slow_start, "warmup")
DECAY = (climbed_far, "no-decay")
GROWN = (climbed, "no-decay")

PROBES = {"cause": probe_cause, "telltale": probe_telltale, "diagnose": probe_diagnose}
MISTAKES = [
    Mistake("heron-healthy", "cause", lambda: "healthy"),
    Mistake("heron-init", "cause", lambda: "init"),
    Mistake("heron-grown", "cause", lambda: "no-decay"),
    Mistake("heron-mask", "cause", lambda: "mask"),
    Mistake("late", "telltale", lambda: ("val_loss", 2000)),
    Mistake("late", "telltale", lambda: ("growth/vo", 1800)),
    Mistake("before-it-acts", "telltale", lambda: ("train_loss", 0)),
    Mistake("only-the-end", "diagnose", rule(MASK, DECAY)),
    Mistake("only-the-end", "diagnose", rule(MASK, DECAY, (shrunk, "init"))),
    Mistake("losses-only", "diagnose", rule(INIT, MASK, WARMUP)),
    Mistake("growth-alone", "diagnose", rule(INIT, MASK, WARMUP, GROWN)),
    Mistake("growth-alone", "diagnose", rule(INIT, MASK, GROWN)),
    Mistake("growth-alone", "diagnose", rule(INIT, GROWN)),
    Mistake("growth-alone", "diagnose", rule(MASK, GROWN)),
    Mistake("one-bad-start", "diagnose", rule(MASK, (slow_start, "init"), DECAY)),
    Mistake("one-bad-start", "diagnose", rule(MASK, (slow_start, "warmup"), DECAY)),
    Mistake("mask-unseen", "diagnose", rule(INIT, WARMUP, DECAY)),
    Mistake("mask-unseen", "diagnose", rule(INIT, (high_end, "init"), WARMUP, DECAY)),
    Mistake("mask-unseen", "diagnose", rule(INIT, (high_end, "no-decay"), WARMUP, DECAY)),
    Mistake("mask-unseen", "diagnose", rule((slow_start, "init"), DECAY)),
    Mistake("mask-unseen", "diagnose", rule((slow_start, "warmup"), DECAY)),
]
