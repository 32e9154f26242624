"""The pencil against the run: each closed form of weight decay beside a training that shows it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from weightdecay.decay import (
    constant_learning_rate,
    cosine_learning_rate,
    cumulative_dose,
    gradient_flow_shrinkage,
    noise_equilibrium_rms,
    parameter_groups,
    ridge_shrinkage,
    rotation_per_step,
    scale_invariant_norm,
    soft_threshold,
    timescale,
    wsd_learning_rate,
)
from weightdecay.rules import (
    Rule,
    RuleOptimizer,
    adam_l2,
    adamw,
    adamw_to_init,
    sgd_decoupled,
    sgd_l2,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def descend(optimizer: Optimizer, loss: Callable[[], Tensor], steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        optimizer.step()


# ------------------------------------------------- 1. ridge, and gradient descent stopped early


def least_squares() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """X (40, 6) with singular values from 3 to 0.1, and y; then those values and V^T."""
    u, _, vt = torch.linalg.svd(normal(40, 6), full_matrices=False)
    sigma = torch.tensor([3.0, 2.0, 1.0, 0.5, 0.25, 0.1], dtype=torch.float64)
    return u * sigma @ vt, normal(40, seed=1), sigma, vt


@pytest.mark.parametrize("rule", [sgd_l2, sgd_decoupled])
@pytest.mark.parametrize("weight_decay", [0.05, 0.5, 4.0])
def test_decay_trained_to_the_end_keeps_what_ridge_keeps_of_each_direction(
    rule: Rule, weight_decay: float
) -> None:
    X, y, sigma, vt = least_squares()
    w = nn.Parameter(normal(6, seed=2))
    optimizer = RuleOptimizer([w], rule, lr=0.15, weight_decay=weight_decay)
    descend(optimizer, lambda: (X @ w - y).square().sum() / 2, 3000)
    unpenalised = torch.linalg.lstsq(X, y[:, None]).solution[:, 0]
    kept = (vt @ w.detach()) / (vt @ unpenalised)
    torch.testing.assert_close(kept, ridge_shrinkage(sigma, weight_decay), rtol=0, atol=1e-8)


@pytest.mark.parametrize("time", [0.1, 1.0, 10.0])
def test_gradient_descent_stopped_early_keeps_what_gradient_flow_keeps(time: float) -> None:
    X, y, sigma, vt = least_squares()
    w = nn.Parameter(torch.zeros(6, dtype=torch.float64))
    steps = 2000
    optimizer = RuleOptimizer([w], sgd_l2, lr=time / steps)
    descend(optimizer, lambda: (X @ w - y).square().sum() / 2, steps)
    kept = (vt @ w.detach()) / (vt @ torch.linalg.lstsq(X, y[:, None]).solution[:, 0])
    # Euler's error is (x^2 / 2) exp(-x) / steps for x = t sigma^2: at most 2 exp(-2) / steps.
    expected = gradient_flow_shrinkage(sigma, time)
    torch.testing.assert_close(kept, expected, rtol=0, atol=0.28 / steps)


# --------------------------------------------------------------------------- 2. loss-scale test


def trained_on(scale: float, rule: Rule, weight_decay: float) -> Tensor:
    """Weights of a small network after 60 steps on `scale` times its loss."""
    X, y = normal(30, 4), normal(30, 1, seed=1)
    first, second = nn.Parameter(normal(4, 8, seed=2)), nn.Parameter(normal(8, 1, seed=3))
    # epsilon is not scaled with the loss, so it has to be out of the way.
    optimizer = RuleOptimizer(
        [first, second], rule, lr=0.01, weight_decay=weight_decay, betas=(0.9, 0.99), eps=1e-30
    )
    descend(optimizer, lambda: scale * ((X @ first).tanh() @ second - y).square().mean(), 60)
    return torch.cat([first.detach().flatten(), second.detach().flatten()])


@pytest.mark.parametrize("c", [0.01, 3.0, 1000.0])
def test_a_scaled_loss_leaves_adamw_alone_and_divides_lambda_under_adam_l2(c: float) -> None:
    same = partial(torch.testing.assert_close, rtol=0, atol=1e-9)
    same(trained_on(c, adamw, 0.2), trained_on(1, adamw, 0.2))
    same(trained_on(c, adam_l2, 0.2), trained_on(1, adam_l2, 0.2 / c))
    # The other way round they are different runs: this is what tells the two rules apart.
    for rule, weight_decay in [(adamw, 0.2 / c), (adam_l2, 0.2)]:
        difference = (trained_on(c, rule, 0.2) - trained_on(1, rule, weight_decay)).abs().max()
        assert difference > 1e-3


# ------------------------------------------------------------------------ 3. zero-gradient test


@pytest.mark.parametrize("weight_decay", [1e-3, 0.1])
@pytest.mark.parametrize(
    "make", [partial(RuleOptimizer, rule=adam_l2), Adam, partial(Adam, fused=True)]
)
def test_where_gradients_vanish_adam_l2_shrinks_by_the_rate_whatever_lambda_is(
    make: partial[Optimizer], weight_decay: float
) -> None:
    w = nn.Parameter(torch.full((3,), 0.5, dtype=torch.float64))
    optimizer = make([w], lr=1e-3, weight_decay=weight_decay)
    for _ in range(300):
        w.grad = torch.zeros_like(w)
        optimizer.step()
    assert w[0].item() == pytest.approx(0.2434, abs=5e-5)


@pytest.mark.parametrize(("weight_decay", "left"), [(1e-3, 0.4999), (0.1, 0.4852)])
@pytest.mark.parametrize(
    "make", [partial(RuleOptimizer, rule=adamw), AdamW, partial(AdamW, fused=True)]
)
def test_where_gradients_vanish_adamw_shrinks_by_the_product(
    make: partial[Optimizer], weight_decay: float, left: float
) -> None:
    w = nn.Parameter(torch.full((3,), 0.5, dtype=torch.float64))
    optimizer = make([w], lr=1e-3, weight_decay=weight_decay)
    for _ in range(300):
        w.grad = torch.zeros_like(w)
        optimizer.step()
    assert w[0].item() == pytest.approx(left, abs=5.1e-5)
    assert w[0].item() == pytest.approx(0.5 * (1 - 1e-3 * weight_decay) ** 300, rel=1e-12)


def test_after_one_timescale_decay_alone_has_left_one_eth() -> None:
    w = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = RuleOptimizer([w], adamw, lr=1e-2, weight_decay=0.2)
    for _ in range(round(timescale(1e-2, 0.2))):
        w.grad = torch.zeros_like(w)
        optimizer.step()
    assert w.item() == pytest.approx(math.exp(-1), rel=2e-3)


# --------------------------------------------------------- 4. equilibrium and rotation on noise


def noise_run(learning_rate: float, weight_decay: float, beta1: float) -> tuple[float, float]:
    """AdamW on gradients of pure noise, from zero: mean RMS and rotation over the last steps."""
    w = nn.Parameter(torch.zeros(20_000))
    optimizer = RuleOptimizer(
        [w], adamw, lr=learning_rate, weight_decay=weight_decay, betas=(beta1, 0.999)
    )
    generator = torch.Generator().manual_seed(0)
    steps = round(5 * timescale(learning_rate, weight_decay))
    rms, angles = [], []
    for step in range(steps):
        before = w.detach().clone()
        w.grad = torch.randn(w.shape, generator=generator)
        optimizer.step()
        if step >= steps - 100:
            rms.append(w.detach().square().mean().sqrt().item())
            cosine = torch.cosine_similarity(before.double(), w.detach().double(), dim=0)
            angles.append(math.acos(cosine.item()))
    return sum(rms) / 100, sum(angles) / 100


@pytest.mark.parametrize(
    ("learning_rate", "weight_decay", "beta1"),
    [(0.01, 0.5, 0.0), (0.01, 0.5, 0.9), (0.02, 0.5, 0.9), (0.05, 0.1, 0.0)],
)
def test_adamw_on_noise_settles_at_the_predicted_rms_and_rotation(
    learning_rate: float, weight_decay: float, beta1: float
) -> None:
    rms, rotation = noise_run(learning_rate, weight_decay, beta1)
    expected = noise_equilibrium_rms(learning_rate, weight_decay, beta1)
    # One entry in 20,000 settles at random: the RMS of all has a standard error of 0.5 %.
    assert rms == pytest.approx(expected, rel=0.01)
    assert rotation == pytest.approx(
        rotation_per_step(learning_rate, weight_decay, beta1), rel=0.04
    )


def test_momentum_changes_the_noise_equilibrium_by_a_few_percent_only() -> None:
    assert noise_equilibrium_rms(0.01, 0.5) == pytest.approx(0.1, rel=1e-12)
    assert noise_equilibrium_rms(0.01, 0.5, beta1=0.9) == pytest.approx(0.0977, abs=5e-5)
    # and the step's rotation by a factor of 4.4
    ratio = rotation_per_step(0.01, 0.5, beta1=0.9) / rotation_per_step(0.01, 0.5)
    assert ratio == pytest.approx(math.sqrt(0.1 / 1.9))


def test_over_many_steps_momentum_turns_a_vector_as_far() -> None:
    """Steps are smaller but alike: after 400 of them beta1 = 0.9 has turned like beta1 = 0."""
    lr, weight_decay = 0.0005, 0.5
    turned = {}
    for beta1 in (0.0, 0.9):
        w = nn.Parameter(normal(20_000).float() * noise_equilibrium_rms(lr, weight_decay))
        optimizer = RuleOptimizer(
            [w], adamw, lr=lr, weight_decay=weight_decay, betas=(beta1, 0.999)
        )
        generator = torch.Generator().manual_seed(1)
        for step in range(500):
            if step == 100:  # momentum has built up
                start = w.detach().clone()
            w.grad = torch.randn(w.shape, generator=generator)
            optimizer.step()
        turned[beta1] = math.acos(torch.cosine_similarity(start, w.detach(), dim=0).item())
    assert turned[0.9] == pytest.approx(turned[0.0], rel=0.03)
    assert turned[0.0] == pytest.approx(20 * rotation_per_step(lr, weight_decay), rel=0.03)


# -------------------------------------------------------------- 5. scale-invariant weights, SGD


@pytest.mark.parametrize("rule", [sgd_l2, sgd_decoupled])
@pytest.mark.parametrize(
    ("learning_rate", "weight_decay", "start"),
    [(0.2, 0.025, 0.3), (0.2, 0.025, 5.0), (1.0, 0.01, 1.0)],
)
def test_scale_invariant_weights_settle_at_the_predicted_norm_and_rotation(
    rule: Rule, learning_rate: float, weight_decay: float, start: float
) -> None:
    """Regression on labels of noise with a normalized weight vector, one fresh batch a step."""
    generator = torch.Generator().manual_seed(3)
    direction = torch.randn(100, generator=generator, dtype=torch.float64)
    w = nn.Parameter(start * direction / direction.norm())
    optimizer = RuleOptimizer([w], rule, lr=learning_rate, weight_decay=weight_decay)
    fourth_powers, unit_gradients, rotations = [], [], []
    steps = round(8 * timescale(learning_rate, weight_decay))
    for step in range(steps):
        X = torch.randn(8, 100, generator=generator, dtype=torch.float64)
        y = torch.randn(8, generator=generator, dtype=torch.float64)
        optimizer.zero_grad()
        (X @ w / w.norm() - y).square().mean().backward()
        assert w.grad is not None
        before = w.detach().clone()
        optimizer.step()
        if step >= steps // 2:
            fourth_powers.append(before.norm().item() ** 4)
            unit_gradients.append((w.grad.norm() * before.norm()).item() ** 2)
            cosine = torch.cosine_similarity(before, w.detach(), dim=0).item()
            rotations.append(math.acos(cosine) ** 2)
    n = len(rotations)
    unit_gradient = math.sqrt(sum(unit_gradients) / n)
    norm = (sum(fourth_powers) / n) ** 0.25
    assert norm == pytest.approx(
        scale_invariant_norm(learning_rate, weight_decay, unit_gradient), rel=0.005
    )
    rotation = math.sqrt(sum(rotations) / n)
    assert rotation == pytest.approx(rotation_per_step(learning_rate, weight_decay), rel=0.01)


# ------------------------------------------------------------------ 6. moving average and bound


def test_adamws_weights_are_a_moving_average_of_its_updates() -> None:
    """u_t comes from the gradients by Adam's two sums, written out here and not taken from it."""
    lr, weight_decay, beta1, beta2, steps = 0.02, 0.8, 0.9, 0.99, 80
    X, y = normal(20, 5), normal(20, seed=1)
    w = nn.Parameter(normal(5, seed=2))
    average = w.detach().clone()
    optimizer = RuleOptimizer([w], adamw, lr=lr, weight_decay=weight_decay, betas=(beta1, beta2))
    gradients: list[Tensor] = []
    a = 1 / timescale(lr, weight_decay)
    for t in range(1, steps + 1):
        descend(optimizer, lambda: (X @ w - y).square().mean(), 1)
        assert w.grad is not None
        gradients.append(w.grad.clone())
        past = torch.stack(gradients)  # (t, 5)
        age = torch.arange(t - 1, -1, -1, dtype=torch.float64)[:, None]
        m = (beta1**age * past).sum(0) / (beta1**age).sum()
        v = (beta2**age * past**2).sum(0) / (beta2**age).sum()
        u = m / (v.sqrt() + 1e-8)
        average = (1 - a) * average + a * (-u / weight_decay)
    torch.testing.assert_close(w.detach(), average, rtol=0, atol=1e-12)
    assert (w.detach() - normal(5, seed=2)).abs().max() > 0.1


