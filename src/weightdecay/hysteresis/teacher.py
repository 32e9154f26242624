"""The article's network, R replicas at once: a 2-128-128-32 core and two linear heads.

Head A (1 output) is fitted to labels in phase A. Head B has 20 outputs, of which only the mean is
fitted in phase B. Both fits read one number off the second hidden layer h:

    y = a . (W3 h + b3) + c = v . h + const,  v = W3' a

with a the row of head A, or the mean row of head B. So 128 -> 32 -> 20 costs one product with v
forward and a rank-one gradient backward. The step below is derived by hand on this; autograd gives
the same gradient up to rounding (tests/hysteresis/test_teacher.py) in twice the time on a CPU.

Weights of a replica are one row of a flat tensor (R, P), so that an update rule is one call.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor

from weightdecay.hysteresis import tasks
from weightdecay.rules import Rule, Settings, State
from weightdecay.stacked_rules import Columns

Head = Literal["head_a", "head_b"]

HIDDEN, CORE, OUTPUTS = 128, 32, 20
# Head B, core, head A: what a phase trains lies together, as the other head has no gradient, and
# torch leaves a parameter without gradient alone, decay included.
SHAPES: dict[str, tuple[int, ...]] = {
    "head_b.weight": (OUTPUTS, CORE), "head_b.bias": (OUTPUTS,),
    "core.0.weight": (HIDDEN, 2), "core.0.bias": (HIDDEN,),
    "core.2.weight": (HIDDEN, HIDDEN), "core.2.bias": (HIDDEN,),
    "core.4.weight": (CORE, HIDDEN), "core.4.bias": (CORE,),
    "head_a.weight": (1, CORE), "head_a.bias": (1,),
}  # fmt: skip
SIZES = {name: math.prod(shape) for name, shape in SHAPES.items()}
OFFSETS = dict(zip(SIZES, (sum([*SIZES.values()][:i]) for i in range(len(SIZES))), strict=True))
PARAMETERS = sum(SIZES.values())
TRAINED = {
    "head_a": slice(OFFSETS["core.0.weight"], None),
    "head_b": slice(OFFSETS["head_a.weight"]),
}

BLOCK = 1250  # points at a time on a CPU: what they need of two layers stays in its cache


def tensors(flat: Tensor) -> dict[str, Tensor]:
    """Weights by their names in the article's module: views (..., *shape) of flat (..., P)."""
    return {
        name: flat[..., OFFSETS[name] : OFFSETS[name] + SIZES[name]].view(*flat.shape[:-1], *shape)
        for name, shape in SHAPES.items()
    }


def flattened(weights: Mapping[str, Tensor]) -> Tensor:
    """The inverse of `tensors`: (..., P)."""
    parts = [weights[name].flatten(-len(shape)) for name, shape in SHAPES.items()]
    return torch.cat(parts, -1)


def initial(seed: int) -> Tensor:
    """(P,) fresh weights: torch's own for ``nn.Linear``, uniform within 1 / sqrt(fan in)."""
    rng = tasks.generator(seed, "initial weights")
    flat = torch.empty(PARAMETERS)
    weights = tensors(flat)
    for name, w in weights.items():
        fan_in = weights[name.replace("bias", "weight")].shape[-1]
        w.uniform_(-1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in), generator=rng)
    return flat


def features(flat: Tensor, x: Tensor) -> dict[str, Tensor]:
    """What a probe may read: ``core`` (..., N, 32) and ``outputs`` of head B (..., N, 20); and
    ``logit`` of head A (..., N, 1).

    Args:
        flat: (..., P); x: points (..., N, 2).
    """
    w = tensors(flat)

    def linear(h: Tensor, name: str) -> Tensor:
        return h @ w[f"{name}.weight"].mT + w[f"{name}.bias"].unsqueeze(-2)

    core = linear(linear(linear(x, "core.0").relu(), "core.2").relu(), "core.4")
    return {"core": core, "outputs": linear(core, "head_b"), "logit": linear(core, "head_a")}


@dataclass(frozen=True)
class Fit:
    """One phase: what is fitted, for how long, under which rule."""

    head: Head
    """``head_a``: binary cross-entropy of its sigmoid; ``head_b``: squared error of its mean."""
    steps: int
    lr: float
    rule: Rule
    loss_scale: Tensor
    """(R,) factor of the loss."""
    weight_decay: Tensor
    """(R,)"""


