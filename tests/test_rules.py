"""Every rule against torch's own optimizer, step by step, and what `RuleOptimizer` promises."""

from __future__ import annotations

import copy
import io
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from weightdecay.decay import cosine_learning_rate
from weightdecay.rules import (
    Rule,
    RuleOptimizer,
    Settings,
    State,
    adam_l2,
    adamw,
    adamw_to_init,
    sgd_decoupled,
    sgd_l2,
)

RULES = [sgd_l2, sgd_decoupled, adam_l2, adamw, adamw_to_init]
STEPS = 12


class Network(nn.Module):
    """A regression in float64 with a table, matrices, vectors and a part that may stay unused."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.hidden = nn.Linear(4, 6)
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 2)
        self.aside = nn.Linear(6, 2, bias=False)
        self.double()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.randn(p.shape, generator=generator, dtype=p.dtype))

    def forward(self, ids: Tensor, aside: bool) -> Tensor:
        h: Tensor = self.norm(self.hidden(self.embedding(ids)).tanh())
        out: Tensor = self.head(h)
        return out + self.aside(h) if aside else out


def batch_loss(model: nn.Module, seed: int, step: int) -> Tensor:
    """Loss of one batch; on odd steps `aside` is unused, so its grad is None."""
    generator = torch.Generator().manual_seed(1000 * seed + step)
    ids = torch.randint(5, (8,), generator=generator)
    target = torch.randn(8, 2, generator=generator, dtype=torch.float64)
    out: Tensor = model(ids, step % 2 == 0)
    return (out - target).square().mean()


def train(model: nn.Module, optimizer: Optimizer, steps: range, seed: int = 0) -> None:
    for step in steps:
        optimizer.zero_grad(set_to_none=True)
        batch_loss(model, seed, step).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def difference(ours: nn.Module, theirs: nn.Module) -> float:
    """Greatest absolute difference between the weights of two networks."""
    pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


# --------------------------------------------------------------------------- against torch's own


@dataclass
class Group:
    lr: float
    weight_decay: float
    betas: tuple[float, float]


GROUPS = st.builds(
    Group,
    lr=st.floats(1e-4, 0.02),  # at three times this SGD can diverge here, and rounding with it
    weight_decay=st.one_of(st.just(0.0), st.floats(1e-4, 3.0)),
    betas=st.tuples(st.floats(0, 0.99), st.floats(0.5, 0.9999)),
)


def three_groups(model: Network, three: list[Group], *, betas: bool) -> list[dict[str, Any]]:
    members = [
        [model.hidden.weight, model.head.weight, model.aside.weight],
        [model.embedding.weight],
        [model.hidden.bias, model.head.bias, *model.norm.parameters()],
    ]
    return [
        {"params": params, "lr": g.lr, "weight_decay": g.weight_decay}
        | ({"betas": g.betas} if betas else {})
        for params, g in zip(members, three, strict=True)
    ]


def differences(
    rule: Rule, torchs: type[Optimizer], options: dict[str, Any], three: list[Group], seed: int
) -> list[float]:
    """After each step, how far two copies of a network are apart: one trained by each optimizer."""
    ours, theirs = Network(seed), Network(seed)
    mine = RuleOptimizer(three_groups(ours, three, betas=True), rule, lr=1e-3)
    groups = three_groups(theirs, three, betas=issubclass(torchs, Adam))
    reference = torchs(groups, **options)
    found = []
    for step in range(STEPS):
        for model, optimizer in ((ours, mine), (theirs, reference)):
            for group, g in zip(optimizer.param_groups, three, strict=True):
                group["lr"] = g.lr * (1 - step / (2 * STEPS))  # as a schedule does
            train(model, optimizer, range(step, step + 1), seed)
        found.append(difference(ours, theirs))
    return found


@pytest.mark.parametrize(
    "variant", [{"foreach": False}, {"foreach": True}, {"fused": True}], ids=["loop", "each", "fus"]
)
@pytest.mark.parametrize(
    ("rule", "torchs", "options"),
    [
        (sgd_l2, SGD, {}),
        (sgd_decoupled, SGD, {}),
        (adam_l2, Adam, {}),
        (adamw, AdamW, {}),
        (adamw, Adam, {"decoupled_weight_decay": True}),
    ],
    ids=["sgd_l2", "sgd_decoupled", "adam_l2", "adamw", "adamw-by-the-flag"],
)
@given(three=st.lists(GROUPS, min_size=3, max_size=3), seed=st.integers(0, 10**6))
@settings(max_examples=12)
def test_a_rule_takes_torchs_steps(
    rule: Rule,
    torchs: type[Optimizer],
    options: dict[str, Any],
    variant: dict[str, bool],
    three: list[Group],
    seed: int,
) -> None:
    found = differences(rule, torchs, {**options, **variant}, three, seed)
    assert max(found) < 1e-6, found


def test_the_comparison_would_notice_the_wrong_rule() -> None:
    three = [Group(0.01, 0.5, (0.9, 0.99))] * 3
    for rule, torchs in [(adamw, Adam), (adam_l2, AdamW), (adamw_to_init, AdamW), (sgd_l2, Adam)]:
        assert max(differences(rule, torchs, {}, three, seed=1)) > 1e-3


@given(group=GROUPS, seed=st.integers(0, 10**6))
@settings(max_examples=12)
def test_decay_to_init_is_torchs_adamw_on_the_distance_from_init(group: Group, seed: int) -> None:
    """With w = w0 + d, decay of d toward zero is decay of w toward w0."""

    class Displaced(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = [Network(seed)]  # in a list: its weights are w0, not parameters
            self.distance = nn.ParameterList(torch.zeros_like(p) for p in Network().parameters())

        def forward(self, ids: Tensor, aside: bool) -> Tensor:
            named = zip(self.network[0].named_parameters(), self.distance, strict=True)
            weights = {name: w0.detach() + d for (name, w0), d in named}
            # With its gradient None AdamW skips `aside`, here as there.
            out: Tensor = torch.func.functional_call(self.network[0], weights, (ids, aside))
            return out

    initial, ours, theirs = Network(seed), Network(seed), Displaced()
    mine = RuleOptimizer(
        ours.parameters(),
        adamw_to_init,
        lr=group.lr,
        weight_decay=group.weight_decay,
        betas=group.betas,
    )
    reference = AdamW(
        theirs.parameters(), lr=group.lr, weight_decay=group.weight_decay, betas=group.betas
    )
    for step in range(STEPS):
        train(ours, mine, range(step, step + 1), seed)
        train(theirs, reference, range(step, step + 1), seed)
        for w, w0, d in zip(ours.parameters(), initial.parameters(), theirs.distance, strict=True):
            torch.testing.assert_close(w, w0 + d, rtol=0, atol=1e-6)


def test_without_gradient_decay_to_init_brings_the_initial_weights_back() -> None:
    w = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    optimizer = RuleOptimizer([w], adamw_to_init, lr=0.1, weight_decay=0.5, betas=(0.0, 0.5))
    w.grad = torch.ones_like(w)
    optimizer.step()
    away = w.detach() - torch.tensor([1.0, -2.0])
    assert away.abs().min() > 0.09
    w.grad = torch.zeros_like(w)
    for _ in range(40):
        optimizer.step()
    expected = torch.tensor([1.0, -2.0]) + away * (1 - 0.1 * 0.5) ** 40
    torch.testing.assert_close(w.detach(), expected, rtol=0, atol=1e-12)


def test_without_decay_the_three_adams_are_bitwise_one_and_so_are_the_two_sgds() -> None:
    for family in ([adam_l2, adamw, adamw_to_init], [sgd_l2, sgd_decoupled]):
        models = [Network() for _ in family]
        for rule, model in zip(family, models, strict=True):
            train(model, RuleOptimizer(model.parameters(), rule, lr=0.01), range(STEPS))
        assert all(difference(models[0], model) == 0 for model in models)
        assert difference(models[0], Network()) > 0.01


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_leaves_its_arguments_alone_and_returns_their_shape(rule: Rule) -> None:
    w, g = torch.randn(3, 4), torch.randn(3, 4)
    before = w.clone(), g.clone()
    state: State = {}
    new = rule(w, g, state, Settings(lr=0.1, weight_decay=0.1))
    assert torch.equal(w, before[0])
    assert torch.equal(g, before[1])
    assert new.shape == w.shape
    assert not torch.equal(new, w)


# ------------------------------------------------------------------------------ as an optimizer


@pytest.mark.parametrize("rule", RULES)
def test_a_parameter_without_gradient_is_neither_moved_nor_decayed(rule: Rule) -> None:
    model = Network()
    before = model.aside.weight.detach().clone()
    optimizer = RuleOptimizer(model.parameters(), rule, lr=0.1, weight_decay=1.0)
    for _ in range(5):
        train(model, optimizer, range(1, 2))  # an odd step: `aside` is unused
    assert torch.equal(model.aside.weight, before)
    assert model.aside.weight not in optimizer.state
    assert not torch.equal(model.head.weight, Network().head.weight)


@pytest.mark.parametrize("rule", RULES)
def test_a_run_resumed_from_its_state_dict_is_bitwise_the_run_that_went_on(rule: Rule) -> None:
    options: dict[str, Any] = {"lr": 0.01, "weight_decay": 0.3, "betas": (0.8, 0.9)}
    model = Network()
    optimizer = RuleOptimizer(model.parameters(), rule, **options)
    train(model, optimizer, range(5))
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    train(model, optimizer, range(5, 12))

    file.seek(0)
    saved = torch.load(file)  # weights_only: nothing but tensors and plain values was saved
    resumed = Network(seed=1)
    again = RuleOptimizer(resumed.parameters(), rule, lr=1.0)
    resumed.load_state_dict(saved["model"])
    again.load_state_dict(saved["optimizer"])
    train(resumed, again, range(5, 12))
    assert difference(model, resumed) == 0


def test_a_deep_copy_goes_on_with_the_same_rule() -> None:
    model = Network()
    optimizer = RuleOptimizer(model.parameters(), adamw, lr=0.01, weight_decay=0.1)
    train(model, optimizer, range(3))
    twin, twins = copy.deepcopy((model, optimizer))
    train(model, optimizer, range(3, 6))
    train(twin, twins, range(3, 6))
    assert twins.rule is adamw
    assert difference(model, twin) == 0


def test_a_torch_scheduler_drives_it() -> None:
    """Zero gradients: what is left of a weight is the product over the scheduler's rates."""
    schedule = [
        cosine_learning_rate(step, peak=0.1, final=0.01, warmup=3, steps=20) for step in range(20)
    ]
    w = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = RuleOptimizer([w], adamw, lr=1.0, weight_decay=0.5)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, [*schedule, 0.0].__getitem__)
    product = 1.0
    for rate in schedule:
        w.grad = torch.zeros_like(w)
        optimizer.step()
        scheduler.step()
        product *= 1 - rate * 0.5
    assert w.item() == pytest.approx(product, rel=1e-12)
    assert product < 0.8


