"""Wrong experiments that learners make with the boxes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import optim

from weightdecay.grading import Mistake
from weightdecay.rules import RuleOptimizer, adam_l2

Box = Callable[..., optim.Optimizer]

# One decision for each way to go wrong. The steps are far apart in size (0.0001 with L2, 0.1
# decoupled), so that any threshold between them gives the same wrong answers.
PROBE_BOXES: list[Box] = [
    partial(optim.Adam, lr=1e-4, weight_decay=0.1),
    partial(optim.AdamW, lr=0.1, weight_decay=1.0),
    partial(optim.AdamW, lr=0.01, weight_decay=0.0),
    partial(optim.AdamW, lr=1e-4, weight_decay=1e-4),  # 1 - 1e-8 is 1 in float32
    partial(optim.Adam, lr=0.1, weight_decay=1.0, decoupled_weight_decay=True),
    partial(RuleOptimizer, rule=adam_l2, lr=1e-4, weight_decay=0.1),
    partial(optim.Adam, lr=0.1, weight_decay=1e-4),  # λw is no longer far above Adam's ε
]


def probe_classify(f: Any, rng: np.random.Generator) -> Any:
    return [f(box) for box in PROBE_BOXES]


PROBES = {"classify": probe_classify}


def lost_without_gradient(box: Box, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Distances that weights of 1 and 0.1 move toward zero in one step without gradient."""
    start = torch.tensor([1.0, 0.1], dtype=dtype)
    w = torch.nn.Parameter(start.clone())
    optimizer = box([w])
    w.grad = torch.zeros_like(w)
    optimizer.step()
    return start - w.detach()


def by_the_size_of_a_step(box: Box) -> str:
    lost = lost_without_gradient(box)[0]
    if lost == 0:
        return "none"
    return "l2" if lost > 0.005 else "decoupled"


def by_a_part_of_the_rate(box: Box) -> str:
    lost = lost_without_gradient(box)[0]
    lr = box([torch.nn.Parameter(torch.ones(1))]).param_groups[0]["lr"]
    if lost == 0:
        return "none"
    return "l2" if lost > 0.5 * lr else "decoupled"


def shrinks_so_decoupled(box: Box) -> str:
    return "decoupled" if lost_without_gradient(box).any() else "none"


def by_the_class(box: Box) -> str:
    optimizer = box([torch.nn.Parameter(torch.ones(1))])
    if optimizer.param_groups[0]["weight_decay"] == 0:
        return "none"
    return "decoupled" if isinstance(optimizer, optim.AdamW) else "l2"


def gradient_of_none(box: Box) -> str:
    w = torch.nn.Parameter(torch.tensor([1.0, 0.1], dtype=torch.float64))
    box([w]).step()
    return "none" if w[0] == 1 else "decoupled"


def in_single_precision(box: Box) -> str:
    distance = lost_without_gradient(box, torch.float32)
    if not distance.any():
        return "none"
    share = distance / torch.tensor([1.0, 0.1])
    return "decoupled" if torch.isclose(share[0], share[1], rtol=0.1) else "l2"


def within_a_tolerance(box: Box) -> str:
    distance = lost_without_gradient(box)
    start = torch.tensor([1.0, 0.1], dtype=torch.float64)
    if torch.allclose(start - distance, start):
        return "none"
    share = distance / start
    return "decoupled" if torch.isclose(share[0], share[1], rtol=0.1) else "l2"


def exactly_equal_distances(box: Box) -> str:
    distance = lost_without_gradient(box)
    if not distance.any():
        return "none"
    return "l2" if torch.isclose(distance[0], distance[1], rtol=1e-5, atol=0.0) else "decoupled"


def equal_distances_within_a_tolerance(box: Box) -> str:
    distance = lost_without_gradient(box)
    if not distance.any():
        return "none"
    return "l2" if torch.isclose(distance[0], distance[1]) else "decoupled"


def only_the_loss_scale(box: Box) -> str:
    generator = torch.Generator().manual_seed(0)
    gradients = 0.1 * torch.randn(20, 2, generator=generator, dtype=torch.float64)
    ends = []
    for scale in (1.0, 1000.0):
        w = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
        optimizer = box([w])
        for g in gradients:
            w.grad = scale * g
            optimizer.step()
        ends.append(w.detach())
    apart = (ends[0] - ends[1]).abs().max()
    return "decoupled" if apart < 1e-5 * (ends[0] - 1).abs().max() else "l2"


def names_swapped(box: Box) -> str:
    distance = lost_without_gradient(box)
    if not distance.any():
        return "none"
    return "l2" if torch.isclose(distance[0], 10 * distance[1], rtol=1e-3) else "decoupled"


MISTAKES = [
    Mistake("by-the-size-of-a-step", "classify", by_the_size_of_a_step),
    Mistake("by-a-part-of-the-rate", "classify", by_a_part_of_the_rate),
    Mistake("shrinks-so-decoupled", "classify", shrinks_so_decoupled),
    Mistake("by-the-class", "classify", by_the_class),
    Mistake("gradient-of-none", "classify", gradient_of_none),
    Mistake("small-decay-not-seen", "classify", in_single_precision),
    Mistake("small-decay-not-seen", "classify", within_a_tolerance),
    Mistake("distances-exactly-equal", "classify", exactly_equal_distances),
    Mistake("distances-exactly-equal", "classify", equal_distances_within_a_tolerance),
    Mistake("only-the-loss-scale", "classify", only_the_loss_scale),
    Mistake("names-swapped", "classify", names_swapped),
]