def fit(flat: Tensor, x: Tensor, y: Tensor, phase: Fit) -> tuple[Tensor, Tensor]:
    """Train R replicas, each on all of its own points at each step.

    Args:
        flat: (R, P), left unchanged; x: (R, N, 2); y: (R, N, 1). On one device, in one dtype.

    Returns:
        The new weights (R, P), and the unscaled loss (R,) before the last step; NaN without steps.
    """
    flat = flat.clone()
    gradient = torch.zeros_like(flat)
    step = _Step(flat, gradient, x, y, phase)
    own = TRAINED[phase.head]
    decay = phase.weight_decay.to(flat)[:, None]
    columns = cast(Settings, Columns(phase.lr, decay, (0.9, 0.999), 1e-8))
    scale = phase.loss_scale.to(flat)[:, None]
    state: State = {}
    loss = flat.new_full((len(flat),), math.nan)
    for _ in range(phase.steps):
        loss = step()
        flat[:, own] = phase.rule(flat[:, own], scale * gradient[:, own], state, columns)
    return flat, loss


class _Step:
    """Loss and gradient of all replicas, in buffers that are made once."""

    def __init__(self, flat: Tensor, gradient: Tensor, x: Tensor, y: Tensor, phase: Fit) -> None:
        self.gradient, self.head = gradient, phase.head
        self.w, self.g = tensors(flat), tensors(gradient)
        self.points = x.shape[1]
        block = BLOCK if x.device.type == "cpu" else self.points
        self.blocks = list(zip(torch.split(x, block, 1), torch.split(y, block, 1), strict=True))
        shape = (len(flat), min(block, self.points), HIDDEN)
        self.buffers = [flat.new_empty(shape) for _ in range(4)]

    def __call__(self) -> Tensor:
        """Fill the gradient; the loss (R,)."""
        w, g = self.w, self.g
        head, bias = w[f"{self.head}.weight"], w[f"{self.head}.bias"]
        w1, w2, w3 = (w[f"core.{i}.weight"] for i in (0, 2, 4))
        b1, b2, b3 = (w[f"core.{i}.bias"].unsqueeze(1) for i in (0, 2, 4))
        a = head.mean(1, keepdim=True)  # (R, 1, 32)
        v = a @ w3  # (R, 1, 128)
        const = (b3 @ a.mT) + bias.mean(1)[:, None, None]  # (R, 1, 1)
        self.gradient.zero_()
        loss = const.new_zeros(len(const))
        d_v, d_const = torch.zeros_like(v.mT), torch.zeros_like(const)
        for x, y in self.blocks:
            h1, h2, d2, d1 = (b[:, : x.shape[1]] for b in self.buffers)
            torch.baddbmm(b1, x, w1.mT, out=h1).relu_()
            torch.baddbmm(b2, h1, w2.mT, out=h2).relu_()
            value, d = self._loss(torch.baddbmm(const, h2, v.mT), y)
            loss += value
            d_v += h2.mT @ d
            d_const += d.sum(1, keepdim=True)
            torch.mul(d, v, out=d2)
            _through_relu(d2, h2)
            g["core.2.weight"].baddbmm_(d2.mT, h1)
            g["core.2.bias"] += d2.sum(1)
            torch.bmm(d2, w2, out=d1)
            _through_relu(d1, h1)
            g["core.0.weight"].baddbmm_(d1.mT, x)
            g["core.0.bias"] += d1.sum(1)
        rows = head.shape[1]  # each row of the head has 1 / rows of a's gradient
        g["core.4.weight"].copy_(a.mT @ d_v.mT)
        g["core.4.bias"].copy_((a * d_const).squeeze(1))
        g[f"{self.head}.weight"].copy_((d_v.mT @ w3.mT + d_const * b3) / rows)
        g[f"{self.head}.bias"].copy_(d_const.squeeze(1) / rows)
        return loss

    def _loss(self, y: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """A block's part of the mean loss (R,), and its gradient in y (R, n, 1)."""
        if self.head == "head_b":
            error = y - target
            return (error**2).sum((1, 2)) / self.points, error * (2 / self.points)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(y, target, reduction="none")
        return loss.sum((1, 2)) / self.points, (y.sigmoid() - target) / self.points


def _through_relu(d: Tensor, h: Tensor) -> None:
    """Zero the gradient in place where the unit was off."""
    torch.ops.aten.threshold_backward.grad_input(d, h, 0, grad_input=d)
