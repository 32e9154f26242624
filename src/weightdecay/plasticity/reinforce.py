"""Tuning by verified rewards: REINFORCE with +1 for a right response and -1 for a wrong one.

The objective is the expected reward, as in arXiv 2506.01347: rewards are signed, so there is no
baseline. Its two halves are *positive* (right responses only) and *negative* (wrong ones only),
and their gradients add up to that of the whole. A batch is drawn from the policy that it moves and
used for one step, so there is neither a ratio nor clipping of one. More supervised tuning on right
solutions (*sft*) is the fourth method, and goes through the same loop.

A step may be held back in three ways: decoupled decay, decay toward the start (L2-Init), and a
penalty on KL(model || start), exact over the vocabulary at each token of the batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from weightdecay import updates
from weightdecay.decay import cosine_learning_rate
from weightdecay.plasticity import finetune, pretrain, sampling
from weightdecay.plasticity.downstream import Example, Words, verified
from weightdecay.plasticity.evaluate import cut
from weightdecay.plasticity.reinforce_config import Method, Reinforce
from weightdecay.rules import RuleOptimizer, adamw_to_init
from weightdecay.transformer import Transformer

PROMPTS, DRAWN = 32, 4
"""Of a batch, and responses to each of its prompts."""
WARMUP = 10
"""Steps; the learning rate is constant behind them, so that every epoch counts the same."""
Watch = Callable[[int, float], None]
"""(steps done, loss of the last of them)"""


# -------------------------------------------------------------------------------------- losses


def weights(method: Method, right: Tensor) -> Tensor:
    """(N,) what each response's log-likelihood counts, of verified responses (N,), 1 or 0."""
    match method:
        case "reinforce":
            return 2 * right - 1
        case "positive":
            return right
        case "negative":
            return right - 1
    raise ValueError(f"{method} has no rewards")


def log_likelihood(model: Transformer, b: finetune.Batch) -> Tensor:
    """(N,) of each response, summed over its tokens."""
    each = F.cross_entropy(
        model(b.ids).transpose(1, 2), b.targets, ignore_index=finetune.IGNORED, reduction="none"
    )
    return -each.sum(1)


def reward_loss(model: Transformer, b: finetune.Batch, weight: Tensor) -> Tensor:
    """Its gradient is that of the expected reward, estimated from a batch, times -1."""
    return -(weight * log_likelihood(model, b)).mean()


def drift(model: Transformer, start: Transformer, b: finetune.Batch) -> Tensor:
    """Mean over responses of KL(model || start) summed over their tokens, in nats.

    The texts count as given: how the model comes to say them is not differentiated.
    """
    with torch.no_grad():
        before = start(b.ids)
    each = updates.kl(model(b.ids), before)
    return (each * (b.targets != finetune.IGNORED)).sum() / len(b.ids)


# ------------------------------------------------------------------------------------ sampling


def drawn(model: Transformer, asked: Sequence[Example], n: int, seed: int) -> list[list[Words]]:
    """n responses to each prompt at temperature 1, up to the stop behind the answer."""
    found = sampling.responses(model, asked, n, 1.0, seed)
    return [[cut(said) for said in each] for each in found]


def flat(asked: Sequence[Example], said: Sequence[Sequence[Words]]) -> list[Example]:
    """Prompts with what was said to them, as examples to train on or to measure."""
    return [
        replace(e, response=words) for e, each in zip(asked, said, strict=True) for words in each
    ]


def judged(asked: Sequence[Example], said: Sequence[Sequence[Words]]) -> list[list[bool]]:
    """Which responses are right, prompt by prompt."""
    return [[verified(e, words) for words in each] for e, each in zip(asked, said, strict=True)]


def seed_of(*parts: int) -> int:
    """One seed of several numbers."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


# -------------------------------------------------------------------------------------- loops


def optimizer(model: Transformer, config: Reinforce) -> torch.optim.Optimizer:
    """AdamW as everywhere in this part, with decay toward 0 or toward the weights as they are."""
    if config.to_start == 0:
        return pretrain.optimizer(model, config.finetune_decay, config.learning_rate)
    groups = pretrain.groups(model, config.to_start)
    return RuleOptimizer(groups, adamw_to_init, lr=config.learning_rate, betas=pretrain.BETAS)


def descend(
    model: Transformer,
    o: torch.optim.Optimizer,
    loss_of: Callable[[Sequence[Example], int], Tensor],
    shown: Sequence[Example],
    batch_size: int,
    epochs: int,
    rate: float,
    seed: int,
    watch: Watch,
) -> None:
    """Steps down `loss_of`, of (batch, number of the step), in another order each epoch."""
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(shown), generator=generator) for _ in range(epochs)]
    rows = [part.tolist() for order in orders for part in torch.split(order, batch_size)]
    for t, part in enumerate(rows):
        now = cosine_learning_rate(t, peak=rate, final=rate, warmup=WARMUP, steps=len(rows))
        loss = loss_of([shown[i] for i in part], t)
        pretrain.step(model, o, loss, now)
        watch(t + 1, float(loss.detach()))


def tune(model: Transformer, config: Reinforce, shown: Sequence[Example], watch: Watch) -> None:
    """Train a policy in place, by the config's method and what holds it back.

    Args:
        shown: prompts, with the right solutions that only *sft* reads.
    """
    start = copy.deepcopy(model)

    def loss_of(batch: Sequence[Example], t: int) -> Tensor:
        if config.method == "sft":
            b = finetune.batch(batch)
            loss = finetune.response_loss(model, b)
        else:
            said = drawn(model, batch, DRAWN, seed_of(config.seed, config.draw, t))
            b = finetune.batch(flat(batch, said))
            right = torch.tensor(judged(batch, said), dtype=torch.float32).flatten()
            loss = reward_loss(model, b, weights(config.method, right))
        return loss + config.kl * drift(model, start, b) if config.kl else loss

    o = optimizer(model, config)
    seed = seed_of(config.seed, config.draw)
    descend(model, o, loss_of, shown, PROMPTS, config.epochs, config.learning_rate, seed, watch)
