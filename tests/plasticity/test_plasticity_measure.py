"""What is measured on a base model, each number reckoned another way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.plasticity.shrunk import BASE
from weightdecay.plasticity import evaluate, measure, mechanisms, pretrain, probes
from weightdecay.plasticity.config import CONTEXT, Pretrain
from weightdecay.transformer import Transformer

pytestmark = pytest.mark.usefixtures("small")
CONFIG = Pretrain.model_validate(BASE)


@pytest.fixture(scope="module")
def model() -> Transformer:
    return pretrain.train(CONFIG)[0]


def test_spectra_are_those_of_each_heads_products(model: Transformer) -> None:
    found = measure.spectra(model)
    d, heads = model.config.d_model, model.config.n_head
    width = d // heads
    ranks = []
    for i in (1, 2):
        qkv = model.get_parameter(f"blocks.{i - 1}.qkv.weight").detach().double()
        pseudo, effective = [], []
        for h in range(heads):
            rows = slice(h * width, (h + 1) * width)
            q, k = qkv[:d][rows], qkv[d : 2 * d][rows]
            spectrum = torch.linalg.svdvals(k.T @ q)
            pseudo.append(float(mechanisms.pseudo_rank(spectrum, d)))
            effective.append(float(mechanisms.effective_rank(spectrum[:width])))
        assert found[f"pseudo-rank/QK/{i}"] == pytest.approx(np.mean(pseudo))
        assert found[f"effective rank/QK/{i}"] == pytest.approx(np.mean(effective))
        ranks.append(np.mean(pseudo))
        v = qkv[2 * d :]
        w_o = model.get_parameter(f"blocks.{i - 1}.attention_out.weight").detach().double()
        first = torch.linalg.svdvals(w_o[:, :width] @ v[:width])
        assert float(mechanisms.pseudo_rank(first, d)) <= width / d
    assert found["pseudo-rank/QK"] == pytest.approx(np.mean(ranks))
    assert found["pseudo-rank over d_head/QK"] == pytest.approx(np.mean(ranks) * d / width)
    assert 0.5 < found["pseudo-rank over d_head/VP"] <= 1


def test_the_norms_of_the_parts_make_up_that_of_the_whole(model: Transformer) -> None:
    found = measure.norms(model)
    everything = torch.cat([p.detach().double().flatten() for p in model.parameters()])
    assert found["norm"] == pytest.approx(float(everything.norm()))
    parts = ("embedding", "head", "layer 1", "layer 2", "gains")
    assert sum(found[f"norm/{p}"] ** 2 for p in parts) == pytest.approx(found["norm"] ** 2)
    for part in parts[:-1]:
        assert found[f"share/{part}"] == pytest.approx((found[f"norm/{part}"] / found["norm"]) ** 2)
    assert model.head is not None
    assert found["norm/head"] == pytest.approx(float(model.head.weight.detach().norm()))


def test_what_was_seen_are_documents_of_the_run_from_its_begin_to_its_end() -> None:
    n = pretrain.steps(CONFIG)
    trained = torch.cat(list(pretrain.batches(CONFIG, 0, n))).tolist()
    seen = measure.seen(CONFIG).tokens.tolist()
    places = [trained.index(row) for row in seen]
    assert len(places) == measure.DOCUMENTS == 64
    assert places == sorted(set(places))
    assert (places[0], places[-1]) == (0, len(trained) - 1)
    assert not any(row in trained for row in measure.validation().tokens.tolist())


def test_a_dormant_unit_is_one_whose_gate_stays_shut(model: Transformer) -> None:
    documents = measure.validation(16)
    before = measure.dormant(model, documents)
    shut = pretrain.build(CONFIG)
    shut.load_state_dict(model.state_dict())
    # A gate that reads but a constant of the stream: its sign is the same for every token.
    norm = shut.get_submodule("blocks.1.mlp_norm")  # of the last one: it changes no other gate
    inputs: list[torch.Tensor] = []
    hook = norm.register_forward_hook(lambda _m, _i, out: inputs.append(out))
    with torch.no_grad():
        shut(torch.from_numpy(documents.tokens))
        hook.remove()
        gate = shut.get_parameter("blocks.1.gate.weight")
        active = (inputs[0].flatten(0, 1) @ gate.T > 0).double().mean(0)
        others = 2 * before - float((active < 0.01).double().mean())  # of the first block
        gate[:21] = 0  # a quarter of 84; a gate of 0 is not open
        active[:21] = 0
    expected = (float((active < 0.01).double().mean()) + others) / 2
    assert measure.dormant(shut, documents) == pytest.approx(expected)
    assert expected >= 0.125


def test_the_final_row_of_a_model(model: Transformer) -> None:
    found = measure.final(model, CONFIG)
    documents = measure.validation()
    rates = pretrain.learning_rates(CONFIG)
    assert found["dose"] == pytest.approx(sum(rate * CONFIG.weight_decay for rate in rates))
    ids = torch.from_numpy(documents.tokens)
    with torch.no_grad():
        assert found["val loss"] == pytest.approx(float(pretrain.loss_of(model, ids)), rel=1e-5)
    assert found["excess"] == pytest.approx(evaluate.excess_loss(model, documents))
    on_seen = evaluate.excess_loss(model, measure.seen(CONFIG))
    assert found["gap"] == pytest.approx(found["excess"] - on_seen)
    assert {f"probe/{t}/{i}" for t in ("topic", "sentiment", "control") for i in range(3)} <= set(
        found
    )
    assert set(measure.midway(model)) <= set(found)
    assert all(isinstance(value, float) for value in found.values())
    fresh = CONFIG.model_copy(update={"tokens_per_parameter": 0})
    untrained = measure.final(pretrain.build(fresh), fresh)
    assert set(found) - set(untrained) == {"gap"}
    assert untrained["dose"] == 0
    assert untrained["excess"] > found["excess"] + 1


def test_probes_and_validation_and_training_share_no_document() -> None:
    drawn = [measure.validation().tokens, *(probes.documents(p).tokens for p in probes.PARTS)]
    rows = {tuple(row[:CONTEXT]) for tokens in drawn for row in tokens.tolist()}
    assert len(rows) == sum(map(len, drawn))
