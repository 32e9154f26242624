"""Real models: built by `transformers`, their decay groups, and what is measured of their weights.

Matrices are decayed and gains of norms are not, as in the rest of this course
(`weightdecay.decay.decayed`); nor is OLMo-2's input embedding, as in its recipe. That recipe decays
gains as well and adds a small penalty on the logits, which we leave out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from weightdecay.decay import decayed
from weightdecay.plasticity import mechanisms
from weightdecay.plasticity.scale import EXTRA
from weightdecay.plasticity.scale.config import Model
from weightdecay.runs import Json, RunError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def build(model: Model) -> PreTrainedModel:
    """A `transformers` model with random weights from torch's global generator.

    Raises:
        RunError: if `transformers` is not installed.
    """
    try:
        from transformers import LlamaConfig, LlamaForCausalLM, Olmo2Config, Olmo2ForCausalLM
    except ImportError as e:
        raise RunError(f"{e.name} is missing; {EXTRA}") from None
    llama = model.family == "llama"
    config = (LlamaConfig if llama else Olmo2Config)(
        vocab_size=model.vocab_size,
        hidden_size=model.hidden_size,
        intermediate_size=model.intermediate_size,
        num_hidden_layers=model.layers,
        num_attention_heads=model.heads,
        num_key_value_heads=model.query_groups,
        max_position_embeddings=model.context,
        rms_norm_eps=1e-5 if llama else 1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 1e4 if llama else 5e5},
        tie_word_embeddings=False,
        use_cache=False,
        pad_token_id=None,  # a padding token's embedding would get no gradient
        bos_token_id=None,
        eos_token_id=None,
    )
    built: PreTrainedModel = (LlamaForCausalLM if llama else Olmo2ForCausalLM)(config)
    return built


def count(model: Model) -> int:
    """Number of parameters; nothing is allocated."""
    with torch.device("meta"):
        return sum(p.numel() for p in build(model).parameters())


def groups(model: nn.Module, family: str, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for an optimizer: decayed and not; see the top of this file."""
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    spared = "embed_tokens" if family == "olmo2" else None
    yes = {n for n, p in named if decayed(p) and (spared is None or spared not in n)}
    return [
        {"params": [p for n, p in named if n in yes], "weight_decay": weight_decay},
        {"params": [p for n, p in named if n not in yes], "weight_decay": 0.0},
    ]


def measured(state: dict[str, Tensor], model: Model) -> Json:
    """Ranks of the attention products by layer, means over heads, and norms of all tensors.

    The functions are those that the small models go through. OLMo-2's norms of queries and keys
    stand between the factors of W_QK and are left out of it.

    Args:
        state: parameter name to full tensor, on the CPU.
    """
    layers = []
    for i in range(model.layers):
        q, k, v, o = (
            state[f"model.layers.{i}.self_attn.{name}_proj.weight"].float() for name in "qkvo"
        )
        spectra = {
            "qk": mechanisms.query_key_spectrum(q, k, model.heads, model.query_groups),
            "vp": mechanisms.value_projection_spectrum(v, o, model.heads, model.query_groups),
        }
        layer: Json = {}
        for name, values in spectra.items():  # (heads, d_head)
            for by, n in (("n_embed", model.hidden_size), ("d_head", values.shape[-1])):
                rank = mechanisms.pseudo_rank(values, n)
                layer[f"{name}_pseudo_rank_{by}"] = float(rank.mean())
            layer[f"{name}_effective_rank"] = float(mechanisms.effective_rank(values).mean())
        layers.append(layer)
    shares = mechanisms.norm_shares(state.items())
    return {
        "layers": layers,
        "norms": {name: norm for name, (norm, _) in shares.items()},
        "norm_shares": {name: share for name, (_, share) in shares.items()},
    }
