"""Sparsity, rank and overlap of updates that are made to measure; KL and entropy against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from weightdecay.updates import (
    changed,
    changed_share,
    entropy,
    kl,
    overlap,
    overlap_by_size,
    relative_norm,
    update_rank,
)


def test_an_entry_counts_as_changed_beyond_the_tolerance() -> None:
    before = torch.zeros(4)
    after = torch.tensor([0.0, 0.9e-5, 1.1e-5, -1.0])
    assert changed(before, after).tolist() == [False, False, True, True]


def test_bfloat16_hides_a_change_that_float32_has() -> None:
    """Between 1/64 and 1/32 the numbers of bfloat16 lie 2^-13 apart, 1.2e-4."""
    before = torch.full((1000,), 0.02)
    after = before + 3e-5
    assert changed_share({"w": before}, {"w": after}) == 1.0
    assert changed_share({"w": before}, {"w": after}, bf16=True) == 0.0
    spread = torch.linspace(1 / 64, 1 / 32, 100_000)
    share = changed_share({"w": spread}, {"w": spread + 3e-5}, bf16=True)
    assert share == pytest.approx(3e-5 * 2**13, abs=0.01)  # what crosses a midpoint


def test_share_is_over_all_entries_and_not_over_tensors() -> None:
    before = {"large": torch.zeros(3, 3), "small": torch.zeros(1)}
    after = {"large": torch.zeros(3, 3), "small": torch.ones(1)}
    assert changed_share(before, after) == pytest.approx(0.1)


def test_rank_of_an_update_is_not_that_of_the_weights() -> None:
    torch.manual_seed(0)
    before = {"w": torch.randn(6, 8), "gain": torch.ones(8)}
    u, v = torch.randn(6, 2), torch.randn(2, 8)
    after = {"w": before["w"] + u @ v, "gain": before["gain"] * 2}
    # In float32 the sum rounds: an update of rank 2 is read off weights in double precision.
    exact = {n: t.double() for n, t in before.items()}
    moved = {**exact, "w": exact["w"] + u.double() @ v.double()}
    assert update_rank(exact, moved) == pytest.approx(2 / 6)
    assert update_rank(before, after) >= 2 / 6
    assert update_rank(before, {**before, "w": before["w"] + torch.randn(6, 8)}) == 1


def test_overlap_stands_beside_what_chance_gives() -> None:
    a = torch.tensor([True, True, False, False])
    b = torch.tensor([True, False, True, False])
    assert overlap(a, b) == (0.5, 0.5)
    assert overlap(a, a) == (1.0, 0.5)


def test_overlap_by_size_knows_what_size_alone_explains() -> None:
    """Small entries change and large ones do not, which of the small ones is left to chance."""
    rng = torch.Generator().manual_seed(0)
    size = torch.rand(100_000, generator=rng)
    small = size < 0.5
    a, b = (small & (torch.rand(size.shape, generator=rng) < 0.5) for _ in range(2))
    found, chance = overlap(a, b)
    assert chance == pytest.approx(0.25, abs=0.01)
    assert found == pytest.approx(0.5, abs=0.01)  # twice what chance gives
    assert overlap_by_size(a, b, size) == pytest.approx(found, abs=0.01)
    assert overlap_by_size(a, b, size, bins=1) == pytest.approx(chance)
    assert overlap(a, a)[0] > 1.9 * overlap_by_size(a, a, size)


def test_relative_norm_is_over_all_tensors_whatever_their_order() -> None:
    before = {"a": torch.tensor([3.0]), "b": torch.tensor([[0.0], [4.0]])}
    after = {"b": torch.tensor([[0.0], [5.0]]), "a": torch.tensor([3.0])}
    assert relative_norm(before, after) == pytest.approx(1 / 5)


def test_kl_and_entropy_are_scipys() -> None:
    p, q = torch.randn(2, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    a, b = p.softmax(-1).numpy(), q.softmax(-1).numpy()
    assert np.allclose(kl(p, q), stats.entropy(a, b, axis=-1))
    assert np.allclose(entropy(p), stats.entropy(a, axis=-1))
    assert torch.allclose(kl(p, p), torch.zeros(5, dtype=torch.float64))


def test_weights_of_two_models_are_refused() -> None:
    with pytest.raises(ValueError, match="the weights differ in w"):
        changed_share({"w": torch.zeros(2)}, {"w": torch.zeros(3)})
