"""Checks of 25-kl-drift: SciPy's relative entropy, closed forms where a probability underflows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.special import rel_entr, softmax

from weightdecay.grading import Mismatch, expect

Array = npt.NDArray[Any]
VOCABULARY = 7


def logits(rng: np.random.Generator, *shape: int) -> Array:
    """Of any level, since a constant added to all logits changes nothing."""
    level = rng.uniform(-20, 20, (*shape, 1))
    return np.asarray(rng.normal(0, 2, (*shape, VOCABULARY)) + level)


def right(start: Array, model: Array) -> Array:
    return np.asarray(rel_entr(softmax(start, -1), softmax(model, -1)).sum(-1))


def torched(*arrays: Array) -> list[torch.Tensor]:
    return [torch.from_numpy(np.array(a)) for a in arrays]


# ---------------------------------------------------------------------------------- Part 1


@pytest.mark.points(1)
def test_two_tokens(kl: Callable[..., Any], rng: np.random.Generator) -> None:
    """two tokens, probabilities by hand"""
    for p, q in ((0.5, 0.25), (0.9, 0.5), tuple(rng.uniform(0.05, 0.95, 2).tolist())):
        by_hand = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
        start, model = (torch.tensor([v, 1 - v], dtype=torch.float64).log() for v in (p, q))
        inputs = {"p": [p, 1 - p], "q": [q, 1 - q], "logits": "their logs"}
        expect(kl(start, model), by_hand, inputs, what="the KL")


@pytest.mark.points(2)
def test_distributions(kl: Callable[..., Any], rng: np.random.Generator) -> None:
    """one number for each pair of distributions, whatever the level of the logits"""
    for shape in ((), (4,), (2, 3)):
        start, model = logits(rng, *shape), logits(rng, *shape)
        given = torched(start, model)
        inputs = {"start_logits": given[0], "logits": given[1]}
        expect(kl(*given), right(start, model), inputs, what="the KL")


@pytest.mark.points(1)
def test_underflow(kl: Callable[..., Any], rng: np.random.Generator) -> None:
    """models so sure of something else that a probability underflows"""
    for dtype, far in ((torch.float64, 900.0), (torch.float32, 150.0), (torch.float64, 60.0)):
        a, b = (far * rng.uniform(1, 2, 2)).tolist()
        start = torch.tensor([[a, 0.0], [0.0, 0.0]], dtype=dtype)
        model = torch.tensor([[0.0, b], [0.0, b]], dtype=dtype)
        # The start all on the first token, which has e^-b now; or half of it on each.
        inputs = {"start_logits": start.tolist(), "logits": model.tolist(), "dtype": str(dtype)}
        expect(kl(start, model), [b, b / 2 - math.log(2)], inputs, rtol=1e-5, what="the KL")


@pytest.mark.points(1)
@pytest.mark.hidden
def test_any_distributions(kl: Callable[..., Any], rng: np.random.Generator) -> None:
    """the same logits, and a hundred pairs"""
    start, model = logits(rng, 100), logits(rng, 100)
    given = torched(start, model)
    expect(kl(*given), right(start, model), {"start_logits": given[0]}, what="the KL")
    same = {"start_logits": given[0], "logits": "the same, and 3 more each"}
    expect(kl(given[0], given[0] + 3), np.zeros(100), same, what="the KL")


# ---------------------------------------------------------------------------------- Part 2


def compare(
    drift: Callable[..., Any],
    rng: np.random.Generator,
    lengths: list[tuple[int, int]],
    elsewhere: float | None = None,
) -> None:
    """Rows with a prompt and a response of these lengths; each row has moved by another amount."""
    width = max(p + r for p, r in lengths) + 2
    start = logits(rng, len(lengths), width)
    size = rng.permutation(np.linspace(0.2, 3, len(lengths)))[:, None, None]
    model = start + size * rng.normal(size=start.shape)
    counts = np.zeros(start.shape[:2], dtype=bool)
    for row, (prompt, response) in zip(counts, lengths, strict=True):
        row[prompt : prompt + response] = True
    each = [float(v) for v in right(start[counts], model[counts])]
    if elsewhere is not None:
        start[~counts], model[~counts] = elsewhere, elsewhere
    given = torched(start, model, counts)
    inputs = {"start_logits": given[0], "logits": given[1], "counts": counts.astype(int).tolist()}
    if elsewhere is not None:
        inputs["logits that do not count"] = elsewhere
    expect(drift(*given), math.fsum(each) / len(each), inputs, what="the drift")


@pytest.mark.points(1)
def test_one_text(drift: Callable[..., Any], rng: np.random.Generator) -> None:
    """one text with a prompt and padding"""
    for sizes in ((2, 5), (4, 1), (0, 3)):
        compare(drift, rng, [sizes])


@pytest.mark.points(2)
def test_texts(drift: Callable[..., Any], rng: np.random.Generator) -> None:
    """texts of different lengths: every token that counts has the same weight"""
    compare(drift, rng, [(3, 9), (2, 1), (5, 3)])
    compare(drift, rng, [(1, 2), (6, 11), (2, 4), (8, 1)])


@pytest.mark.points(1)
def test_elsewhere(drift: Callable[..., Any], rng: np.random.Generator) -> None:
    """a text without any token that counts, and NaN where nothing counts"""
    compare(drift, rng, [(2, 4), (5, 0), (3, 2)])
    compare(drift, rng, [(2, 4), (5, 0), (3, 2)], math.nan)


@pytest.mark.points(1)
@pytest.mark.hidden
def test_many_texts(drift: Callable[..., Any], rng: np.random.Generator) -> None:
    """ten batches of any sizes"""
    for _ in range(10):
        sizes = rng.integers(0, 9, (int(rng.integers(1, 6)), 2))
        compare(drift, rng, [(2, 3), *((int(p), int(r)) for p, r in sizes)], math.nan)


# ---------------------------------------------------------------------------------- Part 3

WORDS = ("start || model", "model || start", "equal")
CASES = (
    ((0.499, 0.499, 0.002), (0.996, 0.002, 0.002)),
    ((0.996, 0.002, 0.002), (0.499, 0.499, 0.002)),
    ((0.600, 0.300, 0.100), (0.100, 0.300, 0.600)),
    ((0.340, 0.330, 0.330), (0.960, 0.020, 0.020)),
)


def measured(start: tuple[float, ...], model: tuple[float, ...]) -> str:
    forward, backward = (float(np.sum(rel_entr(a, b))) for a, b in ((start, model), (model, start)))
    if math.isclose(forward, backward, rel_tol=1e-9):
        return "equal"
    return WORDS[0] if forward > backward else WORDS[1]


@pytest.mark.points(3)
def test_larger(larger: Callable[[], Any]) -> None:
    """for each of the four cases: which direction gives the larger number"""
    answers, expected = larger(), [measured(*case) for case in CASES]
    if not isinstance(answers, list | tuple) or len(answers) != len(expected):
        raise Mismatch(f"observed: {answers!r}\nexpected: a list of {len(expected)} answers")
    for answer in answers:
        if answer not in WORDS:
            raise Mismatch(f"observed: {answer!r}\nexpected: one of {', '.join(WORDS)}")
    # How many, not which: the rest is the learner's.
    agree = sum(a == b for a, b in zip(answers, expected, strict=True))
    expect(agree, len(expected), {"answers": answers}, what="the number of cases answered right is")
