"""What is measured on a policy: what it can do, how varied it is, and how far it has moved."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from weightdecay import updates
from weightdecay.plasticity import evaluate, finetune, sampling
from weightdecay.plasticity.downstream import Example, Words, examples, verified
from weightdecay.plasticity.evaluate import pass_at_k
from weightdecay.plasticity.formats import FORMATS, format_of, solved
from weightdecay.plasticity.mechanisms import effective_rank
from weightdecay.plasticity.reinforce import drawn, flat, judged
from weightdecay.plasticity.task import TEST_SEED
from weightdecay.transformer import Transformer

GREEDY = 256
"""Test prompts that get the most likely response."""
ASKED, SAMPLES, MIDWAY = 64, 64, 16
"""Test prompts that get sampled responses, the same for every policy; and how many of them, at the
start and at the end, and on the way."""
READ = 8
"""Samples of each prompt along which entropy and KL are measured."""
KS = (1, 2, 4, 8, 16, 32, 64)


@functools.cache
def asked() -> list[Example]:
    """The test prompts, the same for every run."""
    return examples("chains", "test", GREEDY, TEST_SEED)


def score(model: Transformer, prompts: Sequence[Example]) -> float:
    """Share of right greedy responses."""
    said = sampling.responses(model, prompts)
    return _mean([verified(e, each[0]) for e, each in zip(prompts, said, strict=True)])


@dataclass(frozen=True)
class Policy:
    """A model, and what it says to the first test prompts."""

    model: Transformer
    said: list[list[Words]]

    @classmethod
    def of(cls, model: Transformer, samples: int, seed: int) -> Policy:
        """Sample it."""
        return cls(model, drawn(model, asked()[:ASKED], samples, seed))

    @functools.cached_property
    def texts(self) -> finetune.Batch:
        """Some of its samples."""
        return finetune.batch(flat(asked()[:ASKED], [each[:READ] for each in self.said]))


def abilities(policy: Policy) -> dict[str, float]:
    """Greedy score; Pass@k by the answer and by the whole solution; shares of the formats among
    the samples, and how often each of them has the right answer."""
    prompts, samples = asked()[:ASKED], len(policy.said[0])
    right = judged(prompts, policy.said)
    whole = [[solved(e, w) for w in each] for e, each in zip(prompts, policy.said, strict=True)]
    found = {"score": score(policy.model, asked())}
    for name, of in (("pass", right), ("solved", whole)):
        for k in KS:
            if k <= samples:
                found[f"{name}@{k}"] = _mean([pass_at_k(samples, sum(r), k) for r in of])
    kinds = [
        (format_of(words), r)
        for said, each in zip(policy.said, right, strict=True)
        for words, r in zip(said, each, strict=True)
    ]
    for kind in FORMATS:
        of_kind = [r for other, r in kinds if other == kind]
        found[f"share/{kind}"] = len(of_kind) / len(kinds)
        found[f"right/{kind}"] = _mean(of_kind) if of_kind else math.nan
    found["share/neither"] = _mean([kind is None for kind, _ in kinds])
    return found


@torch.no_grad()
def spread(policy: Policy, start: Policy) -> dict[str, float]:
    """In nats a token: entropy of the policy along its own samples, and its KL from and to the
    start, each along the samples of the first of the two distributions."""
    own, before = policy.texts, start.texts
    logits = policy.model(own.ids)
    return {
        "entropy": _per_token(updates.entropy(logits), own),
        "KL(start, model)": _per_token(
            updates.kl(start.model(before.ids), policy.model(before.ids)), before
        ),
        "KL(model, start)": _per_token(updates.kl(logits, start.model(own.ids)), own),
    }


def _per_token(values: Tensor, b: finetune.Batch) -> float:
    """Mean of (B, T) over the places that a token of a response follows."""
    return float(values[b.targets != finetune.IGNORED].double().mean())


def movement(before: updates.Weights, after: updates.Weights) -> dict[str, float]:
    """How much of the weights changed, in how many directions, and how far."""
    spectra = [
        torch.linalg.svdvals(after[n].double() - before[n].double())
        for n in before
        if before[n].dim() == 2
    ]
    effective = [float(effective_rank(s)) / len(s) for s in spectra if float(s.sum()) > 0]
    return {
        "changed": updates.changed_share(before, after),
        "changed/bf16": updates.changed_share(before, after, bf16=True),
        "rank": updates.update_rank(before, after),
        "effective rank": _mean(effective) if effective else math.nan,
        "moved": updates.relative_norm(before, after),
    }


def common(before: updates.Weights, a: updates.Weights, b: updates.Weights) -> dict[str, float]:
    """Do two runs from one start change the same entries? With what chance gives, also if it
    knows how large each weight is: a small one crosses to the next number of bfloat16 sooner."""
    start, *ends = (torch.cat([w[n].flatten() for n in before]) for w in (before, a, b))
    masks = [updates.changed(start, end, bf16=True) for end in ends]
    shared, chance = updates.overlap(masks[0], masks[1])
    cosine = F.cosine_similarity(ends[0] - start, ends[1] - start, dim=0)
    return {
        "overlap": shared,
        "overlap/chance": chance,
        "overlap/chance by size": updates.overlap_by_size(masks[0], masks[1], start.abs()),
        "cosine": float(cosine),
    }


def second(model: Transformer, name: str) -> dict[str, float]:
    """Score and loss on another task."""
    prompts = examples(name, "test", GREEDY, TEST_SEED)
    right = evaluate.refusals(model, prompts)["balanced"] if name == "safety" else None
    return {
        f"{name}/score": score(model, prompts) if right is None else right,
        f"{name}/loss": finetune.mean_response_loss(model, prompts),
    }


def _mean(values: Sequence[float | bool]) -> float:
    return sum(map(float, values)) / len(values)
