"""Wrong answers to 25-kl-drift that people give."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from weightdecay.grading import Mistake

# ------------------------------------------------------------------------------------ probes


def probe_kl(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    start, model = (torch.from_numpy(rng.normal(0, 2, (2, 3, 6)) + 1.5) for _ in range(2))
    found = torch.as_tensor(f(start, model))
    expected = kl(start, model)
    if found.shape != expected.shape or not torch.allclose(found, expected, rtol=1e-4, atol=1e-4):
        return found
    # The answer is right. How far can the model go?
    sure, other = torch.tensor([2000.0, 0.0]), torch.tensor([0.0, 2000.0])
    far = float(f(sure.double(), other.double()))
    if not math.isfinite(far):
        return "not a number"
    return "right" if abs(far - 2000) < 1e-3 else "a ceiling"


def probe_drift(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    start = torch.from_numpy(rng.normal(0, 2, (3, 8, 5)))
    model = start + torch.from_numpy(rng.normal(0, 1, (3, 8, 5)) * [[[0.2]], [[1.0]], [[3.0]]])
    counts = torch.zeros(3, 8, dtype=torch.bool)
    counts[0, 1:7], counts[1, 3:5], counts[2, 2:3] = True, True, True
    found = float(f(start, model, counts))
    if abs(found - right_drift(start, model, counts)) > 1e-6:
        return found
    start[~counts], model[~counts] = math.nan, math.nan
    return "right" if math.isfinite(float(f(start, model, counts))) else "not a number"


def probe_larger(f: Callable[[], Any], rng: np.random.Generator) -> Any:
    return list(f())


# ---------------------------------------------------------------------------------------- kl


def kl(start: Tensor, model: Tensor) -> Tensor:
    """Right."""
    log_p, log_q = start.log_softmax(-1), model.log_softmax(-1)
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1)


def other_direction(start: Tensor, model: Tensor) -> Tensor:
    return kl(model, start)


def both_directions(start: Tensor, model: Tensor) -> Tensor:
    return (kl(start, model) + kl(model, start)) / 2


def their_sum(start: Tensor, model: Tensor) -> Tensor:
    return kl(start, model) + kl(model, start)


def jensen_shannon(start: Tensor, model: Tensor) -> Tensor:
    middle = ((start.softmax(-1) + model.softmax(-1)) / 2).log()
    return (kl(start, middle) + kl(model, middle)) / 2


def raw_logits(start: Tensor, model: Tensor) -> Tensor:
    return (start.softmax(-1) * (start - model)).sum(-1)


def cross_entropy(start: Tensor, model: Tensor) -> Tensor:
    return -(start.softmax(-1) * model.log_softmax(-1)).sum(-1)


def negative(start: Tensor, model: Tensor) -> Tensor:
    return -kl(start, model)


def without_sign(start: Tensor, model: Tensor) -> Tensor:
    log_p, log_q = start.log_softmax(-1), model.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q).abs()).sum(-1)


def unweighted(start: Tensor, model: Tensor) -> Tensor:
    return (start.log_softmax(-1) - model.log_softmax(-1)).sum(-1)


def mean_over_tokens(start: Tensor, model: Tensor) -> Tensor:
    return kl(start, model) / start.shape[-1]


def bits(start: Tensor, model: Tensor) -> Tensor:
    return kl(start, model) / math.log(2)


def one_number(start: Tensor, model: Tensor) -> Tensor:
    return kl(start, model).mean()


def batch_mean(start: Tensor, model: Tensor) -> Tensor:
    return kl(start, model).sum() / len(start)


def log_of_softmax(start: Tensor, model: Tensor, small: float = 0.0) -> Tensor:
    p, q = start.softmax(-1), model.softmax(-1)
    return (p * ((p + small).log() - (q + small).log())).sum(-1)


def quotient(start: Tensor, model: Tensor) -> Tensor:
    p, q = start.softmax(-1), model.softmax(-1)
    return (p * (p / q).log()).sum(-1)


def cut_off(start: Tensor, model: Tensor) -> Tensor:
    p, q = (x.softmax(-1).clamp(min=1e-10) for x in (start, model))
    return (p * (p.log() - q.log())).sum(-1)


# ------------------------------------------------------------------------------------- drift

Each = Callable[[Tensor, Tensor], float]


def from_each(how: Each) -> Callable[[Tensor, Tensor, Tensor], float]:
    """One number from the right KL (B, T) and the mask (B, T)."""

    def drift(start: Tensor, model: Tensor, counts: Tensor) -> float:
        return float(how(kl(start, model), counts))

    return drift


def right_drift(start: Tensor, model: Tensor, counts: Tensor) -> float:
    """Right."""
    return float(kl(start, model)[counts].mean())


def swapped(start: Tensor, model: Tensor, counts: Tensor) -> float:
    return right_drift(model, start, counts)


def distributions_averaged(start: Tensor, model: Tensor, counts: Tensor) -> float:
    p, q = (x.softmax(-1)[counts].mean(0).log() for x in (start, model))
    return float(kl(p, q))


def of_rows(each: Tensor, counts: Tensor) -> float:
    rows = [float(row[c].mean()) for row, c in zip(each, counts, strict=True) if c.any()]
    return sum(rows) / len(rows)


def mask_times(each: Tensor, counts: Tensor) -> float:
    return float((each * counts).sum() / counts.sum())


# ------------------------------------------------------------------------------------ larger

FORWARD, BACKWARD, EQUAL = "start || model", "model || start", "equal"
LARGER = {
    "always-one": [[FORWARD] * 4, [BACKWARD] * 4],
    "always-equal": [[EQUAL] * 4],
    "weights-swapped": [[BACKWARD, FORWARD, EQUAL, BACKWARD]],
    "never-equal": [
        [FORWARD, BACKWARD, FORWARD, FORWARD],
        [FORWARD, BACKWARD, BACKWARD, FORWARD],
    ],
    "mirror-images": [[EQUAL, EQUAL, EQUAL, FORWARD], [FORWARD, FORWARD, EQUAL, FORWARD]],
    "open-choice": [[FORWARD, BACKWARD, EQUAL, BACKWARD], [FORWARD, BACKWARD, EQUAL, EQUAL]],
}

PROBES = {"kl": probe_kl, "drift": probe_drift, "larger": probe_larger}
MISTAKES = [
    Mistake("other-direction", "kl", other_direction),
    Mistake("both-directions", "kl", both_directions),
    Mistake("both-directions", "kl", their_sum),
    Mistake("both-directions", "kl", jensen_shannon),
    Mistake("raw-logits", "kl", raw_logits),
    Mistake("cross-entropy", "kl", cross_entropy),
    Mistake("negative", "kl", negative),
    Mistake("terms-without-sign", "kl", without_sign),
    Mistake("no-weights", "kl", unweighted),
    Mistake("mean-over-vocabulary", "kl", mean_over_tokens),
    Mistake("bits", "kl", bits),
    Mistake("one-for-all", "kl", one_number),
    Mistake("one-for-all", "kl", batch_mean),
    Mistake("underflow", "kl", log_of_softmax),
    Mistake("underflow", "kl", quotient),
    Mistake("a-ceiling", "kl", partial(log_of_softmax, small=1e-8)),
    Mistake("a-ceiling", "kl", cut_off),
    Mistake("arguments-swapped", "drift", swapped),
    Mistake("padding-too", "drift", from_each(lambda each, c: float(each.mean()))),
    Mistake(
        "divided-by-all", "drift", from_each(lambda each, c: float((each * c).sum() / c.numel()))
    ),
    Mistake("mean-of-rows", "drift", from_each(of_rows)),
    Mistake("sum-of-tokens", "drift", from_each(lambda each, c: float(each[c].sum()))),
    Mistake("sum-of-tokens", "drift", from_each(lambda each, c: float(each[c].sum() / len(each)))),
    Mistake("mask-inverted", "drift", from_each(lambda each, c: float(each[~c].mean()))),
    Mistake("zero-times-nan", "drift", from_each(mask_times)),
    Mistake("distributions-averaged", "drift", distributions_averaged),
    *(
        Mistake(symptom, "larger", partial(list, answer))
        for symptom, answers in LARGER.items()
        for answer in answers
    ),
]
