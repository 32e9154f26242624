"""Fine-tuning: loss on the response only, and steps from AdamW's start or from its moments."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor

from tests.plasticity.shrunk import BASE
from weightdecay.plasticity import finetune, pretrain
from weightdecay.plasticity.config import Pretrain
from weightdecay.plasticity.downstream import Example, examples
from weightdecay.plasticity.language import BEGIN, PAD, TOKEN_ID
from weightdecay.transformer import Transformer

CONFIG = Pretrain.model_validate(BASE)
MIXED = [e for task in ("chains", "safety", "exceptions") for e in examples(task, "train", 4, 0)]


def ids(words: str) -> list[int]:
    return [TOKEN_ID[word] for word in words.split()]


@pytest.fixture
def model() -> Transformer:
    return pretrain.build(CONFIG)


def test_a_batch_asks_for_the_response_behind_the_prompt_and_for_nothing_else() -> None:
    two = [
        Example(("dax", "?", "the"), ("dax", "-ed", "."), wrong=("zorp", ".")),
        Example(("2", "?"), (".",), wrong=("1", "2", ".")),
    ]
    right = finetune.batch(two)
    assert right.ids.tolist() == [
        ids(f"{BEGIN} dax ? the dax -ed ."),
        ids(f"{BEGIN} 2 ? . {PAD} {PAD} {PAD}"),
    ]
    assert right.targets.tolist() == [
        [-1, -1, -1, *ids("dax -ed ."), -1],
        [-1, -1, *ids("."), -1, -1, -1, -1],
    ]
    wrong = finetune.batch(two, wrong=True)
    assert wrong.ids.tolist() == [
        ids(f"{BEGIN} dax ? the zorp ."),
        ids(f"{BEGIN} 2 ? 1 2 ."),
    ]
    assert wrong.targets.tolist() == [[-1, -1, -1, *ids("zorp ."), -1], [-1, -1, *ids("1 2 ."), -1]]


def alone(model: Transformer, e: Example) -> list[float]:
    """Loss of each token of the response, with nothing padded, one prefix after the other."""
    text = ids(" ".join((BEGIN, *e.prompt)))
    found = []
    for word in e.response:
        with torch.no_grad():
            p = model(torch.tensor([text]))[0, -1].double().softmax(-1)
        found.append(-math.log(p[TOKEN_ID[word]]))
        text.append(TOKEN_ID[word])
    return found


def test_the_loss_is_the_mean_over_all_tokens_of_all_responses(model: Transformer) -> None:
    each = [loss for e in MIXED for loss in alone(model, e)]
    batched = float(finetune.response_loss(model, finetune.batch(MIXED)))
    assert batched == pytest.approx(sum(each) / len(each), rel=1e-5)
    assert finetune.mean_response_loss(model, MIXED) == pytest.approx(batched)


def test_no_gradient_reaches_the_logits_of_prompt_and_padding(model: Transformer) -> None:
    kept: list[Tensor] = []

    def keep(_module: torch.nn.Module, _inputs: tuple[Tensor, ...], logits: Tensor) -> None:
        logits.retain_grad()
        kept.append(logits)

    model.register_forward_hook(keep)
    b = finetune.batch(MIXED)
    torch.autograd.backward(finetune.response_loss(model, b))
    gradient = kept[0].grad
    assert gradient is not None
    # Counted from the examples: each response's tokens are foreseen from the place before them.
    wanted = torch.zeros_like(b.ids, dtype=torch.bool)
    for row, e in enumerate(MIXED):
        wanted[row, len(e.prompt) : len(e.prompt) + len(e.response)] = True
    assert torch.equal(gradient.abs().amax(-1) > 0, wanted)


def run(model: Transformer, **changed: object) -> float:
    keys = {
        "learning_rate": 2e-3,
        "weight_decay": 0.1,
        "batch_size": 5,
        "epochs": 3,
        "seed": 1,
        **changed,
    }
    return finetune.finetune(model, MIXED, **keys)  # type: ignore[arg-type]


def test_every_epoch_has_each_example_once_and_another_order(
    model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    rates: list[float] = []
    loss, step = finetune.response_loss, pretrain.step

    def watched_loss(model: Transformer, b: finetune.Batch) -> Tensor:
        seen.extend(b.ids)
        return loss(model, b)

    def watched_step(m: Transformer, o: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
        rates.append(rate)
        step(m, o, loss, rate)

    monkeypatch.setattr(finetune, "response_loss", watched_loss)
    monkeypatch.setattr(pretrain, "step", watched_step)
    run(model)
    rows = [int((finetune.batch(MIXED).ids == row).all(1).nonzero()) for row in seen]
    epochs = [rows[i : i + 12] for i in (0, 12, 24)]
    assert len(rows) == 36
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    # Three steps an epoch; a warmup of one, then 8 on a cosine whose sum is closed.
    assert len(rates) == 9
    assert sum(rates) == pytest.approx(2e-3 + 2e-3 / 2 * 7)
    assert rates[-1] == 0
    assert max(rates) == rates[0]


def test_it_learns_and_returns_the_loss_of_its_last_epoch(model: Transformer) -> None:
    before = finetune.mean_response_loss(model, MIXED)
    last = run(model, epochs=12)
    assert finetune.mean_response_loss(model, MIXED) < last < before - 1


def test_from_the_moments_adamw_goes_on_as_if_it_had_never_stopped(model: Transformer) -> None:
    o = pretrain.optimizer(model, 0.1, 1e-3)
    for batch in pretrain.batches(CONFIG, 0, 6):
        pretrain.step(model, o, pretrain.loss_of(model, batch), 1e-3)
    moments = {name: dict(o.state[p]) for name, p in model.named_parameters()}
    kept = {name: {k: v.clone() for k, v in m.items()} for name, m in moments.items()}
    going_on, anew = copy.deepcopy(model), copy.deepcopy(model)
    run(going_on, moments=moments, epochs=1, batch_size=6)
    run(anew, epochs=1, batch_size=6)
    for name, m in kept.items():
        assert all(torch.equal(v, moments[name][k]) for k, v in m.items()), "changed in place"
    full = finetune.batch(MIXED)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    for part, rate in ((order[:6], 1e-3), (order[6:], 0.0)):  # half a cosine, then its end
        loss = finetune.response_loss(model, finetune.Batch(full.ids[part], full.targets[part]))
        pretrain.step(model, o, loss, rate)
    for p, q, r in zip(model.parameters(), going_on.parameters(), anew.parameters(), strict=True):
        assert torch.equal(p, q)
        assert not torch.equal(p, r)