def test_a_closure_is_called_with_gradients_and_its_loss_returned() -> None:
    w = nn.Parameter(torch.tensor([2.0]))
    optimizer = RuleOptimizer([w], sgd_l2, lr=0.1)

    def closure() -> float:
        optimizer.zero_grad()
        loss = w.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    assert optimizer.step(closure) == 4.0
    assert w.item() == pytest.approx(2 - 0.1 * 4)


def test_a_learners_own_rule_runs_in_the_same_optimizer() -> None:
    def sign_descent(w: Tensor, g: Tensor, state: State, s: Settings) -> Tensor:
        return (1 - s.lr * s.weight_decay) * w - s.lr * g.sign()

    w = nn.Parameter(torch.tensor([1.0, -1.0]))
    optimizer = RuleOptimizer([w], sign_descent, lr=0.1, weight_decay=1.0)
    w.grad = torch.tensor([5.0, 0.0])
    optimizer.step()
    torch.testing.assert_close(w.detach(), torch.tensor([0.8, -0.9]))


# --------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -0.1}, "lr = -0.1 must be a finite number, 0 or more"),
        ({"lr": 0.1, "weight_decay": -0.01}, "weight_decay = -0.01 must be"),
        ({"lr": 0.1, "weight_decay": float("nan")}, "weight_decay = nan must be"),
        ({"lr": float("inf")}, "lr = inf must be"),
        ({"lr": 0.1, "eps": -1e-8}, "eps = -1e-08 must be"),
        ({"lr": 0.1, "betas": (0.9, 1.0)}, r"betas = \(0.9, 1.0\) must be 0 or more and below 1"),
    ],
)
def test_settings_that_make_no_sense_are_one_line_that_names_the_value(
    options: dict[str, Any], message: str
) -> None:
    for where in ("defaults", "group"):
        group = {"params": [nn.Parameter(torch.ones(2))]} | (options if where == "group" else {})
        with pytest.raises(ValueError, match=message) as error:
            RuleOptimizer([group], adamw, **({"lr": 0.1} if where == "group" else options))
        assert "\n" not in str(error.value)


def test_a_negative_rate_set_later_stops_the_step_before_anything_moves() -> None:
    model = Network()
    optimizer = RuleOptimizer(
        [{"params": [p]} for p in model.parameters()], adamw, lr=0.1, weight_decay=0.1
    )
    optimizer.param_groups[-2]["lr"] = -0.2
    with pytest.raises(ValueError, match=r"lr = -0\.2 must be"):
        train(model, optimizer, range(1))
    assert difference(model, Network()) == 0


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (False, r"group 0\[3\], shape \(6,\), holds 2 NaN"),
        (True, r"norm\.weight, shape \(6,\), holds 2 NaN"),
    ],
)
def test_a_nan_in_a_parameter_is_named_before_anything_moves(named: bool, message: str) -> None:
    model = Network()
    optimizer = RuleOptimizer(
        model.named_parameters() if named else model.parameters(), adamw, lr=0.1
    )
    with torch.no_grad():
        model.norm.weight[:2] = torch.nan
    with pytest.raises(ValueError, match=message) as error:
        train(model, optimizer, range(1))
    assert "\n" not in str(error.value)
    assert torch.equal(model.embedding.weight, Network().embedding.weight)
    assert not optimizer.state
