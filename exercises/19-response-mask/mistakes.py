"""Wrong answers to 19-response-mask that people give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from weightdecay.grading import Mistake

IGNORE = -1


# ------------------------------------------------------------------------------------ probes


def probe_targets(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """Every place holds another token; if that is right, zeros are among them."""
    ids = 1 + torch.from_numpy(rng.permutation(48)).view(4, 12)
    prompts, lengths = torch.tensor([2, 5, 1, 4]), torch.tensor([12, 8, 5, 9])
    found = torch.as_tensor(f(ids.clone(), prompts, lengths))
    if found.tolist() != shifted(ids, prompts, lengths).tolist():
        return found
    ids[ids % 3 == 0] = 0
    ids[torch.arange(4), lengths - 1] = 0
    return f(ids.clone(), prompts, lengths)


def probe_response_loss(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """Three rows; if they are right, one more in which nothing counts."""
    wanted = torch.full((3, 10), IGNORE)
    for row, (start, stop) in zip(wanted, ((2, 10), (0, 3), (5, 6)), strict=True):
        row[start:stop] = torch.from_numpy(rng.integers(0, 7, stop - start))
    logits = torch.from_numpy(rng.normal(size=(3, 10, 7)) * [[[0.5]], [[2]], [[6]]])
    found = float(f(logits, wanted))
    if abs(found - mean_of_tokens(logits, wanted)) > 1e-6:
        return found
    nothing = torch.cat([wanted, torch.full((1, 10), IGNORE)])
    return f(torch.cat([logits, logits[:1]]), nothing)


def probe_times_too_much(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    return list(f([2, 8, 30]))


# ----------------------------------------------------------------------------------- targets


def shifted(
    ids: Tensor,
    prompts: Tensor,
    lengths: Tensor,
    first: int = 0,
    beyond: int = 0,
) -> Tensor:
    """Right, unless the first target or the end is moved by some places."""
    places = torch.arange(1, ids.shape[1] + 1)
    inside = (places >= prompts[:, None] + first) & (places < lengths[:, None] + beyond)
    return ids.roll(-1, 1).where(inside & (places < ids.shape[1]), IGNORE)


def first_lost(ids: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
    return shifted(ids, prompts, lengths, first=1)


def mask_of_positions(ids: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
    """Where the response stands, laid over the next tokens."""
    return shifted(ids, prompts, lengths, first=1, beyond=1)


def one_of_the_prompt(ids: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
    return shifted(ids, prompts, lengths, first=-1)


def whole_prompt(ids: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
    return shifted(ids, torch.ones_like(prompts), lengths)


def all_padding(ids: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
    return shifted(ids, prompts, torch.full_like(lengths, ids.shape[1]))


def padding_and_around(ids: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
    places = torch.arange(1, ids.shape[1] + 1)
    return ids.roll(-1, 1).where(places >= prompts[:, None], IGNORE)


def one_of_the_padding(ids: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
    return shifted(ids, prompts, lengths, beyond=1)


def everything(ids: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
    return shifted(ids, torch.ones_like(prompts), torch.full_like(lengths, ids.shape[1]))


def without_stop(ids: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
    return shifted(ids, prompts, lengths, beyond=-1)


def itself(ids: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
    places = torch.arange(ids.shape[1])
    return ids.where((places >= prompts[:, None]) & (places < lengths[:, None]), IGNORE)


def length_of_the_response(ids: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
    return shifted(ids, prompts, prompts + lengths)


def by_id(ids: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
    found = shifted(ids, prompts, lengths)
    return found.where(found != 0, IGNORE)


def inverted(ids: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
    counts = shifted(ids, prompts, lengths) != IGNORE
    return everything(ids, prompts, lengths).where(~counts, IGNORE)


def one_length_for_all(ids: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
    """The first row's prompt length, as if all were alike."""
    return shifted(ids, prompts[:1].expand_as(prompts), lengths)


def longest_prompt(ids: Tensor, prompts: Tensor, lengths: Tensor) -> Tensor:
    return shifted(ids, prompts.max().expand_as(prompts), lengths)


# ----------------------------------------------------------------------------- response_loss


def of_tokens(logits: Tensor, wanted: Tensor) -> Tensor:
    """(B, T), zero where nothing counts."""
    return F.cross_entropy(logits.mT, wanted, ignore_index=IGNORE, reduction="none")


def mean_of_tokens(logits: Tensor, wanted: Tensor) -> float:
    """Right."""
    return float(of_tokens(logits, wanted).sum() / (wanted != IGNORE).sum())


def mean_of_means(logits: Tensor, wanted: Tensor) -> float:
    return float((of_tokens(logits, wanted).sum(1) / (wanted != IGNORE).sum(1)).mean())


def mean_of_means_that_count(logits: Tensor, wanted: Tensor) -> float:
    rows = (wanted != IGNORE).any(1)
    return mean_of_means(logits[rows], wanted[rows])


def mean_of_means_with_zeros(logits: Tensor, wanted: Tensor) -> float:
    n = (wanted != IGNORE).sum(1).clamp(min=1)
    return float((of_tokens(logits, wanted).sum(1) / n).mean())


