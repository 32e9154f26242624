"""Imprint, adapt, probe: the article's script, step for step, for R runs at once.

Full batch of 5000 points; phase A 300 steps of Adam at 1e-2 on the labels; phase B 800 steps of a
fresh Adam at 1e-3 with the decay; both as the article has them. What differs: a seed gives every
arm the same initial weights and the same points, and phase A, which no setting of phase B can
touch, is done once a seed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from weightdecay import rules, runs
from weightdecay.hysteresis import audit, tasks, teacher
from weightdecay.hysteresis.config import PROTOCOL, Config

IMPRINT_STEPS, IMPRINT_LR = 300, 1e-2
ADAPT_LR = 1e-3
RULES = {"adam_l2": rules.adam_l2, "adamw": rules.adamw}


@dataclass(frozen=True)
class Adapted:
    """Weights of R runs, (R, P) each, and what phase B left of its loss."""

    start: Tensor
    """Where phase B began."""
    end: Tensor
    """Where it ended; what the probes read."""
    loss: Tensor
    """(R,) of phase B, before its last step and without the decay; NaN without steps."""


def imprint(seeds: Sequence[int], task: str, points: int, device: str = "cpu") -> Tensor:
    """(R, P) phase A: fresh weights trained to classify the whole square."""
    flat = torch.stack([teacher.initial(seed) for seed in seeds])
    x = torch.stack([tasks.domain(points, tasks.generator(s, "phase A")) for s in seeds])
    labels = tasks.IMPRINTS[task]
    y = torch.stack([labels(part, seed) for part, seed in zip(x, seeds, strict=True)])
    ones = torch.ones(len(seeds))
    phase = teacher.Fit("head_a", IMPRINT_STEPS, IMPRINT_LR, rules.adam_l2, ones, 0 * ones)
    return teacher.fit(flat.to(device), x.to(device), y.to(device), phase)[0]


def adapt(configs: Sequence[Config], device: str = "cpu", imprints: Path | None = None) -> Adapted:
    """Phases A and B of runs that are alike in arm, rule, task, disc, steps and points.

    Args:
        configs: seed, decay and scale of the loss may differ.
        imprints: a folder in which the weights after phase A are kept for other runs.

    Raises:
        ValueError: for runs that are not alike.
    """
    first, seeds = configs[0], [c.seed for c in configs]
    if any(alike(c) != alike(first) for c in configs):
        raise ValueError("expected runs that differ in seed, weight_decay and loss_scale only")

    def imprinted(task: str) -> Tensor:
        distinct = sorted(set(seeds))
        learned = _kept(distinct, task, first.points, device, imprints)
        return learned[[distinct.index(seed) for seed in seeds]]

    flat = torch.stack([teacher.initial(seed) for seed in seeds]).to(device)
    start = audit.STARTS[first.arm](flat, seeds, imprinted)
    sample = tasks.donut if first.blind else tasks.inside_outer_radius
    x = torch.stack([sample(first.points, tasks.generator(s, "phase B")) for s in seeds])
    target = tasks.ADAPTATIONS[first.task]
    y = torch.stack([target(part, seed) for part, seed in zip(x, seeds, strict=True)])
    phase = teacher.Fit(
        "head_b",
        first.steps,
        ADAPT_LR,
        RULES[first.rule],
        torch.tensor([c.loss_scale for c in configs]),
        torch.tensor([c.weight_decay for c in configs]),
    )
    end, loss = teacher.fit(start, x.to(device), y.to(device), phase)
    return Adapted(start, end, loss)


def alike(config: Config) -> tuple[object, ...]:
    """What runs must share to be trained as replicas."""
    return config.arm, config.rule, config.task, config.blind, config.steps, config.points


def _kept(seeds: list[int], task: str, points: int, device: str, folder: Path | None) -> Tensor:
    """(R, P) weights after phase A, read where another run has left them."""
    if folder is None:
        return imprint(seeds, task, points, device)
    folder.mkdir(parents=True, exist_ok=True)
    # The device is part of the name: the two round differently.
    paths = [folder / f"v{PROTOCOL}-{device}-{task}-{points}-{s}.safetensors" for s in seeds]
    missing = [s for s, path in zip(seeds, paths, strict=True) if not path.exists()]
    if missing:
        for seed, weights in zip(missing, imprint(missing, task, points, device), strict=True):
            with runs.atomic_path(paths[seeds.index(seed)]) as temporary:
                save_file({"weights": weights.cpu().contiguous()}, temporary)
    return torch.stack([read_weights(path, "weights") for path in paths]).to(device)


def read_weights(path: Path, name: str) -> Tensor:
    """One tensor of a file of weights.

    Raises:
        RunError: for a missing or broken file.
    """
    try:
        with safe_open(os.fspath(path), "pt") as f:
            found: Tensor = f.get_tensor(name)
    except (OSError, SafetensorError) as e:
        raise runs.RunError(f"{path}: cannot be read ({e}); delete it, it is made again") from e
    return found
