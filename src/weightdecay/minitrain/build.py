"""From a config to model, optimizer and learning rates, and the one step that trains them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from weightdecay.decay import cosine_learning_rate, parameter_groups
from weightdecay.minitrain import corpus, failures
from weightdecay.minitrain.batches import PairedBatches
from weightdecay.minitrain.config import Config
from weightdecay.transformer import Transformer, TransformerConfig


def build_model(config: Config) -> Transformer:
    """The untrained model of a config: its weights depend on seed, sizes and ``failure: init``."""
    sizes = TransformerConfig(
        vocab_size=corpus.VOCAB_SIZE,
        context=corpus.CONTEXT,
        **config.model.model_dump(exclude={"init_std"}),
        init_std=failures.init_std(config),
    )
    return Transformer(sizes, torch.Generator().manual_seed(config.seed))


def build_optimizer(model: Transformer, config: Config) -> torch.optim.AdamW:
    """torch's AdamW with decay on matrices only; ``fused`` does all tensors in one pass."""
    o = config.optimizer
    return torch.optim.AdamW(
        parameter_groups(model, o.weight_decay),
        lr=o.learning_rate,
        betas=(o.beta1, o.beta2),
        eps=o.eps,
        fused=True,
    )


def learning_rates(config: Config) -> list[float]:
    """Learning rate of every step."""
    o, steps = config.optimizer, config.training.steps
    return [
        cosine_learning_rate(
            step,
            peak=o.learning_rate,
            final=o.final_learning_rate,
            warmup=failures.warmup_steps(config),
            steps=steps,
        )
        for step in range(steps)
    ]


def train_step(
    model: Transformer, optimizer: torch.optim.Optimizer, batches: PairedBatches, step: int
) -> Tensor:
    """Forward and backward of one batch: its loss, and gradients in ``.grad``."""
    batch = batches[step]
    logits = model(batch.inputs, batch.mask)
    loss = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=-1)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()
