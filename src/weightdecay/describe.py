"""What an optimizer's weight decay does, in words: ``print(describe(optimizer, model))``.

The same argument, ``weight_decay``, means two things in torch: an L2 penalty in SGD and Adam, and
decoupled decay in AdamW.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.optim import Optimizer

from weightdecay.decay import decayed, timescale
from weightdecay.rules import (
    Rule,
    RuleOptimizer,
    adam_l2,
    adamw,
    adamw_to_init,
    labeled,
    sgd_decoupled,
    sgd_l2,
)

Kind = Literal["none", "L2", "L2 under Adam", "decoupled", "toward the initial weights", "unknown"]

RULES: dict[Rule, Kind] = {
    sgd_l2: "L2",
    sgd_decoupled: "decoupled",
    adam_l2: "L2 under Adam",
    adamw: "decoupled",
    adamw_to_init: "toward the initial weights",
}

WORDS: dict[Kind, str] = {
    "none": "no decay",
    "L2": "L2: lambda w is added to the gradient",
    "L2 under Adam": "L2: lambda w is added to the gradient, then normalized by Adam",
    "decoupled": "decoupled: w is multiplied by 1 - eta lambda beside the gradient step",
    "toward the initial weights": "decoupled, toward the initial weights instead of zero",
    "unknown": "weight decay of a kind not known here",
}


@dataclass(frozen=True)
class GroupDecay:
    """What an optimizer does to one parameter group."""

    kind: Kind
    learning_rate: float
    weight_decay: float
    timescale: float | None
    """Steps in which decay alone shrinks a weight by 1/e (a distance to w0, for that kind); None
    where there is no such number: under Adam + L2 it depends on the gradients."""
    tensors: int
    parameters: int

    def __str__(self) -> str:
        words = WORDS[self.kind]
        if self.kind != "none":
            words += f"; eta = {self.learning_rate:g}, lambda = {self.weight_decay:g}"
        if self.timescale is not None and math.isfinite(self.timescale):
            words += f", timescale {self.timescale:,.0f} steps"
        return f"{words} ({self.tensors} tensors, {self.parameters:,} parameters)"


@dataclass(frozen=True, repr=False)
class Description:
    """What `describe` found; prints as a few lines."""

    optimizer: str
    groups: tuple[GroupDecay, ...]
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        lines = [self.optimizer]
        lines += [f"  group {number}: {group}" for number, group in enumerate(self.groups)]
        lines += [f"  warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)

    __repr__ = __str__  # a notebook shows the repr of a cell's last line


def describe(optimizer: Optimizer, model: nn.Module | None = None) -> Description:
    """Which kind of decay an optimizer applies, how fast, and what may surprise.

    Knows torch's SGD and Adam family and `RuleOptimizer`; another optimizer's kind is "unknown".
    The timescale holds at the present learning rate. Ask after a backward pass: before it nobody
    knows which parameters will have no gradient, and that warning is left out.

    Args:
        optimizer: any torch optimizer.
        model: its model, for names in the warnings and for telling embeddings from matrices.
    """
    name = type(optimizer).__name__
    if isinstance(optimizer, RuleOptimizer):
        name += f" with {getattr(optimizer.rule, '__name__', 'a rule of its own')}"
    groups = [_describe_group(optimizer, group) for group in optimizer.param_groups]
    return Description(name, tuple(groups), tuple(_warnings(optimizer, groups, model)))


def _describe_group(optimizer: Optimizer, group: dict[str, Any]) -> GroupDecay:
    lr, weight_decay = float(group["lr"]), float(group.get("weight_decay", 0.0))
    kind: Kind = "unknown"
    if weight_decay == 0:
        kind = "none"
    elif isinstance(optimizer, RuleOptimizer):
        kind = RULES.get(optimizer.rule, "unknown")
    elif "decoupled_weight_decay" in group:
        # Not by isinstance: AdamW is a subclass of Adam, and Adam takes this flag as well.
        kind = "decoupled" if group["decoupled_weight_decay"] else "L2 under Adam"
    elif isinstance(optimizer, torch.optim.SGD):
        kind = "L2"
    shrinking = lr
    if isinstance(optimizer, torch.optim.SGD) and group["momentum"]:
        # Momentum repeats a gradient, and the penalty's with it, 1 / (1 - momentum) times.
        shrinking = lr * (1 - group["dampening"]) / (1 - group["momentum"])
    steps = timescale(shrinking, weight_decay)
    return GroupDecay(
        kind=kind,
        learning_rate=lr,
        weight_decay=weight_decay,
        timescale=None if kind in ("L2 under Adam", "unknown") else steps,
        tensors=len(group["params"]),
        parameters=sum(p.numel() for p in group["params"]),
    )


def _warnings(
    optimizer: Optimizer, groups: list[GroupDecay], model: nn.Module | None
) -> Iterator[str]:
    names = {id(p): name for name, p in model.named_parameters()} if model else {}
    modules = model.modules() if model else ()
    embeddings = {id(m.weight) for m in modules if isinstance(m, nn.Embedding)}
    has_gradients = any(p.grad is not None for g in optimizer.param_groups for p in g["params"])
    for number, (group, found) in enumerate(zip(optimizer.param_groups, groups, strict=True)):
        if found.kind == "none":
            continue
        members = [(p, names.get(id(p), label)) for p, label in labeled(group, number)]
        if found.kind == "L2 under Adam":
            yield (
                f"group {number}: Adam's weight_decay is an L2 penalty, not AdamW's decay: divided "
                "by the root mean square of the gradient, it hardly depends on lambda where the "
                "loss's gradient vanishes"
            )
        skipped = [label for p, label in members if p.grad is None]
        if skipped and has_gradients:
            yield (
                f"group {number}: {_some(skipped)} had no gradient (grad is None): skipped, so "
                "neither trained nor decayed"
            )
        vectors = [label for p, label in members if not decayed(p)]
        if vectors and len(vectors) < len(members):
            tables = [label for p, label in members if id(p) in embeddings]
            company = f"embeddings ({_some(tables)}) and matrices" if tables else "matrices"
            yield (
                f"group {number}: norms and biases ({_some(vectors)}) are decayed like {company}; "
                "parameter_groups keeps them apart"
            )


def _some(labels: list[str]) -> str:
    """The first three and how many more."""
    more = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
    return ", ".join(labels[:3]) + more
