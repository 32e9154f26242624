"""Checks of 19-response-mask: rows pasted together, losses token by token, exact fractions."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from weightdecay.grading import expect

IGNORE = -1
STOP = 0
VOCABULARY = 9
Rows = list[tuple[list[int], list[int]]]


def text(rng: np.random.Generator, n: int, lowest: int = 1) -> list[int]:
    return [int(v) for v in rng.integers(lowest, VOCABULARY, n)]


def example(rng: np.random.Generator, prompt: int, response: int) -> tuple[list[int], list[int]]:
    """A prompt and a response of that many tokens, the last of which is the stop token."""
    return text(rng, prompt), [*text(rng, response - 1), STOP] if response else []


def batch(rng: np.random.Generator, rows: Rows, longer: int = 0) -> tuple[Tensor, ...]:
    """ids, prompt lengths, lengths; padded with the stop token, or with any."""
    total = max(len(p) + len(r) for p, r in rows) + longer
    padding = int(rng.choice([STOP, VOCABULARY]))
    ids = [[*p, *r, *[padding] * (total - len(p) - len(r))] for p, r in rows]
    prompts, lengths = [len(p) for p, _ in rows], [len(p) + len(r) for p, r in rows]
    return torch.tensor(ids), torch.tensor(prompts), torch.tensor(lengths)


def right(rows: Rows, total: int) -> list[list[int]]:
    """Nothing but the response, which begins at the last token of the prompt."""
    made = [[IGNORE] * (len(p) - 1) + r for p, r in rows]
    return [row + [IGNORE] * (total - len(row)) for row in made]


def compare(targets: Callable[..., Any], rng: np.random.Generator, rows: Rows, more: int) -> None:
    ids, prompts, lengths = batch(rng, rows, more)
    found = targets(ids, prompts, lengths)
    inputs = {"ids": ids.tolist(), "prompt_lengths": prompts, "lengths": lengths}
    expect(np.shape(found), tuple(ids.shape), inputs, what="the shape")
    found = torch.as_tensor(found)
    for i, row in enumerate(right(rows, ids.shape[1])):
        one = {"ids": ids[i].tolist(), "prompt": int(prompts[i]), "length": int(lengths[i])}
        expect(found[i].tolist(), row, one, what=f"row {i} of the targets")


# ---------------------------------------------------------------------------------- Part 1


@pytest.mark.points(1)
def test_one_row(targets: Callable[..., Any], rng: np.random.Generator) -> None:
    """one row without padding: every response token is a target, from the first to the stop"""
    for prompt, response in ((3, 2), (1, 4), (5, 3)):
        compare(targets, rng, [example(rng, prompt, response)], 0)


@pytest.mark.points(2)
def test_padded_rows(targets: Callable[..., Any], rng: np.random.Generator) -> None:
    """rows of different lengths: neither prompt nor padding counts"""
    sizes = [(2, 4), (5, 3), (3, 1), (1, 2)]
    compare(targets, rng, [example(rng, *sizes[i]) for i in rng.permutation(4)], 0)
    compare(targets, rng, [example(rng, *sizes[i]) for i in rng.permutation(4)], 3)


@pytest.mark.points(1)
def test_any_token(targets: Callable[..., Any], rng: np.random.Generator) -> None:
    """any token may occur anywhere, that of stop and padding as well"""
    rows = [(text(rng, 4, 0), text(rng, n, 0)) for n in (8, 5, 3)]
    for prompt, response in rows:
        prompt[-1], response[0], response[-2] = STOP, STOP, STOP
    compare(targets, rng, rows, 2)


@pytest.mark.points(1)
def test_short_rows(targets: Callable[..., Any], rng: np.random.Generator) -> None:
    """a prompt of one token; a response of one token, and of none"""
    compare(targets, rng, [example(rng, *size) for size in ((1, 3), (4, 1), (6, 0), (1, 1))], 1)


@pytest.mark.points(1)
@pytest.mark.hidden
def test_many(targets: Callable[..., Any], rng: np.random.Generator) -> None:
    """twenty batches of any sizes"""
    for _ in range(20):
        sizes = rng.integers(1, 9, (int(rng.integers(1, 6)), 2))
        rows = [example(rng, int(p), int(r)) for p, r in sizes]
        compare(targets, rng, rows, int(rng.integers(4)))


# ---------------------------------------------------------------------------------- Part 2


def losses(logits: Tensor, wanted: list[list[int]]) -> list[float]:
    """Of each token that counts, one by one."""
    found = []
    for row, asked in zip(logits.tolist(), wanted, strict=True):
        for values, target in zip(row, asked, strict=True):
            if target != IGNORE:
                top = max(values)
                total = math.fsum(math.exp(v - top) for v in values)
                found.append(math.log(total) + top - values[target])
    return found


def compare_loss(
    response_loss: Callable[..., Any], rng: np.random.Generator, sizes: list[tuple[int, int]]
) -> None:
    """Rows that the model finds easy and others that it finds hard."""
    wanted = right([example(rng, *size) for size in sizes], max(map(sum, sizes)))
    shape = (len(sizes), len(wanted[0]), VOCABULARY)
    scale = rng.permutation(np.linspace(0.5, 6, len(sizes)))[:, None, None]
    logits, given = torch.from_numpy(scale * rng.normal(size=shape)), torch.tensor(wanted)
    counted = losses(logits, wanted)
    expect(
        response_loss(logits, given),
        math.fsum(counted) / len(counted),
        inputs={"logits": logits, "wanted": wanted},
        what="the loss",
    )


@pytest.mark.points(1)
def test_equal_logits(response_loss: Callable[..., Any], rng: np.random.Generator) -> None:
    """logits that are all equal: log V"""
    wanted = right([example(rng, 3, 4), example(rng, 2, 2)], 7)
    logits = torch.full((2, 7, VOCABULARY), float(rng.normal()), dtype=torch.float64)
    inputs = {"logits": "all equal", "V": VOCABULARY, "wanted": wanted}
    found = response_loss(logits, torch.tensor(wanted))
    expect(found, math.log(VOCABULARY), inputs, what="the loss")


@pytest.mark.points(2)
def test_loss(response_loss: Callable[..., Any], rng: np.random.Generator) -> None:
    """the mean over the tokens that count, of one row and of rows of different lengths"""
    compare_loss(response_loss, rng, [(4, 5)])
    compare_loss(response_loss, rng, [(3, 9), (2, 1), (5, 3)])
    compare_loss(response_loss, rng, [(1, 2), (1, 6), (8, 2), (2, 3)])


@pytest.mark.points(1)
def test_row_that_does_not_count(
    response_loss: Callable[..., Any], rng: np.random.Generator
) -> None:
    """a row without any response changes nothing"""
    compare_loss(response_loss, rng, [(3, 4), (5, 0), (2, 2)])


# ---------------------------------------------------------------------------------- Part 3


@pytest.mark.points(2)
def test_times_too_much(times_too_much: Callable[..., Any], rng: np.random.Generator) -> None:
    """weight in the mean of means over weight in the mean over tokens, for each example"""
    for n in (1, 2, 3, 5, 8):
        sizes = [int(v) for v in rng.integers(1, 40, n)]
        # Of tokens that have no loss but one: what is the mean, either way?
        of_means = [Fraction(1, size) / n for size in sizes]
        of_tokens = Fraction(1, sum(sizes))
        expect(
            times_too_much(sizes),
            [float(w / of_tokens) for w in of_means],
            inputs={"response_lengths": sizes},
            what="the weights",
        )


@pytest.mark.points(1)
@pytest.mark.hidden
def test_equal_lengths(times_too_much: Callable[..., Any], rng: np.random.Generator) -> None:
    """responses of equal length: both means are the same"""
    for n, size in rng.integers(1, 30, (5, 2)).tolist():
        sizes = [size] * n
        expect(times_too_much(sizes), [1.0] * n, {"response_lengths": sizes}, what="the weights")
