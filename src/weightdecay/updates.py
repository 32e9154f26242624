"""What an update of the weights changed: how many, in how many directions, and the same ones?

An entry counts as unchanged if it moved by at most 1e-5 (Mukherjee et al., arXiv 2505.11711). The
same weights written in bfloat16 agree more often than that: near 0.02 its numbers lie 1.2e-4
apart, so the format makes sparsity by itself (Zhu et al., arXiv 2511.08567).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCE = 1e-5
Weights: TypeAlias = Mapping[str, Tensor]
"""Name to tensor, as ``state_dict`` gives them."""


def changed(before: Tensor, after: Tensor, *, bf16: bool = False) -> Tensor:
    """Where an entry moved by more than 1e-5; with `bf16` after a cast of both to bfloat16."""
    if bf16:
        before, after = before.bfloat16().float(), after.bfloat16().float()
    return (after - before).abs() > TOLERANCE


def changed_share(before: Weights, after: Weights, *, bf16: bool = False) -> float:
    """Share of all entries that changed; *sparsity* is 1 less this.

    Raises:
        ValueError: for other names or shapes.
    """
    _require_alike(before, after)
    counts = [changed(before[n], after[n], bf16=bf16) for n in before]
    return sum(int(c.sum()) for c in counts) / sum(c.numel() for c in counts)


def update_rank(before: Weights, after: Weights) -> float:
    """Mean rank of the update of each matrix over its largest possible rank (torch's tolerance)."""
    _require_alike(before, after)
    updates = [after[n].double() - before[n].double() for n in before if before[n].dim() == 2]
    shares = [int(torch.linalg.matrix_rank(u)) / min(u.shape) for u in updates]
    return sum(shares) / len(shares)


def relative_norm(before: Weights, after: Weights) -> float:
    """Norm of the update over the norm of the weights before it, all tensors together."""
    _require_alike(before, after)
    old, new = (torch.cat([w[n].flatten() for n in before]).double() for w in (before, after))
    return float((new - old).norm() / old.norm())


def overlap(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Of two sets of changed entries, masks of one shape: the share of `a` that is in `b`, and what
    it would be if `b` lay at random, the share of all entries that `b` has."""
    return float((a & b).sum() / a.sum()), float(b.double().mean())


def overlap_by_size(a: Tensor, b: Tensor, size: Tensor, bins: int = 50) -> float:
    """What `overlap` of masks (n,) would be if, among entries of like size (n,), which ones are in
    `a` and which in `b` had nothing to do with one another."""
    parts = [(a[i].double(), b[i].double()) for i in size.argsort().tensor_split(bins)]
    return float(sum(of_a.sum() * of_b.mean() for of_a, of_b in parts) / a.sum())


def kl(base_logits: Tensor, logits: Tensor) -> Tensor:
    """(...) KL(base || model) in nats of two distributions given by logits (..., V)."""
    log_p, log_q = base_logits.log_softmax(-1), logits.log_softmax(-1)
    found: Tensor = F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1)
    return found


def entropy(logits: Tensor) -> Tensor:
    """(...) in nats, of logits (..., V)."""
    found: Tensor = torch.special.entr(logits.softmax(-1)).sum(-1)
    return found


def _require_alike(a: Weights, b: Weights) -> None:
    shapes = [{name: tuple(t.shape) for name, t in w.items()} for w in (a, b)]
    if shapes[0] != shapes[1]:
        different = sorted(set(shapes[0].items()) ^ set(shapes[1].items()))
        raise ValueError(f"the weights differ in {different[0][0]}")
