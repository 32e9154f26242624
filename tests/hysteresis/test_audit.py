"""The starts of phase B keep the promises that make them controls."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from weightdecay.hysteresis import audit, tasks, teacher
from weightdecay.hysteresis.config import Arm

SEEDS = [3, 5, 3]


def fresh() -> Tensor:
    return torch.stack([teacher.initial(seed) for seed in SEEDS])


def imprinted(task: str) -> Tensor:
    """Weights (R, P) unlike each other and unlike the fresh ones: in place of phase A."""
    rows = [torch.randn(teacher.PARAMETERS, generator=tasks.generator(s, task)) for s in SEEDS]
    return 2 * torch.stack(rows)


def start(arm: str) -> dict[str, Tensor]:
    return teacher.tensors(audit.STARTS[arm](fresh(), SEEDS, imprinted))


LEARNED = teacher.tensors(imprinted("checkerboard"))


def test_every_arm_of_the_config_has_a_start_and_no_other() -> None:
    """The config's words and the functions are the same list."""
    assert set(audit.STARTS) == set(get_args(Arm))


def test_the_control_starts_fresh() -> None:
    """Without a look at any phase A."""

    def refuses(task: str) -> Tensor:
        raise AssertionError(task)

    assert torch.equal(audit.fresh(fresh(), SEEDS, refuses), fresh())


@pytest.mark.parametrize("arm", audit.IMPRINTED)
def test_an_imprinted_arm_is_what_phase_a_leaves_of_its_own_task(arm: str) -> None:
    """And the task is one that phase A knows."""
    task = audit.IMPRINTED[arm]
    assert task in tasks.IMPRINTS
    assert torch.equal(audit.STARTS[arm](fresh(), SEEDS, imprinted), imprinted(task))


def test_norm_matched_has_the_imprinted_norms_and_the_fresh_directions() -> None:
    """Tensor by tensor and seed by seed: sizes of the one, and nothing else of it."""
    own = teacher.tensors(fresh())
    for name, w in start("norm_matched").items():
        for i in range(len(SEEDS)):
            a, b, c = (t[name][i].flatten().double() for t in ({name: w}, own, LEARNED))
            assert float(a.norm()) == pytest.approx(float(c.norm()), rel=1e-5), name
            assert float(a @ b / a.norm() / b.norm()) == pytest.approx(1, abs=1e-6), name


def test_shuffled_keeps_every_value_in_its_tensor_and_no_order() -> None:
    """Sorted, a tensor's values are the imprinted ones; in place, next to none is; a seed is moved
    in the same way in any company."""
    found = start("shuffled")
    for name, w in found.items():
        for i in range(len(SEEDS)):
            a, b = w[i].flatten(), LEARNED[name][i].flatten()
            assert torch.equal(a.sort().values, b.sort().values), name
            if a.numel() >= 20:
                assert float((a == b).double().mean()) < 0.2, name
    flat = teacher.flattened(found)
    assert torch.equal(flat[0], flat[2])
    alone = audit.shuffled(fresh()[1:2], SEEDS[1:2], lambda task: imprinted(task)[1:2])
    assert torch.equal(alone[0], flat[1])


def test_top_reset_keeps_of_the_imprint_the_first_layer_only() -> None:
    """Everything above it is the seed's own fresh weights."""
    own = teacher.tensors(fresh())
    for name, w in start("top_reset").items():
        kept = name in ("core.0.weight", "core.0.bias")
        assert torch.equal(w, LEARNED[name] if kept else own[name]), name


@pytest.mark.parametrize("arm", audit.STARTS)
def test_a_start_does_not_change_what_it_is_given(arm: str) -> None:
    """The fresh and the imprinted weights are used by other arms, too."""
    own, learned = fresh(), imprinted("checkerboard")
    audit.STARTS[arm](own, SEEDS, lambda task: learned)
    assert torch.equal(own, fresh())
    assert torch.equal(learned, imprinted("checkerboard"))
