"""Five update rules that differ in one line, the decay, and one optimizer that runs any of them.

    optimizer = RuleOptimizer(parameter_groups(model, 0.1), adamw, lr=1e-3)

A rule is a function of a weight, its gradient, what the rule remembers of it, and the settings; it
returns the new weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from weightdecay.decay import require_nonnegative


@dataclass(frozen=True)
class Settings:
    """What a parameter group asks for at this step.

    Raises:
        ValueError: for a negative rate or decay, or betas outside [0, 1).
    """

    lr: float
    """Learning rate eta."""
    weight_decay: float = 0.0
    """Lambda."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's beta1 and beta2; SGD has no use for them."""
    eps: float = 1e-8
    """Adam's epsilon, added to the square root."""

    def __post_init__(self) -> None:
        require_nonnegative(lr=self.lr, weight_decay=self.weight_decay, eps=self.eps)
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas = {self.betas} must be 0 or more and below 1")


State = dict[str, Any]
"""What a rule remembers of one parameter from step to step; empty before the first."""

Rule = Callable[[Tensor, Tensor, State, Settings], Tensor]
"""(weight w, gradient g, state, settings) to the new weight, all of w's shape; changes `state`."""


# ---------------------------------------------------------------------------------------- rules


def sgd_l2(w: Tensor, g: Tensor, state: State, s: Settings) -> Tensor:
    """SGD on the loss plus (lambda / 2) |w|^2; torch's ``SGD(weight_decay=...)``."""
    g = g + s.weight_decay * w  # the decay: the penalty's gradient joins the loss's
    return w - s.lr * g


def sgd_decoupled(w: Tensor, g: Tensor, state: State, s: Settings) -> Tensor:
    """SGD with decoupled decay, scaled by the learning rate (arXiv 1711.05101).

    Without momentum this is `sgd_l2`, term by term: the one case in which "weight decay" and "L2"
    are two words for the same thing.
    """
    w = w - s.lr * s.weight_decay * w  # the decay: beside the gradient, not in it
    return w - s.lr * g


def adam_l2(w: Tensor, g: Tensor, state: State, s: Settings) -> Tensor:
    """Adam on the loss plus (lambda / 2) |w|^2; ``Adam(weight_decay=...)``.

    arXiv 1412.6980, with the L2 that torch adds to the gradient.
    """
    g = g + s.weight_decay * w  # the decay: Adam normalizes its size away
    return w - s.lr * _adam_direction(g, state, s)


def adamw(w: Tensor, g: Tensor, state: State, s: Settings) -> Tensor:
    """AdamW as torch has it: lambda is multiplied by the learning rate.

    arXiv 1711.05101.
    """
    w = w - s.lr * s.weight_decay * w  # the decay: Adam never sees it
    return w - s.lr * _adam_direction(g, state, s)


def adamw_to_init(w: Tensor, g: Tensor, state: State, s: Settings) -> Tensor:
    """AdamW that decays toward the initial weights: L2-Init (arXiv 2308.11958), decoupled form.

    The paper adds lambda |w - w0|^2 to the loss, which under Adam is the coupled form; here the
    pull is decoupled, with AdamW's convention for lambda. w0 is the weight at its first step.
    """
    if "w0" not in state:
        state["w0"] = w.clone()
    w = w - s.lr * s.weight_decay * (w - state["w0"])  # the decay: as in AdamW, but toward w0
    return w - s.lr * _adam_direction(g, state, s)


def _adam_direction(g: Tensor, state: State, s: Settings) -> Tensor:
    """Mean gradient over its root mean square: near its sign where gradients agree, else smaller.

    Of any gradient's size it keeps nothing: c * g gives the same direction as g.
    """
    beta1, beta2 = s.betas
    state["t"] = t = state.get("t", 0) + 1
    state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
    state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g * g
    # Both averages start from 0: the divisions make up for what they miss in the first steps.
    m: Tensor = state["m"] / (1 - beta1**t)
    v: Tensor = state["v"] / (1 - beta2**t)
    return m / (v.sqrt() + s.eps)


# ------------------------------------------------------------------------------------ optimizer


class RuleOptimizer(Optimizer):
    """Any rule as a torch optimizer: parameter groups, schedulers and ``state_dict`` work.

    A parameter whose ``grad`` is None is skipped, decay included, as torch's own optimizers do.
    The rule is not part of the ``state_dict``; load it into an optimizer with the same rule.

    Args:
        params: as for any torch optimizer; a group may override the settings.
        rule: one of this file's rules, or another function of their signature.
        lr, weight_decay, betas, eps: see `Settings`.

    Raises:
        ValueError: for settings that make no sense, at once or when a step meets them; and for a
            NaN in a parameter, before anything of that step has moved.
    """

    def __init__(
        self,
        params: Iterable[Any],
        rule: Rule,
        *,
        lr: float,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.rule = rule
        super().__init__(
            params, {"lr": lr, "weight_decay": weight_decay, "betas": betas, "eps": eps}
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "rule": self.rule}  # for copy.deepcopy and pickle

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group after checking its settings."""
        _settings({**self.defaults, **param_group})
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(  # type: ignore[override]  # torch's own optimizers say the same
        self, closure: Callable[[], float] | None = None
    ) -> float | None:
        """Move every parameter that has a gradient; returns the closure's loss, if there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        settings = [_settings(group) for group in self.param_groups]
        for number, group in enumerate(self.param_groups):
            for p, label in labeled(group, number):
                if p.grad is not None and p.isnan().any():
                    raise ValueError(
                        f"{label}, shape {tuple(p.shape)}, holds {int(p.isnan().sum())} NaN: "
                        "an earlier step or its gradient was not finite"
                    )
        for group, s in zip(self.param_groups, settings, strict=True):
            for p in group["params"]:
                if p.grad is not None:
                    p.copy_(self.rule(p, p.grad, self.state[p], s))
        return loss


def _settings(group: dict[str, Any]) -> Settings:
    beta1, beta2 = group["betas"]
    return Settings(
        float(group["lr"]), float(group["weight_decay"]), (beta1, beta2), float(group["eps"])
    )


def labeled(group: dict[str, Any], number: int) -> Iterator[tuple[nn.Parameter, str]]:
    """Parameters with their name if the optimizer was given names, else with their place."""
    for i, p in enumerate(group["params"]):
        yield p, group["param_names"][i] if "param_names" in group else f"group {number}[{i}]"
