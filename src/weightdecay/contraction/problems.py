"""Three problems with more weights than they need: what is fitted, and on which points.

Inputs are uniform in the cube [-1, 1]^d. Held-out points are drawn like the training points;
off-data points uniformly from the cube of twice the width, less the first: there is no data there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from weightdecay.contraction.config import Name

POINTS, ELSEWHERE = 64, 512
"""To train on, and in each of the two other places."""
NOISE = 0.3
"""Standard deviation of the noise of the regression's targets; sin has 0.71."""
FLIPPED = 0.15
"""Share of the classifier's labels that are another class's."""
CLASSES = 3
CODED, DIMENSIONS = 4, 8
"""Training points of the autoencoder, and the numbers in each. Of as many points as dimensions it
learns the identity, of which there is nothing to see."""


@dataclass(frozen=True)
class Problem:
    """Points and what is fitted to them."""

    x: Tensor
    """(N, d) training points."""
    y: Tensor
    """(N, outputs) targets, or (N,) labels."""
    held_out: Tensor
    """(512, d)"""
    held_out_y: Tensor
    """With noise of the same kind."""
    off_data: Tensor
    """(512, d)"""
    loss: Callable[[Tensor, Tensor], Tensor]
    """(outputs of a model, targets) to a mean over points."""
    outputs: int


def generator(seed: int, stream: str) -> torch.Generator:
    """Random numbers of one purpose: the same for a seed in every arm, and unlike other streams."""
    words = np.random.SeedSequence([seed, *stream.encode()]).generate_state(2)
    return torch.Generator().manual_seed(int(words[0]) << 32 | int(words[1]))


def make(name: Name, seed: int) -> Problem:
    """The problem of a run."""
    return {"regression": regression, "classifier": classifier, "autoencoder": autoencoder}[name](
        seed
    )


def regression(seed: int, inputs: int = 2) -> Problem:
    """A smooth function under noise: the sum of sin(pi x_i), mean squared error."""
    rng = generator(seed, f"regression {inputs}")
    x, held_out = (inside(n, inputs, rng) for n in (POINTS, ELSEWHERE))

    def targets(x: Tensor) -> Tensor:
        noise = NOISE * torch.randn(len(x), 1, generator=rng)
        return torch.sin(math.pi * x).sum(1, keepdim=True) + noise

    y, held_out_y = targets(x), targets(held_out)
    return Problem(x, y, held_out, held_out_y, outside(ELSEWHERE, inputs, rng), F.mse_loss, 1)


def classifier(seed: int) -> Problem:
    """Three sectors of the plane, some of the labels wrong; cross-entropy of logits."""
    rng = generator(seed, "classifier")
    x, held_out = (inside(n, 2, rng) for n in (POINTS, ELSEWHERE))

    def labels(x: Tensor) -> Tensor:
        turn = torch.atan2(x[:, 1], x[:, 0]) / (2 * math.pi) + 0.5  # 0 to 1
        sector = (CLASSES * turn).long().clamp(max=CLASSES - 1)
        other = 1 + torch.randint(CLASSES - 1, sector.shape, generator=rng)
        is_wrong = torch.rand(len(x), generator=rng) < FLIPPED
        return (sector + other * is_wrong) % CLASSES

    y, held_out_y = labels(x), labels(held_out)
    off_data = outside(ELSEWHERE, 2, rng)
    return Problem(x, y, held_out, held_out_y, off_data, F.cross_entropy, CLASSES)


def autoencoder(seed: int) -> Problem:
    """Few points in eight dimensions, each its own target; mean squared error."""
    rng = generator(seed, "autoencoder")
    x, held_out = (inside(n, DIMENSIONS, rng) for n in (CODED, ELSEWHERE))
    off_data = outside(ELSEWHERE, DIMENSIONS, rng)
    return Problem(x, x, held_out, held_out, off_data, F.mse_loss, DIMENSIONS)


def inside(n: int, d: int, rng: torch.Generator) -> Tensor:
    """(n, d) uniform in [-1, 1]^d."""
    return 2 * torch.rand(n, d, generator=rng) - 1


def outside(n: int, d: int, rng: torch.Generator) -> Tensor:
    """(n, d) uniform in [-2, 2]^d where it is not [-1, 1]^d."""
    kept = torch.empty(0, d)
    while len(kept) < n:
        x = 2 * inside(2 * n, d, rng)
        kept = torch.cat([kept, x[x.abs().amax(1) > 1]])
    return kept[:n]
