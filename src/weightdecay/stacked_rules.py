"""The update rules of `rules.py` on stacked weights: one call moves many replicas of a weight.

`replicas.py` uses it. A rule only calculates with its settings, so a tensor of learning rates, one
for each replica, does for a number; the rules themselves are not written again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from weightdecay.rules import Rule, RuleOptimizer, Settings, State


@dataclass(frozen=True)
class Columns:
    """`Settings` of r replicas. A rule only calculates with them, so it need not know."""

    lr: float | Tensor  # (r, 1, ...), or one number for all
    weight_decay: Tensor  # (r, 1, ...)
    betas: tuple[float, float]  # numbers: in float32, 1 - beta would lose digits
    eps: float


@dataclass
class RowBlock:
    """The replicas whose copies of one weight share rule, betas and epsilon."""

    rule: Rule
    settings: Columns
    members: slice | Tensor
    state: State = field(default_factory=dict)

    def step(self, w: Tensor, g: Tensor, rate: float | Tensor | None) -> None:
        """Move this block's rows of w (R, ...), given the gradient (R, ...)."""
        s, rows = self.settings, self.members
        if rate is not None:
            lr = column(rate.to(w)[rows], w) if isinstance(rate, Tensor) else rate
            s = replace(s, lr=lr)
        w[rows] = self.rule(w[rows], g[rows], self.state, cast(Settings, s))

    def label(self) -> str:
        """Rule and replicas, for a message."""
        who = "all" if isinstance(self.members, slice) else self.members.tolist()
        return f"{getattr(self.rule, '__name__', type(self.rule).__name__)} for {who}"


def row_blocks(
    name: str, stacked: Tensor, models: Sequence[nn.Module], optimizers: Sequence[RuleOptimizer]
) -> list[RowBlock]:
    """The blocks of one weight; a replica whose optimizer leaves the weight out is in none."""
    families: dict[Any, list[tuple[int, float, float]]] = {}
    for i, (model, optimizer) in enumerate(zip(models, optimizers, strict=True)):
        parameter = model.get_parameter(name)
        for group in optimizer.param_groups:
            if any(p is parameter for p in group["params"]):
                family = (optimizer.rule, tuple(group["betas"]), float(group["eps"]))
                member = (i, float(group["lr"]), float(group["weight_decay"]))
                families.setdefault(family, []).append(member)
    blocks = []
    for (rule, betas, eps), members in families.items():
        numbers, rates, decays = zip(*members, strict=True)
        lr, weight_decay = (column(stacked.new_tensor(v), stacked) for v in (rates, decays))
        everyone = len(numbers) == len(models)
        rows = slice(None) if everyone else torch.tensor(numbers, device=stacked.device)
        blocks.append(RowBlock(rule, Columns(lr, weight_decay, betas, eps), rows))
    return blocks


def column(values: Tensor, like: Tensor) -> Tensor:
    """(r,) to (r, 1, ...), which broadcasts against tensors of as many axes as `like`."""
    return values.view(-1, *[1] * (like.dim() - 1))
