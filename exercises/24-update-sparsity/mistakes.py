"""Wrong answers to 24-update-sparsity that people give."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightdecay.grading import Mistake

Weights = dict[str, Tensor]
Pair = tuple[Weights, Weights]
TOLERANCE = 1e-5


# ------------------------------------------------------------------------------------ probes


def network(rng: np.random.Generator, size: float, steps: list[float]) -> Pair:
    """Tensors of different sizes; each move is one of the steps, up more often than down."""
    before, after = {}, {}
    for number, (name, shape) in enumerate({"a": (30, 9), "b": (7, 5), "bias": (11,)}.items()):
        w = size * rng.uniform(1, 1.9, shape) * rng.choice([-1, 1], shape)
        step = rng.choice(steps[number:] or steps, shape) * rng.choice([-1, 1, 1], shape)
        before[name], after[name] = (torch.from_numpy(v).float() for v in (w, w + step))
    return before, after


def probe_changed_share(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    found = [
        float(f(*network(rng, 0.02, [3e-4, 2e-6, 4e-5, 0.0]), TOLERANCE)),
        float(f(*network(rng, 5.0, [2e-5, 4e-6, 3e-5, 0.0]), TOLERANCE)),
        float(f(*network(rng, 0.02, [3e-4, 2e-6, 4e-5, 0.0]), 1e-4)),
    ]
    exact = {"w": torch.tensor([1.0, 2.0, 3.0, 4.0])}
    return [*found, float(f(exact, {"w": exact["w"] + torch.tensor([0.25, 0.5, 0, 0])}, 0.25))]


def probe_changed_share_bf16(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    pairs = [network(rng, size, [3e-5, 1e-4, 8e-6]) for size in (0.018, 0.3, 1.1)]
    return [float(f(*pair, TOLERANCE)) for pair in pairs]


def probe_share_shown(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    cases = [(5.0, 2e-5), (0.02, 3e-5), (0.03, 1.1e-4), (0.7, 1e-3), (1.3, 6e-3), (5.0, 0.1)]
    found = [float(f(size, step)) for size, step in cases]
    return [*found, float(f(0.02, -4e-5)), float(f(1.3, -0.1))]


# ----------------------------------------------------------------------------- changed_share

Changed = Callable[[Tensor, Tensor, float], Tensor]


def right_changed(before: Tensor, after: Tensor, tolerance: float) -> Tensor:
    return (after - before).abs() > tolerance


def share_of(changed: Changed) -> Callable[[Weights, Weights, float], float]:
    """Right, but for what counts as changed."""

    def changed_share(before: Weights, after: Weights, tolerance: float) -> float:
        flags = [changed(before[n], after[n], tolerance).flatten() for n in before]
        return float(torch.cat(flags).double().mean())

    return changed_share


right = share_of(right_changed)


def tensor_shares(before: Weights, after: Weights, tolerance: float) -> list[float]:
    return [float(right_changed(before[n], after[n], tolerance).double().mean()) for n in before]


def mean_of_tensors(before: Weights, after: Weights, tolerance: float) -> float:
    return float(np.mean(tensor_shares(before, after, tolerance)))


def matrices_only(before: Weights, after: Weights, tolerance: float) -> float:
    kept = {n: w for n, w in before.items() if w.dim() > 1} or before
    return right(kept, after, tolerance)


def sparsity(before: Weights, after: Weights, tolerance: float) -> float:
    return 1 - right(before, after, tolerance)


def count(before: Weights, after: Weights, tolerance: float) -> float:
    return right(before, after, tolerance) * sum(w.numel() for w in before.values())


def percent(before: Weights, after: Weights, tolerance: float) -> float:
    return 100 * right(before, after, tolerance)


def size_of_the_update(before: Weights, after: Weights, tolerance: float) -> float:
    old, new = (torch.cat([w[n].flatten() for n in before]) for w in (before, after))
    return float((new - old).norm() / old.norm())


def relative(before: Tensor, after: Tensor, tolerance: float) -> Tensor:
    return (after - before).abs() > tolerance * before.abs()


def close_by_default(before: Tensor, after: Tensor, tolerance: float) -> Tensor:
    return ~torch.isclose(after, before, atol=tolerance)


# ------------------------------------------------------------------------ changed_share_bf16


def cast(w: Tensor) -> Tensor:
    return w.bfloat16().float()


def one_side(before: Tensor, after: Tensor, tolerance: float) -> Tensor:
    return right_changed(before, cast(after), tolerance)


def other_side(before: Tensor, after: Tensor, tolerance: float) -> Tensor:
    return right_changed(cast(before), after, tolerance)


def cast_update(before: Tensor, after: Tensor, tolerance: float) -> Tensor:
    return cast(after - before).abs() > tolerance


def half(before: Tensor, after: Tensor, tolerance: float) -> Tensor:
    return right_changed(before.half().float(), after.half().float(), tolerance)


def only_hides(before: Tensor, after: Tensor, tolerance: float) -> Tensor:
    seen = right_changed(cast(before), cast(after), tolerance)
    return seen & right_changed(before, after, tolerance)


def either(before: Tensor, after: Tensor, tolerance: float) -> Tensor:
    seen = right_changed(cast(before), cast(after), tolerance)
    return seen | right_changed(before, after, tolerance)


def cut(w: Tensor) -> Tensor:
    """Toward zero, as when half of the bits are thrown away."""
    return (w.contiguous().view(torch.int32) & -65536).view(torch.float32)


def cut_off(before: Tensor, after: Tensor, tolerance: float) -> Tensor:
    return right_changed(cut(before), cut(after), tolerance)


def unchanged_in_bf16(before: Weights, after: Weights, tolerance: float) -> float:
    kept = ({n: cast(w) for n, w in weights.items()} for weights in (before, after))
    return sparsity(*kept, tolerance)


# ------------------------------------------------------------------------------- share_shown


def spacing(size: float, digits: int = 7) -> float:
    """Right."""
    return 2.0 ** (math.floor(math.log2(size)) - digits)


def shown(size: float, step: float, how: Callable[[float], float], digits: int = 7) -> float:
    """From the step in spacings."""
    return how(step / spacing(size, digits))


def capped(part: float) -> float:
    return min(1.0, abs(part))


def smooth(size: float, step: float) -> float:
    return min(1.0, abs(step) / (2.0**-7 * size))


def smooth_and_half(size: float, step: float) -> float:
    return min(1.0, abs(step) / (2.0**-8 * size))


def as_in_float32(size: float, step: float) -> float:
    return float(abs(step) > TOLERANCE)


PROBES = {
    "changed_share": probe_changed_share,
    "changed_share_bf16": probe_changed_share_bf16,
    "share_shown": probe_share_shown,
}
MISTAKES = [
    Mistake("mean-of-tensors", "changed_share", mean_of_tensors),
    Mistake("only-matrices", "changed_share", matrices_only),
    Mistake("sparsity-not-change", "changed_share", sparsity),
    Mistake("not-a-share", "changed_share", count),
    Mistake("not-a-share", "changed_share", percent),
    Mistake("size-of-the-update", "changed_share", size_of_the_update),
    Mistake("upward-only", "changed_share", share_of(lambda b, a, t: a - b > t)),
    Mistake("upward-only", "changed_share", share_of(lambda b, a, t: b - a > t)),
    Mistake("upward-only", "changed_share", share_of(lambda b, a, t: a.abs() - b.abs() > t)),
    Mistake("no-tolerance", "changed_share", share_of(lambda b, a, t: a != b)),
    Mistake(
        "no-tolerance", "changed_share", share_of(lambda b, a, t: right_changed(b, a, TOLERANCE))
    ),
    Mistake("relative-tolerance", "changed_share", share_of(relative)),
    Mistake("relative-tolerance", "changed_share", share_of(close_by_default)),
    Mistake("just-the-tolerance", "changed_share", share_of(lambda b, a, t: (a - b).abs() >= t)),
    Mistake("as-if-not-cast", "changed_share_bf16", right),
    Mistake("as-if-not-cast", "changed_share_bf16", share_of(cast_update)),
    Mistake("one-side-cast", "changed_share_bf16", share_of(one_side)),
    Mistake("one-side-cast", "changed_share_bf16", share_of(other_side)),
    Mistake("float16", "changed_share_bf16", share_of(half)),
    Mistake("cast-only-hides", "changed_share_bf16", share_of(only_hides)),
    Mistake("either-format", "changed_share_bf16", share_of(either)),
    Mistake("cut-not-rounded", "changed_share_bf16", share_of(cut_off)),
    Mistake("unchanged-in-bf16", "changed_share_bf16", unchanged_in_bf16),
    Mistake("all-or-nothing", "share_shown", partial(shown, how=lambda p: float(abs(p) > 0.5))),
    Mistake("all-or-nothing", "share_shown", partial(shown, how=lambda p: float(abs(p) >= 1))),
    Mistake("spacing-grows-smoothly", "share_shown", smooth),
    Mistake("spacing-grows-smoothly", "share_shown", smooth_and_half),
    Mistake("a-digit-off", "share_shown", partial(shown, how=capped, digits=8)),
    Mistake("a-digit-off", "share_shown", partial(shown, how=capped, digits=6)),
    Mistake("another-format", "share_shown", partial(shown, how=capped, digits=10)),
    Mistake("as-in-float32", "share_shown", as_in_float32),
    Mistake("as-in-float32", "share_shown", partial(shown, how=capped, digits=23)),
    Mistake("share-hidden", "share_shown", partial(shown, how=lambda p: 1 - capped(p))),
    Mistake("more-than-all", "share_shown", partial(shown, how=abs)),
    Mistake("sign-of-the-step", "share_shown", partial(shown, how=lambda p: min(1.0, p))),
    Mistake("sign-of-the-step", "share_shown", partial(shown, how=lambda p: max(0.0, min(1.0, p)))),
    Mistake("upside-down", "share_shown", partial(shown, how=lambda p: min(1.0, 1 / abs(p)))),
]