def test_a_constant_gradient_drives_adamws_weights_to_one_over_lambda_and_no_further() -> None:
    lr, weight_decay = 0.05, 0.4
    sign = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
    w = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    optimizer = RuleOptimizer([w], adamw, lr=lr, weight_decay=weight_decay, eps=0)
    for _ in range(500):  # a dose of 10
        w.grad = sign * torch.tensor([1e-6, 1.0, 1e6])  # its size does not matter
        optimizer.step()
    expected = -sign / weight_decay * (1 - (1 - lr * weight_decay) ** 500)
    torch.testing.assert_close(w.detach(), expected, rtol=1e-9, atol=0)
    assert w.abs().max() < 1 / weight_decay


def test_weights_beyond_one_over_lambda_are_brought_within_it_by_any_gradients() -> None:
    """With beta1 = beta2 an Adam update is a mean over a root mean square: |u| <= 1."""
    lr, weight_decay = 0.05, 2.0
    w = nn.Parameter(torch.linspace(-4, 4, 200, dtype=torch.float64))
    optimizer = RuleOptimizer([w], adamw, lr=lr, weight_decay=weight_decay, betas=(0.9, 0.9), eps=0)
    spread = torch.linspace(0, 4, 200, dtype=torch.float64)
    largest = 4.0
    for step in range(200):
        # Pushed outward: the first always as hard, the last by many orders of magnitude.
        w.grad = -w.detach().sign() * (spread * normal(200, seed=step)).exp()
        optimizer.step()
        largest = (1 - lr * weight_decay) * largest + lr
        assert w.abs().max() <= largest * (1 + 1e-12)
    assert w.abs().max().item() == pytest.approx(1 / weight_decay, rel=1e-6)


