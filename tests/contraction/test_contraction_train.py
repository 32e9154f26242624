"""Training, exactly: what decay adds to a step, where a run stops, what a rescaling does."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from weightdecay.contraction import problems, train
from weightdecay.contraction.jacobian import frobenius
from weightdecay.contraction.problems import Problem
from weightdecay.decay import decayed

DECAY = 5.0


@pytest.fixture(scope="module")
def problem() -> Problem:
    return problems.regression(0)


def weights(model: nn.Module) -> list[Tensor]:
    return [p.detach() for p in model.parameters()]


def test_the_first_step_of_a_decayed_run_adds_minus_rate_times_decay_times_weight(
    problem: Problem,
) -> None:
    start = train.network(2, 1, 0)
    (rate,) = train.rates(1)
    plain, _ = train.train(problem, 0, 0.0, steps=1)
    shrunk, _ = train.train(problem, 0, DECAY, steps=1)
    for w0, a, b in zip(*map(weights, (start, plain, shrunk)), strict=True):
        expected = -rate * DECAY * w0 if decayed(nn.Parameter(w0)) else torch.zeros_like(w0)
        assert torch.allclose(b - a, expected, atol=1e-7)
        assert (a - w0).abs().max() == pytest.approx(rate, rel=1e-3)  # Adam's first step


def test_decay_to_the_start_does_nothing_at_first_and_then_pulls_back(problem: Problem) -> None:
    """Both have the same weights after one step, so the same gradient in the second."""
    start = train.network(2, 1, 0)
    below = train.train_loss(start, problem) * (1 - 1e-6)
    stopped = [train.train(problem, 0, d, to_init=True, until=below, steps=2) for d in (0.0, DECAY)]
    assert [taken for _, taken in stopped] == [1, 1]
    ones, others = (weights(model) for model, _ in stopped)
    assert all(torch.equal(a, b) for a, b in zip(ones, others, strict=True))
    ends = [train.train(problem, 0, d, to_init=True, steps=2)[0] for d in (0.0, DECAY)]
    for w0, w1, a, b in zip(weights(start), ones, *map(weights, ends), strict=True):
        pull = -train.rates(2)[1] * DECAY * (w1 - w0)
        expected = pull if decayed(nn.Parameter(w0)) else torch.zeros_like(w0)
        assert torch.allclose(b - a, expected, atol=1e-7)
    # Without decay the two rules are one.
    plain, _ = train.train(problem, 0, 0.0, steps=2)
    assert all(torch.equal(a, b) for a, b in zip(*map(weights, (plain, ends[0])), strict=True))


def test_a_run_stops_where_its_loss_is_first_at_most_the_target(problem: Problem) -> None:
    losses: list[float] = []

    def watched(outputs: Tensor, y: Tensor) -> Tensor:
        loss = problem.loss(outputs, y)
        losses.append(loss.item())
        return loss

    train.train(replace(problem, loss=watched), 0, 0.0, steps=60)
    assert len(losses) == 60
    target = losses[40]
    first = next(step for step, loss in enumerate(losses) if loss <= target)
    model, taken = train.train(problem, 0, 0.0, until=target, steps=60)
    assert 0 < first <= 40
    assert taken == first
    assert train.train_loss(model, problem) == losses[first] <= target < losses[first - 1]


def test_a_run_that_never_comes_down_to_the_target_goes_to_its_end(problem: Problem) -> None:
    stopped, taken = train.train(problem, 0, 0.0, until=-1.0, steps=30)
    whole, _ = train.train(problem, 0, 0.0, steps=30)
    assert taken == 30
    assert all(torch.equal(a, b) for a, b in zip(*map(weights, (stopped, whole)), strict=True))
    untouched, taken = train.train(problem, 0, 0.0, until=math.inf, steps=30)
    assert taken == 0
    start = train.network(2, 1, 0)
    assert all(torch.equal(a, b) for a, b in zip(*map(weights, (untouched, start)), strict=True))


def test_a_seed_is_one_network_and_another_seed_another(problem: Problem) -> None:
    one, again, other = (weights(train.train(problem, s, 0.1, steps=5)[0]) for s in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_schedule_warms_up_and_ends_at_a_tenth() -> None:
    rates = train.rates()
    assert len(rates) == train.STEPS
    assert rates[0] == pytest.approx(train.PEAK / train.WARMUP)
    assert max(rates) == rates[train.WARMUP - 1] == pytest.approx(train.PEAK)
    assert rates[-1] == pytest.approx(train.PEAK / 10)


def test_norm_matching_takes_the_norm_of_each_matrix_and_nothing_else() -> None:
    model, sibling = (train.network(2, 3, seed) for seed in (0, 1))
    with torch.no_grad():
        for factor, p in zip((0.5, 9.0, 2.0, 9.0, 3.0, 9.0), sibling.parameters(), strict=True):
            p.mul_(factor)
    before = [w.clone() for w in weights(model)]
    matched = train.norm_matched(model, sibling)
    for old, now, other in zip(before, weights(matched), weights(sibling), strict=True):
        if old.dim() == 2:
            assert float(now.norm()) == pytest.approx(float(other.norm()), rel=1e-5)
            assert torch.allclose(now / now.norm(), old / old.norm())
        else:
            assert torch.equal(now, old)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(model), strict=True))
    assert train.weight_norm(matched) == pytest.approx(train.weight_norm(sibling), rel=1e-5)


def test_rescaling_the_layers_of_a_linear_network_shifts_log_j_by_their_log_ratios() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 4)).double()
    sibling = copy.deepcopy(model)
    with torch.no_grad():
        for factor, p in zip((0.5, 9.0, 0.2, 9.0), sibling.parameters(), strict=True):
            p.copy_(factor * p.flip(0))  # only the norm of a matrix counts
    x = torch.randn(6, 3, dtype=torch.float64)
    shift = frobenius(train.norm_matched(model, sibling), x).log() - frobenius(model, x).log()
    assert torch.allclose(shift, torch.tensor(math.log(0.5 * 0.2), dtype=torch.float64))


def test_held_norms_are_the_decayed_networks_after_every_step(problem: Problem) -> None:
    norms: list[list[float]] = []
    train.train(problem, 0, DECAY, steps=20, after=lambda m: norms.append(train.matrix_norms(m)))
    assert len(norms) == 20
    given, seen = iter(norms), []

    def hold(model: nn.Sequential) -> None:
        train.hold(model, next(given))
        seen.append(train.matrix_norms(model))

    held, _ = train.train(problem, 0, 0.0, steps=20, after=hold)
    assert [n for row in seen for n in row] == pytest.approx(
        [n for r in norms for n in r], rel=1e-5
    )
    free, _ = train.train(problem, 0, 0.0, steps=20)
    assert train.weight_norm(held) < 0.9 * train.weight_norm(free)
