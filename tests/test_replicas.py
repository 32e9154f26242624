"""Replicas against separate runs with torch's own optimizers, and what `Replicas` promises."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from weightdecay.decay import cosine_learning_rate, parameter_groups
from weightdecay.replicas import Replicas
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

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
STEPS = 50
Loss = Callable[..., Tensor]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


class Teacher(nn.Module):
    """A core with two heads, of which a loss uses one."""

    def __init__(self, seed: int, width: int = 12) -> None:
        super().__init__()
        self.core = nn.Sequential(
            nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 5)
        )
        self.head_a, self.head_b = nn.Linear(5, 1), nn.Linear(5, 4)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(0.4 * torch.randn(p.shape, generator=generator))

    def answer_b(self, x: Tensor) -> Tensor:
        out: Tensor = self.head_b(self.core(x))
        return out


def teacher_loss(model: Teacher, x: Tensor, y: Tensor) -> Tensor:
    """Only the mean of head b is fitted; head a gets no gradient."""
    return F.mse_loss(model.answer_b(x).mean(1, keepdim=True), y)


def decoder_loss(model: Transformer, ids: Tensor) -> Tensor:
    """Next token, causal."""
    return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


def masked_loss(model: Transformer, ids: Tensor, mask: Tensor) -> Tensor:
    """Next token, with a mask in place of the causal one and a padding that does not count."""
    targets = ids[:, 1:].masked_fill(ids[:, 1:] == 0, -1)
    logits = model(ids[:, :-1], mask)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)


@dataclass(frozen=True)
class Run:
    """One replica's settings, and the optimizer of a separate run that has them."""

    rule: Rule
    peak: float
    decay: float
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0

    def optimizer(self, model: nn.Module) -> RuleOptimizer:
        groups = parameter_groups(model, self.decay)
        return RuleOptimizer(groups, self.rule, lr=self.peak, betas=self.betas)

    def separate(self, model: nn.Module) -> Optimizer:
        """torch's own optimizer where there is one."""
        groups = parameter_groups(model, self.decay)
        if self.rule is sgd_l2:
            return SGD(groups, lr=self.peak)
        if self.rule is adam_l2:
            return Adam(groups, lr=self.peak, betas=self.betas)
        if self.rule is adamw:
            return AdamW(groups, lr=self.peak, betas=self.betas)
        return self.optimizer(model)

    def rate(self, step: int) -> float:
        warmup = 5 + int(100 * self.peak) % 7
        return cosine_learning_rate(
            step, peak=self.peak, final=self.peak / 10, warmup=warmup, steps=STEPS
        )


MIXED = [
    Run(adamw, 3e-3, 0.1),
    Run(adam_l2, 1e-3, 0.02, (0.8, 0.999)),
    Run(sgd_l2, 0.1, 0.05, clip=0.3),
    Run(adamw, 1e-2, 3.0, clip=0.1),
    Run(sgd_decoupled, 0.05, 0.5, clip=10.0),
    Run(adamw_to_init, 5e-3, 2.0),
    Run(adamw, 3e-3, 0.0, (0.9, 0.99), clip=0.05),
]


@dataclass(frozen=True)
class Case:
    """Models, loss, and batches: ``batch(i, step)`` is replica i's."""

    model: Callable[[int], nn.Module]
    loss: Loss
    batch: Callable[[int, int], tuple[Tensor, ...]]


def _draws(i: int, step: int) -> torch.Generator:
    return torch.Generator().manual_seed(1000 * i + step)


def teacher_batch(i: int, step: int) -> tuple[Tensor, ...]:
    x = torch.randn(16, 2, generator=_draws(i, step), dtype=torch.float64)
    return x, x.prod(1, keepdim=True)


def ids_batch(i: int, step: int) -> tuple[Tensor, ...]:
    return (torch.randint(11, (3, 9), generator=_draws(i, step)),)


def masked_batch(i: int, step: int) -> tuple[Tensor, ...]:
    """Each row's first tokens and last tokens do not see each other."""
    (ids,) = ids_batch(i, step)
    at = torch.arange(8)
    first = at < 1 + (i + step + torch.arange(3)[:, None]) % 7
    allowed = (first[:, :, None] == first[:, None, :]) & (at[:, None] >= at)
    mask = torch.zeros(3, 1, 8, 8, dtype=torch.float64).masked_fill(~allowed[:, None], -1e9)
    return ids, mask