# ----------------------------------------------------------------------------- 7. nuclear norm


def factorised(rule: Rule, weight_decay: float) -> tuple[Tensor, Tensor, Tensor]:
    """D's singular values, A B^T's after training, and (|A|^2 + |B|^2) / 2."""
    u, _, vt = torch.linalg.svd(normal(8, 5), full_matrices=False)
    d = torch.tensor([3.0, 2.0, 1.2, 0.6, 0.3], dtype=torch.float64)
    D = u * d @ vt
    A, B = nn.Parameter(normal(8, 5, seed=1) / 2), nn.Parameter(normal(5, 5, seed=2) / 2)
    lr = 0.1 if rule is sgd_l2 else 0.002
    optimizer = RuleOptimizer([A, B], rule, lr=lr, weight_decay=weight_decay)
    descend(optimizer, lambda: (A @ B.T - D).square().sum() / 2, 3000)
    half = (A.detach().square().sum() + B.detach().square().sum()) / 2
    return d, torch.linalg.svdvals((A @ B.T).detach()), half


@pytest.mark.parametrize("weight_decay", [0.1, 0.8, 2.5])
def test_l2_on_two_factors_thresholds_the_singular_values_of_their_product(
    weight_decay: float,
) -> None:
    d, found, half = factorised(sgd_l2, weight_decay)
    expected = soft_threshold(d, weight_decay)
    assert (expected == 0).sum() == {0.1: 0, 0.8: 2, 2.5: 4}[weight_decay]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(half, found.sum(), rtol=0, atol=1e-6)  # the nuclear norm


