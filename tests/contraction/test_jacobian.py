"""Jacobian norms against closed forms, finite differences and the full matrix."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from weightdecay.contraction.jacobian import (
    frobenius,
    hutchinson,
    jacobian,
    local_lipschitz,
    spectral,
)


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 4)).double()


def points(n: int = 5, seed: int = 1) -> Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_of_a_linear_map_it_is_the_matrix_everywhere() -> None:
    layer = nn.Linear(3, 4).double()
    w = layer.weight.detach()
    assert torch.allclose(jacobian(layer, points()), w.expand(5, 4, 3))
    assert torch.allclose(frobenius(layer, points()), w.norm().expand(5))
    assert torch.allclose(spectral(layer, points()), torch.linalg.matrix_norm(w, 2).expand(5))
    found = local_lipschitz(layer, points(), radius=2.0, draws=3)
    assert torch.allclose(found, torch.linalg.matrix_norm(w, 2).expand(5))


def test_of_a_relu_network_it_is_the_product_over_the_open_units() -> None:
    torch.manual_seed(2)
    first, second = nn.Linear(3, 8).double(), nn.Linear(8, 2).double()
    x = points()
    is_open = (first(x) > 0).double()  # (N, 8): the region that a point lies in
    expected = torch.einsum("oh,nh,hi->noi", second.weight, is_open, first.weight)
    found = jacobian(nn.Sequential(first, nn.ReLU(), second), x)
    assert torch.allclose(found, expected)


def test_agrees_with_finite_differences() -> None:
    model, x, h = network(), points(), 1e-6
    columns = [
        (model(x + h * e) - model(x - h * e)) / (2 * h) for e in torch.eye(3, dtype=torch.float64)
    ]
    assert torch.allclose(jacobian(model, x), torch.stack(columns, -1), atol=1e-8)


def test_norms_are_those_of_the_full_matrix() -> None:
    model, x = network(), points()
    full = jacobian(model, x).detach()
    assert torch.allclose(frobenius(model, x), full.square().sum((1, 2)).sqrt())
    assert torch.allclose(spectral(model, x, 300), torch.linalg.svdvals(full)[:, 0], rtol=1e-6)


def test_hutchinson_is_unbiased_and_knows_its_error() -> None:
    model, x = network(), points(40)
    truth = frobenius(model, x).detach().square()
    found = hutchinson(model, x, 64, torch.Generator().manual_seed(0))
    z = ((found.mean - truth) / found.standard_error).detach()
    # 40 nearly standard normal numbers: a wrong mean or a wrong error would show.
    assert abs(float(z.mean())) < 4 / 40**0.5
    assert 0.6 < float(z.std()) < 1.6
    more = hutchinson(model, x, 64 * 16, torch.Generator().manual_seed(1))
    ratio = (found.standard_error / more.standard_error).median()
    assert 3 < float(ratio) < 5  # a quarter of the error for sixteen times the draws


def test_a_ball_holds_at_least_what_its_center_has_and_never_more_than_the_layers_allow() -> None:
    model, x = network(), points()
    bound = torch.linalg.matrix_norm(model[0].weight, 2) * torch.linalg.matrix_norm(
        model[2].weight, 2
    )
    generator = torch.Generator().manual_seed(3)
    found = local_lipschitz(model, x, radius=1.0, draws=20, generator=generator).detach()
    assert (found >= spectral(model, x, 100).detach() - 1e-6).all()
    assert (found <= bound.detach()).all()
    assert float((found - spectral(model, x).detach()).max()) > 1e-3


def test_one_draw_has_no_error_to_tell() -> None:
    with pytest.raises(ValueError, match=r"draws = 1; expected 2 or more"):
        hutchinson(network(), points(), 1)
