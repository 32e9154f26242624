"""The step that is derived by hand, against autograd and torch's own optimizers on a module."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from weightdecay import rules
from weightdecay.hysteresis import tasks, teacher
from weightdecay.hysteresis.teacher import Fit, Head

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
STEPS, POINTS, LR = 6, 41, 1e-2
DECAYS, SCALES = (0.0, 1e-3, 0.3), (1.0, 10.0, 0.2)
TORCH: dict[rules.Rule, type[torch.optim.Optimizer]] = {
    rules.adam_l2: torch.optim.Adam,
    rules.adamw: torch.optim.AdamW,
}


class Network(nn.Module):
    """The article's: its names and shapes are what `teacher.SHAPES` lists."""

    def __init__(self) -> None:
        super().__init__()
        self.core = nn.Sequential(
            nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 32)
        )
        self.head_a, self.head_b = nn.Linear(32, 1), nn.Linear(32, 20)


def network(flat: Tensor) -> Network:
    """The module with the weights of one replica (P,)."""
    model = Network().to(flat)
    model.load_state_dict(teacher.tensors(flat))
    return model


def data(head: Head, seeds: Sequence[int], points: int = POINTS) -> tuple[Tensor, Tensor]:
    x = torch.stack([tasks.domain(points, tasks.generator(s, "test")) for s in seeds]).double()
    return x, tasks.checkerboard(x) if head == "head_a" else tasks.saddle(x)


def start(seeds: Sequence[int]) -> Tensor:
    return torch.stack([teacher.initial(s) for s in seeds]).double()


def phase(head: Head, rule: rules.Rule, steps: int = STEPS) -> Fit:
    return Fit(head, steps, LR, rule, torch.tensor(SCALES), torch.tensor(DECAYS))


@dataclass
class Trained:
    flat: Tensor
    loss: float


def by_autograd(flat: Tensor, x: Tensor, y: Tensor, one: Fit, i: int) -> Trained:
    """Replica i of a phase, by itself."""
    model = network(flat)
    settings: dict[str, Any] = {"lr": one.lr, "weight_decay": float(one.weight_decay[i])}
    optimizer = TORCH[one.rule](model.parameters(), **settings)
    loss = x.new_tensor(math.nan)
    for _ in range(one.steps):
        if one.head == "head_a":
            answer = torch.sigmoid(model.head_a(model.core(x)))
            loss = nn.functional.binary_cross_entropy(answer, y)
        else:
            answer = model.head_b(model.core(x)).mean(1, keepdim=True)
            loss = nn.functional.mse_loss(answer, y)
        optimizer.zero_grad()
        (loss * float(one.loss_scale[i])).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return Trained(teacher.flattened(dict(model.state_dict())), float(loss.detach()))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rule", [rules.adam_l2, rules.adamw])