def test_decoupled_decay_does_not_threshold_at_lambda() -> None:
    d, found, _ = factorised(adamw, 0.8)
    assert (found - soft_threshold(d, 0.8)).abs().max() > 0.2


# --------------------------------------------------------- 8. no gradient, and a gradient of zero

MAKERS = [
    SGD,
    Adam,
    partial(Adam, foreach=True),
    AdamW,
    partial(AdamW, foreach=True),
    partial(AdamW, fused=True),
    *(partial(RuleOptimizer, rule=rule) for rule in (sgd_l2, sgd_decoupled, adam_l2, adamw)),
]


@pytest.mark.parametrize("make", MAKERS)
def test_an_unused_head_is_not_decayed(make: partial[Optimizer]) -> None:
    body, used, unused = nn.Linear(4, 4), nn.Linear(4, 1), nn.Linear(4, 1)
    before = unused.weight.detach().clone(), used.weight.detach().clone()
    parameters = [p for layer in (body, used, unused) for p in layer.parameters()]
    optimizer = make(parameters, lr=0.01, weight_decay=0.5)
    descend(optimizer, lambda: used(body(torch.ones(1, 4))).square().sum(), 20)
    assert torch.equal(unused.weight, before[0])
    assert not torch.equal(used.weight, before[1])


