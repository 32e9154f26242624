"""Which sentences each step sees, and how they lie in memory.

A padded batch of 32 sentences spends half its work on padding. Here two sentences share a row,
the longest with the shortest, and an attention mask keeps them apart. Rotary positions are
relative, so a sentence gives the same logits wherever in a row it starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weightdecay.minitrain.corpus import Sentence, padded

BLOCKED = -1e9  # added to a score that must not count; -inf would turn an empty row into NaN


def batch_order(seed: int, sentences: int, batch_size: int, steps: int) -> Tensor:
    """Sentence indices (steps, batch_size): shuffled epochs laid end to end."""
    generator = torch.Generator().manual_seed(2**31 + seed)  # another stream than the weights'
    epochs = -(-steps * batch_size // sentences)
    order = torch.cat([torch.randperm(sentences, generator=generator) for _ in range(epochs)])
    return order[: steps * batch_size].view(steps, batch_size)


@dataclass(frozen=True)
class Batch:
    """Two sentences a row: ids and targets (R, W), mask (R, 1, W, W) for the attention scores."""

    inputs: Tensor
    targets: Tensor
    mask: Tensor


def pair_masks(width: int, *, causal: bool = True) -> Tensor:
    """(width + 1, width, width): for each length of the first sentence, the mask of its row.

    Without `causal` it keeps the sentences apart and hides nothing of what comes later.
    """
    i = torch.arange(width)
    first = i < torch.arange(width + 1)[:, None]  # (width + 1, width)
    allowed = first[:, :, None] == first[:, None, :]
    if causal:
        allowed &= i[:, None] >= i
    return torch.zeros(width + 1, width, width).masked_fill(~allowed, BLOCKED)


class PairedBatches:
    """The batches of a run, packed two sentences a row, all at once: a step only slices."""

    def __init__(
        self, sentences: Sequence[Sentence], order: Tensor, *, causal: bool = True
    ) -> None:
        inputs, targets = padded(sentences)
        lengths = (targets >= 0).sum(1)
        # Sorted by length and folded in the middle: the longest sentence meets the shortest. An
        # odd one out shares its row with an empty sentence: index -1, the row of padding below.
        by_length = order.gather(1, lengths[order].argsort(dim=1, stable=True))
        if order.shape[1] % 2:
            by_length = torch.cat([torch.full((len(order), 1), -1), by_length], 1)
        inputs = torch.cat([inputs, torch.zeros_like(inputs[:1])])
        targets = torch.cat([targets, torch.full_like(targets[:1], -1)])
        lengths = torch.cat([lengths, lengths.new_zeros(1)])
        half = by_length.shape[1] // 2
        first, second = by_length[:, :half], by_length[:, half:].flip(1)  # (S, R)
        self.first_length = lengths[first]
        self.width = (self.first_length + lengths[second]).amax(1).tolist()  # of each step's rows
        self.masks = pair_masks(max(self.width), causal=causal)
        position = torch.arange(max(self.width))
        start = self.first_length[:, :, None]
        is_second = position >= start  # (S, R, W)
        sentence = torch.where(is_second, second[:, :, None], first[:, :, None])
        column = torch.where(is_second, position - start, position)
        # Past the end of its second sentence a row holds padding.
        outside = column >= inputs.shape[1]
        sentence, column = sentence.masked_fill(outside, -1), column.masked_fill(outside, 0)
        self.inputs, self.targets = inputs[sentence, column], targets[sentence, column]

    def __getitem__(self, step: int) -> Batch:
        width = self.width[step]
        mask = self.masks[self.first_length[step], :width, :width].unsqueeze(1)
        return Batch(self.inputs[step, :, :width], self.targets[step, :, :width], mask)
