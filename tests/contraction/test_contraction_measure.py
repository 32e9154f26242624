"""What is measured, on maps of which it is known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from weightdecay.contraction import problems, train
from weightdecay.contraction.measure import log_jacobians, measure

PLACES = ("train", "held-out", "off-data")


class Halved(nn.Module):
    """x^2 / 2, entry by entry: J is the diagonal of x."""

    def forward(self, x: Tensor) -> Tensor:
        return x.square() / 2


class ToNearest(nn.Module):
    """Half of the way to the nearest of some points: each of them attracts all that is near it."""

    def __init__(self, points: Tensor, factor: float) -> None:
        super().__init__()
        self.register_buffer("points", points)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        points = self.get_buffer("points")
        nearest = points[(x[:, None] - points).norm(dim=-1).argmin(-1)]
        return nearest + self.factor * (x - nearest)


def test_of_a_linear_map_log_j_is_that_of_the_matrix_everywhere() -> None:
    torch.manual_seed(0)
    model = nn.Linear(2, 1)
    found = measure(model, problems.regression(0), "regression", 0)
    w = model.weight.detach()
    for place in PLACES:
        assert found[f"F/{place}"] == pytest.approx(math.log(w.norm()))
        assert found[f"spectral/{place}"] == pytest.approx(math.log(w.norm()))
    assert found["near"] == pytest.approx(0, abs=1e-12)
    assert found["norm"] == pytest.approx(float(w.norm()))


def test_each_place_has_its_own_points_and_near_is_train_less_held_out() -> None:
    p = problems.autoencoder(0)
    found = measure(Halved(), p, "autoencoder", 0)
    for place, x in zip(PLACES, (p.x, p.held_out, p.off_data), strict=True):
        assert found[f"F/{place}"] == pytest.approx(float(x.norm(dim=1).log().mean()), rel=1e-5)
        largest = x.abs().amax(1)
        assert found[f"spectral/{place}"] == pytest.approx(float(largest.log().mean()), rel=1e-5)
        assert found[f"radius/{place}"] == pytest.approx(float(largest.mean()), rel=1e-5)
        assert found[f"contractive/{place}"] == pytest.approx(float((largest < 1).double().mean()))
    assert found["near"] == found["F/train"] - found["F/held-out"] != 0


def test_a_point_is_measured_alike_in_any_company() -> None:
    model = train.network(2, 3, 0).double().requires_grad_(False)
    x = torch.randn(6, 2, dtype=torch.float64)
    alone = [
        log_jacobians(model, {"train": row[None], "held-out": x}) for row in x
    ]  # each of the points by itself
    together = log_jacobians(model, {"train": x, "held-out": x.flip(0)})
    for key in ("F/train", "spectral/train"):
        assert together[key] == pytest.approx(sum(a[key] for a in alone) / len(x), rel=1e-12)
    assert together["near"] == pytest.approx(0, abs=1e-12)


def test_a_classifiers_j_is_of_the_logits_and_under_softmax_of_the_probabilities() -> None:
    torch.manual_seed(0)
    model, p = nn.Linear(2, 3), problems.classifier(0)
    found = measure(model, p, "classifier", 0)
    w = model.weight.detach()
    assert found["F/train"] == pytest.approx(math.log(w.norm()), rel=1e-5)
    probabilities = model(p.x).softmax(-1).detach()
    j = (torch.diag_embed(probabilities) - probabilities[:, :, None] * probabilities[:, None]) @ w
    expected = j.norm(dim=(1, 2)).log().mean()
    assert found["softmax/F/train"] == pytest.approx(float(expected), rel=1e-4)
    right = (probabilities.argmax(1) == p.y).double().mean()
    assert found["train accuracy"] == pytest.approx(float(right))


@pytest.mark.parametrize(
    ("factor", "contractive", "basin"), [(0.5, 1.0, 1.0), (1.0, 0.0, 0.0), (1.1, 0.0, 0.0)]
)
def test_attractors_are_counted_and_their_basins(
    factor: float, contractive: float, basin: float
) -> None:
    p = problems.autoencoder(0)
    assert torch.pdist(p.x).min() > 1.0  # so starts 0.5 away are nearest to their own target
    found = measure(ToNearest(p.x, factor), p, "autoencoder", 0)
    assert found["radius/train"] == pytest.approx(factor)
    # A factor of 1 is the identity, which takes nothing anywhere.
    assert found["contractive/train"] == contractive
    assert found["basin"] == basin
    assert found["train loss"] == 0


def test_losses_are_of_the_problem_and_of_its_points() -> None:
    p = problems.regression(0)
    model = train.network(2, 1, 0)
    found = measure(model, p, "regression", 0)
    with torch.no_grad():
        assert found["train loss"] == pytest.approx(float((model(p.x) - p.y).square().mean()))
    moved = replace(p, held_out_y=p.held_out_y + 100)
    again = measure(model, moved, "regression", 0)
    assert again["train loss"] == found["train loss"]
    assert again["held-out loss"] > 5000 > found["held-out loss"]
    assert model[0].weight.dtype == torch.float32  # measured on a copy
