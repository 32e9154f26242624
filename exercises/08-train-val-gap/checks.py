"""Checks of 08-train-val-gap: a loss per token in evaluation mode; a gap of one model."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from weightdecay.grading import expect

VOCABULARY = 9
Batches = list[tuple[Tensor, Tensor]]


def build(rng: np.random.Generator, dropout: float = 0.0) -> nn.Module:
    """Ids (B, T) to logits (B, T, V); the weights are large, so that tokens differ in loss."""
    torch.manual_seed(int(rng.integers(2**31)))
    embedding, head = nn.Embedding(VOCABULARY, 16), nn.Linear(16, VOCABULARY)
    return nn.Sequential(embedding, nn.Dropout(dropout), head).train()


def split(rng: np.random.Generator, lengths: list[list[int]]) -> Batches:
    """One batch for each list of sentence lengths, padded at the end."""
    batches = []
    for of_batch in lengths:
        shape = (len(of_batch), max(of_batch))
        inputs = torch.from_numpy(rng.integers(VOCABULARY, size=shape))
        targets = torch.from_numpy(rng.integers(VOCABULARY, size=shape))
        for row, length in enumerate(of_batch):
            inputs[row, length:], targets[row, length:] = 0, -1
        batches.append((inputs, targets))
    return batches


def token_by_token(model: nn.Module, batches: Batches) -> float:
    """The loss by brute force: one token after the other, in double precision."""
    model = deepcopy(model).eval()
    losses = []
    for inputs, targets in batches:
        logits = model(inputs).detach().double()
        for row, target_row in zip(logits, targets.tolist(), strict=True):
            for scores, target in zip(row.tolist(), target_row, strict=True):
                if target != -1:
                    normalizer = math.log(sum(map(math.exp, scores)))
                    losses.append(normalizer - scores[target])
    return math.fsum(losses) / len(losses)


def agree(
    evaluate: Callable[..., Any], model: nn.Module, batches: Batches, lengths: list[list[int]]
) -> None:
    expected = token_by_token(model, batches)
    mode = "training mode" if model.training else "evaluation mode"
    expect(
        evaluate(model, batches),
        expected,
        inputs={"tokens of each sentence, by batch": lengths, "the model comes in": mode},
        what="the loss",
        rtol=1e-5,
    )


@pytest.mark.points(1)
def test_one_full_batch(evaluate: Callable[..., Any], rng: np.random.Generator) -> None:
    """on one batch without padding: the mean cross-entropy of its tokens"""
    lengths = [[5, 5, 5]]
    agree(evaluate, build(rng), split(rng, lengths), lengths)


@pytest.mark.points(2)
def test_padded_batches(evaluate: Callable[..., Any], rng: np.random.Generator) -> None:
    """sentences and batches of any size: every real token counts once, padding never"""
    lengths = [[7, 2, 4], [3, 5, 1], [1]]
    agree(evaluate, build(rng), split(rng, lengths), lengths)


@pytest.mark.points(2)
def test_evaluation_mode(evaluate: Callable[..., Any], rng: np.random.Generator) -> None:
    """a model with dropout that comes in training mode is measured without dropout"""
    lengths = [[4, 6], [3]]
    agree(evaluate, build(rng, dropout=0.5), split(rng, lengths), lengths)


@pytest.mark.points(1)
@pytest.mark.hidden
def test_cut_into_batches_anyhow(evaluate: Callable[..., Any], rng: np.random.Generator) -> None:
    """the same sentences have the same loss however they are cut into batches"""
    lengths = [int(n) for n in rng.integers(1, 12, 9)]
    model = build(rng, dropout=0.3)
    [(inputs, targets)] = split(rng, [lengths])
    cut = sorted(int(n) for n in rng.choice(np.arange(1, 9), 2, replace=False))
    parts = [slice(0, cut[0]), slice(cut[0], cut[1]), slice(cut[1], 9)]
    batches = [(inputs[part], targets[part]) for part in parts]
    agree(evaluate, model, batches, [lengths[part] for part in parts])


def log(rng: np.random.Generator, evaluations: int = 6) -> list[dict[str, Any]]:
    """A run that learns, then overfits: the best validation loss is not the last."""
    records: list[dict[str, Any]] = []
    for i in range(evaluations):
        train = 3 * math.exp(-i) + float(rng.uniform(0.1, 0.2))
        val = train + 0.15 * i + float(rng.uniform(0, 0.1))
        record = {"kind": "eval", "step": 50 * i, "train_loss": train, "val_loss": val}
        records.append(record)
        for step in range(50 * i + 10, 50 * i + 50, 10):
            batch_loss = train + float(rng.uniform(-0.1, 0.1))
            records.append({"kind": "step", "step": step, "batch_loss": batch_loss})
    last = {"train_loss": 0.2, "val_loss": 1 + float(rng.uniform(0, 0.2))}
    return [*records, {"kind": "eval", "step": 50 * evaluations, **last}]


def gap_of(record: dict[str, Any]) -> float:
    return float(record["val_loss"] - record["train_loss"])


@pytest.mark.points(1)
def test_final_model(final_gap: Callable[..., Any], rng: np.random.Generator) -> None:
    """both losses come from the last evaluation"""
    records = log(rng)
    expect(
        final_gap(records),
        gap_of(records[-1]),
        inputs={"the last records": records[-3:], "evaluations": 7},
        what="the gap",
    )


STEPS = [{"kind": "step", "step": 310 + 10 * i, "batch_loss": 0.1} for i in range(3)]


@pytest.mark.points(1)
def test_stopped_run(final_gap: Callable[..., Any], rng: np.random.Generator) -> None:
    """records of single steps after the last evaluation change nothing"""
    records = log(rng)
    expect(
        final_gap([*records, *STEPS]),
        gap_of(records[-1]),
        inputs={"the last evaluation": records[-1], "records after it": STEPS},
        what="the gap",
    )


@pytest.mark.points(1)
def test_diverged_run(final_gap: Callable[..., Any], rng: np.random.Generator) -> None:
    """a final evaluation in which one of the losses is None has no gap: None"""
    records = log(rng)
    for key in ("train_loss", "val_loss"):
        last = {**records[-1], key: None}
        inputs = {"the last record": last}
        expect(final_gap([*records[:-1], last]), None, inputs=inputs, what="the gap")


@pytest.mark.points(1)
@pytest.mark.hidden
def test_diverged_on_the_way(final_gap: Callable[..., Any], rng: np.random.Generator) -> None:
    """only the last evaluation counts: one without losses before it is no matter"""
    records = log(rng)
    nothing = {"kind": "eval", "train_loss": None, "val_loss": None}
    bad = [{**r, **nothing} if r["step"] == 150 and r["kind"] == "eval" else r for r in records]
    inputs = {"at step 150": nothing, "the last evaluation": records[-1]}
    expect(final_gap(bad), gap_of(records[-1]), inputs=inputs, what="the gap")
    stopped = [*records, {**nothing, "step": 305}, *STEPS]
    expect(final_gap(stopped), None, inputs={"the last records": stopped[-4:]}, what="the gap")