@pytest.mark.parametrize("make", MAKERS)
def test_embedding_rows_that_no_batch_touches_are_decayed(make: partial[Optimizer]) -> None:
    """Their gradient is zero, not None. How far they shrink is what the rule does to zero."""
    table = nn.Embedding(6, 3, dtype=torch.float64)
    with torch.no_grad():
        table.weight.fill_(0.5)
    optimizer = make(table.parameters(), lr=0.01, weight_decay=0.5)
    descend(optimizer, lambda: (table(torch.tensor([0, 1, 2])) - 1).square().sum(), 20)
    untouched = table.weight[3:].detach()
    assert (untouched < 0.499).all()
    coupled = "L2" if isinstance(optimizer, Adam) and not isinstance(optimizer, AdamW) else ""
    coupled = coupled or ("L2" if getattr(optimizer, "rule", None) is adam_l2 else "")
    if coupled:
        assert (untouched < 0.4).all()  # about 20 steps of the learning rate
    else:
        expected = torch.full_like(untouched, 0.5 * (1 - 0.01 * 0.5) ** 20)
        torch.testing.assert_close(untouched, expected, rtol=1e-12, atol=0)


def test_under_decay_to_init_untouched_rows_stay_where_they_began() -> None:
    table = nn.Embedding(6, 3)
    before = table.weight.detach().clone()
    optimizer = RuleOptimizer(table.parameters(), adamw_to_init, lr=0.01, weight_decay=0.5)
    descend(optimizer, lambda: (table(torch.tensor([0, 1, 2])) - 1).square().sum(), 20)
    assert torch.equal(table.weight[3:], before[3:])
    assert not torch.equal(table.weight[:3], before[:3])


# ------------------------------------------------------------------------------------ schedules


def test_cosine_is_bitwise_the_expression_recorded_results_were_made_with() -> None:
    """Kept here as it was: another order of the same operations would change recorded runs."""
    peak, final, warmup, steps = 3e-3, 3e-4, 100, 2000
    for step in range(steps):
        progress = (step - warmup + 1) / (steps - warmup)
        falling = final + (peak - final) * 0.5 * (1 + math.cos(math.pi * progress))
        recorded = peak * (step + 1) / warmup if step < warmup else falling
        found = cosine_learning_rate(step, peak=peak, final=final, warmup=warmup, steps=steps)
        assert found.hex() == recorded.hex()


def test_warmup_stable_decay_at_its_named_points() -> None:
    rate = partial(wsd_learning_rate, peak=1.0, final=0.1, warmup=4, cooldown=3, steps=10)
    expected = [0.25, 0.5, 0.75, 1, 1, 1, 1, 0.7, 0.4, 0.1]
    assert [rate(step) for step in range(10)] == pytest.approx(expected)


