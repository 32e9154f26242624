"""Pretraining: its dose, its groups, its data, and a run against a loop written out."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from tests.plasticity.shrunk import BASE
from weightdecay.plasticity import pretrain
from weightdecay.plasticity.config import CONTEXT, SIZES, Pretrain
from weightdecay.plasticity.language import PAD, TOKEN_ID
from weightdecay.transformer import Transformer

TINY = Pretrain.model_validate(BASE)


def changed(**keys: Any) -> Pretrain:
    return Pretrain.model_validate({**BASE, **keys})


@pytest.mark.parametrize("size", SIZES)
def test_a_size_has_about_the_parameters_of_its_name(size: str) -> None:
    config = changed(size=size)
    parameters = sum(p.numel() for p in pretrain.build(config).parameters())
    named = float(size[:-1]) * {"k": 1e3, "m": 1e6}[size[-1]]
    assert parameters == pytest.approx(named, rel=0.1)
    tokens = pretrain.steps(config) * config.batch_size * CONTEXT
    assert 0 <= tokens - parameters * config.tokens_per_parameter < config.batch_size * CONTEXT


def test_the_cosine_runs_dose_is_that_of_the_closed_sum() -> None:
    rates = pretrain.learning_rates(changed(tokens_per_parameter=20, learning_rate=0.004))
    n, w = len(rates), round(0.1 * len(rates))
    # Warmup: an arithmetic series. Cosine: cos(pi i / m) over i = 1 ... m adds up to -1.
    m, peak, final = n - w, 0.004, 0.0004
    closed = peak * (w + 1) / 2 + m * final + (peak - final) / 2 * (m - 1)
    assert math.fsum(rates) == pytest.approx(closed, rel=1e-12)
    assert max(rates) == rates[w - 1] == peak
    assert rates[-1] == pytest.approx(final)


def test_the_wsd_runs_dose_is_that_of_a_trapezoid_and_ends_in_zero() -> None:
    rates = pretrain.learning_rates(changed(tokens_per_parameter=20, schedule="wsd"))
    n, peak = len(rates), 3e-3
    w, c = round(0.1 * n), round(0.2 * n)
    closed = peak * (w + 1) / 2 + peak * (n - w - c) + peak * (c - 1) / 2
    assert math.fsum(rates) == pytest.approx(closed, rel=1e-12)
    assert rates[-1] == 0 < rates[-2]
    assert rates.count(peak) == n - w - c + 1  # the last of warmup, too


@pytest.mark.parametrize("style", ["llama", "olmo2"])
def test_every_parameter_is_in_one_group_and_gains_are_not_decayed(style: str) -> None:
    model = pretrain.build(changed(style=style))
    decayed, spared = pretrain.groups(model, 0.7)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.7, 0.0)
    names = {id(p): name for name, p in model.named_parameters()}
    kept = [names[id(p)] for g in (decayed, spared) for p in g["params"]]
    assert sorted(kept) == sorted(names.values())
    undecayed = {names[id(p)] for p in spared["params"]}
    gains = {name for name in names.values() if "norm" in name}
    assert undecayed == gains | ({"embedding.weight"} if style == "olmo2" else set())


def test_decay_leaves_the_embedding_of_olmo2_style_alone_and_no_other_matrix() -> None:
    """One step from the same weights on the same batch: what decay does is all that differs."""
    for style in ("llama", "olmo2"):
        after = []
        for decay in (0.0, 50.0):
            config = changed(style=style, weight_decay=decay)
            model = pretrain.build(config)
            o = pretrain.optimizer(model, decay, config.learning_rate)
            ids = next(pretrain.batches(config, 0, 1))
            pretrain.step(model, o, pretrain.loss_of(model, ids), config.learning_rate)
            after.append(dict(model.named_parameters()))
        same = {name for name, p in after[0].items() if torch.equal(p, after[1][name])}
        gains = {name for name in after[0] if "norm" in name}
        assert same == gains | ({"embedding.weight"} if style == "olmo2" else set())


def test_the_text_is_the_same_for_every_decay_and_none_of_it_comes_twice() -> None:
    one, other = (pretrain.documents(changed(weight_decay=d), 1) for d in (0.0, 5.0))
    assert torch.equal(one, other)
    drawn = torch.cat([pretrain.documents(changed(seed=s), c) for s in (3, 4) for c in (0, 1)])
    assert (
        len({tuple(row) for row in drawn.tolist()})
        == len(drawn)
        == 4 * pretrain.CHUNK * TINY.batch_size
    )
    assert not (drawn == TOKEN_ID[PAD]).any()


def test_the_batches_from_a_step_on_are_those_that_a_whole_run_has_there() -> None:
    whole = list(pretrain.batches(TINY, 0, 130))
    assert len(whole) == 130
    part = list(pretrain.batches(TINY, 63, 130))
    assert all(torch.equal(a, b) for a, b in zip(part, whole[63:], strict=True))


def test_the_loss_is_that_of_each_next_token() -> None:
    model, ids = pretrain.build(TINY), pretrain.documents(TINY, 0)[:3]
    with torch.no_grad():
        p = model(ids).double().softmax(-1)
        each = [-math.log(p[r, t, ids[r, t + 1]]) for r in range(3) for t in range(CONTEXT - 1)]
        assert float(pretrain.loss_of(model, ids)) == pytest.approx(sum(each) / len(each), rel=1e-5)


def by_hand(config: Pretrain) -> tuple[Transformer, list[float]]:
    """AdamW written out (arXiv 1711.05101), over one parameter after the other."""
    model = pretrain.build(config)
    mean = {p: torch.zeros_like(p) for p in model.parameters()}
    square = {p: torch.zeros_like(p) for p in model.parameters()}
    losses = []
    rates = pretrain.learning_rates(config)
    for t, (ids, rate) in enumerate(
        zip(pretrain.batches(config, 0, len(rates)), rates, strict=True), 1
    ):
        logits = model(ids)[:, :-1]
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1))
        losses.append(float(loss.detach()))
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
        with torch.no_grad():
            for p, g in zip(model.parameters(), gradients, strict=True):
                g = g * min(1, 1 / norm)
                mean[p] = 0.9 * mean[p] + 0.1 * g
                square[p] = 0.95 * square[p] + 0.05 * g**2
                update = mean[p] / (1 - 0.9**t) / ((square[p] / (1 - 0.95**t)).sqrt() + 1e-8)
                if p.dim() == 2:
                    p.mul_(1 - rate * config.weight_decay)
                p.sub_(rate * update)
    return model, losses


def test_a_run_is_adamw_with_clipping_and_watches_the_mean_loss_since() -> None:
    watched: list[tuple[int, float]] = []
    model, _ = pretrain.train(TINY, watch=lambda n, _, loss: watched.append((n, loss)), every=10)
    wanted, losses = by_hand(TINY)
    n = len(losses)
    assert [done for done, _ in watched] == [10, 20, 30, n]
    for done, loss in watched:
        part = losses[(done - 1) // 10 * 10 : done]
        assert loss == pytest.approx(sum(part) / len(part), rel=1e-4)
    assert losses[-1] < losses[0] - 0.5
    for (name, p), q in zip(model.named_parameters(), wanted.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=2e-4, msg=name)


def test_no_tokens_leave_the_model_as_it_was_initialized(tmp_path: Path) -> None:
    config = changed(tokens_per_parameter=0)
    model, _ = pretrain.train(config, tmp_path, watch=lambda *_: pytest.fail("no step to watch"))
    fresh = pretrain.build(config)
    assert all(
        torch.equal(p, q) for p, q in zip(model.parameters(), fresh.parameters(), strict=True)
    )
    assert fresh.config == replace(TINY.sizes(), init_std=SIZES["30k"][0] ** -0.5)
