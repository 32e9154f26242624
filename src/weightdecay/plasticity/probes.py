"""What can be read off a base model's last token, layer by layer: sentiment, topic, and a control.

A logistic probe on the hidden state after each block. Disjoint documents to fit, to choose the
probe's L2 and to score; features standardized, since decay changes their scale and a penalty is
blind to nothing else. The control task (Hewitt & Liang, arXiv 1909.03368) gives each last *word* a
random label: what a probe reads of it, it has memorized. The ceiling is the exact posterior of
`language.py`, the floor an untrained network.
"""

from __future__ import annotations

import functools
import warnings
from typing import TypeAlias

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from weightdecay.plasticity.config import CONTEXT
from weightdecay.plasticity.language import (
    HIDDEN,
    VOCABULARY,
    Array,
    Documents,
    Ids,
    posterior,
    sample,
)
from weightdecay.transformer import Transformer

PARTS = {"fit": 1500, "choose": 500, "test": 1500}
C = (0.003, 0.1, 3.0)
SEED = 1_000_003
Labels: TypeAlias = dict[str, Ids]


@functools.cache
def documents(part: str) -> Documents:
    """The same for every model."""
    return sample(PARTS[part], CONTEXT, [SEED, list(PARTS).index(part)])


def labels(found: Documents, seed: int) -> Labels:
    """Of the two tasks and of the control."""
    control = np.random.default_rng([seed, SEED]).permutation(len(VOCABULARY)) % 2
    return {
        "sentiment": found.sentiment,
        "topic": found.topic,
        "control": control[found.tokens[:, -1]],
    }


@torch.no_grad()
def hidden_states(model: Transformer, tokens: Ids) -> list[Array]:
    """(N, d) at the last token: the embedding, then the stream after each block."""
    kept: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _m, _i, out: kept.append(out[:, -1].cpu()))
        for module in (model.embedding, *model.blocks)
    ]
    model(torch.from_numpy(tokens).to(next(model.parameters()).device))
    for hook in hooks:
        hook.remove()
    return [h.double().numpy() for h in kept]


def measure(model: Transformer, seed: int) -> dict[str, float]:
    """Accuracy of each probe, ``probe/sentiment/2`` for layer 2, with ``raw/…`` beside it: what a
    probe says that is neither standardized nor tuned."""
    x = {part: hidden_states(model, documents(part).tokens) for part in PARTS}
    y = {part: labels(documents(part), seed) for part in PARTS}
    found: dict[str, float] = {}
    for layer in range(len(x["fit"])):
        scaler = StandardScaler().fit(x["fit"][layer])
        scaled = {part: scaler.transform(x[part][layer]) for part in PARTS}
        for task in y["fit"]:
            fit, choose, test = (
                ((scaled[part], y[part][task])) for part in ("fit", "choose", "test")
            )
            probes = [_probe(c, *fit) for c in C]
            best = max(probes, key=lambda p: p.score(*choose))
            found[f"probe/{task}/{layer}"] = best.score(*test)
            if task != "control":
                raw = _probe(1.0, x["fit"][layer], y["fit"][task])
                found[f"raw/{task}/{layer}"] = raw.score(x["test"][layer], y["test"][task])
    return found


def _probe(c: float, x: Array, y: Ids) -> LogisticRegression:
    with warnings.catch_warnings():  # a probe that stops early is one more L2 to choose from
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=c, max_iter=200).fit(x, y)


def ceiling() -> dict[str, float]:
    """Accuracy of the exact posterior on the test documents: no probe can do better."""
    found = documents("test")
    p = posterior(found.tokens)
    scores = {}
    for place, (task, truth) in enumerate((("topic", found.topic), ("sentiment", found.sentiment))):
        values = np.array(HIDDEN)[:, place]
        each = np.stack([p[:, values == v].sum(1) for v in sorted(set(values))], 1)
        scores[task] = float((each.argmax(1) == truth).mean())
    return scores