@given(
    peak=st.floats(1e-5, 1),
    ratio=st.floats(0, 1),
    warmup=st.integers(0, 20),
    stable=st.integers(0, 20),
    cooldown=st.integers(0, 20),
)
def test_warmup_stable_decay_rises_stays_and_falls(
    peak: float, ratio: float, warmup: int, stable: int, cooldown: int
) -> None:
    steps, final = warmup + stable + cooldown, peak * ratio
    r = [
        wsd_learning_rate(
            step, peak=peak, final=final, warmup=warmup, cooldown=cooldown, steps=steps
        )
        for step in range(steps)
    ]
    assert all(a < b for a, b in itertools.pairwise(r[:warmup]))
    assert r[max(warmup - 1, 0) : warmup] == pytest.approx([peak] * min(warmup, 1))
    assert all(rate == peak for rate in r[warmup : warmup + stable])
    assert all(a >= b for a, b in itertools.pairwise(r[warmup:]))
    if cooldown:
        assert r[-1] == final


def test_prolonging_a_warmup_stable_decay_run_changes_nothing_before_its_cooldown() -> None:
    short, long = (
        [
            wsd_learning_rate(step, peak=0.3, final=0, warmup=5, cooldown=10, steps=steps)
            for step in range(20)
        ]
        for steps in (30, 300)
    )
    assert short == long


@pytest.mark.parametrize("step", [-1, 10, 11])
def test_every_schedule_refuses_a_step_outside_the_run_in_the_same_words(step: int) -> None:
    for schedule in (
        partial(constant_learning_rate, peak=1.0),
        partial(cosine_learning_rate, peak=1.0, final=0.1, warmup=2),
        partial(wsd_learning_rate, peak=1.0, final=0.1, warmup=2, cooldown=2),
    ):
        with pytest.raises(ValueError, match=rf"^step = {step} is outside the schedule: 0 to 9$"):
            schedule(step, steps=10)
        assert schedule(9, steps=10) > 0


def test_a_constant_schedule_is_constant_and_its_dose_a_product() -> None:
    rates = [constant_learning_rate(step, peak=0.01, steps=50) for step in range(50)]
    assert rates == [0.01] * 50
    assert cumulative_dose(rates, 0.2)[-1] == pytest.approx(50 * 0.01 * 0.2)


def test_warmup_and_cooldown_longer_than_the_run_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^warmup \+ cooldown = 11 do not fit into 10 steps$"):
        wsd_learning_rate(0, peak=1.0, final=0.1, warmup=6, cooldown=5, steps=10)


# --------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: constant_learning_rate(0, peak=x, steps=5), "peak"),
        (lambda x: cosine_learning_rate(0, peak=1, final=x, warmup=0, steps=5), "final"),
        (lambda x: wsd_learning_rate(0, peak=x, final=0, warmup=0, cooldown=0, steps=5), "peak"),
        (lambda x: cumulative_dose([0.1], x), "weight_decay"),
        (lambda x: timescale(x, 0.1), "learning_rate"),
        (lambda x: timescale(0.1, x), "weight_decay"),
        (lambda x: noise_equilibrium_rms(0.1, x), "weight_decay"),
        (lambda x: scale_invariant_norm(0.1, 0.1, x), "unit_gradient"),
        (lambda x: rotation_per_step(x, 0.1), "learning_rate"),
        (lambda x: ridge_shrinkage(torch.ones(2), x), "weight_decay"),
        (lambda x: gradient_flow_shrinkage(torch.ones(2), x), "time"),
        (lambda x: soft_threshold(torch.ones(2), x), "weight_decay"),
        (lambda x: parameter_groups(nn.Linear(2, 2), x), "weight_decay"),
    ],
)
@pytest.mark.parametrize("value", [-0.5, math.nan, math.inf])
def test_a_value_that_makes_no_sense_is_named_in_one_line(
    call: Callable[[float], object], name: str, value: float
) -> None:
    with pytest.raises(ValueError, match=rf"^{name} = {value} must be a finite number, 0 or more$"):
        call(value)


def test_without_decay_there_is_no_timescale_no_equilibrium_and_no_rotation() -> None:
    assert timescale(0.1, 0.0) == math.inf
    assert noise_equilibrium_rms(0.1, 0.0) == math.inf
    assert scale_invariant_norm(0.1, 0.0, 1.0) == math.inf
    assert rotation_per_step(0.1, 0.0) == 0
