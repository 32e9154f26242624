"""Wrong answers to 18-pseudo-rank that people give."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightdecay.grading import Mistake

Measure = Callable[..., float]


# ------------------------------------------------------------------------------------ probes


def probe_pseudo_rank(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """Lists in no order, shorter than n; if they are right, one that reaches the share exactly."""
    drawn = [torch.from_numpy(rng.exponential(1, m) ** 2) for m in (20, 40, 60, 80, 100)]
    found = [float(f(values, 128, 0.7)) for values in drawn]
    if found != [right(values, 128, 0.7) for values in drawn]:
        return found
    equal = torch.full((8,), 2.0, dtype=torch.float64)
    return "right" if float(f(equal, 8, 0.5)) == 0.5 else "more than the share"


def probe_query_key(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    w_q, w_k = torch.from_numpy(rng.normal(size=(2, 6, 5)))
    return f(w_q, w_k, 3)


def probe_highest(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    return [float(f(1024, d_head)) for d_head in (8, 31, 50, 64, 100, 128)]


# ------------------------------------------------------------------------------- pseudo_rank


def counted(sums: Tensor, share: float) -> int:
    """Right, for sums that grow."""
    return int((sums < share * sums[-1]).sum()) + 1


def right(values: Tensor, n: int, share: float = 0.95) -> float:
    return counted(values.sort(descending=True).values.cumsum(0), share) / n


def of_squares(values: Tensor, n: int, share: float = 0.95) -> float:
    return right(values.square(), n, share)


def one_less(values: Tensor, n: int, share: float = 0.95) -> float:
    return right(values, n, share) - 1 / n


def strictly_more(values: Tensor, n: int, share: float = 0.95) -> float:
    sums = values.sort(descending=True).values.cumsum(0)
    return (int((sums <= share * sums[-1]).sum()) + 1) / n


def one_more(values: Tensor, n: int, share: float = 0.95) -> float:
    return right(values, n, share) + 1 / n


def as_given(values: Tensor, n: int, share: float = 0.95) -> float:
    return counted(values.cumsum(0), share) / n


def smallest_first(values: Tensor, n: int, share: float = 0.95) -> float:
    return counted(values.sort().values.cumsum(0), share) / n


def relative_to_largest(
    values: Tensor, n: int, share: float = 0.95, *, of: Callable[[float], float]
) -> float:
    return int((values > of(share) * values.max()).sum()) / n


def only_k(values: Tensor, n: int, share: float = 0.95) -> float:
    return right(values, 1, share)


def own_n(values: Tensor, n: int, share: float = 0.95) -> float:
    return right(values, len(values), share)


def entropy(values: Tensor, n: int, share: float = 0.95) -> float:
    return float(torch.special.entr(values / values.sum()).sum().exp()) / n


# --------------------------------------------------------------------------------- query_key


def cut(w: Tensor, heads: int) -> Tensor:
    return w.view(heads, -1, w.shape[1])


def units_by_units(w_q: Tensor, w_k: Tensor, heads: int) -> Tensor:
    return cut(w_q, heads) @ cut(w_k, heads).mT


def keys_first(w_q: Tensor, w_k: Tensor, heads: int) -> Tensor:
    return cut(w_k, heads) @ cut(w_q, heads).mT


def all_units(w_q: Tensor, w_k: Tensor, heads: int) -> Tensor:
    return w_q @ w_k.T


def transposed(w_q: Tensor, w_k: Tensor, heads: int) -> Tensor:
    return cut(w_q, heads).mT @ cut(w_k, heads)


def all_heads(w_q: Tensor, w_k: Tensor, heads: int) -> Tensor:
    return w_k.T @ w_q


def all_heads_each(w_q: Tensor, w_k: Tensor, heads: int) -> Tensor:
    return (w_k.T @ w_q).expand(heads, -1, -1)


def interleaved(w_q: Tensor, w_k: Tensor, heads: int) -> Tensor:
    q, k = (w.view(-1, heads, w.shape[1]).transpose(0, 1) for w in (w_q, w_k))
    return k.mT @ q


def divided(w_q: Tensor, w_k: Tensor, heads: int) -> Tensor:
    return cut(w_k, heads).mT @ cut(w_q, heads) / math.sqrt(len(w_q) // heads)


# ----------------------------------------------------------------------------------- highest


def rank_bound(n_embed: int, d_head: int) -> float:
    return d_head / n_embed


def not_whole(n_embed: int, d_head: int) -> float:
    return 0.95 * d_head / n_embed


def rounded_down(n_embed: int, d_head: int) -> float:
    return math.floor(0.95 * d_head) / n_embed


def rounded(n_embed: int, d_head: int) -> float:
    return round(0.95 * d_head) / n_embed


def next_number(n_embed: int, d_head: int) -> float:
    return (math.floor(0.95 * d_head) + 1) / n_embed


def full_matrix(n_embed: int, d_head: int) -> float:
    return math.ceil(0.95 * n_embed) / n_embed


def over_d_head(n_embed: int, d_head: int) -> float:
    return math.ceil(0.95 * d_head) / d_head


PROBES = {
    "pseudo_rank": probe_pseudo_rank,
    "query_key": probe_query_key,
    "highest": probe_highest,
}
MISTAKES = [
    Mistake("energy", "pseudo_rank", of_squares),
    Mistake("one-too-few", "pseudo_rank", one_less),
    Mistake("one-too-many", "pseudo_rank", one_more),
    Mistake("more-than-the-share", "pseudo_rank", strictly_more),
    Mistake("not-sorted", "pseudo_rank", as_given),
    Mistake("smallest-first", "pseudo_rank", smallest_first),
    Mistake(
        "relative-to-largest", "pseudo_rank", partial(relative_to_largest, of=lambda share: share)
    ),
    Mistake(
        "relative-to-largest",
        "pseudo_rank",
        partial(relative_to_largest, of=lambda share: 1 - share),
    ),
    Mistake(
        "relative-to-largest", "pseudo_rank", partial(relative_to_largest, of=lambda share: 1e-10)
    ),
    Mistake("not-divided", "pseudo_rank", only_k),
    Mistake("another-n", "pseudo_rank", own_n),
    Mistake("effective-rank", "pseudo_rank", entropy),
    Mistake("wrong-side", "query_key", units_by_units),
    Mistake("wrong-side", "query_key", keys_first),
    Mistake("wrong-side", "query_key", all_units),
    Mistake("transposed", "query_key", transposed),
    Mistake("heads-mixed", "query_key", all_heads),
    Mistake("heads-mixed", "query_key", all_heads_each),
    Mistake("interleaved", "query_key", interleaved),
    Mistake("divided-by-root", "query_key", divided),
    Mistake("only-the-rank", "highest", rank_bound),
    Mistake("not-a-count", "highest", not_whole),
    Mistake("rounded-wrong", "highest", rounded_down),
    Mistake("rounded-wrong", "highest", rounded),
    Mistake("rounded-wrong", "highest", next_number),
    Mistake("full-matrix", "highest", full_matrix),
    Mistake("over-d-head", "highest", over_d_head),
]
