"""REINFORCE against closed forms: its gradient, its two halves, KL to the start, L2-Init."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from tests.plasticity.shrunk import BASE
from weightdecay.plasticity import finetune, pretrain, reinforce
from weightdecay.plasticity.config import Pretrain
from weightdecay.plasticity.downstream import Example, examples
from weightdecay.plasticity.finetune import Batch
from weightdecay.plasticity.reinforce_config import Method, Reinforce
from weightdecay.transformer import Transformer

CONFIG = Reinforce(seed=3, learning_rate=1e-3, epochs=1)
CHAINS = examples("chains", "train", 12, 0)


class Bigram(torch.nn.Module):
    """A policy over two tokens: logits of the next one from the last one, a table."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(table)

    def forward(self, ids: Tensor) -> Tensor:
        return self.table[ids]


def bigram(seed: int) -> Transformer:
    table = torch.randn(2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Bigram(table)  # type: ignore[return-value]  # it needs logits of ids, no more


def every_response(length: int) -> Batch:
    """All texts of two tokens behind the prompt 0, as one batch."""
    said = torch.tensor(list(itertools.product((0, 1), repeat=length)))
    ids = torch.cat([torch.zeros(len(said), 1, dtype=torch.long), said], 1)
    targets = torch.cat([said, torch.full((len(said), 1), finetune.IGNORED)], 1)
    return Batch(ids, targets)


def gradient(model: torch.nn.Module, loss: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(loss, list(model.parameters()))
    return found


@pytest.mark.parametrize("method", ["reinforce", "positive", "negative"])
def test_the_gradient_is_that_of_the_expected_reward(method: Method) -> None:
    """Expected over all responses, by autograd through the probabilities themselves: a response is
    right if it ends with token 1. Sampling only chooses how often each response counts."""
    model, b = bigram(0), every_response(3)
    right = (b.ids[:, -1] == 1).double()
    reward = {"reinforce": 2 * right - 1, "positive": right, "negative": right - 1}[method]
    table = next(model.parameters())
    p = torch.stack([
        torch.stack([table[i, j].exp() / table[i].exp().sum() for i, j in itertools.pairwise(text)])
        .prod() for text in b.ids.tolist()
    ])  # fmt: skip
    assert float(p.detach().sum()) == pytest.approx(1)
    exact = gradient(model, (p * reward).sum())
    # Each response weighted by its probability, as in the mean of infinitely many samples.
    weight = reinforce.weights(method, right) * p.detach() * len(b.ids)
    assert torch.allclose(gradient(model, reinforce.reward_loss(model, b, weight)), -exact)
    assert exact.abs().max() > 0.01


def test_positive_and_negative_add_up_to_the_whole() -> None:
    model, b = bigram(1), every_response(4)
    right = torch.tensor([1.0, 0.0] * 8).double()
    methods: list[Method] = ["reinforce", "positive", "negative"]
    whole, positive, negative = (
        gradient(model, reinforce.reward_loss(model, b, reinforce.weights(method, right)))
        for method in methods
    )
    assert torch.allclose(whole, positive + negative)
    assert positive.abs().max() > 0 < negative.abs().max()


def test_supervised_tuning_has_no_rewards() -> None:
    with pytest.raises(ValueError, match="sft has no rewards"):
        reinforce.weights("sft", torch.ones(2))


def test_the_drift_is_torchs_kl_summed_over_the_response() -> None:
    model, start, b = bigram(2), bigram(3), every_response(3)
    b.targets[0, 1:] = finetune.IGNORED  # one response is shorter
    wanted = torch.zeros((), dtype=torch.float64)
    for row, place in (b.targets != finetune.IGNORED).nonzero().tolist():
        last = b.ids[row, place]
        of = [Categorical(logits=m(last)) for m in (model, start)]
        wanted = wanted + kl_divergence(of[0], of[1]) / len(b.ids)
    found = reinforce.drift(model, start, b)
    assert float(found.detach()) == pytest.approx(float(wanted.detach()))
    assert torch.allclose(gradient(model, found), gradient(model, wanted))


# ------------------------------------------------------------------------- on the transformer


@pytest.fixture
def model() -> Transformer:
    return pretrain.build(Pretrain.model_validate(BASE))


def test_log_likelihood_is_that_of_the_response_alone(model: Transformer) -> None:
    together = reinforce.log_likelihood(model, finetune.batch(CHAINS))
    for e, found in zip(CHAINS, together, strict=True):
        loss = float(finetune.response_loss(model, finetune.batch([e])))
        assert float(found) == pytest.approx(-loss * len(e.response), rel=1e-4)


def test_a_batch_is_drawn_from_the_policy_that_it_moves(
    model: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On-policy: before each step new samples of the weights as they are, with other seeds."""
    seen: list[tuple[int, bytes, int]] = []
    drawn = reinforce.drawn

    def watched(m: Transformer, asked: list[Example], n: int, seed: int) -> object:
        assert m is model
        seen.append((len(asked), m.head.weight.detach().numpy().tobytes(), seed))  # type: ignore[union-attr]
        return drawn(m, asked, n, seed)

    monkeypatch.setattr(reinforce, "drawn", watched)
    monkeypatch.setattr(reinforce, "PROMPTS", 4)
    reinforce.tune(model, CONFIG.model_copy(update={"epochs": 2}), CHAINS, lambda *_: None)
    assert [n for n, *_ in seen] == [4] * 6
    assert len({weights for _, weights, _ in seen}) == len({seed for *_, seed in seen}) == 6


def tuned(model: Transformer, **changed: object) -> Tensor:
    """All weights after three steps."""
    learner = copy.deepcopy(model)
    config = CONFIG.model_copy(update={"epochs": 3, **changed})
    reinforce.tune(learner, config, CHAINS, lambda *_: None)
    return torch.cat([p.detach().flatten() for p in learner.parameters()])


def test_the_draw_changes_a_run_and_the_same_draw_does_not(model: Transformer) -> None:
    assert torch.equal(tuned(model), tuned(model))
    assert not torch.equal(tuned(model), tuned(model, draw=1))


def test_each_knob_keeps_the_policy_nearer_to_what_it_is_for(model: Transformer) -> None:
    start = torch.cat([p.detach().flatten() for p in model.parameters()])
    free = tuned(model, method="sft")
    assert tuned(model, method="sft", finetune_decay=100.0).norm() < free.norm()
    pulled = tuned(model, method="sft", to_start=100.0)
    assert (pulled - start).norm() < (free - start).norm()
    assert not torch.equal(tuned(model, method="sft", kl=1.0), free)


def test_decay_toward_the_start_is_exact(model: Transformer) -> None:
    """Without a gradient one step goes the share eta * lambda of the way back, on matrices only;
    AdamW with its decay, from the same place, goes toward zero instead."""
    config = CONFIG.model_copy(update={"to_start": 30.0, "learning_rate": 0.01})
    o = reinforce.optimizer(model, config)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    o.step()  # where it is, it stays
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1)
    o.step()
    for n, p in model.named_parameters():
        wanted = before[n] + (1 if p.dim() < 2 else 1 - 0.01 * 30)
        assert torch.allclose(p, wanted, atol=1e-6)


def test_without_a_knob_the_optimizer_is_that_of_the_part(model: Transformer) -> None:
    o = reinforce.optimizer(model, CONFIG.model_copy(update={"finetune_decay": 0.3}))
    assert isinstance(o, torch.optim.AdamW)
    assert [g["weight_decay"] for g in o.param_groups] == [0.3, 0.0]
