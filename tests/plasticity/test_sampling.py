"""What a model says: with a cache as without, as `transformers` says it, and in the right order."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.plasticity.shrunk import BASE
from tests.test_transformer import llama_reference, olmo2_reference, scramble
from weightdecay.plasticity import pretrain, sampling
from weightdecay.plasticity.config import Pretrain
from weightdecay.plasticity.downstream import examples
from weightdecay.plasticity.language import TOKEN_ID, VOCABULARY
from weightdecay.transformer import Transformer

STYLES = pytest.mark.parametrize("style", ["llama", "olmo2"])


def build(style: str) -> Transformer:
    model = pretrain.build(Pretrain.model_validate({**BASE, "style": style}))
    scramble(model, std=0.25)
    return model


def prompts(rows: int = 6, time: int = 7) -> Tensor:
    return torch.randint(len(VOCABULARY), (rows, time), generator=torch.Generator().manual_seed(2))


@STYLES
@pytest.mark.parametrize("temperature", [0.0, 1.3])
def test_the_cache_changes_no_token(style: str, temperature: float) -> None:
    model = build(style)
    with_cache, without = (
        sampling.generate(
            model, prompts(), 20, temperature, torch.Generator().manual_seed(1), cache=cache
        )
        for cache in (True, False)
    )
    assert torch.equal(with_cache, without)
    assert with_cache.shape == (6, 20)
    assert len(set(with_cache.flatten().tolist())) > 20


@STYLES
def test_greedy_says_what_transformers_says(style: str) -> None:
    model = build(style)
    reference: Any = (llama_reference if style == "llama" else olmo2_reference)(model, False)
    reference.generation_config.eos_token_id = None
    theirs = reference.generate(
        prompts(), attention_mask=torch.ones_like(prompts()), max_new_tokens=12, do_sample=False
    )
    assert torch.equal(sampling.generate(model, prompts(), 12), theirs[:, 7:])


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_tokens_are_drawn_as_often_as_the_softmax_says(temperature: float) -> None:
    model, n = build("llama"), 4000
    prompt = prompts(1)
    said = sampling.generate(
        model, prompt.expand(n, -1), 1, temperature, torch.Generator().manual_seed(3)
    )
    with torch.no_grad():
        p = (model(prompt)[0, -1].double() / temperature).softmax(-1)
    share = torch.bincount(said[:, 0], minlength=len(VOCABULARY)).double() / n
    assert ((share - p).abs() < 4.5 * (p * (1 - p) / n).sqrt() + 1e-4).all()


def test_responses_come_in_the_order_of_the_examples_whatever_their_prompts_lengths() -> None:
    model, asked = build("llama"), examples("chains", "train", 9, 0)
    assert len({len(e.prompt) for e in asked}) > 1
    new = max(len(e.response) for e in asked)
    together = sampling.responses(model, asked)
    for e, (said,) in zip(asked, together, strict=True):
        ids = torch.tensor([[TOKEN_ID[w] for w in ("<begin>", *e.prompt)]])
        alone = sampling.generate(model, ids, new)[0].tolist()
        assert said == tuple(VOCABULARY[i] for i in alone)


def test_samples_of_a_prompt_stay_with_it_and_hang_on_the_seed() -> None:
    model, asked = build("llama"), examples("lists", "train", 8, 0)
    greedy = sampling.responses(model, asked)
    cold = sampling.responses(model, asked, 3, 1e-6)
    assert cold == [said * 3 for said in greedy]
    assert len({said for (said,) in greedy}) > 1
    one, same, other = (sampling.responses(model, asked, 3, 1.0, seed) for seed in (1, 1, 2))
    assert one == same != other
    assert all(len(set(said)) == 3 for said in one)
