"""The decoder against `transformers`' Llama and against one written out with plain operations."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, Olmo2Config, Olmo2ForCausalLM

from weightdecay.transformer import Past, Transformer, TransformerConfig, apply_rope, rope_tables

GPT = TransformerConfig()
LLAMA = replace(GPT, style="llama")
OLMO2 = replace(GPT, style="olmo2")


def build(sizes: TransformerConfig, seed: int = 0) -> Transformer:
    return Transformer(sizes, torch.Generator().manual_seed(seed)).eval()


def some_ids(rows: int = 3, time: int = 32, seed: int = 1) -> Tensor:
    return torch.randint(64, (rows, time), generator=torch.Generator().manual_seed(seed))


def scramble(model: torch.nn.Module, seed: int = 5, std: float = 0.3) -> None:
    """Fill every parameter, gains and biases too, so that a wrong one cannot hide."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * std + (p.dim() == 1))


def test_default_model_has_103680_parameters_term_by_term() -> None:
    """The terms of the issue: each block's attention, feed-forward and norms by name."""
    sizes = {name: p.numel() for name, p in build(GPT).named_parameters()}
    assert sizes.pop("embedding.weight") == 64 * 64 == 4_096
    assert sizes.pop("final_norm.weight") + sizes.pop("final_norm.bias") == 128
    for i in range(2):
        block = {
            name.removeprefix(f"blocks.{i}."): sizes.pop(name)
            for name in list(sizes)
            if name.startswith(f"blocks.{i}.")
        }
        attention = block.pop("qkv.weight") + block.pop("attention_out.weight")
        assert attention == 4 * 64 * 64 == 16_384
        feed_forward = sum(
            block.pop(name) for name in list(block) if name[:4] == "mlp_" and "norm" not in name
        )
        assert feed_forward == 64 * 256 + 256 + 256 * 64 + 64 == 33_088
        assert sorted(block) == [
            "attention_norm.bias",
            "attention_norm.weight",
            "mlp_norm.bias",
            "mlp_norm.weight",
        ]
        assert sum(block.values()) == 256
    assert sizes == {}
    assert sum(p.numel() for p in build(GPT).parameters()) == 103_680
    assert 4_096 + 2 * (16_384 + 33_088 + 256) + 128 == 103_680


def test_llama_style_and_untied_head_change_the_count_as_written_down() -> None:
    llama = 4_096 + 2 * (16_384 + 3 * 64 * 256 + 128) + 64
    assert sum(p.numel() for p in build(LLAMA).parameters()) == llama
    untied = build(replace(LLAMA, tied_head=False))
    assert sum(p.numel() for p in untied.parameters()) == llama + 4_096


LLAMA_NAMES = {
    "attention_out": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "mlp_in": "mlp.up_proj",
    "mlp_out": "mlp.down_proj",
    "attention_norm": "input_layernorm",
    "mlp_norm": "post_attention_layernorm",
}
OLMO2_NAMES = {
    **LLAMA_NAMES,
    "query_norm": "self_attn.q_norm",
    "key_norm": "self_attn.k_norm",
    "attention_norm": "post_attention_layernorm",
    "mlp_norm": "post_feedforward_layernorm",
}


def given_weights(
    reference: LlamaForCausalLM | Olmo2ForCausalLM, model: Transformer, names: dict[str, str]
) -> None:
    """Give transformers' model this one's weights; `names` are of our blocks and theirs."""
    ours = {name: p.detach() for name, p in model.named_parameters()}
    head = "embedding" if model.config.tied_head else "head"
    state: dict[str, Tensor] = {
        "model.embed_tokens.weight": ours["embedding.weight"],
        "model.norm.weight": ours["final_norm.weight"],
        "lm_head.weight": ours[f"{head}.weight"],
    }
    for i in range(model.config.n_layer):
        mine, theirs = f"blocks.{i}.", f"model.layers.{i}."
        for name, part in zip("qkv", ours[mine + "qkv.weight"].chunk(3), strict=True):
            state[f"{theirs}self_attn.{name}_proj.weight"] = part
        for a, b in names.items():
            state[f"{theirs}{b}.weight"] = ours[f"{mine}{a}.weight"]
    reference.load_state_dict(state, strict=True)