def over_all_places(logits: Tensor, wanted: Tensor) -> float:
    return float(of_tokens(logits, wanted).mean())


def over_all_targets(logits: Tensor, wanted: Tensor) -> float:
    return float(of_tokens(logits, wanted).sum() / (wanted.shape[0] * (wanted.shape[1] - 1)))


def total(logits: Tensor, wanted: Tensor) -> float:
    return float(of_tokens(logits, wanted).sum())


def sum_by_row(logits: Tensor, wanted: Tensor) -> float:
    return total(logits, wanted) / len(wanted)


def again(logits: Tensor, wanted: Tensor) -> float:
    return mean_of_tokens(logits[:, :-1], wanted[:, 1:])


def zero_for_ignored(logits: Tensor, wanted: Tensor) -> float:
    return float(F.cross_entropy(logits.mT, wanted.clamp(min=0)))


def last_for_ignored(logits: Tensor, wanted: Tensor) -> float:
    """Python's -1 is the last token of the vocabulary."""
    return float(F.cross_entropy(logits.mT, wanted % logits.shape[2]))


def zero_left_out(logits: Tensor, wanted: Tensor) -> float:
    log_p = logits.log_softmax(2).gather(2, wanted.clamp(min=0)[..., None])[..., 0]
    return float(-(log_p * (wanted > 0)).sum() / (wanted > 0).sum())


def in_bits(logits: Tensor, wanted: Tensor) -> float:
    return mean_of_tokens(logits, wanted) / float(np.log(2))


def without_softmax(logits: Tensor, wanted: Tensor) -> float:
    counts = wanted != IGNORE
    return float(-logits[counts].gather(1, wanted[counts][:, None]).mean())


# ---------------------------------------------------------------------------- times_too_much


def upside_down(lengths: list[int]) -> list[float]:
    return [len(lengths) * n / sum(lengths) for n in lengths]


def of_the_response(lengths: list[int]) -> list[float]:
    return [sum(lengths) / (len(lengths) * n) * n for n in lengths]


def weight_only(lengths: list[int]) -> list[float]:
    return [1 / (len(lengths) * n) for n in lengths]


def without_examples(lengths: list[int]) -> list[float]:
    return [sum(lengths) / n for n in lengths]


def only_within(lengths: list[int]) -> list[float]:
    return [1 / n for n in lengths]


def all_one(lengths: list[int]) -> list[float]:
    return [1.0 for _ in lengths]


def difference(lengths: list[int]) -> list[float]:
    return [1 / (len(lengths) * n) - 1 / sum(lengths) for n in lengths]


def against_longest(lengths: list[int]) -> list[float]:
    return [max(lengths) / n for n in lengths]


PROBES = {
    "targets": probe_targets,
    "response_loss": probe_response_loss,
    "times_too_much": probe_times_too_much,
}
MISTAKES = [
    Mistake("first-token-lost", "targets", first_lost),
    Mistake("first-token-lost", "targets", mask_of_positions),
    Mistake("prompt-counted", "targets", one_of_the_prompt),
    Mistake("prompt-counted", "targets", whole_prompt),
    Mistake("padding-counted", "targets", all_padding),
    Mistake("padding-counted", "targets", padding_and_around),
    Mistake("padding-counted", "targets", one_of_the_padding),
    Mistake("everything-counted", "targets", everything),
    Mistake("stop-left-out", "targets", without_stop),
    Mistake("not-shifted", "targets", itself),
    Mistake("length-of-the-response", "targets", length_of_the_response),
    Mistake("by-id", "targets", by_id),
    Mistake("inverted", "targets", inverted),
    Mistake("one-length-for-all", "targets", one_length_for_all),
    Mistake("one-length-for-all", "targets", longest_prompt),
    Mistake("mean-of-means", "response_loss", mean_of_means),
    Mistake("mean-of-means", "response_loss", mean_of_means_that_count),
    Mistake("mean-of-means", "response_loss", mean_of_means_with_zeros),
    Mistake("divided-by-all", "response_loss", over_all_places),
    Mistake("divided-by-all", "response_loss", over_all_targets),
    Mistake("a-sum", "response_loss", total),
    Mistake("a-sum", "response_loss", sum_by_row),
    Mistake("shifted-twice", "response_loss", again),
    Mistake("ignored-counted", "response_loss", zero_for_ignored),
    Mistake("ignored-counted", "response_loss", last_for_ignored),
    Mistake("zero-ignored", "response_loss", zero_left_out),
    Mistake("in-bits", "response_loss", in_bits),
    Mistake("not-a-probability", "response_loss", without_softmax),
    Mistake("upside-down", "times_too_much", upside_down),
    Mistake("of-the-response", "times_too_much", of_the_response),
    Mistake("one-weight-only", "times_too_much", weight_only),
    Mistake("one-weight-only", "times_too_much", only_within),
    Mistake("without-examples", "times_too_much", without_examples),
    Mistake("no-difference", "times_too_much", all_one),
    Mistake("difference", "times_too_much", difference),
    Mistake("against-the-longest", "times_too_much", against_longest),
]
