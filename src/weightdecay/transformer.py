"""One small decoder-only transformer, in GPT style, in Llama style and in OLMo-2 style.

GPT style: pre-LayerNorm, GELU feed-forward with biases. Llama style: RMSNorm, SwiGLU, no biases.
OLMo-2 style: as Llama's, but the norms stand behind attention and feed-forward instead of before
them, and queries and keys have one each (arXiv 2501.00656). All use rotary positions (RoPE, arXiv
2104.09864) and, by default, one matrix for the token embedding and the output head. With the
default sizes the GPT style has 103,680 parameters.
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
    style: Literal["gpt", "llama", "olmo2"] = "gpt"
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


def _norm(config: TransformerConfig) -> nn.Module:
    d = config.d_model
    return nn.LayerNorm(d) if config.style == "gpt" else nn.RMSNorm(d, eps=1e-6)


@dataclass
class Past:
    """Keys and values of the tokens that a block has seen, each (B, nh, T, dh)."""

    keys: Tensor | None = None
    values: Tensor | None = None

    @property
    def length(self) -> int:
        """T, the number of tokens seen."""
        return 0 if self.keys is None else self.keys.shape[-2]

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values, these ones last."""
        if self.keys is not None and self.values is not None:
            k, v = torch.cat([self.keys, k], -2), torch.cat([self.values, v], -2)
        self.keys, self.values = k, v
        return k, v


class Block(nn.Module):
    """Attention and feed-forward, each beside a residual path, with a norm before or behind."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        d, gpt = config.d_model, config.style == "gpt"
        self.n_head = config.n_head
        self.norm_behind = config.style == "olmo2"
        self.attention_norm = _norm(config)
        self.qkv = nn.Linear(d, 3 * d, bias=False)
        self.query_norm = _norm(config) if self.norm_behind else None
        self.key_norm = _norm(config) if self.norm_behind else None
        self.attention_out = nn.Linear(d, d, bias=False)
        self.mlp_norm = _norm(config)
        self.gate = None if gpt else nn.Linear(d, config.d_ff, bias=False)
        self.mlp_in = nn.Linear(d, config.d_ff, bias=gpt)
        self.mlp_out = nn.Linear(config.d_ff, d, bias=gpt)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None, past: Past | None = None
    ) -> Tensor:
        if self.norm_behind:
            x = x + self.attention_norm(self._attend(x, cos, sin, mask, past))
            behind: Tensor = x + self.mlp_norm(self._feed_forward(x))
            return behind
        x = x + self._attend(self.attention_norm(x), cos, sin, mask, past)
        return x + self._feed_forward(self.mlp_norm(x))

    def _attend(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None, past: Past | None
    ) -> Tensor:
        batch, time, d = x.shape
        qkv = self.qkv(x)
        if self.query_norm is not None and self.key_norm is not None:
            q, k, v = qkv.chunk(3, -1)
            qkv = torch.cat([self.query_norm(q), self.key_norm(k), v], -1)
        qkv = qkv.view(batch, time, 3, self.n_head, -1)
        qkv = qkv.permute(2, 0, 3, 1, 4).contiguous()  # (3, B, nh, T, dh)
        q, k = apply_rope(qkv[:2], cos, sin).unbind()
        if past is None:
            y = attention(q, k, qkv[2], mask)
        else:
            causal = past.length == 0  # afterwards one token at a time, which may see all of them
            y = F.scaled_dot_product_attention(q, *past.extend(k, qkv[2]), is_causal=causal)
        out: Tensor = self.attention_out(y.transpose(1, 2).reshape(batch, time, d))
        return out

    def _feed_forward(self, h: Tensor) -> Tensor:
        h = F.gelu(self.mlp_in(h)) if self.gate is None else F.silu(self.gate(h)) * self.mlp_in(h)
        out: Tensor = self.mlp_out(h)
        return out


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
        self.final_norm = _norm(config)
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

    def forward(
        self, ids: Tensor, mask: Tensor | None = None, past: list[Past] | None = None
    ) -> Tensor:
        """Logits for ids (B, T).

        `mask` (broadcastable to (B, n_head, T, T), added to the attention scores) replaces the
        causal one; packed batches use it to keep the two sentences of a row apart, and such a row
        may be twice as long as the context.

        `past`, one for each block, holds the tokens before these and takes these in: ids are then
        a whole prompt at first, and one token at a time after it.

        Raises:
            ValueError: if all tokens together exceed the context, or several follow a prompt.
        """
        start = past[0].length if past else 0
        if start and ids.shape[-1] > 1:
            raise ValueError(f"{ids.shape[-1]} tokens after a prompt, expected one at a time")
        time = start + ids.shape[-1]
        fits = self.config.context * (1 if mask is None else 2)
        if time > fits:
            raise ValueError(f"{time} tokens do not fit the context of {fits}")
        x = self.embedding(ids)
        cos, sin = self.cos[start:time], self.sin[start:time]
        for i, block in enumerate(self.blocks):
            x = block(x, cos, sin, mask, past[i] if past else None)
        x = self.final_norm(x)
        weight = self.embedding.weight if self.head is None else self.head.weight
        return F.linear(x, weight)
