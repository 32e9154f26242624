"""Weight decay: who is decayed, by what schedule, how much in total, and where that leads.

Decoupled decay (AdamW, arXiv 1711.05101) multiplies a weight by 1 - eta_t * lambda at each step,
so what a run receives is the sum of eta_t * lambda, its *dose* (science: Wang & Aitchison,
arXiv 2405.13698). Lambda alone does not say. The update rules themselves are in `rules.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn


def require_nonnegative(**values: float) -> None:
    """Refuse a value that is negative, infinite or NaN.

    torch checks an optimizer's defaults but not its groups: there a negative lambda grows the
    weights without a word.

    Raises:
        ValueError: naming the first such value.
    """
    for name, value in values.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} = {value} must be a finite number, 0 or more")


# ---------------------------------------------------------------------------------- schedules


def _require_step(step: int, steps: int) -> None:
    if not 0 <= step < steps:
        raise ValueError(f"step = {step} is outside the schedule: 0 to {steps - 1}")


def constant_learning_rate(step: int, *, peak: float, steps: int) -> float:
    """Learning rate of one step: always `peak`.

    Args:
        step: 0-based.
        peak: the learning rate.
        steps: length of the run.

    Raises:
        ValueError: if `step` lies outside the run or `peak` is negative.
    """
    _require_step(step, steps)
    require_nonnegative(peak=peak)
    return peak


def cosine_learning_rate(step: int, *, peak: float, final: float, warmup: int, steps: int) -> float:
    """Learning rate of one step: linear warmup to `peak`, then a cosine down to `final`.

    Args:
        step: 0-based; step 0 already moves the weights, with peak / warmup.
        peak, final: learning rates at the end of warmup and at the last step.
        warmup: number of warmup steps; `peak` is reached at step ``warmup - 1``.
        steps: length of the run; step ``steps - 1`` has the rate `final`.

    Raises:
        ValueError: if `step` lies outside the run or a learning rate is negative.
    """
    _require_step(step, steps)
    require_nonnegative(peak=peak, final=final)
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup + 1) / (steps - warmup)
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * progress))


def wsd_learning_rate(
    step: int, *, peak: float, final: float, warmup: int, cooldown: int, steps: int
) -> float:
    """Learning rate of one step: warmup, stable at `peak`, then linearly down to `final`.

    Warmup-stable-decay (arXiv 2404.06395, with the linear cooldown of arXiv 2405.18392): the run
    can be prolonged, since nothing before the cooldown depends on `steps`.

    Args:
        step: 0-based.
        peak, final: learning rates of the stable part and of the last step.
        warmup: number of warmup steps; `peak` is reached at step ``warmup - 1``.
        cooldown: number of last steps in which the rate falls.
        steps: length of the run; step ``steps - 1`` has the rate `final`, if there is a cooldown.

    Raises:
        ValueError: if `step` lies outside the run, warmup and cooldown do not fit into it, or a
            learning rate is negative.
    """
    _require_step(step, steps)
    require_nonnegative(peak=peak, final=final)
    if warmup + cooldown > steps:
        raise ValueError(f"warmup + cooldown = {warmup + cooldown} do not fit into {steps} steps")
    if step < warmup:
        return peak * (step + 1) / warmup
    if step < steps - cooldown:
        return peak
    left = (steps - 1 - step) / cooldown
    return final + (peak - final) * left


# ------------------------------------------------------------------------- dose and timescale


def cumulative_dose(learning_rates: Sequence[float], weight_decay: float) -> list[float]:
    """Dose after 0, 1, 2, ... steps: the running sum of eta_t * lambda, starting at 0.

    With no gradient a decoupled run has shrunk its weights by about exp(-dose).

    Raises:
        ValueError: if `weight_decay` is negative.
    """
    require_nonnegative(weight_decay=weight_decay)
    doses = [0.0]
    for rate in learning_rates:
        doses.append(doses[-1] + rate * weight_decay)
    return doses


def timescale(learning_rate: float, weight_decay: float) -> float:
    """tau = 1 / (eta * lambda), in steps: how long decoupled decay remembers an update.

    w_t = (1 - eta lambda) w_{t-1} + eta lambda (-u_t / lambda) is an exponential moving average of
    the updates -u_t / lambda with this time constant (Wang & Aitchison, arXiv 2405.13698). An
    average of values within +-1 / lambda stays there: where |u| <= 1, weights end up no larger
    than 1 / lambda (Xie & Li, arXiv 2404.04454). Infinite without decay.

    Raises:
        ValueError: for a negative value.
    """
    require_nonnegative(learning_rate=learning_rate, weight_decay=weight_decay)
    rate = learning_rate * weight_decay
    return 1 / rate if rate else math.inf


# -------------------------------------------------------------------- equilibrium and rotation


def noise_equilibrium_rms(learning_rate: float, weight_decay: float, beta1: float = 0.0) -> float:
    """RMS of the weights at which AdamW settles if gradients are noise: sqrt(eta / (2 lambda)).

    Each step adds about eta^2 to the mean square and takes 2 eta lambda of it away (Kosson et
    al., arXiv 2305.17212); to first order in eta lambda, and for beta2 near 1. Momentum spreads a
    gradient over 1 / (1 - beta1) steps without changing its sum, so it changes the equilibrium
    only by what decays meanwhile: with a = eta lambda, the mean square is multiplied by
    (1 - a beta1 / (1 + beta1)) / (1 + a beta1 / (1 - beta1)), 0.955 for beta1 = 0.9, a = 0.005.
    Infinite without decay: a random walk has no equilibrium.

    Raises:
        ValueError: for a negative rate or decay.
    """
    require_nonnegative(learning_rate=learning_rate, weight_decay=weight_decay)
    if weight_decay == 0:
        return math.inf
    a = learning_rate * weight_decay
    momentum = (1 - a * beta1 / (1 + beta1)) / (1 + a * beta1 / (1 - beta1))
    return math.sqrt(learning_rate / (2 * weight_decay) * momentum)


def scale_invariant_norm(learning_rate: float, weight_decay: float, unit_gradient: float) -> float:
    """Norm at which scale-invariant weights settle under SGD: ((eta / 2 lambda) g^2)^(1/4).

    Weights before a normalization have a gradient orthogonal to them that shrinks as 1 / norm, so
    each step adds eta^2 g^2 / norm^2 to the squared norm and decay takes 2 eta lambda norm^2 away
    (van Laarhoven, arXiv 1706.05350; Wan et al., arXiv 2006.08419). Infinite without decay.

    Args:
        learning_rate, weight_decay: eta and lambda of SGD without momentum.
        unit_gradient: g, root mean square of the gradient's norm, measured at weights of norm 1.

    Raises:
        ValueError: for a negative value.
    """
    require_nonnegative(
        learning_rate=learning_rate, weight_decay=weight_decay, unit_gradient=unit_gradient
    )
    if weight_decay == 0:
        return math.inf
    return float((learning_rate / (2 * weight_decay) * unit_gradient**2) ** 0.25)


def rotation_per_step(learning_rate: float, weight_decay: float, beta1: float = 0.0) -> float:
    """Angle, in radians, by which a weight vector turns in one step of its equilibrium.

    sqrt(2 eta lambda) for scale-invariant weights under SGD, whatever the gradient's size, and
    sqrt(2 eta lambda (1 - beta1) / (1 + beta1)) under AdamW (Kosson et al., arXiv 2305.17212,
    table 1). Momentum makes the single step smaller but successive steps alike: over many more
    than 1 / (1 - beta1) steps the vector has turned as far as with beta1 = 0.

    Raises:
        ValueError: for a negative rate or decay.
    """
    require_nonnegative(learning_rate=learning_rate, weight_decay=weight_decay)
    return math.sqrt(2 * learning_rate * weight_decay * (1 - beta1) / (1 + beta1))


# ------------------------------------------------------------ shrinkage along singular directions


def ridge_shrinkage(singular_values: Tensor, weight_decay: float) -> Tensor:
    """Share of the least-squares solution that an L2 penalty leaves, one for each direction.

    Minimizing |Xw - y|^2 / 2 + (lambda / 2) |w|^2 keeps sigma^2 / (sigma^2 + lambda) along the
    direction of X with singular value sigma (Hastie, Tibshirani & Friedman, The Elements of
    Statistical Learning, section 3.4.1). Where sigma = lambda = 0 nothing is determined: NaN.

    Raises:
        ValueError: if `weight_decay` is negative.
    """
    require_nonnegative(weight_decay=weight_decay)
    return singular_values**2 / (singular_values**2 + weight_decay)


def gradient_flow_shrinkage(singular_values: Tensor, time: float) -> Tensor:
    """The same share for gradient descent from zero stopped early: 1 - exp(-t sigma^2).

    `time` is steps times learning rate, on |Xw - y|^2 / 2 and for small steps; t = 1 / lambda is
    about ridge with lambda (Ali, Kolter & Tibshirani, arXiv 1810.10082).

    Raises:
        ValueError: if `time` is negative.
    """
    require_nonnegative(time=time)
    return -(-time * singular_values**2).expm1()


def soft_threshold(singular_values: Tensor, weight_decay: float) -> Tensor:
    """Singular values of the best A B^T under L2 on both factors: max(d - lambda, 0).

    Minimizing |A B^T - D|^2 / 2 + (lambda / 2)(|A|^2 + |B|^2) is minimizing with the nuclear norm,
    which equals (|A|^2 + |B|^2) / 2 there: small singular values of D vanish, not only shrink
    (Srebro et al., NeurIPS 2004; Cai et al., arXiv 0810.3286). True of an L2 penalty; AdamW's
    decay lowers ranks as well (Kobayashi et al., arXiv 2410.23819) but not to these values.

    Raises:
        ValueError: if `weight_decay` is negative.
    """
    require_nonnegative(weight_decay=weight_decay)
    return (singular_values - weight_decay).clamp(min=0)


# ------------------------------------------------------------------------------ parameter groups


def decayed(parameter: nn.Parameter) -> bool:
    """The rule of nanoGPT: matrices and embeddings (2-D and more) are decayed, the rest is not.

    A bias or a norm's gain has no direction to shrink along: pulling it to zero changes what the
    layer computes rather than how large its weights are.
    """
    return parameter.dim() >= 2


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for a torch optimizer: decayed with `weight_decay`, and not decayed.

    Raises:
        ValueError: if `weight_decay` is negative.
    """
    require_nonnegative(weight_decay=weight_decay)
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
