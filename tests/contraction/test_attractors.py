"""Attractors of maps whose fixed points are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from weightdecay.contraction.attractors import basin, iterate, spectral_radius

TARGETS = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)


def two_wells(x: Tensor) -> Tensor:
    """Fixed points -1, 0 and 1 with slopes 0.5, 1.25 and 0.5; from (0, 1] every start goes to 1."""
    return x + 0.25 * (x - x**3)


def test_spectral_radius_is_of_eigenvalues_and_not_of_singular_values() -> None:
    shear = nn.Linear(2, 2, bias=False).double()
    with torch.no_grad():
        shear.weight.copy_(torch.tensor([[0.5, 10.0], [0.0, 0.25]]))
    found = spectral_radius(shear, torch.zeros(1, 2, dtype=torch.float64)).detach()
    assert float(found) == pytest.approx(0.5)  # its spectral norm is over 10


def test_a_rotation_has_complex_eigenvalues_of_its_factor() -> None:
    turn = torch.tensor([[0.0, -0.9], [0.9, 0.0]], dtype=torch.float64)
    found = spectral_radius(lambda x: x @ turn.T, torch.zeros(1, 2, dtype=torch.float64))
    assert float(found) == pytest.approx(0.9)


def test_slopes_of_the_two_wells() -> None:
    x = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)
    assert spectral_radius(two_wells, x).tolist() == pytest.approx([0.5, 1.25, 0.5])


def test_iterates_come_to_the_well_of_their_side() -> None:
    x = torch.tensor([[-0.3], [0.2], [1.4]], dtype=torch.float64)
    assert iterate(two_wells, x, 200).flatten().tolist() == pytest.approx([-1, 1, 1])
    assert torch.equal(iterate(two_wells, x, 0), x)


def test_basin_is_all_near_a_well_and_half_where_the_other_side_belongs_to_the_other() -> None:
    generator = torch.Generator().manual_seed(0)
    near = basin(two_wells, TARGETS, 0.5, 50, 200, 1e-3, generator)
    assert near.tolist() == [1.0, 1.0]
    # 1.2 away from 1 is -0.2, which goes to -1, or 2.2, which goes on and off beyond.
    far = basin(two_wells, TARGETS, 1.2, 200, 200, 1e-3, generator)
    assert (far < 0.65).all()


def test_a_map_to_another_space_cannot_be_repeated() -> None:
    with pytest.raises(ValueError, match="from 3 to 2 numbers cannot be repeated"):
        spectral_radius(nn.Linear(3, 2), torch.zeros(1, 3))
