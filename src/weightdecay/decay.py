"""Weight decay: who is decayed, by what schedule, and how much in total (the dose).

Decoupled decay (AdamW, arXiv 1711.05101) multiplies a weight by 1 - eta_t * lambda at each step,
so what a run receives is the sum of eta_t * lambda, its *dose* (science: Wang & Aitchison,
arXiv 2405.13698). Lambda alone does not say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import nn


def cosine_learning_rate(step: int, *, peak: float, final: float, warmup: int, steps: int) -> float:
    """Learning rate of one step: linear warmup to `peak`, then a cosine down to `final`.

    Args:
        step: 0-based; step 0 already moves the weights, with peak / warmup.
        peak, final: learning rates at the end of warmup and at the last step.
        warmup: number of warmup steps; `peak` is reached at step ``warmup - 1``.
        steps: length of the run; step ``steps - 1`` has the rate `final`.

    Raises:
        ValueError: if `step` lies outside the run.
    """
    if not 0 <= step < steps:
        raise ValueError(f"step = {step} is outside the schedule: 0 to {steps - 1}")
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup + 1) / (steps - warmup)
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * progress))


def cumulative_dose(learning_rates: list[float], weight_decay: float) -> list[float]:
    """Dose after 0, 1, 2, ... steps: the running sum of eta_t * lambda, starting at 0.

    With no gradient a decoupled run has shrunk its weights by about exp(-dose).
    """
    doses = [0.0]
    for rate in learning_rates:
        doses.append(doses[-1] + rate * weight_decay)
    return doses


def decayed(parameter: nn.Parameter) -> bool:
    """The rule of nanoGPT: matrices and embeddings (2-D and more) are decayed, the rest is not.

    A bias or a norm's gain has no direction to shrink along: pulling it to zero changes what the
    layer computes rather than how large its weights are.
    """
    return parameter.dim() >= 2


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for a torch optimizer: decayed with `weight_decay`, and not decayed."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trainable if decayed(p)], "weight_decay": weight_decay},
        {"params": [p for p in trainable if not decayed(p)], "weight_decay": 0.0},
    ]


def describe_groups(groups: list[dict[str, Any]]) -> Iterator[str]:
    """One line a group: its decay, its number of tensors and of parameters."""
    for group in groups:
        count = sum(p.numel() for p in group["params"])
        tensors = len(group["params"])
        yield f"weight decay {group['weight_decay']:g}: {tensors} tensors, {count:,} parameters"