def llama_reference(model: Transformer, tied: bool) -> LlamaForCausalLM:
    """transformers' Llama with this model's weights."""
    c = model.config
    reference = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=c.vocab_size,
            hidden_size=c.d_model,
            intermediate_size=c.d_ff,
            num_hidden_layers=c.n_layer,
            num_attention_heads=c.n_head,
            num_key_value_heads=c.n_head,
            max_position_embeddings=c.context,
            hidden_act="silu",
            rms_norm_eps=1e-6,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
            tie_word_embeddings=tied,
            attention_bias=False,
            mlp_bias=False,
            pad_token_id=None,
        )
    ).eval()
    given_weights(reference, model, LLAMA_NAMES)
    return reference


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("time", [1, 32])
def test_llama_style_gives_the_logits_of_transformers_llama(tied: bool, time: int) -> None:
    model = build(replace(LLAMA, d_model=48, d_ff=80, n_layer=3, tied_head=tied))
    scramble(model, std=0.15)
    ids = some_ids(time=time)
    with torch.no_grad():
        theirs = llama_reference(model, tied)(ids).logits
        ours = model(ids)
    assert theirs.std() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def olmo2_reference(model: Transformer, tied: bool) -> Olmo2ForCausalLM:
    """transformers' OLMo-2 with this model's weights."""
    c = model.config
    reference = Olmo2ForCausalLM(
        Olmo2Config(
            vocab_size=c.vocab_size,
            hidden_size=c.d_model,
            intermediate_size=c.d_ff,
            num_hidden_layers=c.n_layer,
            num_attention_heads=c.n_head,
            max_position_embeddings=c.context,
            rms_norm_eps=1e-6,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
            tie_word_embeddings=tied,
            pad_token_id=None,
            eos_token_id=None,
        )
    ).eval()
    given_weights(reference, model, OLMO2_NAMES)
    return reference


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("time", [1, 32])
def test_olmo2_style_gives_the_logits_of_transformers_olmo2(tied: bool, time: int) -> None:
    model = build(replace(OLMO2, d_model=48, d_ff=80, n_layer=3, tied_head=tied))
    scramble(model, std=0.15)
    ids = some_ids(time=time)
    with torch.no_grad():
        theirs = olmo2_reference(model, tied)(ids).logits
        ours = model(ids)
    assert theirs.std() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sizes", [GPT, LLAMA, OLMO2], ids=["gpt", "llama", "olmo2"])
@pytest.mark.parametrize("prompt", [1, 9])
def test_a_token_after_a_past_has_the_logits_of_the_whole_text(
    sizes: TransformerConfig, prompt: int
) -> None:
    model, ids = build(sizes), some_ids(time=16)
    scramble(model)
    past = [Past() for _ in model.blocks]
    with torch.no_grad():
        whole = model(ids)
        parts = [model(ids[:, :prompt], past=past)]
        parts += [model(ids[:, t : t + 1], past=past) for t in range(prompt, 16)]
    assert [p.length for p in past] == [16] * sizes.n_layer
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-4)


def test_several_tokens_after_a_past_and_a_full_context_are_refused() -> None:
    model, past = build(LLAMA), [Past(), Past()]
    with torch.no_grad():
        model(some_ids(time=32), past=past)
        with pytest.raises(ValueError, match="2 tokens after a prompt, expected one at a time"):
            model(some_ids(time=2), past=past)
        with pytest.raises(ValueError, match="33 tokens do not fit the context of 32"):
            model(some_ids(time=1), past=past)


def gpt_by_hand(model: Transformer, row: list[int]) -> Tensor:
    """Logits of one sentence in float64, position by position, with complex rotations."""
    w: dict[str, Any] = {k: v.detach().double() for k, v in model.state_dict().items()}
    heads, d = model.config.n_head, model.config.d_model
    width = d // heads

    def norm(x: Tensor, name: str) -> Tensor:
        x = (x - x.mean()) / torch.sqrt(x.var(unbiased=False) + 1e-5)
        out: Tensor = x * w[f"{name}.weight"] + w[f"{name}.bias"]
        return out

    def rotated(x: Tensor, position: int) -> Tensor:
        half = width // 2
        pairs = torch.complex(x[:half].contiguous(), x[half:].contiguous())
        angle = torch.tensor([position / 10000 ** (2 * i / width) for i in range(half)])
        pairs = pairs * torch.polar(torch.ones(half).double(), angle.double())
        return torch.cat([pairs.real, pairs.imag])

    xs = [w["embedding.weight"][i] for i in row]
    for b in range(model.config.n_layer):
        name = f"blocks.{b}"
        q, k, v = zip(
            *((w[f"{name}.qkv.weight"] @ norm(x, f"{name}.attention_norm")).chunk(3) for x in xs),
            strict=True,
        )
        attended = []
        for t in range(len(xs)):
            out = []
            for h in range(heads):
                part = slice(h * width, (h + 1) * width)
                scores = torch.stack(
                    [rotated(q[t][part], t) @ rotated(k[s][part], s) for s in range(t + 1)]
                )
                share = torch.exp(scores / math.sqrt(width))
                share = share / share.sum()
                out.append(sum(share[s] * v[s][part] for s in range(t + 1)))
            attended.append(w[f"{name}.attention_out.weight"] @ torch.cat(out))
        xs = [x + a for x, a in zip(xs, attended, strict=True)]
        for t, x in enumerate(xs):
            h_in = w[f"{name}.mlp_in.weight"] @ norm(x, f"{name}.mlp_norm")
            h_in = h_in + w[f"{name}.mlp_in.bias"]
            gelu = 0.5 * h_in * (1 + torch.erf(h_in / math.sqrt(2)))
            xs[t] = x + w[f"{name}.mlp_out.weight"] @ gelu + w[f"{name}.mlp_out.bias"]
    return torch.stack([w["embedding.weight"] @ norm(x, "final_norm") for x in xs])


