"""Schedule, dose and parameter groups against closed forms and torch's own AdamW."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weightdecay.decay import (
    cosine_learning_rate,
    cumulative_dose,
    decayed,
    describe_groups,
    parameter_groups,
)
from weightdecay.minitrain.build import build_optimizer, learning_rates
from weightdecay.minitrain.config import Config
from weightdecay.transformer import Transformer, TransformerConfig

LLAMA = TransformerConfig(style="llama", tied_head=False)


def rates(*, peak: float, final: float, warmup: int, steps: int) -> list[float]:
    return [
        cosine_learning_rate(step, peak=peak, final=final, warmup=warmup, steps=steps)
        for step in range(steps)
    ]


def test_break_page_schedule_at_its_named_points() -> None:
    r = rates(peak=3e-3, final=3e-4, warmup=100, steps=2000)
    assert r[0] == pytest.approx(3e-5, rel=1e-12)  # the first step already moves the weights
    assert r[49] == pytest.approx(1.5e-3, rel=1e-12)
    assert r[99] == pytest.approx(3e-3, rel=1e-12)
    assert r[99 + 950] == pytest.approx((3e-3 + 3e-4) / 2, rel=1e-12)  # half way down the cosine
    assert r[1999] == pytest.approx(3e-4, rel=1e-12)
    assert max(r) == r[99]


def test_schedule_without_warmup_falls_from_its_first_step() -> None:
    r = rates(peak=1.0, final=0.0, warmup=0, steps=4)
    assert r == pytest.approx([(1 + math.cos(math.pi * k / 4)) / 2 for k in (1, 2, 3, 4)])


def test_one_step_run_has_the_final_rate() -> None:
    assert rates(peak=1.0, final=0.25, warmup=0, steps=1) == [0.25]


@given(
    peak=st.floats(1e-5, 1),
    ratio=st.floats(0, 0.99),
    warmup=st.integers(0, 50),
    rest=st.integers(1, 50),
)
def test_schedule_rises_in_warmup_then_falls_and_stays_between_its_ends(
    peak: float, ratio: float, warmup: int, rest: int
) -> None:
    final = peak * ratio
    r = rates(peak=peak, final=final, warmup=warmup, steps=warmup + rest)
    rising, falling = r[:warmup], r[max(warmup - 1, 0) :]
    assert all(a < b for a, b in itertools.pairwise(rising))
    assert all(a > b for a, b in itertools.pairwise(falling))
    assert all(0 <= x <= peak * (1 + 1e-12) for x in r)
    assert r[-1] == pytest.approx(final, abs=1e-15)


@pytest.mark.parametrize("step", [-1, 10, 11])
def test_step_outside_the_run_is_an_error_that_names_it_and_the_range(step: int) -> None:
    with pytest.raises(ValueError, match=f"step = {step} is outside the schedule: 0 to 9"):
        cosine_learning_rate(step, peak=1.0, final=0.1, warmup=2, steps=10)


@given(
    st.lists(st.floats(0, 1), max_size=40),
    st.floats(0, 100),
)
def test_dose_after_t_steps_is_lambda_times_the_sum_of_the_first_t_rates(
    etas: list[float], weight_decay: float
) -> None:
    doses = cumulative_dose(etas, weight_decay)
    expected = [weight_decay * math.fsum(etas[:t]) for t in range(len(etas) + 1)]
    assert doses == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("weight_decay", "rounded"), [(0.0, 0.0), (0.1, 0.33), (0.5, 1.6)])
def test_dose_of_the_break_page_runs(weight_decay: float, rounded: float) -> None:
    """Summed by hand: the warmup is a triangle, and cos(pi k / N) over k = 1..N sums to -1."""
    config = Config.model_validate({"optimizer": {"weight_decay": weight_decay}})
    peak, final, warmup, falling = 3e-3, 3e-4, 100, 1900
    area = peak * (warmup + 1) / 2 + falling * final + (peak - final) * (falling - 1) / 2
    dose = cumulative_dose(learning_rates(config), weight_decay)[-1]
    assert dose == pytest.approx(area * weight_decay, rel=1e-9)
    assert dose == pytest.approx(rounded, rel=0.05)


@given(
    st.lists(st.floats(0, 0.1), min_size=1, max_size=60),
    st.floats(0, 5),
)
def test_exp_of_minus_dose_is_close_to_the_product_and_never_below_it(
    etas: list[float], weight_decay: float
) -> None:
    """-x - x^2 <= ln(1 - x) <= -x for x <= 1/2 bounds the product from both sides."""
    product = math.prod(1 - eta * weight_decay for eta in etas)
    dose = cumulative_dose(etas, weight_decay)[-1]
    second_order = sum((eta * weight_decay) ** 2 for eta in etas)
    assert product <= math.exp(-dose) * (1 + 1e-12)
    assert product >= math.exp(-dose - second_order) * (1 - 1e-12)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1, 5.0])
def test_zero_gradient_adamw_shrinks_matrices_by_the_product_and_nothing_else(
    weight_decay: float,
) -> None:
    """The run's own optimizer and groups; norms and biases must not move by one bit."""
    config = Config.model_validate(
        {
            "optimizer": {"weight_decay": weight_decay, "warmup_steps": 10},
            "training": {"steps": 60},
        }
    )
    model = Transformer(TransformerConfig())
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = build_optimizer(model, config)
    for rate in learning_rates(config):
        for group in optimizer.param_groups:
            group["lr"] = rate
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
        optimizer.step()
    product = math.prod(1 - rate * weight_decay for rate in learning_rates(config))
    if weight_decay:
        assert product < 1 - 1e-3
    for name, p in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            assert torch.equal(p, before[name]), name
        else:
            torch.testing.assert_close(p.detach(), before[name] * product, rtol=2e-5, atol=0)


@pytest.mark.parametrize("sizes", [TransformerConfig(), LLAMA], ids=["gpt", "llama-untied"])
def test_groups_hold_every_parameter_exactly_once(sizes: TransformerConfig) -> None:
    model = Transformer(sizes)
    groups = parameter_groups(model, 0.3)
    held = [id(p) for group in groups for p in group["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {id(p) for p in model.parameters()}
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]


def test_groups_split_the_default_model_into_102400_and_1280() -> None:
    model = Transformer(TransformerConfig())
    decay, no_decay = parameter_groups(model, 0.1)
    assert sum(p.numel() for p in decay["params"]) == 102_400
    assert sum(p.numel() for p in no_decay["params"]) == 1_280
    undecayed = {name for name, p in model.named_parameters() if not decayed(p)}
    assert undecayed == {
        name for name, _ in model.named_parameters() if "norm" in name or name.endswith(".bias")
    }


def test_a_frozen_parameter_belongs_to_no_group() -> None:
    model = Transformer(TransformerConfig())
    model.embedding.weight.requires_grad_(False)
    decay, _ = parameter_groups(model, 0.1)
    assert sum(p.numel() for p in decay["params"]) == 102_400 - 4_096


def test_groups_are_described_with_their_decay_and_counts() -> None:
    lines = list(describe_groups(parameter_groups(Transformer(TransformerConfig()), 0.1)))
    assert lines == [
        "weight decay 0.1: 9 tensors, 102,400 parameters",
        "weight decay 0: 14 tensors, 1,280 parameters",
    ]
