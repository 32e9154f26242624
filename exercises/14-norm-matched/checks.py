"""Checks of 14-norm-matched: norms entry by entry, values as lists, what controls really keep."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from weightdecay.grading import Mismatch, expect

Weights = dict[str, Tensor]
SHAPES = {"first.weight": (24, 3), "first.bias": (24,), "head.weight": (2, 24), "head.bias": (2,)}


def draw(rng: np.random.Generator, *shape: int, mean: float = 0.0) -> Tensor:
    return torch.from_numpy(rng.normal(mean, 1, shape))


def network(rng: np.random.Generator) -> Weights:
    """Tensors of very different sizes."""
    return {name: draw(rng, *shape) * float(rng.uniform(0.2, 5)) for name, shape in SHAPES.items()}


def norm(w: Tensor) -> float:
    return math.hypot(*map(float, w.flatten()))


def matched(fresh: Weights, learned: Weights) -> Weights:
    return {name: w * (norm(learned[name]) / norm(w)) for name, w in fresh.items()}


def tensors(found: Any, like: Weights, what: str) -> Weights:
    """The learner's tensors, once names and shapes are right."""
    shapes = found
    if isinstance(found, dict):
        shapes = {name: getattr(w, "shape", None) for name, w in found.items()}
    expect(shapes, {name: w.shape for name, w in like.items()}, what=f"names and shapes of {what}")
    weights: Weights = found
    return weights


# ---------------------------------------------------------------------------------- Part 1


@pytest.mark.points(1)
def test_each_norm(norm_matched: Callable[..., Any], rng: np.random.Generator) -> None:
    """each tensor has the norm of the learned tensor of its name, biases too"""
    fresh, learned = network(rng), network(rng)
    found = tensors(norm_matched(fresh, learned), fresh, "the control")
    expect(
        {name: norm(w) for name, w in found.items()},
        {name: norm(w) for name, w in learned.items()},
        inputs={
            "norms of fresh": {name: norm(w) for name, w in fresh.items()},
            "norms of learned": {name: norm(w) for name, w in learned.items()},
        },
        what="the norms",
    )


@pytest.mark.points(2)
def test_fresh_times_a_number(norm_matched: Callable[..., Any], rng: np.random.Generator) -> None:
    """each tensor is the fresh one times one number"""
    fresh, learned = network(rng), network(rng)
    learned["first.weight"][:12] *= 10  # rows of very different size
    right = matched(fresh, learned)
    found = tensors(norm_matched(fresh, learned), fresh, "the control")
    for name in fresh:
        inputs = {"fresh": fresh[name], "learned": learned[name]}
        expect(found[name], right[name], inputs=inputs, what=name)


@pytest.mark.points(1)
def test_mean_not_zero(norm_matched: Callable[..., Any], rng: np.random.Generator) -> None:
    """weights whose mean is not zero: the norm counts it"""
    fresh, learned = {"w": draw(rng, 6, 5, mean=1)}, {"w": draw(rng, 6, 5, mean=-4)}
    expect(
        norm_matched(fresh, learned),
        matched(fresh, learned),
        inputs={"fresh": fresh, "learned": learned},
        what="the control",
    )


@pytest.mark.points(1)
def test_zeros(norm_matched: Callable[..., Any], rng: np.random.Generator) -> None:
    """fresh zeros stay zeros, and learned zeros make zeros"""
    fresh, learned = network(rng), network(rng)
    fresh["first.bias"] = torch.zeros_like(fresh["first.bias"])
    learned["head.bias"] = torch.zeros_like(learned["head.bias"])
    found = tensors(norm_matched(fresh, learned), fresh, "the control")
    for name in ("first.bias", "head.bias"):
        inputs = {"fresh": fresh[name], "learned": learned[name]}
        expect(found[name], torch.zeros_like(fresh[name]), inputs=inputs, what=name)


@pytest.mark.points(1)
def test_left_as_they_are(norm_matched: Callable[..., Any], rng: np.random.Generator) -> None:
    """two tensors that trade their norms: each is rescaled to what the other was before"""
    a, b = draw(rng, 4, 3), 7 * draw(rng, 4, 3)
    fresh, learned = {"a": a, "b": b}, {"a": b, "b": a}
    expect(
        norm_matched(fresh, learned),
        matched(fresh, learned),
        inputs={"fresh": "{'a': a, 'b': b}", "learned": "{'a': b, 'b': a}", "a": a, "b": b},
        what="the control",
    )


# ---------------------------------------------------------------------------------- Part 2


def numbered(*shape: int) -> Tensor:
    """0, 1, 2, … so that each value tells where it was."""
    return torch.arange(math.prod(shape), dtype=torch.float64).view(shape)


