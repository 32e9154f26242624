"""Supervised fine-tuning: three epochs over examples of a task, loss on the response only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from weightdecay.decay import cosine_learning_rate
from weightdecay.plasticity import pretrain
from weightdecay.plasticity.downstream import Example
from weightdecay.plasticity.language import PAD, TOKEN_ID
from weightdecay.plasticity.sampling import prompt_ids
from weightdecay.transformer import Transformer

WARMUP = 0.1
"""Of the run, as in table 6 of the paper."""
IGNORED = -1


class Batch(NamedTuple):
    """Examples as token ids, padded at the end, and what is to follow each of them."""

    ids: Tensor
    """(B, T)"""
    targets: Tensor
    """(B, T) the next token where it is one of the response, else -1."""


def batch(examples: Sequence[Example], *, wrong: bool = False) -> Batch:
    """Prompts with their right responses, or with the wrong ones of a cloze."""
    prompts = [prompt_ids(e) for e in examples]
    said = [(e.wrong or ()) if wrong else e.response for e in examples]
    answers = [[TOKEN_ID[word] for word in words] for words in said]
    width = max(len(p) + len(a) for p, a in zip(prompts, answers, strict=True))
    ids = torch.full((len(examples), width), TOKEN_ID[PAD])
    targets = torch.full((len(examples), width), IGNORED)
    for row, (p, a) in enumerate(zip(prompts, answers, strict=True)):
        ids[row, : len(p) + len(a)] = torch.tensor(p + a)
        # The last token of the prompt is the first that has one of the response behind it.
        targets[row, len(p) - 1 : len(p) + len(a) - 1] = torch.tensor(a)
    return Batch(ids, targets)


def response_loss(model: Transformer, b: Batch) -> Tensor:
    """Mean cross-entropy of the response's tokens, in nats."""
    logits = model(b.ids)
    return F.cross_entropy(logits.flatten(0, 1), b.targets.flatten(), ignore_index=IGNORED)


def finetune(
    model: Transformer,
    examples: Sequence[Example],
    *,
    learning_rate: float,
    weight_decay: float,
    batch_size: int,
    epochs: int,
    seed: int,
    moments: dict[str, dict[str, Tensor]] | None = None,
) -> float:
    """Train the model in place.

    Args:
        learning_rate: peak; warmup over a tenth of the run, then a cosine to 0.
        seed: of the order of the examples.
        moments: ``exp_avg``, ``exp_avg_sq`` and ``step`` of each parameter by name, from which
            AdamW goes on; left out, it starts anew.

    Returns:
        Mean loss over the last epoch.
    """
    o = pretrain.optimizer(model, weight_decay, learning_rate)
    if moments is not None:
        for name, p in model.named_parameters():
            o.state[p] = {key: value.clone() for key, value in moments[name].items()}
    full = batch(examples)
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    orders = [torch.randperm(len(examples), generator=generator) for _ in range(epochs)]
    rows = [part for order in orders for part in torch.split(order, batch_size)]
    warmup, losses = round(WARMUP * len(rows)), []
    for t, part in enumerate(rows):
        rate = cosine_learning_rate(
            t, peak=learning_rate, final=0.0, warmup=warmup, steps=len(rows)
        )
        loss = response_loss(model, Batch(full.ids[part].to(device), full.targets[part].to(device)))
        pretrain.step(model, o, loss, rate)
        losses.append(loss.detach())
    return float(torch.stack(losses[-(len(rows) // epochs) :]).mean())


@torch.no_grad()
def mean_response_loss(model: Transformer, examples: Sequence[Example]) -> float:
    """`response_loss` of all examples."""
    b, device = batch(examples), next(model.parameters()).device
    return float(response_loss(model, Batch(b.ids.to(device), b.targets.to(device))))
