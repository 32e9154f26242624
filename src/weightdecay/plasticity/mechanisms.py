"""What decay does to the weights: ranks of attention products, norms and their shares.

The functions take plain tensors in torch's layout, so that those of a small model and those of a
real one are measured alike. Definitions: pseudo-rank, Kobayashi et al. (arXiv 2410.23819);
effective rank and dormant units, Dohare et al. (Nature 2024).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

SHARE = 0.95
"""Of the sum of the singular values, which the pseudo-rank asks for."""
DORMANT = 0.01
"""A unit active on a smaller share of the samples is dormant."""


def pseudo_rank(singular_values: Tensor, n: int) -> Tensor:
    """k / n with the smallest k whose largest singular values make up 95% of the sum of all.

    Args:
        singular_values: (..., r), in any order.
        n: what full rank is to mean: the paper has n_embed for W_QK, whose rank is d_head at most.

    Returns:
        (...)
    """
    ordered = singular_values.double().sort(-1, descending=True).values
    reached = ordered.cumsum(-1) >= SHARE * ordered.sum(-1, keepdim=True)
    k: Tensor = reached.shape[-1] - reached.sum(-1) + 1
    return k.double() / n


def effective_rank(singular_values: Tensor) -> Tensor:
    """exp of the entropy of singular values (..., r) over their sum."""
    p = singular_values.double() / singular_values.double().sum(-1, keepdim=True)
    entropy: Tensor = torch.special.entr(p).sum(-1)
    return entropy.exp()


def query_key_spectrum(w_q: Tensor, w_k: Tensor, n_head: int, n_kv_head: int) -> Tensor:
    """Singular values of each head's W_QK = W_K^T W_Q.

    Args:
        w_q, w_k: (n_head d_head, n_embed) and (n_kv_head d_head, n_embed).

    Returns:
        (n_head, d_head); the other n_embed - d_head are 0.
    """
    q = torch.unflatten(w_q, 0, (n_head, -1))  # (h, dh, d)
    k = torch.unflatten(w_k, 0, (n_kv_head, -1)).repeat_interleave(n_head // n_kv_head, 0)
    return _product_spectrum(k.transpose(-1, -2), q)


def value_projection_spectrum(w_v: Tensor, w_o: Tensor, n_head: int, n_kv_head: int) -> Tensor:
    """Singular values of each head's W_VP = W_P W_V.

    Args:
        w_v: (n_kv_head d_head, n_embed); w_o: (n_embed, n_head d_head).

    Returns:
        (n_head, d_head)
    """
    v = torch.unflatten(w_v, 0, (n_kv_head, -1)).repeat_interleave(n_head // n_kv_head, 0)
    p = torch.unflatten(w_o, 1, (n_head, -1)).transpose(0, 1)  # (h, d, dh)
    return _product_spectrum(p, v)


def _product_spectrum(tall: Tensor, wide: Tensor) -> Tensor:
    """Of tall (h, d, r) times wide (h, r, d), by way of the small factors of each: (h, r)."""
    left = torch.linalg.qr(tall.double()).R  # an orthonormal factor changes no singular value
    right = torch.linalg.qr(wide.double().transpose(-1, -2)).R
    values: Tensor = torch.linalg.svdvals(left @ right.transpose(-1, -2))
    return values


def norm_shares(tensors: Iterable[tuple[str, Tensor]]) -> dict[str, tuple[float, float]]:
    """Name to the tensor's Frobenius norm and to its share of the sum of squares of all."""
    norms = {name: float(torch.linalg.vector_norm(t.detach().double())) for name, t in tensors}
    total = sum(norm**2 for norm in norms.values())
    return {name: (norm, norm**2 / total) for name, norm in norms.items()}


def dormant_share(activations: Tensor) -> float:
    """Share of units active (> 0) on less than 1% of samples.

    Args:
        activations: (samples, units).
    """
    active = (activations > 0).double().mean(0)
    return float((active < DORMANT).double().mean())
