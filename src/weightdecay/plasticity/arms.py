"""The same function with other norms: what separates the size of weights from what they compute.

A norm's gain undoes a rescaling of what reads behind it, and a norm does not see the scale of what
it reads. So a Llama-style model can be given the weight norms of another without changing a single
logit. Fine-tuned at the same learning rate, its weights then take another *relative* step.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from weightdecay.transformer import Block, Transformer


@torch.no_grad()
def norm_matched(model: Transformer, reference: Transformer) -> Transformer:
    """A copy of `model` whose decayed matrices have the norms of those of `reference`.

    Matrices that read a norm (queries, keys and values; gate and input of the feed-forward; head)
    are rescaled together and the norm's gain the other way. Those that write to the residual stream
    (embedding, attention output, feed-forward output) share one factor, that of their common norm,
    as their proportions are part of the function.

    Raises:
        ValueError: unless both are in Llama style with a head of their own.
    """
    for m in (model, reference):
        if m.config.style != "llama" or m.config.tied_head:
            raise ValueError("expected models in Llama style with a head of their own")
    found = copy.deepcopy(model)
    for (gain, matrices), (_, wanted) in zip(_readers(found), _readers(reference), strict=True):
        factor = _norm(wanted) / _norm(matrices)
        gain.div_(factor)
        for w in matrices:
            w.mul_(factor)
    writers = _writers(found)
    factor = _norm(_writers(reference)) / _norm(writers)
    for w in writers:
        w.mul_(factor)
    # RMSNorm adds eps to the mean square: it has to grow with the stream to change nothing.
    for norm in (n for n in found.modules() if isinstance(n, nn.RMSNorm)):
        assert norm.eps is not None
        norm.eps *= float(factor) ** 2
    return found


def _readers(model: Transformer) -> list[tuple[Tensor, list[Tensor]]]:
    """Each norm's gain and the matrices that read it."""
    found = []
    for block in model.blocks:
        assert isinstance(block, Block)
        assert block.gate is not None
        found.append((_gain(block.attention_norm), [block.qkv.weight]))
        found.append((_gain(block.mlp_norm), [block.gate.weight, block.mlp_in.weight]))
    assert model.head is not None
    return [*found, (_gain(model.final_norm), [model.head.weight])]


def _gain(norm: nn.Module) -> Tensor:
    assert isinstance(norm, nn.RMSNorm)
    return norm.weight


def _writers(model: Transformer) -> list[Tensor]:
    blocks = [b for b in model.blocks if isinstance(b, Block)]
    parts = [w for b in blocks for w in (b.attention_out.weight, b.mlp_out.weight)]
    return [model.embedding.weight, *parts]


def _norm(tensors: list[Tensor]) -> Tensor:
    each = torch.stack([torch.linalg.vector_norm(t) for t in tensors])
    norm: Tensor = torch.linalg.vector_norm(each)
    return norm
