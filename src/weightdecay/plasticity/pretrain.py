"""Pretraining of a base model: one pass over freshly drawn text, as AdamW is used in practice.

AdamW with betas (0.9, 0.95), gradient clipped to 1, warmup over a tenth of the run, then a cosine
to a tenth of the peak, or warmup-stable-decay to 0 (tables 4 and 5 of the paper). In OLMo-2 style
the embedding is not decayed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weightdecay import runs
from weightdecay.decay import cosine_learning_rate, parameter_groups, wsd_learning_rate
from weightdecay.plasticity.config import CONTEXT, Pretrain
from weightdecay.plasticity.language import sample
from weightdecay.transformer import Transformer

BETAS, CLIP_NORM, WARMUP = (0.9, 0.95), 1.0, 0.1
COOLDOWN = 0.2
"""Of a warmup-stable-decay run, its last part (Hägele et al., arXiv 2405.18392)."""
CHUNK = 64
"""Batches drawn at once."""
CHECKPOINT = "checkpoint.pt"
CHECKPOINT_STEPS = 2000


def steps(config: Pretrain) -> int:
    """Of a run: what its tokens for each parameter give, rounded up to a full batch."""
    tokens = config.tokens_per_parameter * sum(p.numel() for p in build(config).parameters())
    return -(-tokens // (config.batch_size * CONTEXT))


def build(config: Pretrain) -> Transformer:
    """The model as it is initialized."""
    return Transformer(config.sizes(), torch.Generator().manual_seed(config.seed))


def groups(model: Transformer, weight_decay: float) -> list[dict[str, Any]]:
    """For AdamW: matrices decayed, gains not; nor, in OLMo-2 style, the embedding."""
    found = parameter_groups(model, weight_decay)
    if model.config.style == "olmo2":
        embedding = model.embedding.weight
        found[0]["params"] = [p for p in found[0]["params"] if p is not embedding]
        found[1]["params"].append(embedding)
    return found


def optimizer(model: Transformer, weight_decay: float, learning_rate: float) -> torch.optim.AdamW:
    """AdamW as pretraining and fine-tuning use it."""
    return torch.optim.AdamW(groups(model, weight_decay), lr=learning_rate, betas=BETAS, fused=True)


def learning_rates(config: Pretrain) -> list[float]:
    """Of every step; their sum times the decay is the dose."""
    n, peak = steps(config), config.learning_rate
    warmup = round(WARMUP * n)
    if config.schedule == "cosine":
        return [
            cosine_learning_rate(t, peak=peak, final=peak / 10, warmup=warmup, steps=n)
            for t in range(n)
        ]
    cooldown = round(COOLDOWN * n)
    return [
        wsd_learning_rate(t, peak=peak, final=0.0, warmup=warmup, cooldown=cooldown, steps=n)
        for t in range(n)
    ]


def documents(config: Pretrain, chunk: int) -> Tensor:
    """(64 B, 64) token ids of 64 batches in a row, the same for every decay."""
    drawn = sample(CHUNK * config.batch_size, CONTEXT, [config.seed, 0, chunk])
    return torch.from_numpy(drawn.tokens)


def batches(config: Pretrain, start: int, end: int) -> Iterator[Tensor]:
    """(B, 64) token ids of each step."""
    for chunk in range(start // CHUNK, -(-end // CHUNK)):
        for place, batch in enumerate(torch.split(documents(config, chunk), config.batch_size)):
            if start <= chunk * CHUNK + place < end:
                yield batch


def loss_of(model: nn.Module, ids: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, of each token of (B, T) but the first."""
    logits = model(ids[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def step(model: Transformer, o: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    """Go one step down from a loss, at this learning rate."""
    for group in o.param_groups:
        group["lr"] = rate
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
    o.step()
    o.zero_grad()


def train(
    config: Pretrain,
    directory: Path | None = None,
    device: str = "cpu",
    watch: Callable[[int, Transformer, float], None] | None = None,
    every: int = 1,
) -> tuple[Transformer, torch.optim.AdamW]:
    """The trained model and its optimizer.

    Args:
        directory: holds a checkpoint now and then; a run that was killed goes on from it.
        watch: called after each `every` steps and after the last, with the number of steps done,
            the model and the mean loss of the batches since.
    """
    model = build(config).to(device)
    o = optimizer(model, config.weight_decay, config.learning_rate)
    rates = learning_rates(config)
    start, total, seen = _restored(directory, model, o)
    total = total.to(device)
    for done, ids in enumerate(batches(config, start, len(rates)), start + 1):
        loss = loss_of(model, ids.to(device))
        step(model, o, loss, rates[done - 1])
        total += loss.detach()
        seen += 1
        if watch and (done % every == 0 or done == len(rates)):
            watch(done, model, float(total) / seen)
            total.zero_()
            seen = 0
        if directory and done % CHECKPOINT_STEPS == 0 and done < len(rates):
            state = {
                "step": done, "total": total, "seen": seen,
                "model": model.state_dict(), "optimizer": o.state_dict(),
            }  # fmt: skip
            with runs.atomic_path(directory / CHECKPOINT) as temporary:
                torch.save(state, temporary)
    return model, o


def _restored(
    directory: Path | None, model: Transformer, o: torch.optim.Optimizer
) -> tuple[int, Tensor, int]:
    """Steps done by a run that was killed; sum and number of its losses since the last `watch`."""
    if directory is None or not (directory / CHECKPOINT).exists():
        return 0, torch.zeros(()), 0
    state = torch.load(directory / CHECKPOINT, weights_only=True)
    model.load_state_dict(state["model"])
    o.load_state_dict(state["optimizer"])
    return state["step"], state["total"], state["seen"]
