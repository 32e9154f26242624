"""Metrics against decoding one character at a time, numpy, and sums written out."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch

from weightdecay.minitrain import corpus, metrics
from weightdecay.minitrain.batches import PairedBatches, batch_order
from weightdecay.minitrain.build import train_step
from weightdecay.minitrain.corpus import Sentence
from weightdecay.transformer import Transformer, TransformerConfig


def build(style: Literal["gpt", "llama"] = "gpt", d_model: int = 32) -> Transformer:
    sizes = TransformerConfig(d_model=d_model, n_head=2, n_layer=2, d_ff=64, style=style)
    return Transformer(sizes, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def half_trained() -> Transformer:
    """A model that spells some of the 300 forms right and some wrong."""
    model = build()
    train = corpus.split("train")
    batches = PairedBatches(train, batch_order(0, len(train), 32, 200))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.95))
    for step in range(200):
        train_step(model, optimizer, batches, step)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model


def written_alone(model: Transformer, sentence: Sentence) -> str:
    """Greedy decoding of one sentence from its features, a token at a time."""
    ids = sentence.tokens[:3]
    with torch.no_grad():
        while len(ids) < 32:
            token = int(model(torch.tensor([ids]))[0, -1].argmax())
            if corpus.TOKENS[token] == "<end>":
                break
            ids.append(token)
    return "".join(corpus.TOKENS[i] for i in ids[3:])


def test_teacher_forced_exact_match_is_real_greedy_decoding(half_trained: Transformer) -> None:
    """Sentence by sentence, on a model that makes both kinds of sentences."""
    everything = corpus.sentences()
    _, flags = metrics.evaluate(half_trained)
    written = [written_alone(half_trained, s) for s in everything]
    right = [text == s.text for text, s in zip(written, everything, strict=True)]
    assert 30 < sum(right) < 270
    assert flags == right
    assert metrics.greedy_forms(half_trained, everything) == written


def test_accuracy_of_each_slice_is_its_share_of_right_sentences(half_trained: Transformer) -> None:
    measured, flags = metrics.evaluate(half_trained)
    both = list(zip(corpus.sentences(), flags, strict=True))
    expected = {}
    for split in ("train", "val"):
        for kind, regular in (("regular", True), ("irregular", False)):
            hits = [f for s, f in both if s.split == split and s.regular == regular]
            expected[f"accuracy/{split}/{kind}"] = sum(hits) / len(hits)
        for tense in corpus.TENSES:
            hits = [f for s, f in both if s.split == split and s.tense == tense]
            expected[f"accuracy/{split}/{tense}"] = sum(hits) / len(hits)
    assert len(expected) == 14
    assert {k: v for k, v in measured.items() if k.startswith("accuracy/")} == expected


def test_losses_are_means_over_tokens_of_a_whole_split_in_all_and_by_part(
    half_trained: Transformer,
) -> None:
    """Each sentence alone, so without any padding."""
    measured, _ = metrics.evaluate(half_trained)
    for split in ("train", "val"):
        features: list[float] = []
        form: list[float] = []
        for s in corpus.split(split):
            with torch.no_grad():
                log_p = half_trained(torch.tensor([s.tokens[:-1]]))[0].log_softmax(-1)
            nats = [-float(log_p[i, token]) for i, token in enumerate(s.tokens[1:])]
            features += nats[:2]  # tense and person
            form += nats[2:]  # characters and the end
        assert len(form) == sum(len(s.text) + 1 for s in corpus.split(split))
        for suffix, nats in (("", features + form), ("_features", features), ("_form", form)):
            expected = math.fsum(nats) / len(nats)
            assert measured[f"{split}_loss{suffix}"] == pytest.approx(expected, rel=1e-4)


def test_feature_and_form_loss_weighted_by_their_tokens_make_the_loss(
    half_trained: Transformer,
) -> None:
    measured, _ = metrics.evaluate(half_trained)
    for split in ("train", "val"):
        features = 2 * len(corpus.split(split))
        form = sum(len(s.text) + 1 for s in corpus.split(split))
        weighted = features * measured[f"{split}_loss_features"]
        weighted += form * measured[f"{split}_loss_form"]
        assert measured[f"{split}_loss"] == pytest.approx(weighted / (features + form), rel=1e-5)


def test_gap_is_validation_less_training_loss_and_the_sum_of_its_two_parts(
    half_trained: Transformer,
) -> None:
    m, _ = metrics.evaluate(half_trained)
    assert m["gap"] == pytest.approx(m["val_loss"] - m["train_loss"], abs=1e-6)
    assert m["gap"] == pytest.approx(m["gap_features"] + m["gap_form"], abs=1e-6)
    assert abs(m["gap_form"]) > 1e-3


def test_evaluation_changes_neither_weights_nor_random_state(half_trained: Transformer) -> None:
    before = [p.detach().clone() for p in half_trained.parameters()]
    state = torch.get_rng_state()
    metrics.evaluate(half_trained)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(before, half_trained.parameters(), strict=True))


def test_spectral_norm_of_each_matrix_is_numpys_largest_singular_value(
    half_trained: Transformer,
) -> None:
    weights = {k: v.numpy().astype(np.float64) for k, v in half_trained.state_dict().items()}
    matrices = {"embedding": weights["embedding.weight"]}
    for i in range(2):
        q, k, v = np.split(weights[f"blocks.{i}.qkv.weight"], 3)
        matrices |= {
            f"block{i}.q": q,
            f"block{i}.k": k,
            f"block{i}.v": v,
            f"block{i}.o": weights[f"blocks.{i}.attention_out.weight"],
            f"block{i}.mlp_in": weights[f"blocks.{i}.mlp_in.weight"],
            f"block{i}.mlp_out": weights[f"blocks.{i}.mlp_out.weight"],
        }
    expected = {
        f"spectral/{name}": np.linalg.svd(matrix, compute_uv=False)[0]
        for name, matrix in matrices.items()
    }
    assert metrics.spectral_norms(half_trained) == pytest.approx(expected, rel=1e-5)


def test_spectral_norm_of_a_diverged_matrix_is_nan_and_the_others_are_numbers() -> None:
    model = build()
    with torch.no_grad():
        model.embedding.weight[3, 4] = math.nan
        model.get_parameter("blocks.0.mlp_in.weight")[0, 0] = math.inf
    found = metrics.spectral_norms(model)
    bad = {name for name, value in found.items() if math.isnan(value)}
    assert bad == {"spectral/embedding", "spectral/block0.mlp_in"}
    assert len(found) == 13


def test_group_norms_are_the_root_of_all_squares_of_their_tensors(
    half_trained: Transformer,
) -> None:
    w = {k: v.numpy().astype(np.float64) for k, v in half_trained.state_dict().items()}
    squares = dict.fromkeys(metrics.GROUPS, 0.0)
    for name, value in w.items():
        d = 32
        if name.endswith("norm.weight"):
            squares["gains"] += (value**2).sum()
        elif name.endswith("qkv.weight"):  # query and key rows first, then value rows
            squares["qk"] += (value[: 2 * d] ** 2).sum()
            squares["vo"] += (value[2 * d :] ** 2).sum()
        elif name.endswith("attention_out.weight"):
            squares["vo"] += (value**2).sum()
        elif "mlp_" in name and name.endswith("weight"):
            squares["mlp"] += (value**2).sum()
        elif name == "embedding.weight":
            squares["embedding"] += (value**2).sum()
        else:
            assert name.endswith("bias"), name
    found = metrics.norms(metrics.group_vectors(half_trained))
    assert found == pytest.approx({k: math.sqrt(v) for k, v in squares.items()}, rel=1e-5)


@pytest.mark.parametrize("style", ["gpt", "llama"])
def test_groups_hold_every_matrix_and_gain_exactly_once(style: Literal["gpt", "llama"]) -> None:
    """Numbered entries: whatever is missing or taken twice shows."""
    model = build(style)
    expected = []
    number = 0
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(torch.arange(number, number + p.numel()).view_as(p).float())
            number += p.numel()
            if not name.endswith("bias"):
                expected += p.flatten().tolist()
    assert number < 2**24  # exact in float32
    vectors = metrics.group_vectors(model)
    assert set(vectors) == set(metrics.GROUPS)
    assert sorted(torch.cat(list(vectors.values())).tolist()) == sorted(expected)


def test_group_vectors_are_copies_that_later_steps_do_not_change() -> None:
    model = build()
    before = metrics.group_vectors(model)
    kept = {k: v.clone() for k, v in before.items()}
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(2).add_(1)
    assert all(torch.equal(before[k], kept[k]) for k in kept)


def test_calibration_is_squared_gradients_over_adams_corrected_second_moment() -> None:
    """v_t by hand: three steps with known gradients, then a fourth gradient not yet seen."""
    a, b = (torch.nn.Parameter(torch.zeros(n)) for n in (3, 2))
    optimizer = torch.optim.AdamW([a, b], lr=0.1, betas=(0.9, 0.5))
    a.grad = torch.ones(3)
    assert metrics.calibration(optimizer, [a]) is None  # nothing estimated yet
    v = 0.0
    for g in (1.0, 3.0, 2.0):
        a.grad, b.grad = torch.full((3,), g), torch.full((2,), 10 * g)
        optimizer.step()
        v = 0.5 * v + 0.5 * g**2
    v /= 1 - 0.5**3
    a.grad, b.grad = torch.full((3,), 4.0), torch.full((2,), 10.0)
    assert metrics.calibration(optimizer, [a]) == pytest.approx(16 / v, rel=1e-5)
    both = (3 * 16 + 2 * 100) / (3 * v + 2 * 100 * v)
    assert metrics.calibration(optimizer, [a, b]) == pytest.approx(both, rel=1e-5)
