"""Wrong AdamW steps that learners write."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightdecay.grading import Mistake
from weightdecay.rules import Settings


def probe_adamw_step(f: Any, rng: np.random.Generator) -> Any:
    """Weight and means after each of five steps; ε is large, so that its place shows."""
    w = torch.from_numpy(rng.normal(size=6))
    m = v = torch.zeros_like(w)
    path = []
    for t in range(1, 6):
        g = torch.from_numpy(rng.normal(size=6))
        w, m, v = f(w.clone(), g, m.clone(), v.clone(), t, 0.1, 0.4, 0.8, 0.95, 0.05)
        path.append([w.clone(), m.clone(), v.clone()])
    return path


PROBES = {"adamw_step": probe_adamw_step}

Step = tuple[Tensor, Tensor, Tensor]
Wrong = Callable[[Tensor, Tensor, Tensor, Tensor, int, Settings], Step]


def spelled_out(wrong: Wrong) -> Callable[..., Step]:
    """The wrong step with the arguments of the exercise."""

    def adamw_step(
        w: Tensor,
        g: Tensor,
        m: Tensor,
        v: Tensor,
        t: int,
        lr: float,
        weight_decay: float,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
    ) -> Step:
        return wrong(w, g, m, v, t, Settings(lr, weight_decay, (beta1, beta2), eps))

    return adamw_step


def means(g: Tensor, m: Tensor, v: Tensor, s: Settings) -> tuple[Tensor, Tensor]:
    beta1, beta2 = s.betas
    return beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2


def corrected(m: Tensor, v: Tensor, t: int, s: Settings) -> tuple[Tensor, Tensor]:
    beta1, beta2 = s.betas
    return m / (1 - beta1**t), v / (1 - beta2**t)


def direction(m: Tensor, v: Tensor, t: int, s: Settings) -> Tensor:
    m, v = corrected(m, v, t, s)
    return m / (v.sqrt() + s.eps)


def shrunk(w: Tensor, s: Settings) -> Tensor:
    return (1 - s.lr * s.weight_decay) * w


def coupled(w: Tensor, g: Tensor, m: Tensor, v: Tensor, t: int, s: Settings) -> Step:
    m, v = means(g + s.weight_decay * w, m, v, s)
    return w - s.lr * direction(m, v, t, s), m, v


def in_the_numerator(w: Tensor, g: Tensor, m: Tensor, v: Tensor, t: int, s: Settings) -> Step:
    m, v = means(g, m, v, s)
    mean, square = corrected(m, v, t, s)
    return w - s.lr * (mean + s.weight_decay * w) / (square.sqrt() + s.eps), m, v


def decay_without_rate(w: Tensor, g: Tensor, m: Tensor, v: Tensor, t: int, s: Settings) -> Step:
    m, v = means(g, m, v, s)
    return (1 - s.weight_decay) * w - s.lr * direction(m, v, t, s), m, v


def decay_after_the_step(w: Tensor, g: Tensor, m: Tensor, v: Tensor, t: int, s: Settings) -> Step:
    m, v = means(g, m, v, s)
    return shrunk(w - s.lr * direction(m, v, t, s), s), m, v


def no_decay(w: Tensor, g: Tensor, m: Tensor, v: Tensor, t: int, s: Settings) -> Step:
    m, v = means(g, m, v, s)
    return w - s.lr * direction(m, v, t, s), m, v


def no_bias_correction(w: Tensor, g: Tensor, m: Tensor, v: Tensor, t: int, s: Settings) -> Step:
    m, v = means(g, m, v, s)
    return shrunk(w, s) - s.lr * m / (v.sqrt() + s.eps), m, v


def returns_corrected(w: Tensor, g: Tensor, m: Tensor, v: Tensor, t: int, s: Settings) -> Step:
    m, v = corrected(*means(g, m, v, s), t, s)
    return shrunk(w, s) - s.lr * m / (v.sqrt() + s.eps), m, v


def epsilon_in_the_root(w: Tensor, g: Tensor, m: Tensor, v: Tensor, t: int, s: Settings) -> Step:
    m, v = means(g, m, v, s)
    mean, square = corrected(m, v, t, s)
    return shrunk(w, s) - s.lr * mean / (square + s.eps).sqrt(), m, v


MISTAKES = [
    Mistake("coupled", "adamw_step", spelled_out(coupled)),
    Mistake("decay-in-the-numerator", "adamw_step", spelled_out(in_the_numerator)),
    Mistake("decay-without-rate", "adamw_step", spelled_out(decay_without_rate)),
    Mistake("decay-after-the-step", "adamw_step", spelled_out(decay_after_the_step)),
    Mistake("no-decay", "adamw_step", spelled_out(no_decay)),
    Mistake("no-bias-correction", "adamw_step", spelled_out(no_bias_correction)),
    Mistake("corrected-means-returned", "adamw_step", spelled_out(returns_corrected)),
    Mistake("epsilon-inside-the-root", "adamw_step", spelled_out(epsilon_in_the_root)),
]