def decoder(seed: int, **changes: Any) -> Transformer:
    sizes = TransformerConfig(
        vocab_size=11, context=8, d_model=16, n_head=2, n_layer=2, d_ff=24, init_std=0.2, **changes
    )
    return Transformer(sizes, torch.Generator().manual_seed(seed))


CASES = {
    "teacher": Case(Teacher, teacher_loss, teacher_batch),
    "decoder": Case(decoder, masked_loss, masked_batch),
    "decoder-causal": Case(decoder, decoder_loss, ids_batch),
    "llama": Case(lambda s: decoder(s, style="llama"), masked_loss, masked_batch),
    "untied": Case(lambda s: decoder(s, tied_head=False), masked_loss, masked_batch),
}


def onto(device: str, dtype: torch.dtype, batch: Sequence[Tensor]) -> list[Tensor]:
    return [t.to(device, dtype) if t.is_floating_point() else t.to(device) for t in batch]


def stacked(case: Case, replicas: int, step: int, device: str, dtype: torch.dtype) -> list[Tensor]:
    parts = zip(*(case.batch(i, step) for i in range(replicas)), strict=True)
    return onto(device, dtype, [torch.stack(part) for part in parts])


def separately(
    case: Case, runs: Sequence[Run], device: str, dtype: torch.dtype = torch.float64
) -> Iterator[tuple[nn.Module, list[float], list[float]]]:
    """Each run by itself: its model, losses and gradient norms."""
    for i, run in enumerate(runs):
        model = case.model(i).to(device, dtype)
        optimizer = run.separate(model)
        losses, norms = [], []
        for step in range(STEPS):
            for group in optimizer.param_groups:
                group["lr"] = run.rate(step)
            loss = case.loss(model, *onto(device, dtype, case.batch(i, step)))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(model.parameters(), run.clip)
            optimizer.step()
            losses.append(loss.item())
            norms.append(norm.item())
        yield model, losses, norms


def made(
    case: Case, runs: Sequence[Run], device: str = "cpu", dtype: torch.dtype = torch.float64
) -> Replicas[nn.Module]:
    models = [case.model(i).to(device, dtype) for i in range(len(runs))]
    optimizers = [run.optimizer(model) for run, model in zip(runs, models, strict=True)]
    return Replicas(models, optimizers, clip_norm=[run.clip for run in runs])


def advance(
    replicas: Replicas[nn.Module],
    case: Case,
    runs: Sequence[Run],
    steps: range,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, Tensor]:
    """Losses and gradient norms (steps, R)."""
    facts = [
        replicas.step(
            case.loss,
            *stacked(case, len(runs), step, device, dtype),
            lr=[run.rate(step) for run in runs],
        )
        for step in steps
    ]
    return torch.stack([f.loss for f in facts]), torch.stack([f.grad_norm for f in facts])


def distance(a: nn.Module, b: nn.Module) -> float:
    """Greatest absolute difference between two models' weights; NaN counts as infinite."""
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    return max((x - y).abs().nan_to_num(torch.inf).max().item() for x, y in pairs)


# ------------------------------------------------------------------------ equal to separate runs


@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"),
    [
        *((name, torch.float64, 1e-10) for name in CASES),
        *((name, torch.float32, 1e-4) for name in ("teacher", "decoder")),
    ],
)
def test_replicas_are_separate_runs_with_mixed_rules_rates_decays_betas_and_clipping(
    name: str, dtype: torch.dtype, tolerance: float, device: str
) -> None:
    case = CASES[name]
    replicas = made(case, MIXED, device, dtype)
    losses, norms = advance(replicas, case, MIXED, range(STEPS), device, dtype)
    for i, (model, loss, norm) in enumerate(separately(case, MIXED, device, dtype)):
        assert distance(replicas.model(i), model) < tolerance
        assert losses[:, i].tolist() == pytest.approx(loss, rel=tolerance)
        assert norms[:, i].tolist() == pytest.approx(norm, rel=50 * tolerance)
        assert distance(model, case.model(i).to(device, dtype)) > 0.01  # it learned something
    assert (norms > norms.new_tensor([run.clip for run in MIXED])).any(0).sum() >= 3


