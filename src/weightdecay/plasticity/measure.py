"""What is measured on a base model, during pretraining and at its end: one flat row of numbers."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from weightdecay.plasticity import evaluate, mechanisms, pretrain, probes
from weightdecay.plasticity.config import CONTEXT, Pretrain
from weightdecay.plasticity.language import Documents, sample
from weightdecay.transformer import Block, Transformer

SEED = 1_000_004
DOCUMENTS = 4096
"""Of the validation set, and of the training data that the final model is scored on."""


@functools.cache
def validation(documents: int = DOCUMENTS) -> Documents:
    """The same for every model."""
    found = sample(DOCUMENTS, CONTEXT, SEED)
    return Documents(found.tokens[:documents], found.topic[:documents], found.sentiment[:documents])


def seen(config: Pretrain) -> Documents:
    """Documents that the model was trained on, evenly from the whole run."""
    chunks = -(-pretrain.steps(config) // pretrain.CHUNK)
    parts = [pretrain.documents(config, chunk).numpy() for chunk in range(chunks)]
    used = pretrain.steps(config) * config.batch_size  # of the last chunk not all is
    tokens = np.concatenate(parts)[:used]
    rows = np.linspace(0, len(tokens) - 1, min(DOCUMENTS, len(tokens))).round().astype(np.int64)
    unknown = np.full(len(rows), -1)
    return Documents(tokens[rows], unknown, unknown)


def spectra(model: Transformer) -> dict[str, float]:
    """Pseudo-rank and effective rank of W_QK and W_VP, mean over heads, by layer."""
    d, heads = model.config.d_model, model.config.n_head
    found: dict[str, float] = {}
    for i, block in enumerate(model.blocks, 1):
        assert isinstance(block, Block)
        w_q, w_k, w_v = block.qkv.weight.detach().chunk(3)
        w_o = block.attention_out.weight.detach()
        values = {
            "QK": mechanisms.query_key_spectrum(w_q, w_k, heads, heads),
            "VP": mechanisms.value_projection_spectrum(w_v, w_o, heads, heads),
        }
        for name, spectrum in values.items():
            rank = float(mechanisms.pseudo_rank(spectrum, d).mean())
            found[f"pseudo-rank/{name}/{i}"] = rank
            found[f"effective rank/{name}/{i}"] = float(mechanisms.effective_rank(spectrum).mean())
    for name in ("QK", "VP"):
        ranks = [found[f"pseudo-rank/{name}/{i}"] for i in range(1, len(model.blocks) + 1)]
        found[f"pseudo-rank/{name}"] = sum(ranks) / len(ranks)
        found[f"pseudo-rank over d_head/{name}"] = found[f"pseudo-rank/{name}"] * heads
    return found


def norms(model: Transformer) -> dict[str, float]:
    """Frobenius norms: of all matrices of a layer, embedding, head, gains, and everything; and
    the shares of the total sum of squares."""
    found: dict[str, float] = {}
    shares = mechanisms.norm_shares(model.named_parameters())
    kinds = {"embedding": "embedding.", "head": "head."}
    kinds |= {f"layer {i + 1}": f"blocks.{i}." for i in range(len(model.blocks))}
    matrices = {name for name, p in model.named_parameters() if p.dim() > 1}
    for kind, start in kinds.items():
        names = [name for name in shares if name.startswith(start) and name in matrices]
        found[f"norm/{kind}"] = sum(shares[name][0] ** 2 for name in names) ** 0.5
        found[f"share/{kind}"] = sum(shares[name][1] for name in names)
    gains = [shares[name][0] ** 2 for name in shares if name not in matrices]
    found["norm/gains"] = sum(gains) ** 0.5
    found["norm"] = sum(norm**2 for norm, _ in shares.values()) ** 0.5
    return found


@torch.no_grad()
def dormant(model: Transformer, documents: Documents) -> float:
    """Share of feed-forward units whose gate opens for fewer than 1% of the tokens."""
    gates: list[Tensor] = []
    hooks = [
        block.gate.register_forward_hook(lambda _m, _i, out: gates.append(out.flatten(0, 1)))
        for block in model.blocks
        if isinstance(block, Block) and block.gate is not None
    ]
    model(torch.from_numpy(documents.tokens).to(next(model.parameters()).device))
    for hook in hooks:
        hook.remove()
    shares = [mechanisms.dormant_share(g.cpu()) for g in gates]
    return sum(shares) / len(shares)


def midway(model: Transformer) -> dict[str, float]:
    """What is followed during training."""
    return {
        "excess": evaluate.excess_loss(model, validation(256)),
        **evaluate.upstream(model, validation(256)),
        **spectra(model),
        **norms(model),
    }


def final(model: Transformer, config: Pretrain) -> dict[str, float]:
    """Everything that is known of a base model."""
    documents = validation()
    held_out = evaluate.excess_loss(model, documents)
    loss = float(evaluate.losses(model, torch.from_numpy(documents.tokens)).double().mean())
    found = {
        **midway(model),
        "dose": config.weight_decay * sum(pretrain.learning_rates(config)),
        "val loss": loss,
        "excess": held_out,
        "dormant": dormant(model, validation(64)),
        **evaluate.upstream(model, validation(1024)),
        **probes.measure(model, config.seed),
    }
    if pretrain.steps(config):
        # The generator's own loss is taken off both, so that harder documents make no gap.
        found["gap"] = held_out - evaluate.excess_loss(model, seen(config))
    return found