def test_gpt_style_gives_the_logits_of_the_formulas_written_out() -> None:
    model = build(replace(GPT, d_model=16, n_head=2, d_ff=24))
    scramble(model)
    ids = some_ids(rows=1, time=9)
    with torch.no_grad():
        ours = model(ids)[0].double()
    by_hand = gpt_by_hand(model, ids[0].tolist())
    assert by_hand.std() > 0.1
    torch.testing.assert_close(ours, by_hand, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("sizes", [GPT, LLAMA, OLMO2], ids=["gpt", "llama", "olmo2"])
def test_a_later_token_changes_no_earlier_logit(sizes: TransformerConfig) -> None:
    model = build(sizes)
    scramble(model)
    ids = some_ids(rows=1)
    with torch.no_grad():
        before = model(ids)
        for position in (0, 13, 31):
            changed = ids.clone()
            changed[0, position] = (ids[0, position] + 1) % 64
            after = model(changed)
            assert torch.equal(before[0, :position], after[0, :position])
            assert not torch.allclose(before[0, position], after[0, position])
            if position < 31:
                assert not torch.allclose(before[0, -1], after[0, -1])


def test_attention_depends_on_the_distance_of_two_tokens_only() -> None:
    """The property that lets a batch put two sentences into one row."""
    cos, sin = rope_tables(64, 16)
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 16, generator=generator)
    scores = [
        float(apply_rope(q, cos[t + 5], sin[t + 5]) @ apply_rope(k, cos[t], sin[t]))
        for t in range(0, 59, 7)
    ]
    assert scores == pytest.approx([scores[0]] * len(scores), abs=1e-5)
    assert float(q @ k) != pytest.approx(scores[0], abs=1e-2)


def test_input_longer_than_the_context_is_an_error_that_names_both_lengths() -> None:
    model = build(GPT)
    assert model(some_ids(time=32)).shape == (3, 32, 64)
    with pytest.raises(ValueError, match="33 tokens do not fit the context of 32"):
        model(some_ids(time=33))


def test_a_packed_row_may_hold_two_full_contexts_and_no_more() -> None:
    model = build(GPT)
    causal = torch.zeros(65, 65).masked_fill(torch.ones(65, 65).triu(1).bool(), -1e9)
    assert model(some_ids(time=64), causal[:64, :64]).shape == (3, 64, 64)
    with pytest.raises(ValueError, match="65 tokens do not fit"):
        model(some_ids(time=65), causal)


@pytest.mark.parametrize("sizes", [GPT, LLAMA, OLMO2], ids=["gpt", "llama", "olmo2"])
def test_initial_weights_depend_on_the_generator_alone(sizes: TransformerConfig) -> None:
    torch.manual_seed(1)
    one = build(sizes, seed=3)
    torch.manual_seed(2)
    torch.rand(100)
    same, other = build(sizes, seed=3), build(sizes, seed=4)
    for (name, a), b, c in zip(
        one.named_parameters(), same.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(a, b), name
        assert torch.equal(a, c) == (a.dim() < 2), name


@pytest.mark.parametrize("std", [0.02, 0.5])
def test_matrices_start_as_normal_noise_gains_at_one_and_biases_at_zero(std: float) -> None:
    for name, p in build(replace(GPT, init_std=std)).state_dict().items():
        if p.dim() >= 2:
            assert float(p.std()) == pytest.approx(std, rel=0.05), name
            assert abs(float(p.mean())) < 4 * std / math.sqrt(p.numel()), name
            beyond = float((p.abs() > 2 * std).float().mean())  # 4.55 % of a normal
            assert beyond == pytest.approx(0.0455, abs=0.012), name
        elif name.endswith("bias"):
            assert not p.any(), name
        else:
            assert (p == 1).all(), name


@pytest.mark.parametrize(("d_model", "n_head"), [(10, 4), (12, 4), (7, 1)])
def test_heads_without_an_even_whole_width_are_refused(d_model: int, n_head: int) -> None:
    with pytest.raises(ValueError, match=f"d_model = {d_model} .* n_head = {n_head} "):
        TransformerConfig(d_model=d_model, n_head=n_head)
