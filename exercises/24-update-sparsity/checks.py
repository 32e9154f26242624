"""Checks of 24-update-sparsity: moves that were counted when made, casts bit by bit, every float32
between two bfloat16 numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from weightdecay.grading import expect

Weights = dict[str, Tensor]
Array = npt.NDArray[Any]
SHAPES = {"embed": (40, 6), "first": (12, 6), "bias": (12,), "head": (3, 12), "scale": (5,)}
TOLERANCE = 1e-5


def names(weights: Weights) -> dict[str, Any]:
    return {name: tuple(w.shape) for name, w in weights.items()}


# ---------------------------------------------------------------------------------- Part 1


def moved(
    rng: np.random.Generator, sizes: tuple[float, float], large: float, tolerance: float
) -> tuple[Weights, Weights, float]:
    """Two networks and the share that changed: moves of `large` tolerances and of less than one.

    Each tensor has a share of its own.
    """
    before, after, changed = {}, {}, 0
    for name, shape in SHAPES.items():
        n = math.prod(shape)
        count = int(rng.integers(1, n))
        moves = np.where(np.arange(n) < count, large, 0.5) * rng.uniform(0.8, 1.2, n) * tolerance
        w = rng.uniform(*sizes, n) * rng.choice([-1, 1], n)
        places = rng.permutation(n)
        new = w + moves * rng.choice([-1, 1], n)
        before[name], after[name] = (
            torch.from_numpy(v[places].reshape(shape)).float() for v in (w, new)
        )
        changed += count
    return before, after, changed / sum(math.prod(shape) for shape in SHAPES.values())


@pytest.mark.points(2)
def test_share(changed_share: Callable[..., Any], rng: np.random.Generator) -> None:
    """the share of all weights, over tensors of different sizes, up or down"""
    for tolerance in (1e-5, 1e-3):
        before, after, share = moved(rng, (0.01, 0.1), 30, tolerance)
        inputs = {"shapes": names(before), "tolerance": tolerance}
        expect(changed_share(before, after, tolerance), share, inputs, what="the share")


@pytest.mark.points(1)
def test_large_weights(changed_share: Callable[..., Any], rng: np.random.Generator) -> None:
    """large weights have the same tolerance as small ones"""
    before, after, share = moved(rng, (3, 9), 2, TOLERANCE)
    inputs = {"weights": "3 to 9 in size", "moves": "of about 2e-5 and of less than 1e-5"}
    inputs["tolerance"] = "1e-5"
    expect(changed_share(before, after, TOLERANCE), share, inputs, what="the share")


@pytest.mark.points(1)
def test_just_the_tolerance(changed_share: Callable[..., Any], rng: np.random.Generator) -> None:
    """a move of just the tolerance is no change"""
    w = torch.from_numpy(rng.integers(-8, 9, (4, 5)) / 8).float()
    moves = torch.from_numpy(rng.permutation(np.repeat([-0.25, 0.0, 0.25, 0.5, -0.5], 4))).float()
    after = {"w": w + moves.view(4, 5)}
    inputs = {"moves": moves, "tolerance": 0.25}
    expect(changed_share({"w": w}, after, 0.25), 8 / 20, inputs, what="the share")


# ---------------------------------------------------------------------------------- Part 2


def rounded(w: Tensor) -> Array:
    """To bfloat16 by the bits of a float32: the nearest with 16 zeros at the end, ties to even."""
    bits = w.numpy().view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return bits.astype(np.uint32).view(np.float32).astype(float)


def compare(f: Callable[..., Any], before: Weights, after: Weights, told: dict[str, Any]) -> None:
    differences = [np.abs(rounded(after[n]) - rounded(before[n])).ravel() for n in before]
    share = float((np.concatenate(differences) > TOLERANCE).mean())
    inputs = {"shapes": names(before), **told, "tolerance": TOLERANCE}
    expect(f(before, after, TOLERANCE), share, inputs, what="the share in bfloat16")


def stepped(
    rng: np.random.Generator, sizes: tuple[float, float], steps: tuple[float, float]
) -> tuple[Weights, Weights]:
    before, after = {}, {}
    for name, shape in SHAPES.items():
        w = rng.uniform(*sizes, shape) * rng.choice([-1, 1], shape)
        before[name] = torch.from_numpy(w).float()
        step = rng.uniform(*steps, shape) * rng.choice([-1, 1], shape)
        after[name] = torch.from_numpy(w + step).float()
    return before, after


@pytest.mark.points(2)
def test_steps_above_the_tolerance(
    changed_share_bf16: Callable[..., Any], rng: np.random.Generator
) -> None:
    """moves above the tolerance, of small weights and of large ones"""
    for sizes in ((0.016, 0.06), (0.1, 0.9), (1e-4, 5e-4)):
        before, after = stepped(rng, sizes, (3e-5, 2e-4))
        told = {"weights": f"{sizes[0]} to {sizes[1]} in size", "moves": "3e-5 to 2e-4 in size"}
        compare(changed_share_bf16, before, after, told)


@pytest.mark.points(1)
def test_steps_below_the_tolerance(
    changed_share_bf16: Callable[..., Any], rng: np.random.Generator
) -> None:
    """moves below the tolerance, some of which cross a boundary of rounding"""
    before, after = stepped(rng, (0.016, 0.03), (5e-6, 9e-6))
    for name in ("embed", "first"):  # half-way between two bfloat16 numbers, but for a bit
        middle = 0.015625 + (rng.integers(0, 120, SHAPES[name]) + 0.5) * 2.0**-13
        before[name] = torch.from_numpy(middle - 3e-6).float()
        after[name] = torch.from_numpy(middle + 3e-6).float()
    told = {"weights": "0.015 to 0.03 in size", "moves": "less than 1e-5 in size"}
    compare(changed_share_bf16, before, after, told)


@pytest.mark.points(1)
@pytest.mark.hidden
def test_all_sizes(changed_share_bf16: Callable[..., Any], rng: np.random.Generator) -> None:
    """weights and moves of any size"""
    for _ in range(10):
        size, step = 10 ** rng.uniform(-4, 0.5), 10 ** rng.uniform(-6, -3)
        before, after = stepped(rng, (0.1 * size, size), (0.1 * step, step))
        compare(changed_share_bf16, before, after, {"weights": size, "moves": step})


# ---------------------------------------------------------------------------------- Part 3


def counted(rng: np.random.Generator, exponent: int, part: float) -> tuple[float, float, float]:
    """A size, a step of about that part of a spacing, and the share that a cast shows.

    All 2^16 float32 numbers between two bfloat16 numbers are moved and cast.
    """
    number = int(rng.integers(40, 88))  # of the 128 between two powers of two
    start = 2.0**exponent * (1 + number / 128)
    fine = 2.0 ** (exponent - 23)  # the spacing of float32
    step = round(part * 2**16) * fine
    before = torch.from_numpy(start + np.arange(2**16) * fine).float()
    after = (before.double() + step).float()
    share = float((before.bfloat16() != after.bfloat16()).double().mean())
    return start + 2.0 ** (exponent - 8), step, share


def compare_shown(share_shown: Callable[..., Any], size: float, step: float, share: float) -> None:
    found = share_shown(size, step)
    expect(found, share, {"size": size, "step": step}, atol=1e-4, what="the share shown")


@pytest.mark.points(2)
def test_small_steps(share_shown: Callable[..., Any], rng: np.random.Generator) -> None:
    """steps smaller than the spacing, for weights of several sizes"""
    for exponent in (-8, -6, -3, 0, 4):
        compare_shown(share_shown, *counted(rng, exponent, float(rng.uniform(0.05, 0.45))))
        compare_shown(share_shown, *counted(rng, exponent, float(rng.uniform(0.55, 0.95))))


@pytest.mark.points(1)
def test_large_steps(share_shown: Callable[..., Any], rng: np.random.Generator) -> None:
    """steps larger than the spacing"""
    for exponent in (-6, 1):
        compare_shown(share_shown, *counted(rng, exponent, float(rng.uniform(1.1, 4))))


@pytest.mark.points(1)
def test_down(share_shown: Callable[..., Any], rng: np.random.Generator) -> None:
    """steps toward zero"""
    for exponent in (-6, -2):
        compare_shown(share_shown, *counted(rng, exponent, float(rng.uniform(-0.9, -0.1))))


@pytest.mark.points(1)
@pytest.mark.hidden
def test_any_step(share_shown: Callable[..., Any], rng: np.random.Generator) -> None:
    """twenty sizes and steps"""
    for _ in range(20):
        part = float(rng.choice([-1, 1]) * 10 ** rng.uniform(-2, 0.5))
        compare_shown(share_shown, *counted(rng, int(rng.integers(-8, 6)), part))
