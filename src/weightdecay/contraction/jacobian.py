"""The input-output Jacobian of a model at given points: its norms, exactly and estimated.

A model is contractive at a point where a small step of the input moves the output less. The
Frobenius norm adds up all directions, the spectral norm is the worst one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.func import jacrev, jvp, vjp, vmap

Model: TypeAlias = Callable[[Tensor], Tensor]
"""(N, d_in) to (N, d_out), each row by itself: no batch norm in training."""


def jacobian(model: Model, x: Tensor) -> Tensor:
    """(N, d_out, d_in) at the points x (N, d_in)."""
    found: Tensor = vmap(jacrev(_of_one(model)))(x)
    return found


def frobenius(model: Model, x: Tensor) -> Tensor:
    """(N,) Frobenius norm of the Jacobian at each point, exactly."""
    norms: Tensor = torch.linalg.matrix_norm(jacobian(model, x))
    return norms


class Estimate(NamedTuple):
    """Of a squared norm at each point."""

    mean: Tensor
    """(N,)"""
    standard_error: Tensor
    """(N,) of the mean."""


def hutchinson(
    model: Model, x: Tensor, draws: int, generator: torch.Generator | None = None
) -> Estimate:
    """The squared Frobenius norm at each point from random directions of the output.

    For v with independent signs, v^T J has the mean squared norm |J|_F^2 (Hutchinson 1990): one
    backward pass a draw, whatever the size of the output.

    Args:
        draws: 2 or more.

    Raises:
        ValueError: for fewer.
    """
    if draws < 2:
        raise ValueError(f"draws = {draws}; expected 2 or more, as their spread gives the error")
    output, pull = vjp(model, x)[:2]
    squares = []
    for _ in range(draws):
        v = torch.randint(2, output.shape, generator=generator, device=x.device).to(output) * 2 - 1
        (row,) = pull(v)
        squares.append(row.square().sum(-1))
    found = torch.stack(squares)
    return Estimate(found.mean(0), found.std(0) / draws**0.5)


def spectral(
    model: Model, x: Tensor, steps: int = 100, generator: torch.Generator | None = None
) -> Tensor:
    """(N,) largest singular value of the Jacobian at each point, by power iteration on J^T J.

    It approaches the norm from below, at the rate (second / first singular value)^2 a step.
    """
    v = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    v = v / v.norm(dim=-1, keepdim=True)
    size = torch.zeros(len(x), device=x.device, dtype=x.dtype)
    _, pull = vjp(model, x)[:2]
    for _ in range(steps):
        _, push = jvp(model, (x,), (v,))[:2]  # J v
        size = push.norm(dim=-1)
        (v,) = pull(push)  # J^T J v
        v = v / v.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    return size


def local_lipschitz(
    model: Model,
    x: Tensor,
    radius: float,
    draws: int,
    generator: torch.Generator | None = None,
) -> Tensor:
    """(N,) a lower bound of the Lipschitz constant in a ball: the largest spectral norm found.

    Args:
        radius: of the ball around each point; `draws` points of it are tried, and the center.
    """
    found = [spectral(model, x, generator=generator)]
    for _ in range(draws):
        step = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        step = step / step.norm(dim=-1, keepdim=True)
        u = torch.rand(len(x), 1, generator=generator, device=x.device, dtype=x.dtype)
        inside = x + radius * u ** (1 / x.shape[-1]) * step  # even in the ball's volume
        found.append(spectral(model, inside, generator=generator))
    return torch.stack(found).amax(0)


def _of_one(model: Model) -> Callable[[Tensor], Tensor]:
    return lambda point: model(point[None])[0]
