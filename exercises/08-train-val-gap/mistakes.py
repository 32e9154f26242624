"""Wrong answers to 08-train-val-gap that learners give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weightdecay.grading import Mistake

Batches = list[tuple[Tensor, Tensor]]
Records = list[dict[str, Any]]


def probe_evaluate(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    torch.manual_seed(int(rng.integers(2**31)))
    # With p = 1 a model left in training mode gives a number that does not depend on chance.
    model = nn.Sequential(nn.Embedding(9, 16), nn.Dropout(1.0), nn.Linear(16, 9)).double().train()
    batches = []
    for lengths in ([6, 2, 3], [4, 1], [1]):
        ids = torch.from_numpy(rng.integers(9, size=(len(lengths), max(lengths), 2)))
        inputs, targets = ids.unbind(-1)
        outside = torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None]
        batches.append((inputs.masked_fill(outside, 0), targets.masked_fill(outside, -1)))
    return f(model, batches)


def probe_final_gap(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """The gap of a plain log; if it is right, the first log that the function cannot read."""
    records: Records = []
    for step in range(0, 60, 5):
        train, batch, gap = rng.uniform(0.5, 1, 3).tolist()
        if step % 20 == 0:
            # The validation loss is at its best in the middle.
            losses = {"train_loss": train, "val_loss": train + gap + abs(step - 20)}
            records.append({"kind": "eval", "step": step, **losses})
        if step:
            records.append({"kind": "step", "step": step, "batch_loss": batch + 2 / step})
    last = {"train_loss": 0.3, "val_loss": float(rng.uniform(50, 60))}
    final: dict[str, Any] = {"kind": "eval", "step": 60, **last}
    gap, right = f([*records, final]), last["val_loss"] - last["train_loss"]
    if not isinstance(gap, int | float) or abs(gap - right) > 1e-9:
        return gap
    if attempt(f, [*records, final, {"kind": "step", "step": 65, "batch_loss": 0.3}]) != gap:
        return "cannot read a log that ends in single steps"
    diverged = [[*records, {**final, key: None}] for key in last]
    if any(attempt(f, log) is not None for log in diverged):
        return "does not answer None for a loss that is None"
    return gap


def attempt(f: Callable[..., Any], records: Records) -> Any:
    try:
        return f(records)
    except (KeyError, TypeError) as error:  # the natural end of both mistakes
        return type(error).__name__


def losses(model: nn.Module, batches: Batches) -> list[tuple[Tensor, Tensor]]:
    """Loss of every position, 0 at padding, and which positions are real; both (B, T)."""
    with torch.no_grad():
        return [
            (
                F.cross_entropy(
                    model(inputs).transpose(1, 2), targets, ignore_index=-1, reduction="none"
                ),
                targets >= 0,
            )
            for inputs, targets in batches
        ]


def token_mean(pairs: list[tuple[Tensor, Tensor]]) -> float:
    return float(sum(loss.sum() for loss, _ in pairs) / sum(real.sum() for _, real in pairs))


def batch_mean(pairs: list[tuple[Tensor, Tensor]]) -> float:
    means = [float(loss.sum() / real.sum()) for loss, real in pairs]
    return sum(means) / len(means)


def sentence_mean(pairs: list[tuple[Tensor, Tensor]]) -> float:
    means = torch.cat([loss.sum(1) / real.sum(1) for loss, real in pairs])
    return float(means.mean())


def padded_mean(pairs: list[tuple[Tensor, Tensor]]) -> float:
    return float(sum(loss.sum() for loss, _ in pairs)) / sum(loss.numel() for loss, _ in pairs)


def padded_batch_mean(pairs: list[tuple[Tensor, Tensor]]) -> float:
    return sum(float(loss.mean()) for loss, _ in pairs) / len(pairs)


def evaluation(mean: Callable[..., float], *, training: bool = False) -> Callable[..., float]:
    def evaluate(model: nn.Module, batches: Batches) -> float:
        return mean(losses(model.train(training), batches))

    return evaluate


def evals(records: Records) -> Records:
    return [r for r in records if r["kind"] == "eval"]


def running_mean(records: Records) -> float:
    batch = [r["batch_loss"] for r in records if r["kind"] == "step"]
    return float(evals(records)[-1]["val_loss"] - sum(batch) / len(batch))


def last_interval(records: Records) -> float:
    """The mean since the evaluation before the last: what many progress bars show."""
    since = evals(records)[-2]["step"]
    batch = [r["batch_loss"] for r in records if r["kind"] == "step" and r["step"] > since]
    return float(evals(records)[-1]["val_loss"] - sum(batch) / len(batch))


def last_batch(records: Records) -> float:
    batch = [r["batch_loss"] for r in records if r["kind"] == "step"]
    return float(evals(records)[-1]["val_loss"] - batch[-1])


def best_validation(records: Records) -> float:
    best = min(r["val_loss"] for r in evals(records))
    return float(best - evals(records)[-1]["train_loss"])


def best_model(records: Records) -> float:
    best = min(evals(records), key=lambda r: r["val_loss"])
    return float(best["val_loss"] - best["train_loss"])


def turned_round(records: Records) -> float:
    final = evals(records)[-1]
    return float(final["train_loss"] - final["val_loss"])


def last_record(records: Records) -> float | None:
    train, val = (records[-1].get(key) for key in ("train_loss", "val_loss"))
    return None if train is None or val is None else float(val - train)


def none_as_zero(records: Records) -> float:
    final = evals(records)[-1]
    return float((final["val_loss"] or 0) - (final["train_loss"] or 0))


def last_finite(records: Records) -> float:
    finite = [r for r in evals(records) if None not in (r["train_loss"], r["val_loss"])]
    return float(finite[-1]["val_loss"] - finite[-1]["train_loss"])


PROBES = {"evaluate": probe_evaluate, "final_gap": probe_final_gap}
MISTAKES = [
    *(
        Mistake("training-mode", "evaluate", evaluation(mean, training=True))
        for mean in (token_mean, batch_mean, sentence_mean, padded_mean, padded_batch_mean)
    ),
    Mistake("mean-of-batches", "evaluate", evaluation(batch_mean)),
    Mistake("mean-of-sentences", "evaluate", evaluation(sentence_mean)),
    Mistake("padding-counted", "evaluate", evaluation(padded_mean)),
    Mistake("padding-counted", "evaluate", evaluation(padded_batch_mean)),
    Mistake("running-mean", "final_gap", running_mean),
    Mistake("running-mean", "final_gap", last_interval),
    Mistake("last-batch", "final_gap", last_batch),
    Mistake("best-validation", "final_gap", best_validation),
    Mistake("best-validation", "final_gap", best_model),
    Mistake("turned-round", "final_gap", turned_round),
    Mistake("last-record", "final_gap", last_record),
    Mistake("none-unseen", "final_gap", none_as_zero),
    Mistake("none-unseen", "final_gap", last_finite),
]
