"""What is measured at every evaluation, and how.

Keys are flat (``norm/embedding``, ``accuracy/val/irregular``), one number each, so a metrics file
is a table. The catalog with units and readings is in the lab chapter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weightdecay.minitrain import corpus
from weightdecay.minitrain.corpus import Sentence
from weightdecay.transformer import Block, Transformer

SPLITS = ("train", "val")
PART = 60  # sentences at a time in an evaluation
GROUPS = {
    "embedding": "token embedding (also the head)",
    "qk": "W_Q and W_K",
    "vo": "W_V and W_O",
    "mlp": "feed-forward matrices",
    "gains": "LayerNorm gains",
}


def matrices(model: Transformer) -> Iterator[tuple[str, str, Tensor]]:
    """(group, name, matrix) of every 2-D weight, with query, key and value taken apart."""
    yield "embedding", "embedding", model.embedding.weight
    for i, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        for part, group, matrix in zip(
            ("q", "k", "v"), ("qk", "qk", "vo"), block.qkv.weight.chunk(3), strict=True
        ):
            yield group, f"block{i}.{part}", matrix
        yield "vo", f"block{i}.o", block.attention_out.weight
        for name in ("gate", "mlp_in", "mlp_out"):
            layer = getattr(block, name)
            if layer is not None:
                yield "mlp", f"block{i}.{name}", layer.weight


def weight_groups(model: Transformer) -> dict[str, list[Tensor]]:
    """The tensors of each group in `GROUPS`; biases belong to none."""
    groups: dict[str, list[Tensor]] = {name: [] for name in GROUPS}
    for group, _, matrix in matrices(model):
        groups[group].append(matrix.detach())
    for module in model.modules():
        if isinstance(module, nn.LayerNorm | nn.RMSNorm):
            groups["gains"].append(module.weight.detach())
    return groups


def group_vectors(model: Transformer) -> dict[str, Tensor]:
    """A copy of each group as one flat vector."""
    return {k: torch.cat([t.flatten() for t in v]) for k, v in weight_groups(model).items()}


def norms(vectors: dict[str, Tensor]) -> dict[str, float]:
    """Frobenius norm of each group: the 2-norm of all its entries together."""
    return {name: float(v.norm()) for name, v in vectors.items()}


def spectral_norms(model: Transformer) -> dict[str, float]:
    """Largest singular value of each matrix; NaN for one that has diverged."""
    with torch.no_grad():
        return {
            f"spectral/{name}": float(torch.linalg.matrix_norm(matrix, 2))
            if matrix.isfinite().all()
            else math.nan
            for _, name, matrix in matrices(model)
        }


def calibration(optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor]) -> float | None:
    """Sum of squared gradients over the sum of Adam's bias-corrected v_t, as it stands before it
    sees these gradients: 1 on average if v_t is a calibrated estimate; None at the first step."""
    squared, estimated = 0.0, 0.0
    for group in optimizer.param_groups:
        for p in group["params"]:
            if p.grad is None or not any(p is wanted for wanted in parameters):
                continue
            state = optimizer.state[p]
            if not state:
                return None
            correction = 1 - group["betas"][1] ** float(state["step"])
            squared += float(p.grad.square().sum())
            estimated += float(state["exp_avg_sq"].sum()) / correction
    return squared / estimated if estimated else None


def slices(sentence: Sentence) -> Iterator[str]:
    """The slices a sentence counts for: its regularity and its tense, within its split."""
    yield f"{sentence.split}/{'regular' if sentence.regular else 'irregular'}"
    yield f"{sentence.split}/{sentence.tense}"


@cache
def _table() -> tuple[tuple[Sentence, ...], Tensor, Tensor]:
    everything = corpus.sentences()
    return (everything, *corpus.padded(everything))


@torch.no_grad()
def evaluate(model: Transformer) -> tuple[dict[str, float], list[bool]]:
    """Losses and per-slice accuracy over all 300 sentences, and which are spelled right.

    Losses are mean nats per predicted token, over a whole split, both from this same model:
    in all, over the two feature tokens (tense, person) and over the form (characters and end).
    ``gap`` is the difference of the two; ``gap_features`` and ``gap_form`` are what the two parts
    of a sentence contribute to it.

    Accuracy is greedy exact match of the form. Teacher forcing decides it: greedy decoding from
    the features gives the right form exactly if at each of its positions the right token is the
    most likely one after the right prefix.
    """
    sentences, inputs, targets = _table()
    model.eval()
    # In parts: 300 sentences at once need so much memory that getting it takes half the time.
    logits = torch.cat([model(part) for part in torch.split(inputs, PART)])
    loss = F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=-1, reduction="none")
    valid = targets >= 0
    in_form = valid & (torch.arange(targets.shape[1]) >= corpus.FEATURE_COUNT - 1)
    correct = ((logits.argmax(-1) == targets) | ~in_form).all(1)
    measured: dict[str, float] = {}
    share: dict[tuple[str, str], float] = {}
    for split in SPLITS:
        rows = torch.tensor([s.split == split for s in sentences])[:, None]
        for suffix, kind in (("", valid), ("_features", valid & ~in_form), ("_form", in_form)):
            measured[f"{split}_loss{suffix}"] = float(loss[rows & kind].mean())
            # What this part adds to the loss of the whole sentence: the two parts sum to it.
            share[split, suffix] = float(loss[rows & kind].sum() / (rows & valid).sum())
    for suffix in ("", "_features", "_form"):
        measured[f"gap{suffix}"] = share["val", suffix] - share["train", suffix]
    hits: dict[str, list[bool]] = {}
    flags = correct.tolist()
    for sentence, hit in zip(sentences, flags, strict=True):
        for name in slices(sentence):
            hits.setdefault(name, []).append(hit)
    measured |= {f"accuracy/{name}": sum(h) / len(h) for name, h in hits.items()}
    return measured, flags


@torch.no_grad()
def greedy_forms(model: Transformer, sentences: Sequence[Sentence]) -> list[str]:
    """What the model writes for each sentence's features, most likely token first."""
    model.eval()
    ids = torch.tensor([s.tokens[: corpus.FEATURE_COUNT] for s in sentences])
    while ids.shape[1] < corpus.CONTEXT:
        ids = torch.cat([ids, model(ids)[:, -1].argmax(-1, keepdim=True)], 1)
    return [corpus.decode(row[corpus.FEATURE_COUNT :]) for row in ids.tolist()]
