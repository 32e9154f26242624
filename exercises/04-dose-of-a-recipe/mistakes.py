"""Wrong doses that learners compute."""

from collections.abc import Callable
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


Sum = Callable[[Recipe], float]


def without_the_rate(r: Recipe) -> float:
    return float(r["weight_decay"] * r["steps"])


def without_the_decay(r: Recipe) -> float:
    return sum(rates(r))


def peak_at_every_step(r: Recipe) -> float:
    return float(r["weight_decay"] * r["peak"] * r["steps"])


def warmup_forgotten(r: Recipe) -> float:
    return right(r | {"warmup": 0})


def warmup_at_the_peak(r: Recipe) -> float:
    after = rates(r)[r["warmup"] :]
    return float(r["weight_decay"] * (r["warmup"] * r["peak"] + sum(after)))


def warmup_left_out(r: Recipe) -> float:
    return float(r["weight_decay"] * sum(rates(r)[r["warmup"] :]))


def right(r: Recipe) -> float:
    return float(r["weight_decay"] * sum(rates(r)))


def unless(added: Sum, *none: str) -> Callable[[Recipe], float | None]:
    """The sum, and None for these optimizers."""
    return lambda r: None if r["optimizer"] in none else added(r)


WRONG_SUMS: dict[str, Sum] = {
    "without-the-rate": without_the_rate,
    "without-the-decay": without_the_decay,
    "peak-at-every-step": peak_at_every_step,
    "warmup-forgotten": warmup_forgotten,
    "warmup-at-the-peak": warmup_at_the_peak,
    "warmup-left-out": warmup_left_out,
}
# Whoever adds up wrongly is told so first, whatever they think of Adam and SGD.
OPINIONS = (("Adam",), (), ("Adam", "SGD"))

MISTAKES = [
    *(
        Mistake(symptom, "dose", unless(added, *none))
        for symptom, added in WRONG_SUMS.items()
        for none in OPINIONS
    ),
    Mistake("every-optimizer-has-one", "dose", right),
    Mistake("l2-never-has-one", "dose", unless(right, "Adam", "SGD")),
    Mistake("share-is-a-straight-line", "share_left", lambda dose: 1 - dose),
    Mistake("share-is-a-straight-line", "share_left", lambda dose: max(0.0, 1 - dose)),
    Mistake("share-that-is-gone", "share_left", lambda dose: 1 - np.exp(-dose)),
    Mistake("share-squared", "share_left", lambda dose: np.exp(-2 * dose)),
    Mistake("share-one-over", "share_left", lambda dose: 1 / (1 + dose)),
]
