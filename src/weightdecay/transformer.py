"""One small decoder-only transformer, in GPT style and in Llama style.

GPT style: pre-LayerNorm, GELU feed-forward with biases. Llama style: RMSNorm, SwiGLU, no biases.
Both use rotary positions (RoPE, arXiv 2104.09864) and, by default, one matrix for the token
embedding and the output head. With the default sizes the GPT style has 103,680 parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of a decoder; `style` chooses its norm and feed-forward."""

    vocab_size: int = 64
    context: int = 32
    d_model: int = 64
    n_head: int = 4
    n_layer: int = 2
    d_ff: int = 256
    style: Literal["gpt", "llama"] = "gpt"
    tied_head: bool = True
    init_std: float = 0.02

    def __post_init__(self) -> None:
        if self.d_model % self.n_head or self.d_model // self.n_head % 2:
            raise ValueError(
                f"d_model = {self.d_model} must be n_head = {self.n_head} times an even number"
            )


def rope_tables(context: int, d_head: int) -> tuple[Tensor, Tensor]:
    """cos and signed sin, each (context, d_head), for `apply_rope`."""
    frequency = 10000.0 ** (-torch.arange(0, d_head, 2, dtype=torch.float64) / d_head)
    angle = torch.outer(torch.arange(context, dtype=torch.float64), frequency)  # (T, dh/2)
    sin = angle.sin()
    return torch.cat([angle.cos()] * 2, -1).float(), torch.cat([-sin, sin], -1).float()


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair (i, i + dh/2) of the last axis of x (..., T, dh) by its position's angle.

    The roll swaps the two halves and the sign lives in the table: two operations fewer than
    negating and concatenating halves.
    """
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax attention over q, k, v (B, nh, T, dh): causal, or with `mask` added to the scores.

    With a mask and the few dozen positions of a packed row, three plain operations take less time
    on a CPU than torch's fused attention.
    """
    if mask is None:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    scores: Tensor = q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)  # (B, nh, T, T)
    weights: Tensor = (scores + mask).softmax(-1)
    return weights @ v


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and beside a residual path."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        d, llama = config.d_model, config.style == "llama"
        self.n_head = config.n_head
        self.attention_norm = nn.RMSNorm(d, eps=1e-6) if llama else nn.LayerNorm(d)
        self.qkv = nn.Linear(d, 3 * d, bias=False)
        self.attention_out = nn.Linear(d, d, bias=False)
        self.mlp_norm = nn.RMSNorm(d, eps=1e-6) if llama else nn.LayerNorm(d)
        self.gate = nn.Linear(d, config.d_ff, bias=False) if llama else None
        self.mlp_in = nn.Linear(d, config.d_ff, bias=not llama)
        self.mlp_out = nn.Linear(config.d_ff, d, bias=not llama)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        batch, time, d = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(batch, time, 3, self.n_head, -1)
        qkv = qkv.permute(2, 0, 3, 1, 4).contiguous()  # (3, B, nh, T, dh)
        q, k = apply_rope(qkv[:2], cos, sin).unbind()
        y = attention(q, k, qkv[2], mask)
        x = x + self.attention_out(y.transpose(1, 2).reshape(batch, time, d))
        h = self.mlp_norm(x)
        h = F.gelu(self.mlp_in(h)) if self.gate is None else F.silu(self.gate(h)) * self.mlp_in(h)
        out: Tensor = self.mlp_out(h)
        return x + out


class Transformer(nn.Module):
    """Token ids (B, T) to next-token logits (B, T, vocab_size)."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: TransformerConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        d = config.d_model
        self.final_norm = nn.RMSNorm(d, eps=1e-6) if config.style == "llama" else nn.LayerNorm(d)
        self.head = None if config.tied_head else nn.Linear(d, config.vocab_size, bias=False)
        # A packed row (see `forward`) holds two sentences and may be as long as both together.
        cos, sin = rope_tables(2 * config.context, d // config.n_head)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for parameter in self.parameters():
            if parameter.dim() >= 2:
                nn.init.normal_(parameter, std=config.init_std, generator=generator)
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits for ids (B, T).

        `mask` (broadcastable to (B, n_head, T, T), added to the attention scores) replaces the
        causal one; packed batches use it to keep the two sentences of a row apart, and such a row
        may be twice as long as the context.

        Raises:
            ValueError: if T exceeds the context.
        """
        time = ids.shape[-1]
        fits = self.config.context * (1 if mask is None else 2)
        if time > fits:
            raise ValueError(f"{time} tokens do not fit the context of {fits}")
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, self.cos[:time], self.sin[:time], mask)
        x = self.final_norm(x)
        weight = self.embedding.weight if self.head is None else self.head.weight
        return F.linear(x, weight)
