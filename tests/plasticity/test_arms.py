"""The same function with other norms."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from tests.plasticity.shrunk import BASE
from tests.test_transformer import scramble
from weightdecay.plasticity import arms, pretrain
from weightdecay.plasticity.config import Pretrain
from weightdecay.transformer import Transformer

CONFIG = Pretrain.model_validate(BASE)
READ_TOGETHER = (("qkv",), ("gate", "mlp_in"))


def pair() -> tuple[Transformer, Transformer]:
    """A model and a reference several times larger, in float64."""
    model, reference = pretrain.build(CONFIG).double(), pretrain.build(CONFIG).double()
    scramble(model, seed=1, std=0.2)
    scramble(reference, seed=2, std=0.9)
    return model, reference


def norm(*tensors: torch.Tensor) -> float:
    return float(sum((t.double() ** 2).sum() for t in tensors) ** 0.5)


def writers(model: Transformer) -> dict[str, torch.Tensor]:
    names = ("embedding.weight", "attention_out.weight", "mlp_out.weight")
    return {n: p.detach() for n, p in model.named_parameters() if n.endswith(names)}


def test_not_a_logit_changes() -> None:
    model, reference = pair()
    before = copy.deepcopy(model)
    found = arms.norm_matched(model, reference)
    ids = pretrain.documents(CONFIG, 0)[:32]
    with torch.no_grad():
        logits, ours = model(ids), found(ids)
    assert logits.std() > 0.5
    torch.testing.assert_close(ours, logits, rtol=0, atol=1e-9)
    for p, q in zip(model.parameters(), before.parameters(), strict=True):
        assert torch.equal(p, q), "the model itself is left as it is"


def test_a_dying_stream_keeps_its_function_too() -> None:
    """Where the norm's eps weighs as much as what it is added to."""
    model, reference = pair()
    with torch.no_grad():
        for p in writers(model).values():
            p.mul_(1e-4)
    ids = pretrain.documents(CONFIG, 0)[:32]
    with torch.no_grad():
        torch.testing.assert_close(
            arms.norm_matched(model, reference)(ids), model(ids), rtol=0, atol=1e-9
        )


def test_the_norms_are_those_of_the_reference() -> None:
    model, reference = pair()
    found, wanted = arms.norm_matched(model, reference), dict(reference.named_parameters())
    ours = dict(found.named_parameters())
    for i in range(CONFIG.sizes().n_layer):
        for group in READ_TOGETHER:
            names = [f"blocks.{i}.{part}.weight" for part in group]
            assert norm(*(ours[n] for n in names)) == pytest.approx(
                norm(*(wanted[n] for n in names))
            )
    assert norm(ours["head.weight"]) == pytest.approx(norm(wanted["head.weight"]))
    after = writers(found)
    assert norm(*after.values()) == pytest.approx(norm(*writers(reference).values()))
    factors = {float((after[n] / w).mean()) for n, w in writers(model).items()}
    assert max(factors) == pytest.approx(min(factors))
    assert min(factors) > 2
    own = arms.norm_matched(model, model)
    for p, q in zip(own.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(p, q)


def test_other_styles_are_refused() -> None:
    llama = pretrain.build(CONFIG)
    olmo2 = pretrain.build(CONFIG.model_copy(update={"style": "olmo2"}))
    tied = Transformer(replace(CONFIG.sizes(), tied_head=True))
    for other in (olmo2, tied):
        for two in ((llama, other), (other, llama)):
            with pytest.raises(ValueError, match="Llama style with a head of their own"):
                arms.norm_matched(*two)
