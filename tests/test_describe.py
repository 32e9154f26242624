"""`describe`: the kind of decay, its timescale, and the surprises."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, NAdam, Optimizer, RMSprop

from weightdecay.decay import parameter_groups
from weightdecay.describe import Kind, describe
from weightdecay.rules import (
    Rule,
    RuleOptimizer,
    adam_l2,
    adamw,
    adamw_to_init,
    sgd_decoupled,
    sgd_l2,
)
from weightdecay.transformer import Transformer, TransformerConfig


def with_gradients() -> Transformer:
    model = Transformer(TransformerConfig(tied_head=False))
    model(torch.zeros(1, 4, dtype=torch.long)).sum().backward()
    return model


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (SGD, "L2"),
        (Adam, "L2 under Adam"),
        (AdamW, "decoupled"),
        (partial(Adam, decoupled_weight_decay=True), "decoupled"),
        (NAdam, "L2 under Adam"),
        (partial(NAdam, decoupled_weight_decay=True), "decoupled"),
        (RMSprop, "unknown"),
        (partial(RuleOptimizer, rule=sgd_l2), "L2"),
        (partial(RuleOptimizer, rule=sgd_decoupled), "decoupled"),
        (partial(RuleOptimizer, rule=adam_l2), "L2 under Adam"),
        (partial(RuleOptimizer, rule=adamw), "decoupled"),
        (partial(RuleOptimizer, rule=adamw_to_init), "toward the initial weights"),
        (partial(RuleOptimizer, rule=lambda w, g, state, s: w), "unknown"),
    ],
)
def test_kind_and_timescale_of_each_optimizer(make: partial[Optimizer], kind: Kind) -> None:
    groups = [
        {"params": [nn.Parameter(torch.ones(2, 3))], "weight_decay": 0.1},
        {"params": [nn.Parameter(torch.ones(4, 3))], "weight_decay": 0.0},
    ]
    decay, no_decay = describe(make(groups, lr=0.01)).groups
    assert (decay.kind, decay.tensors, decay.parameters) == (kind, 1, 6)
    if kind in ("unknown", "L2 under Adam"):
        assert decay.timescale is None
    else:
        assert decay.timescale == pytest.approx(1000)
    assert (no_decay.kind, no_decay.parameters) == ("none", 12)


def test_the_flag_decides_and_not_the_class() -> None:
    """AdamW is a subclass of Adam, and with the flag Adam is bitwise AdamW."""
    assert issubclass(AdamW, Adam)
    runs = []
    for make in (AdamW, partial(Adam, decoupled_weight_decay=True), Adam):
        w = nn.Parameter(torch.linspace(-1, 1, 20))
        optimizer = make([w], lr=0.01, weight_decay=0.5)
        for step in range(20):
            w.grad = (w.detach() - step / 20).sin()
            optimizer.step()
        runs.append((describe(optimizer).groups[0].kind, w.detach()))
    kinds, (by_class, by_flag, plain) = zip(*runs, strict=True)
    assert kinds == ("decoupled", "decoupled", "L2 under Adam")
    assert torch.equal(by_class, by_flag)
    assert (by_class - plain).abs().max() > 1e-3


@pytest.mark.parametrize(("momentum", "dampening"), [(0.0, 0.0), (0.9, 0.0), (0.9, 0.5)])
def test_the_timescale_said_for_sgd_is_the_one_its_weights_shrink_by(
    momentum: float, dampening: float
) -> None:
    w = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = SGD([w], lr=0.01, weight_decay=0.02, momentum=momentum, dampening=dampening)
    tau = describe(optimizer).groups[0].timescale
    assert tau is not None
    lost = {}
    for step in range(1, 2 * round(tau) + 1):
        w.grad = torch.zeros_like(w)
        optimizer.step()
        lost[step] = -math.log(w.item())
    # Between tau and 2 tau: the first steps, in which momentum builds up, are not the question.
    assert lost[2 * round(tau)] - lost[round(tau)] == pytest.approx(1, rel=0.02)


def test_adams_weight_decay_is_called_what_it_is() -> None:
    matrix = [nn.Parameter(torch.ones(2, 2))]
    (warning,) = describe(Adam(matrix, weight_decay=0.1)).warnings
    assert "L2 penalty, not AdamW's decay" in warning
    assert not describe(Adam(matrix)).warnings
    assert not describe(AdamW(matrix)).warnings


def test_decayed_parameters_without_gradient_are_named_once_there_are_gradients() -> None:
    model = Transformer(TransformerConfig())
    unused = nn.Linear(3, 3)
    optimizer = AdamW([*parameter_groups(model, 0.1), {"params": [unused.weight]}])
    assert not describe(optimizer, model).warnings  # nothing has a gradient yet
    model(torch.zeros(1, 4, dtype=torch.long)).sum().backward()
    model.blocks[0].get_submodule("qkv").zero_grad(set_to_none=True)
    model.final_norm.zero_grad(set_to_none=True)  # not decayed anyway: nothing to say
    first, second = describe(optimizer, model).warnings
    assert first.startswith("group 0: blocks.0.qkv.weight had no gradient")
    assert second.startswith("group 2: group 2[0] had no gradient")
    assert "neither trained nor decayed" in first


def test_norms_and_biases_decayed_like_matrices_are_named_and_embeddings_told_apart() -> None:
    model = with_gradients()
    (warning,) = describe(AdamW(model.parameters()), model).warnings
    assert "norms and biases (blocks.0.attention_norm.weight, " in warning
    assert "and 11 more) are decayed like embeddings (embedding.weight) and matrices" in warning
    (warning,) = describe(AdamW(model.named_parameters())).warnings  # names, but no modules
    assert "and 11 more) are decayed like matrices" in warning
    (warning,) = describe(AdamW(model.parameters())).warnings
    assert "norms and biases (group 0[1], group 0[2], group 0[5] and 11 more)" in warning


def test_norms_and_biases_decayed_in_a_group_of_their_own_are_taken_as_meant() -> None:
    groups = parameter_groups(with_gradients(), 0.1)
    groups[1]["weight_decay"] = 0.01
    assert not describe(AdamW(groups)).warnings


@pytest.mark.parametrize("rule", [sgd_l2, sgd_decoupled, adamw, adamw_to_init])
def test_two_groups_with_gradients_and_decoupled_decay_have_no_surprise(rule: Rule) -> None:
    model = with_gradients()
    optimizer = RuleOptimizer(parameter_groups(model, 0.1), rule, lr=1e-3)
    assert not describe(optimizer, model).warnings


def test_it_prints_as_lines_also_as_the_last_value_of_a_cell() -> None:
    model = with_gradients()
    description = describe(AdamW(parameter_groups(model, 0.1), lr=3e-3), model)
    assert str(description).splitlines() == [
        "AdamW",
        "  group 0: decoupled: w is multiplied by 1 - eta lambda beside the gradient step; "
        "eta = 0.003, lambda = 0.1, timescale 3,333 steps (10 tensors, 106,496 parameters)",
        "  group 1: no decay (14 tensors, 1,280 parameters)",
    ]
    assert repr(description) == str(description)
    named = describe(RuleOptimizer(parameter_groups(model, 0.1), adam_l2, lr=3e-3), model)
    lines = str(named).splitlines()
    assert lines[0] == "RuleOptimizer with adam_l2"
    assert "timescale" not in lines[1]
    assert lines[-1].startswith("  warning: group 0: Adam's weight_decay is an L2 penalty")


def test_a_negative_decay_in_a_group_which_torch_lets_pass_is_refused() -> None:
    optimizer = AdamW([{"params": [nn.Parameter(torch.ones(2, 2))], "weight_decay": -0.1}])
    with pytest.raises(ValueError, match=r"weight_decay = -0\.1 must be"):
        describe(optimizer)
