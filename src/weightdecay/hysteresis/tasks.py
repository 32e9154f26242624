"""The plane and what is asked of it: points, labels to imprint, targets to adapt to.

Points are (N, 2) in the square [-3, 3]^2. The blind disc has radius 1.5; the donut is the rest out
to the article's outer limit of 3.5, which cuts the corners of the square off.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

HALF_WIDTH = 3.0
BLIND_RADIUS = 1.5
OUTER_RADIUS = 3.5

Labels = Callable[[Tensor, int], Tensor]
"""(points (..., 2), seed) to labels or targets (..., 1); the seed matters to random ones only."""


def generator(seed: int, stream: str) -> torch.Generator:
    """Random numbers of one purpose: the same for a seed in every arm, and unlike other streams."""
    words = np.random.SeedSequence([seed, *stream.encode()]).generate_state(2)
    return torch.Generator().manual_seed(int(words[0]) << 32 | int(words[1]))


# ------------------------------------------------------------------------------------- samplers


def domain(n: int, rng: torch.Generator) -> Tensor:
    """n points, uniform in the square."""
    return HALF_WIDTH * (2 * torch.rand(n, 2, generator=rng) - 1)


def donut(n: int, rng: torch.Generator) -> Tensor:
    """n points, uniform in the square where 1.5 < R < 3.5."""
    return _kept(n, rng, lambda r: (r > BLIND_RADIUS) & (r < OUTER_RADIUS))


def blind_disc(n: int, rng: torch.Generator) -> Tensor:
    """n points, uniform in the disc R < 1.5."""
    return _kept(n, rng, lambda r: r < BLIND_RADIUS)


def inside_outer_radius(n: int, rng: torch.Generator) -> Tensor:
    """n points, uniform in the square where R < 3.5: the donut with its hole filled."""
    return _kept(n, rng, lambda r: r < OUTER_RADIUS)


def _kept(n: int, rng: torch.Generator, accept: Callable[[Tensor], Tensor]) -> Tensor:
    kept = torch.empty(0, 2)
    while len(kept) < n:
        x = domain(max(n, 16), rng)
        kept = torch.cat([kept, x[accept(x.norm(dim=1))]])
    return kept[:n]


# ----------------------------------------------------------------------- phase A: what to imprint


def checkerboard(x: Tensor, seed: int = 0) -> Tensor:
    """1 where floor(x1) + floor(x2) is even, else 0: the article's task A."""
    return (x.floor().sum(-1, keepdim=True) % 2 == 0).to(x.dtype)


def shifted_checkerboard(x: Tensor, seed: int = 0) -> Tensor:
    """The checkerboard moved by half a cell along x1; it agrees with it on half of the plane."""
    return checkerboard(x + x.new_tensor([0.5, 0.0]))


def random_cells(x: Tensor, seed: int = 0) -> Tensor:
    """A label for each of the 36 unit cells, drawn from the seed: walls without order.

    Each ring of cells around the center has as many of one label as of the other.
    """
    rng = generator(seed, "random cells")
    edge = (torch.arange(6) - 2.5).abs()
    ring = torch.maximum(edge[:, None], edge[None, :]).flatten()  # 0.5, 1.5 or 2.5
    labels = torch.empty(36)
    for distance in (0.5, 1.5, 2.5):
        cells = (ring == distance).nonzero().squeeze(1)
        labels[cells] = (torch.randperm(len(cells), generator=rng) % 2).to(labels)
    return _by_cell(x, labels.to(x.dtype), 6)


def smooth(x: Tensor, seed: int = 0) -> Tensor:
    """A probability without walls: (1 + sin(x1 pi / 3) cos(x2 pi / 3)) / 2."""
    a, b = (x * (math.pi / HALF_WIDTH)).unbind(-1)
    return ((1 + a.sin() * b.cos()) / 2).unsqueeze(-1)


IMPRINTS: dict[str, Labels] = {
    "checkerboard": checkerboard,
    "shifted": shifted_checkerboard,
    "random_cells": random_cells,
    "smooth": smooth,
}


# --------------------------------------------------------------------- phase B: what to adapt to


def saddle(x: Tensor, seed: int = 0) -> Tensor:
    """(x1^2 - x2^2) / 5: the article's task B."""
    return (x[..., :1] ** 2 - x[..., 1:] ** 2) / 5


def scrambled(x: Tensor, seed: int = 0) -> Tensor:
    """A normal value for each of the 144 cells of half a unit: neighbors have nothing in common.

    Its standard deviation is that of the saddle on the square, 0.76.
    """
    values = torch.randn(144, generator=generator(seed, "scrambled"))
    return _by_cell(x, 0.76 * values.to(x), 12)


ADAPTATIONS: dict[str, Labels] = {"saddle": saddle, "scrambled": scrambled}


def _by_cell(x: Tensor, values: Tensor, cells: int) -> Tensor:
    """The value of each point's cell, of cells x cells that tile the square."""
    index = ((x + HALF_WIDTH) * (cells / (2 * HALF_WIDTH))).floor().long().clamp(0, cells - 1)
    return values.to(x.device)[index[..., 0] * cells + index[..., 1]].unsqueeze(-1)
