"""What a trained network does near its training points and elsewhere."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from weightdecay.contraction.attractors import basin, spectral_radius
from weightdecay.contraction.config import Name
from weightdecay.contraction.jacobian import Model, jacobian
from weightdecay.contraction.problems import Problem, generator
from weightdecay.contraction.train import train_loss, weight_norm

RADIUS, DRAWS, REPEATS, TOLERANCE = 0.5, 20, 100, 0.1
"""Basins: starts at this distance, so many, so often mapped, and how near they have to come."""


def measure(model: nn.Module, problem: Problem, name: Name, seed: int) -> dict[str, float]:
    """One row of the table, from ``train loss`` on.

    ``F/train`` is the mean over training points of log |J|_F, ``spectral/train`` that of the log of
    the largest singular value, both exact; so for ``held-out`` and ``off-data``. ``near`` is
    F/train less F/held-out. A classifier's J is of the logits, and under ``softmax`` of the
    probabilities. An autoencoder's ``radius`` is that of J's eigenvalues, ``contractive`` the share
    of points where it is below 1, ``basin`` the share of starts near a training point that come to
    it. At training points with a loss of about 0, contractive means an attractor.
    """
    found = {"train loss": train_loss(model, problem), "norm": weight_norm(model)}
    with torch.no_grad():
        outputs, held_out = model(problem.x), model(problem.held_out)
        found["held-out loss"] = problem.loss(held_out, problem.held_out_y).item()
    # Logs of small numbers, and eigenvalues near 1: in double precision.
    exact = copy.deepcopy(model).double().requires_grad_(False)
    places = {
        place: x.double()
        for place, x in (
            ("train", problem.x), ("held-out", problem.held_out), ("off-data", problem.off_data)
        )
    }  # fmt: skip
    found |= log_jacobians(exact, places)
    if name == "classifier":
        found["train accuracy"] = _accuracy(outputs, problem.y)
        found["held-out accuracy"] = _accuracy(held_out, problem.held_out_y)
        of_probabilities = log_jacobians(lambda x: exact(x).softmax(-1), places)
        found |= {f"softmax/{key}": value for key, value in of_probabilities.items()}
    if name == "autoencoder":
        for place, x in places.items():
            radius = spectral_radius(exact, x)
            found[f"radius/{place}"] = float(radius.mean())
            found[f"contractive/{place}"] = float((radius < 1).double().mean())
        rng = generator(seed, "basins")
        reached = basin(exact, places["train"], RADIUS, DRAWS, REPEATS, TOLERANCE, rng)
        found["basin"] = float(reached.mean())
    return found


def log_jacobians(model: Model, places: dict[str, Tensor]) -> dict[str, float]:
    """Mean log norms of the Jacobian in each place, and `near`."""
    found = {}
    for place, x in places.items():
        j = jacobian(model, x)
        found[f"F/{place}"] = float(torch.linalg.matrix_norm(j).log().mean())
        found[f"spectral/{place}"] = float(torch.linalg.matrix_norm(j, 2).log().mean())
    return {**found, "near": found["F/train"] - found["F/held-out"]}


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(-1) == labels).double().mean())