@pytest.mark.parametrize("head", ["head_a", "head_b"])
@pytest.mark.parametrize("block", [7, POINTS, 1000])
def test_the_step_by_hand_is_autograd_with_torchs_optimizer(
    head: Head, rule: rules.Rule, block: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three replicas, each with its own seed, decay and scale of the loss: weights and loss are
    those of separate runs, also when the points do not fill the last block."""
    monkeypatch.setattr(teacher, "BLOCK", block)
    seeds = (0, 1, 2)
    flat, (x, y), one = start(seeds), data(head, seeds), phase(head, rule)
    found, loss = teacher.fit(flat.to(device), x.to(device), y.to(device), one)
    for i in range(3):
        alone = by_autograd(flat[i], x[i], y[i], one, i)
        torch.testing.assert_close(found[i].cpu(), alone.flat, rtol=1e-9, atol=1e-11)
        assert float(loss[i]) == pytest.approx(alone.loss, rel=1e-10)


@pytest.mark.parametrize("head", ["head_a", "head_b"])
def test_the_points_of_the_article_fit_no_whole_number_of_odd_blocks(head: Head) -> None:
    """With the block as it is and one point more than a block holds."""
    flat, (x, y) = start([3]), data(head, [3], teacher.BLOCK + 1)
    one = Fit(head, 2, LR, rules.adam_l2, torch.ones(1), torch.full((1,), 1e-3))
    found, _ = teacher.fit(flat, x, y, one)
    alone = by_autograd(flat[0], x[0], y[0], one, 0)
    torch.testing.assert_close(found[0], alone.flat, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("rule", [rules.adam_l2, rules.adamw])
@pytest.mark.parametrize(("head", "other"), [("head_a", "head_b"), ("head_b", "head_a")])
def test_the_head_that_is_not_fitted_is_neither_moved_nor_decayed(
    head: Head, other: str, rule: rules.Rule
) -> None:
    """Bit for bit, while everything else moves: as torch skips a parameter without gradient."""
    seeds = (0, 1, 2)
    flat, (x, y) = start(seeds), data(head, seeds)
    before = {k: t.clone() for k, t in teacher.tensors(flat).items()}
    after = teacher.tensors(teacher.fit(flat, x, y, phase(head, rule))[0])
    for name in teacher.SHAPES:
        assert torch.equal(before[name], after[name]) == (name.split(".")[0] == other), name


def test_a_replica_does_not_depend_on_its_company() -> None:
    """Trained alone, in another place or beside one that diverges, it ends at the same weights."""
    seeds = (0, 1, 2)
    flat, (x, y), one = start(seeds), data("head_b", seeds), phase("head_b", rules.adam_l2)
    together, _ = teacher.fit(flat, x, y, one)
    order = torch.tensor([2, 0])
    pair = Fit("head_b", STEPS, LR, rules.adam_l2, one.loss_scale[order], one.weight_decay[order])
    turned, _ = teacher.fit(flat[order], x[order], y[order], pair)
    torch.testing.assert_close(turned, together[order], rtol=1e-10, atol=1e-13)
    broken = y.clone()
    broken[0] = math.inf
    beside, _ = teacher.fit(flat, x, broken, one)
    assert beside[0].isnan().any()
    torch.testing.assert_close(beside[1:], together[1:], rtol=1e-10, atol=1e-13)


def test_fit_leaves_its_input_alone_and_without_steps_changes_nothing() -> None:
    """Zero steps give the weights back and a loss that says it was never computed."""
    flat, (x, y) = start((0, 1, 2)), data("head_b", (0, 1, 2))
    kept = flat.clone()
    teacher.fit(flat, x, y, phase("head_b", rules.adam_l2))
    assert torch.equal(flat, kept)
    end, loss = teacher.fit(flat, x, y, phase("head_b", rules.adam_l2, steps=0))
    assert torch.equal(end, kept)
    assert loss.isnan().all()


def test_the_loss_is_that_before_the_last_step_without_scale_or_decay() -> None:
    """After one step it is the mean squared error of the start, in every replica."""
    flat, (x, y) = start((0, 1, 2)), data("head_b", (0, 1, 2))
    _, loss = teacher.fit(flat, x, y, phase("head_b", rules.adam_l2, steps=1))
    mean = teacher.features(flat, x)["outputs"].mean(-1, keepdim=True)
    torch.testing.assert_close(loss, ((mean - y) ** 2).mean((1, 2)))


def test_features_are_what_the_module_computes() -> None:
    """Core, head B and head A, replica by replica."""
    flat, (x, _) = start((4, 5)), data("head_a", (4, 5))
    found = teacher.features(flat, x)
    for i in range(2):
        model = network(flat[i])
        with torch.no_grad():
            core = model.core(x[i])
            wanted = {"core": core, "outputs": model.head_b(core), "logit": model.head_a(core)}
        for name, value in wanted.items():
            torch.testing.assert_close(found[name][i], value)


def test_flat_weights_and_tensors_by_name_are_the_same_memory_and_invert_each_other() -> None:
    """The names and shapes are the module's own, each number has one place, and views they are."""
    flat = torch.arange(2.0 * teacher.PARAMETERS).view(2, -1)
    named = teacher.tensors(flat)
    own = {name: (2, *t.shape) for name, t in Network().state_dict().items()}
    assert {name: tuple(t.shape) for name, t in named.items()} == own
    assert torch.equal(teacher.flattened(named), flat)
    named["core.2.bias"][1, 3] = -7
    assert float(flat.min()) == -7


def test_fresh_weights_are_drawn_as_torch_draws_them() -> None:
    """Uniform within 1 / sqrt(fan in), as each of the module's tensors is, and a seed's own."""
    torch.manual_seed(0)
    theirs, ours = dict(Network().state_dict()), teacher.tensors(teacher.initial(0))
    for name, w in ours.items():
        bound = 1 / math.sqrt(theirs[name.replace("bias", "weight")].shape[1])
        for drawn in (w, theirs[name]):  # the largest of n draws falls short by about bound / n
            assert bound * (1 - 12 / drawn.numel()) <= float(drawn.abs().max()) <= bound
            error = 5 * bound / math.sqrt(3 * drawn.numel())
            assert float(drawn.mean()) == pytest.approx(0, abs=error)
    assert torch.equal(teacher.initial(0), teacher.initial(0))
    assert not torch.equal(teacher.initial(0), teacher.initial(1))
