"""Points where they are said to be, targets with the noise that they are said to have."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import get_args

import pytest
import torch
from torch import Tensor

from weightdecay.contraction import problems
from weightdecay.contraction.config import Name

NAMES: tuple[Name, ...] = get_args(Name)


@pytest.mark.parametrize("name", NAMES)
def test_off_data_points_are_where_no_data_is(name: Name) -> None:
    p = problems.make(name, 0)
    assert p.x.abs().max() <= 1
    assert p.held_out.abs().max() <= 1
    assert len(p.held_out) == len(p.off_data) == problems.ELSEWHERE
    farthest = p.off_data.abs().amax(1)
    assert farthest.min() > 1
    assert 1.9 < farthest.max() <= 2
    # Over the whole of what is outside: each half of an axis gets half of the points.
    assert ((p.off_data > 0).double().mean(0) - 0.5).abs().max() < 0.1


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_is_one_problem_and_another_seed_another(name: Name) -> None:
    one, again, other = (problems.make(name, seed) for seed in (0, 0, 1))
    for field in fields(one):
        value = getattr(one, field.name)
        if isinstance(value, Tensor):
            assert torch.equal(value, getattr(again, field.name))
            assert not torch.equal(value, getattr(other, field.name))
    # No held-out point is one that is trained on.
    assert (one.held_out[:, None] - one.x).abs().amax(-1).min() > 0


@pytest.mark.parametrize("inputs", [1, 2])
def test_the_regressions_targets_are_a_smooth_function_and_noise_of_one_size(inputs: int) -> None:
    found = [problems.regression(seed, inputs) for seed in range(20)]
    for x, y in (
        (torch.cat([p.x for p in found]), torch.cat([p.y for p in found])),
        (found[0].held_out, found[0].held_out_y),
    ):
        noise = y - torch.sin(math.pi * x).sum(1, keepdim=True)
        assert abs(float(noise.mean())) < 4 * problems.NOISE / len(x) ** 0.5
        assert float(noise.std()) == pytest.approx(problems.NOISE, rel=0.1)


def test_the_classifiers_labels_are_sectors_but_for_a_stated_share() -> None:
    wrong = []
    for seed in range(20):
        p = problems.classifier(seed)
        turn = torch.atan2(p.held_out[:, 1], p.held_out[:, 0]) + math.pi  # 0 to 2 pi
        sector = (turn / (2 * math.pi / 3)).long()
        wrong.append((p.held_out_y != sector).double().mean())
        for k in range(problems.CLASSES):  # a wrong label is either of the others
            assert set(p.held_out_y[sector == k].tolist()) == {0, 1, 2}
    assert float(torch.stack(wrong).mean()) == pytest.approx(problems.FLIPPED, abs=0.015)


def test_an_autoencoders_targets_are_its_inputs() -> None:
    p = problems.autoencoder(0)
    assert torch.equal(p.x, p.y)
    assert torch.equal(p.held_out, p.held_out_y)
    assert p.x.shape == (problems.CODED, p.outputs)
    assert problems.CODED < problems.DIMENSIONS
