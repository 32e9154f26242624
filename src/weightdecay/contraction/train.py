"""The network, its training, and the networks that it is compared with.

One recipe for all problems: tanh, two hidden layers of 128, AdamW on all points at each step, the
matrices decayed and the biases not. Rate and length were set on seed 100 without decay, by whether
the training points are fitted, so that nothing was tuned for a difference.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from weightdecay.contraction.problems import Problem, generator
from weightdecay.decay import cosine_learning_rate, decayed, parameter_groups
from weightdecay.rules import RuleOptimizer, adamw, adamw_to_init

WIDTH = 128
STEPS, WARMUP, PEAK = 1500, 50, 3e-3
FINAL = PEAK / 10


def network(inputs: int, outputs: int, seed: int) -> nn.Sequential:
    """An untrained network: torch's own for ``nn.Linear``, uniform within 1 / sqrt(fan in)."""
    rng = generator(seed, "initial weights")
    layers = [nn.Linear(inputs, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, outputs)]
    with torch.no_grad():
        for layer in layers:
            bound = 1 / math.sqrt(layer.in_features)
            for p in layer.parameters():
                p.uniform_(-bound, bound, generator=rng)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


def rates(steps: int = STEPS) -> list[float]:
    """Learning rate of each step: warmup, then a cosine down to a tenth of the peak."""
    return [
        cosine_learning_rate(i, peak=PEAK, final=FINAL, warmup=min(WARMUP, steps - 1), steps=steps)
        for i in range(steps)
    ]


def train(
    problem: Problem,
    seed: int,
    weight_decay: float,
    *,
    to_init: bool = False,
    until: float = -math.inf,
    after: Callable[[nn.Sequential], None] | None = None,
    steps: int = STEPS,
) -> tuple[nn.Sequential, int]:
    """A network after training, and how many steps it took.

    Args:
        seed: of the initial weights.
        to_init: decay toward the initial weights, not toward zero.
        until: stop at the first step before which the training loss is at most this.
        after: called with the model after each step, which it may change.
        steps: of the whole schedule, wherever it stops.
    """
    model = network(problem.x.shape[1], problem.outputs, seed)
    rule = adamw_to_init if to_init else adamw
    o = RuleOptimizer(parameter_groups(model, weight_decay), rule, lr=PEAK)
    for done, rate in enumerate(rates(steps)):
        loss = problem.loss(model(problem.x), problem.y)
        if loss.item() <= until:
            return model, done
        o.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for group in o.param_groups:
            group["lr"] = rate
        o.step()
        if after:
            after(model)
    return model, steps


@torch.no_grad()
def train_loss(model: nn.Module, problem: Problem) -> float:
    """Mean loss over the training points."""
    return problem.loss(model(problem.x), problem.y).item()


@torch.no_grad()
def norm_matched(model: nn.Sequential, sibling: nn.Sequential) -> nn.Sequential:
    """A copy whose matrices, one by one, have the Frobenius norms of the sibling's.

    Biases stay, as they are not decayed either. The copy computes another function: tanh is not
    homogeneous, so no rescaling of these layers would leave the function as it was.
    """
    copied = copy.deepcopy(model)
    hold(copied, matrix_norms(sibling))
    return copied


@torch.no_grad()
def matrix_norms(model: nn.Module) -> list[float]:
    """Frobenius norm of each decayed matrix."""
    return [p.norm().item() for p in model.parameters() if decayed(p)]


@torch.no_grad()
def hold(model: nn.Module, norms: Sequence[float]) -> None:
    """Rescale each matrix to its norm, in place."""
    matrices = (p for p in model.parameters() if decayed(p))
    for p, norm in zip(matrices, norms, strict=True):
        p.mul_(norm / p.norm())


def weight_norm(model: nn.Module) -> float:
    """Norm of all entries of the decayed matrices together."""
    squares: list[Tensor] = [p.detach().square().sum() for p in model.parameters() if decayed(p)]
    return math.sqrt(sum(s.item() for s in squares))
