"""Ranks, norms and dormant units against their definitions, on the full products."""

from __future__ import annotations

import math

import pytest
import torch

from weightdecay.plasticity import mechanisms

HEADS, D_HEAD, D = 4, 6, 24


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_spectra_are_those_of_the_full_products_head_by_head(kv_heads: int) -> None:
    w_q, w_o = randn(HEADS * D_HEAD, D, seed=1), randn(D, HEADS * D_HEAD, seed=4)
    w_k, w_v = (randn(kv_heads * D_HEAD, D, seed=s) for s in (2, 3))
    qk = mechanisms.query_key_spectrum(w_q, w_k, HEADS, kv_heads)
    vp = mechanisms.value_projection_spectrum(w_v, w_o, HEADS, kv_heads)
    assert qk.shape == vp.shape == (HEADS, D_HEAD)
    for h in range(HEADS):
        own = slice(h * D_HEAD, (h + 1) * D_HEAD)
        shared = h * kv_heads // HEADS  # the key and value head of this query head
        kv = slice(shared * D_HEAD, (shared + 1) * D_HEAD)
        for found, product in ((qk[h], w_k[kv].T @ w_q[own]), (vp[h], w_o[:, own] @ w_v[kv])):
            full = torch.linalg.svdvals(product)
            torch.testing.assert_close(found, full[:D_HEAD], rtol=1e-10, atol=1e-10)
            assert float(full[D_HEAD:].max()) < 1e-10


def pseudo_rank_by_loop(values: list[float], n: int) -> float:
    ordered = sorted(values, reverse=True)
    k = 0
    while sum(ordered[:k]) < 0.95 * sum(ordered):
        k += 1
    return k / n


@pytest.mark.parametrize("decay", [0.0, 0.3, 1.0, 5.0])
def test_pseudo_rank_is_the_smallest_share_that_reaches_95_percent(decay: float) -> None:
    values = randn(5, 12).abs() * torch.exp(-decay * torch.arange(12.0))[torch.randperm(12)]
    wanted = [pseudo_rank_by_loop(row.tolist(), 30) for row in values]
    assert mechanisms.pseudo_rank(values, 30).tolist() == pytest.approx(wanted)
    assert mechanisms.pseudo_rank(values, 12).tolist() == pytest.approx([w * 2.5 for w in wanted])


def test_pseudo_rank_of_hand_made_spectra() -> None:
    assert float(mechanisms.pseudo_rank(torch.tensor([7.0, 0, 0, 0]), 4)) == 1 / 4
    assert float(mechanisms.pseudo_rank(torch.ones(40), 40)) == 38 / 40  # 38 are exactly 95 %
    assert float(mechanisms.pseudo_rank(torch.tensor([94.0, 1, 5]), 3)) == 2 / 3


def test_effective_rank_of_equal_values_is_their_number_and_no_rank_is_larger() -> None:
    assert float(mechanisms.effective_rank(torch.full((7,), 3.5))) == pytest.approx(7)
    assert float(mechanisms.effective_rank(torch.tensor([2.0, 2, 0, 0, 0]))) == pytest.approx(2)
    p = [0.7, 0.2, 0.1]
    wanted = math.exp(-sum(q * math.log(q) for q in p))
    assert float(mechanisms.effective_rank(5 * torch.tensor(p))) == pytest.approx(wanted)
    some = mechanisms.effective_rank(randn(50, 9).abs())
    assert (some < 9).all()
    assert (some > 1).all()


def test_norms_and_their_shares_of_the_squares() -> None:
    found = mechanisms.norm_shares(
        [("a", torch.tensor([[3.0, 4.0]])), ("b", torch.full((25,), 3.0))]
    )
    assert list(found) == ["a", "b"]
    assert [*found["a"], *found["b"]] == pytest.approx([5, 0.1, 15, 0.9])


def test_a_unit_is_dormant_below_one_percent() -> None:
    activations = torch.full((200, 4), -1.0)
    activations[:1, 1] = 1.0  # 0.5 %
    activations[:2, 2] = 1.0  # 1 %
    activations[:, 3] = 1.0
    assert mechanisms.dormant_share(activations) == 0.5
    assert mechanisms.dormant_share(torch.zeros(3, 2)) == 1.0
