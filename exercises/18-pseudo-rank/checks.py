"""Checks of 18-pseudo-rank: exact sums, scores as a transformer makes them, whole numbers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from heapq import nlargest
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from weightdecay.grading import expect


def spectrum(rng: np.random.Generator, m: int) -> list[float]:
    """Singular values of very different size, in no order."""
    return [float(s) for s in rng.exponential(1, m) ** 2]


def smallest_k(values: list[float], share: Fraction) -> int:
    """One after another, in exact arithmetic."""
    exact = [Fraction(v) for v in values]
    return next(
        k for k in range(1, len(exact) + 1) if sum(nlargest(k, exact)) >= share * sum(exact)
    )


def compare(
    pseudo_rank: Callable[..., Any], values: list[float], n: int, share: str = "0.95"
) -> None:
    given = torch.tensor(values, dtype=torch.float64)
    expect(
        pseudo_rank(given, n, float(share)),
        smallest_k(values, Fraction(share)) / n,
        inputs={"singular_values": given, "n": n, "share": float(share)},
        what="the pseudo-rank",
    )


# ---------------------------------------------------------------------------------- Part 1


@pytest.mark.points(2)
def test_largest_first(pseudo_rank: Callable[..., Any], rng: np.random.Generator) -> None:
    """of singular values in falling order: the smallest k that reaches the share, over n"""
    for m in (10, 30, 60):
        compare(pseudo_rank, sorted(spectrum(rng, m), reverse=True), m)
        compare(pseudo_rank, sorted(spectrum(rng, m), reverse=True), m, share="0.8")


@pytest.mark.points(1)
def test_any_order(pseudo_rank: Callable[..., Any], rng: np.random.Generator) -> None:
    """the order of the list does not matter"""
    for m in (10, 30, 60):
        compare(pseudo_rank, sorted(spectrum(rng, m)), m)
        compare(pseudo_rank, spectrum(rng, m), m)


@pytest.mark.points(1)
def test_reaches(pseudo_rank: Callable[..., Any], rng: np.random.Generator) -> None:
    """a sum that is exactly the share is enough"""
    for m in (4, 8, 16):
        equal = [2.0 ** float(rng.integers(-3, 4))] * m
        compare(pseudo_rank, equal, m, share="0.5")
        compare(pseudo_rank, equal, m, share="0.75")


@pytest.mark.points(1)
def test_n(pseudo_rank: Callable[..., Any], rng: np.random.Generator) -> None:
    """n is what we say, for shorter lists and for longer ones, and zeros change nothing"""
    for m in (10, 30):
        values = spectrum(rng, m)
        compare(pseudo_rank, values, 4 * m)
        compare(pseudo_rank, [*values, *[0.0] * m], m)


@pytest.mark.points(1)
@pytest.mark.hidden
def test_scale(pseudo_rank: Callable[..., Any], rng: np.random.Generator) -> None:
    """a matrix that is much smaller or larger has the same pseudo-rank"""
    values = spectrum(rng, 40)
    for factor in (1e-8, 1e8):
        compare(pseudo_rank, [factor * v for v in values], 40)


# ---------------------------------------------------------------------------------- Part 2


def scores(w_q: Tensor, w_k: Tensor, heads: int, tokens: Tensor) -> Tensor:
    """(heads, query, key), as a transformer computes them."""
    q, k = (F.linear(tokens, w).view(len(tokens), heads, -1).transpose(0, 1) for w in (w_q, w_k))
    return q @ k.transpose(1, 2)


def compare_scores(
    query_key: Callable[..., Any], rng: np.random.Generator, heads: int, d_head: int, n_embed: int
) -> None:
    """As many tokens as dimensions: they leave no entry of the matrix open."""
    w_q, w_k = torch.from_numpy(rng.normal(size=(2, heads * d_head, n_embed)))
    tokens = torch.from_numpy(rng.normal(size=(n_embed, n_embed)))
    inputs = {"w_q": w_q, "w_k": w_k, "heads": heads}
    found = query_key(w_q, w_k, heads)
    shape = (heads, n_embed, n_embed)
    expect(tuple(getattr(found, "shape", ())), shape, inputs, what="the shape of the result")
    expect(
        torch.einsum("ji,hik,lk->hlj", tokens, found.double(), tokens),
        scores(w_q, w_k, heads, tokens),
        inputs=inputs,
        atol=1e-6,
        what="the scores (head, query, key) that follow from the result",
    )


@pytest.mark.points(2)
def test_one_head(query_key: Callable[..., Any], rng: np.random.Generator) -> None:
    """one head: yᵀ W x is the score of the query of x and the key of y"""
    compare_scores(query_key, rng, heads=1, d_head=3, n_embed=7)


@pytest.mark.points(2)
def test_heads(query_key: Callable[..., Any], rng: np.random.Generator) -> None:
    """several heads: each has a matrix that gives its own scores"""
    compare_scores(query_key, rng, heads=3, d_head=2, n_embed=6)
    compare_scores(query_key, rng, heads=2, d_head=4, n_embed=5)


@pytest.mark.points(1)
@pytest.mark.hidden
def test_rank(query_key: Callable[..., Any], rng: np.random.Generator) -> None:
    """the matrix of each head has the rank d_head"""
    w_q, w_k = torch.from_numpy(rng.normal(size=(2, 12, 12)))
    found = torch.linalg.matrix_rank(query_key(w_q, w_k, 4))
    inputs = {"w_q": w_q, "w_k": w_k, "heads": 4}
    expect(found.tolist(), [3, 3, 3, 3], inputs, what="the ranks")


# ---------------------------------------------------------------------------------- Part 3


@pytest.mark.points(2)
def test_highest(highest: Callable[..., Any], rng: np.random.Generator) -> None:
    """the pseudo-rank of the head whose singular values take longest to reach the share"""
    for d_head in (1, 8, 19, 20, 21, 64, 100, int(rng.integers(22, 60)), 128):
        n_embed = d_head * int(rng.integers(2, 17))
        k = next(k for k in range(1, d_head + 1) if 100 * k >= 95 * d_head)  # all are equal
        expect(
            highest(n_embed, d_head),
            k / n_embed,
            inputs={"n_embed": n_embed, "d_head": d_head},
            what="the largest pseudo-rank",
        )