def test_a_single_replica_is_one_run(device: str) -> None:
    case, runs = CASES["decoder"], MIXED[:1]
    replicas = made(case, runs, device)
    advance(replicas, case, runs, range(STEPS), device)
    ((model, _, _),) = separately(case, runs, device)
    assert distance(replicas.model(0), model) < 1e-10
    assert len(replicas) == 1


def test_one_model_several_times_with_its_groups_own_rates() -> None:
    """A group may override rate, decay and betas; one rate is for all, none is the groups' own."""
    x, y = teacher_batch(0, 0)

    def groups(model: Teacher, decay: float) -> list[dict[str, Any]]:
        heads = [*model.head_a.parameters(), *model.head_b.parameters()]
        return [
            {"params": model.core.parameters(), "weight_decay": decay},
            {"params": heads, "lr": 0.05, "betas": (0.5, 0.6), "eps": 1e-3},
        ]

    initial = Teacher(0).double()
    decays = [0.0, 0.3, 2.0]
    optimizers = [RuleOptimizer(groups(initial, d), adamw, lr=0.01) for d in decays]
    replicas = Replicas([initial] * 3, optimizers)
    models = [copy.deepcopy(initial) for _ in decays]
    torchs = [
        AdamW(groups(m, d), lr=0.01, weight_decay=0.0) for m, d in zip(models, decays, strict=True)
    ]
    for lr in (None, None, 0.02, None):
        replicas.step(lambda model: teacher_loss(model, x, y), lr=lr)
        for model, optimizer in zip(models, torchs, strict=True):
            own = [group["lr"] for group in optimizer.param_groups]
            for group in optimizer.param_groups:
                group["lr"] = lr or group["lr"]
            optimizer.zero_grad()
            teacher_loss(model, x, y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            for group, before in zip(optimizer.param_groups, own, strict=True):
                group["lr"] = before
    found = [replicas.model(i) for i in range(3)]
    assert all(distance(a, b) < 1e-12 for a, b in zip(found, models, strict=True))
    assert distance(found[0], found[1]) > 1e-3
    assert distance(initial, Teacher(0).double()) == 0


def test_a_weight_that_the_loss_does_not_use_is_neither_moved_nor_decayed() -> None:
    case, runs = CASES["teacher"], [Run(adamw, 0.1, 3.0), Run(sgd_decoupled, 0.1, 3.0)]
    replicas = made(case, runs)
    advance(replicas, case, runs, range(5))
    for i in range(2):
        found, initial = replicas.model(i), Teacher(i).double()
        assert torch.equal(found.get_parameter("head_a.weight"), initial.head_a.weight)
        assert not torch.equal(found.get_parameter("head_b.weight"), initial.head_b.weight)


def test_a_weight_without_gradient_or_outside_an_optimizer_stays() -> None:
    models = [Teacher(i).double() for i in range(2)]
    for model in models:
        model.core[0].weight.requires_grad_(False)
    optimizers = [
        RuleOptimizer(models[0].parameters(), adamw, lr=0.1, weight_decay=1.0),
        RuleOptimizer(models[1].head_b.parameters(), adamw, lr=0.1, weight_decay=1.0),
    ]
    replicas = Replicas(models, optimizers)
    replicas.step(teacher_loss, *stacked(CASES["teacher"], 2, 0, "cpu", torch.float64))
    changed = [
        {n for n, p in replicas.model(i).named_parameters() if not torch.equal(p, before[n])}
        for i, before in enumerate(dict(m.named_parameters()) for m in models)
    ]
    core = {f"core.{k}.{part}" for k in (0, 2, 4) for part in ("weight", "bias")}
    head = {"head_b.weight", "head_b.bias"}
    assert changed == [(core - {"core.0.weight"}) | head, head]


class Tied(nn.Module):
    """One matrix under two names, and a buffer that differs among replicas."""

    offset: Tensor

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
        nn.init.normal_(self.embedding.weight, generator=torch.Generator().manual_seed(seed))
        self.head.weight = self.embedding.weight
        self.register_buffer("offset", torch.full((7,), 0.1 * seed))

    def forward(self, ids: Tensor) -> Tensor:
        out: Tensor = self.head(self.embedding(ids).tanh()) + self.offset * torch.arange(7)
        return out


def tied_loss(model: nn.Module, ids: Tensor) -> Tensor:
    return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


def test_tied_weights_stay_tied_and_buffers_are_each_replicas_own() -> None:
    case = Case(Tied, tied_loss, lambda i, step: (ids_batch(i, step)[0] % 7,))
    runs = MIXED[:4]
    replicas = made(case, runs)
    losses, _ = advance(replicas, case, runs, range(STEPS))
    for i, (model, loss, _) in enumerate(separately(case, runs, "cpu")):
        found = replicas.model(i)
        assert distance(found, model) < 1e-10
        assert losses[:, i].tolist() == pytest.approx(loss, rel=1e-10)
        assert isinstance(found, Tied)
        assert found.head.weight is found.embedding.weight
        assert torch.equal(found.offset, Tied(i).double().offset)


# ------------------------------------------------------------------------------------ divergence


@pytest.mark.parametrize("name", ["teacher", "decoder"])
def test_a_replica_that_diverges_leaves_the_others_alone(name: str, device: str) -> None:
    case = CASES[name]
    runs = [MIXED[0], Run(sgd_l2, 1e200, 0.1, clip=1e300), MIXED[3], MIXED[4]]
    replicas = made(case, runs, device)
    losses, norms = advance(replicas, case, runs, range(STEPS), device)
    assert losses[-1, 1].isnan()
    assert norms[-1, 1].isnan()
    for i, (model, loss, _) in enumerate(separately(case, runs, device)):
        if i == 1:
            continue
        assert distance(replicas.model(i), model) < 1e-10
        assert losses[:, i].tolist() == pytest.approx(loss, rel=1e-10)


# ------------------------------------------------------------------------------- in and out again


def test_a_model_taken_out_is_a_copy_that_answers_as_its_replica() -> None:
    case = CASES["decoder-causal"]
    runs = MIXED[:3]
    replicas = made(case, runs)
    advance(replicas, case, runs, range(3))
    (ids,) = stacked(case, 3, 99, "cpu", torch.float64)
    answers = replicas.map(lambda model, x: {"logits": model(x), "last": x[:, -1]}, ids[:, :, :8])
    taken = [replicas.model(i) for i in range(3)]
    for i, model in enumerate(taken):
        torch.testing.assert_close(answers["logits"][i], model(ids[i, :, :8]))
        assert torch.equal(answers["last"][i], ids[i, :, 7])
    assert not answers["logits"].requires_grad
    assert distance(replicas.model(-1), taken[2]) == 0
    advance(replicas, case, runs, range(3, 4))
    assert distance(replicas.model(2), taken[2]) > 0


@pytest.mark.parametrize("before", [0, 4])
def test_replicas_resumed_from_a_file_are_bitwise_those_that_went_on(
    before: int, device: str
) -> None:
    case = CASES["decoder"]
    replicas = made(case, MIXED, device)
    advance(replicas, case, MIXED, range(before), device) if before else None
    state = replicas.state_dict()
    advance(replicas, case, MIXED, range(before, 9), device)  # must not change the snapshot
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)

    again = made(Case(lambda i: decoder(i + 50), case.loss, case.batch), MIXED, device)
    again.load_state_dict(torch.load(file, weights_only=True))
    advance(again, case, MIXED, range(before, 9), device)
    for i in range(len(MIXED)):
        assert distance(replicas.model(i), again.model(i)) == 0