def generator(rng: np.random.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(int(rng.integers(2**31)))


@pytest.mark.points(1)
def test_values(shuffled: Callable[..., Any], rng: np.random.Generator) -> None:
    """every tensor has the values that it had, each as often as before"""
    learned = network(rng)
    found = tensors(shuffled(learned, generator(rng)), learned, "the control")
    for name, w in learned.items():
        expect(
            sorted(found[name].flatten().tolist()),
            sorted(w.flatten().tolist()),
            inputs={name: w},
            what=f"the values of {name} in order",
        )


@pytest.mark.points(2)
def test_order(shuffled: Callable[..., Any], rng: np.random.Generator) -> None:
    """no row, no column and no bias vector of a large network is what it was"""
    learned = {"weight": numbered(40, 30), "bias": numbered(50)}
    found = tensors(shuffled(learned, generator(rng)), learned, "the control")
    w, still = learned["weight"], found["weight"]
    told = {"weight": "0, 1, 2, … of shape (40, 30)", "bias": "0, 1, 2, … of shape (50,)"}
    for what, old, new in (("rows", w, still), ("columns", w.T, still.T)):
        before = {frozenset(values.tolist()) for values in old}
        same = sum(frozenset(values.tolist()) in before for values in new)
        expect(same, 0, inputs=told, what=f"number of {what} made of one old one")
    moved = not torch.equal(found["bias"], learned["bias"])
    expect(moved, True, inputs=told, what="the bias has another order:")


@pytest.mark.points(1)
def test_a_permutation_for_each(shuffled: Callable[..., Any], rng: np.random.Generator) -> None:
    """two tensors of one shape are shuffled in two ways"""
    learned = {"a": numbered(8, 10), "b": numbered(8, 10)}
    found = tensors(shuffled(learned, generator(rng)), learned, "the control")
    alike = torch.equal(found["a"], found["b"])
    expect(alike, False, inputs={"a and b": "0, 1, 2, … of shape (8, 10)"}, what="a equals b:")


@pytest.mark.points(1)
def test_the_generator(shuffled: Callable[..., Any], rng: np.random.Generator) -> None:
    """the same seed of the generator gives the same control, another seed another one"""
    learned = {"a": numbered(8, 10), "b": numbered(30)}
    for seeds, same in (((1, 1), True), ((1, 2), False)):
        one, two = (shuffled(learned, torch.Generator().manual_seed(seed)) for seed in seeds)
        one, two = (tensors(found, learned, "the control") for found in (one, two))
        expect(
            torch.equal(one["a"], two["a"]) and torch.equal(one["b"], two["b"]),
            same,
            inputs={"seeds of the two generators": list(seeds)},
            what="the two controls are equal:",
        )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_any_place(shuffled: Callable[..., Any], rng: np.random.Generator) -> None:
    """a value may land in any place, and neighbors part"""
    places = set()
    for seed in range(150):
        found = shuffled({"w": numbered(2, 3)}, torch.Generator().manual_seed(seed))
        places.add(int(found["w"].flatten().argmin()))
    told = {"w": "0, 1, … 5 of shape (2, 3)", "controls": 150}
    expect(sorted(places), [*range(6)], inputs=told, what="the places of the first value")
    row = shuffled({"w": numbered(400)}, generator(rng))["w"]
    still = int(((row[1:] - row[:-1]).abs() == 1).sum())
    expect(still < 30, True, inputs={"w": "0, 1, … 399"}, what="fewer than 30 neighbors are left:")


# ---------------------------------------------------------------------------------- Part 3


def properties(w: Tensor) -> dict[str, Any]:
    """By the names in the notebook; a network of one matrix has one norm."""
    return {
        "norm of each tensor": w.norm(),
        "norm of all weights together": w.norm(),
        "mean of each tensor": w.mean(),
        "largest weight of each tensor": w.max(),
        "norm of each row of a matrix": w.norm(dim=1),
        "singular values of each matrix": torch.linalg.svdvals(w),
    }


def measured(control: str, rng: np.random.Generator) -> set[str]:
    """What a control keeps, in an experiment."""
    fresh, learned = draw(rng, 6, 5, mean=0.5), draw(rng, 6, 5, mean=2)
    if control == "norm_matched":
        made = matched({"w": fresh}, {"w": learned})["w"]
    else:
        made = torch.from_numpy(rng.permutation(learned.numpy().ravel()).reshape(6, 5))
    before, after = properties(learned), properties(made)
    return {name for name in before if torch.allclose(before[name], after[name])}


def compare(answer: Any, control: str, rng: np.random.Generator) -> None:
    """Only how many are right is told."""
    names = properties(draw(rng, 2, 2))
    listed = answer.get(control) if isinstance(answer, dict) else None
    if not isinstance(listed, list | tuple | set):
        raise Mismatch(f"observed: no list for {control}\nexpected: a list of properties")
    for name in listed:
        if name not in names:
            raise Mismatch(f"observed: {name!r} for {control}\nexpected: words of PROPERTIES only")
    right = measured(control, rng)
    agree = sum((name in listed) == (name in right) for name in names)
    expect(agree, len(names), what=f"of the {len(names)} decisions about {control}, right are")


@pytest.mark.points(1)
def test_kept_by_norm_matched(kept: Callable[[], Any], rng: np.random.Generator) -> None:
    """what the norm-matched control shares with the learned weights"""
    compare(kept(), "norm_matched", rng)


@pytest.mark.points(1)
def test_kept_by_shuffled(kept: Callable[[], Any], rng: np.random.Generator) -> None:
    """what the shuffled control shares with the learned weights"""
    compare(kept(), "shuffled", rng)
