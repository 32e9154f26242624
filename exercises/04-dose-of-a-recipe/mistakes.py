"""Wrong doses that learners compute."""

from typing import Any

import numpy as np

from weightdecay.decay import cosine_learning_rate, wsd_learning_rate
from weightdecay.grading import Mistake

Recipe = dict[str, Any]


def rounded(value: Any) -> Any:
    """To three digits: a sum over steps and a pencil's formula then agree, two mistakes do not."""
    return value if value is None else f"{value:.2e}"


def probe_dose(f: Any, rng: np.random.Generator) -> Any:
    shape = {"steps": 20_000, "warmup": 4000, "peak": float(rng.uniform(1e-3, 3e-3))}
    shape |= {"final": 0.2 * shape["peak"], "weight_decay": float(rng.uniform(0.05, 0.2))}
    cosine = {"schedule": "cosine", **shape}
    wsd = {"schedule": "wsd", "cooldown": 6000, **shape}
    kinds = [(r, o) for o in ("AdamW", "SGD", "Adam") for r in (cosine, wsd)]
    return [rounded(f({"optimizer": o, **r})) for r, o in kinds]


def probe_share_left(f: Any, rng: np.random.Generator) -> Any:
    return [rounded(f(dose)) for dose in (*rng.uniform(0.05, 0.8, 3).tolist(), 2.0)]


PROBES = {"dose": probe_dose, "share_left": probe_share_left}


def rates(r: Recipe) -> list[float]:
    shape = {key: r[key] for key in ("peak", "final", "warmup", "steps")}
    if r["schedule"] == "wsd":
        return [wsd_learning_rate(s, **shape, cooldown=r["cooldown"]) for s in range(r["steps"])]
    return [cosine_learning_rate(s, **shape) for s in range(r["steps"])]


def has_none(r: Recipe) -> bool:
    return bool(r["optimizer"] == "Adam")


def without_the_rate(r: Recipe) -> float | None:
    return None if has_none(r) else float(r["weight_decay"] * r["steps"])


def peak_at_every_step(r: Recipe) -> float | None:
    return None if has_none(r) else float(r["weight_decay"] * r["peak"] * r["steps"])


def without_the_decay(r: Recipe) -> float | None:
    return None if has_none(r) else sum(rates(r))


def no_warmup(r: Recipe) -> float | None:
    return None if has_none(r) else r["weight_decay"] * sum(rates(r | {"warmup": 0}))


def warmup_at_the_peak(r: Recipe) -> float | None:
    if has_none(r):
        return None
    after = rates(r)[r["warmup"] :]
    return float(r["weight_decay"] * (r["warmup"] * r["peak"] + sum(after)))


def warmup_left_out(r: Recipe) -> float | None:
    return None if has_none(r) else float(r["weight_decay"] * sum(rates(r)[r["warmup"] :]))


def every_optimizer_has_one(r: Recipe) -> float | None:
    return float(r["weight_decay"] * sum(rates(r)))


def l2_never_has_one(r: Recipe) -> float | None:
    return None if r["optimizer"] in ("Adam", "SGD") else r["weight_decay"] * sum(rates(r))


MISTAKES = [
    Mistake("without-the-rate", "dose", without_the_rate),
    Mistake("without-the-decay", "dose", without_the_decay),
    Mistake("peak-at-every-step", "dose", peak_at_every_step),
    Mistake("warmup-forgotten", "dose", no_warmup),
    Mistake("warmup-at-the-peak", "dose", warmup_at_the_peak),
    Mistake("warmup-left-out", "dose", warmup_left_out),
    Mistake("every-optimizer-has-one", "dose", every_optimizer_has_one),
    Mistake("l2-never-has-one", "dose", l2_never_has_one),
    Mistake("share-is-a-straight-line", "share_left", lambda dose: 1 - dose),
    Mistake("share-that-is-gone", "share_left", lambda dose: 1 - np.exp(-dose)),
    Mistake("share-squared", "share_left", lambda dose: np.exp(-2 * dose)),
    Mistake("share-one-over", "share_left", lambda dose: 1 / (1 + dose)),
]
