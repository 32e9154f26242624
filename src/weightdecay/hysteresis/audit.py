"""The controls that the article lacks: where phase B may start, one function a start.

Each takes the seed's fresh weights and a function that imprints them on a task, all with a first
axis of replicas, and returns the weights that phase B starts from. So every arm of a seed has the
same initial weights and sees the same points. The other controls change phase B itself and are keys
of the config: ``rule``, ``loss_scale``, ``steps``, ``blind``, ``task``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from weightdecay.hysteresis import tasks, teacher

Imprinted = Callable[[str], Tensor]
"""A task of `tasks.IMPRINTS` to the weights (R, P) that have learned it."""
Start = Callable[[Tensor, list[int], Imprinted], Tensor]
"""(fresh weights (R, P), seeds, imprinted) to the weights (R, P) of the start of phase B."""


def fresh(flat: Tensor, seeds: list[int], imprinted: Imprinted) -> Tensor:
    """The article's control: no phase A."""
    return flat


def imprint(flat: Tensor, seeds: list[int], imprinted: Imprinted) -> Tensor:
    """The article's experiment: phase A is the checkerboard that the probe asks for."""
    return imprinted("checkerboard")


def norm_matched(flat: Tensor, seeds: list[int], imprinted: Imprinted) -> Tensor:
    """Fresh weights, each tensor rescaled to its norm after imprinting: the size of the imprinted
    weights and none of what they learned. If this arm scores as high, size is enough."""
    fresh_weights, learned = teacher.tensors(flat), teacher.tensors(imprinted("checkerboard"))
    scaled = {}
    for name, w in fresh_weights.items():
        axes = tuple(range(1, w.dim()))
        scaled[name] = w * (
            learned[name].norm(dim=axes, keepdim=True) / w.norm(dim=axes, keepdim=True)
        )
    return teacher.flattened(scaled)


def shuffled(flat: Tensor, seeds: list[int], imprinted: Imprinted) -> Tensor:
    """Imprinted weights in random places of their own tensor: every value is kept, so the whole
    distribution and not only the norm, and the structure is gone."""
    learned = imprinted("checkerboard")
    places = torch.stack([_shuffle(seed) for seed in seeds]).to(learned.device)
    return learned.gather(1, places)


def shifted(flat: Tensor, seeds: list[int], imprinted: Imprinted) -> Tensor:
    """A checkerboard with its walls elsewhere: what it leaves is walls, not this memory."""
    return imprinted("shifted")


def random_cells(flat: Tensor, seeds: list[int], imprinted: Imprinted) -> Tensor:
    """Random labels on the checkerboard's own cells: the same walls, another memory."""
    return imprinted("random_cells")


def smooth(flat: Tensor, seeds: list[int], imprinted: Imprinted) -> Tensor:
    """A task without walls: what any training before phase B leaves."""
    return imprinted("smooth")


def top_reset(flat: Tensor, seeds: list[int], imprinted: Imprinted) -> Tensor:
    """Imprinted weights with everything above the first layer set back to its initial value: the
    cheapest of erasers, which leaves what the lowest features have learned."""
    first = {k: w for k, w in teacher.tensors(imprinted("checkerboard")).items() if "core.0" in k}
    return teacher.flattened({**teacher.tensors(flat), **first})


STARTS: dict[str, Start] = {
    start.__name__: start
    for start in (fresh, imprint, norm_matched, shuffled, shifted, random_cells, smooth, top_reset)
}


IMPRINTED: dict[str, str] = {
    "imprint": "checkerboard",
    "shifted": "shifted",
    "random_cells": "random_cells",
    "smooth": "smooth",
}
"""The arms whose head A has learned something, and what."""


def _shuffle(seed: int) -> Tensor:
    """(P,) places in a flat row, permuted within each tensor."""
    rng = tasks.generator(seed, "shuffle")
    return torch.cat(
        [
            teacher.OFFSETS[name] + torch.randperm(size, generator=rng)
            for name, size in teacher.SIZES.items()
        ]
    )