def test_a_state_of_other_replicas_is_one_line_and_changes_nothing() -> None:
    case = CASES["decoder"]
    replicas = made(case, MIXED)
    others = {
        r"embedding\.weight is float64 \(2, 11, 16\)": made(case, MIXED[:2]).state_dict(),
        r"adamw for \[0, 3\].* not .*adam_l2 for \[1\]": made(
            case, [MIXED[0], MIXED[2], *MIXED[2:]]
        ).state_dict(),
        "float32": made(case, MIXED, dtype=torch.float32).state_dict(),
        "embedding.weight is absent": {},
    }
    for message, state in others.items():
        with pytest.raises(ValueError, match=message) as error:
            replicas.load_state_dict(state)
        assert "\n" not in str(error.value)
    assert all(distance(replicas.model(i), decoder(i).double()) == 0 for i in range(len(MIXED)))


# ----------------------------------------------------------------------------------------- errors


def _pair(second: nn.Module, first: nn.Module | None = None) -> Replicas[nn.Module]:
    models = [first or decoder(0), second]
    return Replicas(models, [RuleOptimizer(m.parameters(), adamw, lr=0.1) for m in models])


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (
            Teacher(0),
            Teacher(0, 13),
            r"out_features of core\.0 is 13, not 12",
        ),
        (None, decoder(0, style="llama"), "blocks.0.attention_norm is RMSNorm, not LayerNorm"),
        (None, decoder(0, tied_head=False), "head is Linear, not absent"),
        (None, decoder(0).double(), r"embedding.weight is float64 \(11, 16\) on cpu, not float32"),
        (None, decoder(0).eval(), "training of the model is False, not True"),
        (None, Teacher(0), "the class of the model is Teacher, not Transformer"),
    ],
)
def test_models_that_differ_are_one_line_that_names_the_difference(
    first: nn.Module | None, second: nn.Module, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        _pair(second, first)
    assert "\n" not in str(error.value)
    assert "replica 1 differs from replica 0" in str(error.value)


def test_models_with_weights_of_one_shape_and_other_settings_are_refused() -> None:
    four = TransformerConfig(d_model=32, n_head=4)
    with pytest.raises(ValueError, match=r"n_head of blocks\.0 is 2, not 4"):
        _pair(Transformer(TransformerConfig(d_model=32, n_head=2)), Transformer(four))


def test_other_initial_weights_are_no_difference() -> None:
    wide = TransformerConfig(vocab_size=11, context=8, d_model=16, n_head=2, d_ff=24, init_std=2.0)
    assert len(_pair(Transformer(wide), decoder(0))) == 2


def test_optimizers_that_do_not_belong_to_the_models_are_refused() -> None:
    models = [Teacher(0).double(), Teacher(1).double()]
    optimizers = [RuleOptimizer(m.parameters(), adamw, lr=0.1) for m in models]
    with pytest.raises(ValueError, match="no models: expected one or more"):
        Replicas([], [])
    with pytest.raises(ValueError, match="1 optimizers for 2 models"):
        Replicas(models, optimizers[:1])
    with pytest.raises(ValueError, match="optimizer 0 holds a parameter that is not of model 0"):
        Replicas(models, optimizers[::-1])
    teacher_loss(models[1], *teacher_batch(0, 0)).backward()  # type: ignore[no-untyped-call]
    optimizers[1].step()
    with pytest.raises(ValueError, match="optimizer 1 has taken a step"):
        Replicas(models, optimizers)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (0.0, "clip_norm = 0.0 must be positive"),
        ([1.0, float("nan")], "clip_norm = .* must be positive"),
        ([1.0], "clip_norm has 1 entries for 2 replicas"),
    ],
)
def test_a_clip_norm_that_makes_no_sense_is_one_line(clip: Any, message: str) -> None:
    models = [Teacher(0), Teacher(1)]
    optimizers = [RuleOptimizer(m.parameters(), adamw, lr=0.1) for m in models]
    with pytest.raises(ValueError, match=message):
        Replicas(models, optimizers, clip_norm=clip)


