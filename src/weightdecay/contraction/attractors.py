"""Autoencoders as maps that can be repeated: is a training example an attractor?

A fixed point attracts if every eigenvalue of the Jacobian there is smaller than 1 in size
(Radhakrishnan et al., arXiv 1810.10333; Jiang & Pehlevan, arXiv 2006.16540).
"""

from __future__ import annotations

import torch
from torch import Tensor

from weightdecay.contraction.jacobian import Model, jacobian


def spectral_radius(model: Model, x: Tensor) -> Tensor:
    """(N,) largest size of an eigenvalue of the (d, d) Jacobian at each point x (N, d).

    Raises:
        ValueError: if output and input differ in size: such a map cannot be repeated.
    """
    j = jacobian(model, x)
    if j.shape[-1] != j.shape[-2]:
        raise ValueError(f"a map from {j.shape[-1]} to {j.shape[-2]} numbers cannot be repeated")
    radius: Tensor = torch.linalg.eigvals(j).abs().amax(-1)
    return radius


@torch.no_grad()
def iterate(model: Model, x: Tensor, steps: int) -> Tensor:
    """(N, d) where the points x (N, d) are after so many applications of the map."""
    for _ in range(steps):
        x = model(x)
    return x


def basin(
    model: Model,
    targets: Tensor,
    radius: float,
    draws: int,
    steps: int,
    tolerance: float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """(N,) share of starts at this distance from each target that come to it.

    Args:
        targets: (N, d) training examples.
        tolerance: distance at which a point counts as having come to its target.
    """
    shape = (draws, *targets.shape)
    away = torch.randn(shape, generator=generator, device=targets.device, dtype=targets.dtype)
    away = radius * away / away.norm(dim=-1, keepdim=True)
    ends = iterate(model, (targets + away).flatten(0, 1), steps).view(shape)
    came: Tensor = (ends - targets).norm(dim=-1) <= tolerance
    return came.double().mean(0)