def test_a_step_that_makes_no_sense_moves_nothing() -> None:
    case = CASES["teacher"]
    replicas = made(case, MIXED[:2])
    batch = stacked(case, 2, 0, "cpu", torch.float64)
    rates: list[tuple[Any, str]] = [
        ([0.1], "lr has 1 entries for 2 replicas"),
        ([0.1, -0.1], "lr = -0.1 must be"),
        (float("nan"), "lr = nan must be"),
    ]
    for lr, message in rates:
        with pytest.raises(ValueError, match=message):
            replicas.step(teacher_loss, *batch, lr=lr)
    with pytest.raises(ValueError, match=r"batch\[1\] has shape \(1, 16, 1\), expected a first"):
        replicas.step(teacher_loss, batch[0], batch[1][:1])
    with pytest.raises(ValueError, match=r"the loss has shape \(16, 4\), expected a scalar"):
        replicas.step(lambda model, x, y: model.answer_b(x), *batch)
    for i in range(2):
        assert distance(replicas.model(i), Teacher(i).double()) == 0


def test_dropout_is_refused() -> None:
    models = [nn.Sequential(nn.Linear(2, 3), nn.Dropout()) for _ in range(2)]
    replicas = Replicas(models, [RuleOptimizer(m.parameters(), adamw, lr=0.1) for m in models])
    with pytest.raises(RuntimeError, match="random"):
        replicas.step(lambda model, x: model(x).square().mean(), torch.ones(2, 4, 2))
