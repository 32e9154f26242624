"""Probes: what can be read off a frozen network inside the blind disc.

`article` is the article's: a 64-unit student, trained and scored on the same 1000 points. `audit`
mends what can be mended: disjoint points to fit, to choose the probe's L2 and to score, features
of one scale, a linear probe beside the MLP, and *selectivity*: the accuracy on the checkerboard
less that on random labels of its cells (Hewitt & Liang, arXiv 1909.03368), with which a memory of
the checkerboard helps only as far as the labels happen to agree.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from weightdecay.hysteresis import tasks, teacher
from weightdecay.replicas import Replicas
from weightdecay.rules import RuleOptimizer, adam_l2

HIDDEN, STEPS, LR = 64, 300, 1e-2
POINTS = 1000
"""To fit and, apart, to choose the L2."""
TEST_POINTS = 4000
DEAD_STD = 1e-3
"""Outputs with less spread count as 0.5 in the article, which is no measurement."""
MLP_L2 = (0.0, 1e-2)
LINEAR_C = (0.01, 1.0, 100.0)
PARTS = ("fit", "choose", "test")
ROUNDING = 1e-5
"""Singular values below this part of the largest are float32's rounding."""


@dataclass(frozen=True)
class Points:
    """Disjoint points (N, 2) in the blind disc, the same for every arm of a seed."""

    fit: Tensor
    choose: Tensor
    test: Tensor


@functools.lru_cache(64)
def points(seed: int) -> Points:
    """1000 to fit (those of the article's probe, too), 1000 to choose the L2, 4000 to score."""
    drawn = tasks.blind_disc(2 * POINTS + TEST_POINTS, tasks.generator(seed, "probe"))
    return Points(*torch.split(drawn, [POINTS, POINTS, TEST_POINTS]))


LABELS: dict[str, tasks.Labels] = {
    "checkerboard": tasks.checkerboard,
    "random_cells": tasks.random_cells,
}
"""What is asked for: the task, and its control. The arm that imprints the control's labels crosses
the two: each memory should help with its own labels more than with the other's."""


def students(
    features: Tensor, labels: Tensor, seeds: Sequence[int], l2: Sequence[float]
) -> Replicas[nn.Sequential]:
    """R MLP probes d-64-1 (a logit), trained at once by Adam on binary cross-entropy.

    Args:
        features: (R, N, d); labels: (R, N, 1); seeds: of the probes' initial weights; l2: each
            probe's penalty.
    """
    models = []
    for seed in seeds:
        layers = nn.Linear(features.shape[-1], HIDDEN), nn.Linear(HIDDEN, 1)
        rng = tasks.generator(seed, "student")
        with torch.no_grad():
            for layer in layers:
                bound = layer.in_features**-0.5  # torch's own
                for p in (layer.weight, layer.bias):
                    p.uniform_(-bound, bound, generator=rng)
        models.append(nn.Sequential(layers[0], nn.ReLU(), layers[1]).to(features))
    pairs = zip(models, l2, strict=True)
    optimizers = [RuleOptimizer(m.parameters(), adam_l2, lr=LR, weight_decay=w) for m, w in pairs]
    replicas = Replicas(models, optimizers)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    for _ in range(STEPS):
        replicas.step(lambda model, x, y: loss(model(x), y), features, labels)
    return replicas


def hits(replicas: Replicas[nn.Sequential], features: Tensor, labels: Tensor) -> list[float]:
    """Accuracy of each probe on (R, N, d) and (R, N, 1)."""
    logits = replicas.map(lambda model, x: model(x), features)
    return [float(a) for a in ((logits > 0) == (labels > 0.5)).double().mean((1, 2))]


def readings(flat: Tensor, seeds: Sequence[int]) -> dict[str, dict[str, Tensor]]:
    """`teacher.features` of R networks (R, P), each at its seed's points.

    Returns:
        ``fit``, ``choose`` and ``test`` to features (R, N, d): ``outputs``, ``core`` and
        ``coordinates``, which no network has touched: what they allow is the ceiling.
    """
    found = {}
    for name in PARTS:
        x = torch.stack([getattr(points(seed), name) for seed in seeds]).to(flat)
        found[name] = {**teacher.features(flat, x), "coordinates": x}
    return found


def article(read: dict[str, dict[str, Tensor]], seeds: Sequence[int]) -> list[dict[str, float]]:
    """The article's probe of each network: its accuracy, and the same student's on fresh points."""
    (x, y), (x_test, y_test) = (
        _asked(read, part, "outputs", "checkerboard", seeds) for part in ("fit", "test")
    )
    trained = students(x, y, seeds, [0.0] * len(seeds))
    found = []
    scores = zip(hits(trained, x, y), hits(trained, x_test, y_test), x.std((1, 2)), strict=True)
    for in_sample, on_fresh, std in scores:
        found.append(
            {
                "article": 0.5 if float(std) < DEAD_STD else in_sample,
                "article/no rule": in_sample,
                "article/fresh": on_fresh,
                "outputs/std": float(std),
            }
        )
    return found


def audit(
    read: dict[str, dict[str, Tensor]], seeds: Sequence[int], *, coordinates: bool
) -> list[dict[str, float]]:
    """Accuracies on the points to score: ``linear/outputs/checkerboard`` and so on.

    ``whitened`` is an MLP on the outputs with their directions rescaled to equal spread: what the
    other one misses and this one reads was there, only small.

    Args:
        coordinates: probe the raw coordinates, too, which depend on the seed alone.
    """
    found: list[dict[str, float]] = [{} for _ in seeds]
    for name in ("outputs", "core", *(["coordinates"] if coordinates else [])):
        x = {part: {name: t} for part, t in _standardised(read, name).items()}
        for label in LABELS:
            asked = [_asked(x, part, name, label, seeds) for part in PARTS]
            for i, accuracy in enumerate(_mlp(asked, seeds)):
                found[i][f"mlp/{name}/{label}"] = accuracy
            for i in range(len(seeds)):
                one = [(a[i].cpu(), b[i].cpu()) for a, b in asked]
                found[i][f"linear/{name}/{label}"] = _linear(one)
    white = {part: {"outputs": t} for part, t in _whitened(read, "outputs").items()}
    asked = [_asked(white, part, "outputs", "checkerboard", seeds) for part in PARTS]
    for i, accuracy in enumerate(_mlp(asked, seeds)):
        found[i]["mlp/whitened/checkerboard"] = accuracy
    return found


def _standardised(read: dict[str, dict[str, Tensor]], name: str) -> dict[str, Tensor]:
    """By mean and spread of the points to fit; a feature that does not vary stays at 0."""
    fit = read["fit"][name]
    mean, std = fit.mean(1, keepdim=True), fit.std(1, keepdim=True)
    scale = torch.where(std > 0, std, 1)
    return {part: (read[part][name] - mean) / scale for part in PARTS}


def _whitened(read: dict[str, dict[str, Tensor]], name: str) -> dict[str, Tensor]:
    """Along the principal directions of the points to fit, each divided by its spread; those that
    are nothing but rounding stay at 0."""
    fit = read["fit"][name].double()
    mean = fit.mean(1, keepdim=True)
    _, s, directions = torch.linalg.svd(fit - mean, full_matrices=False)
    spread = s / (fit.shape[1] - 1) ** 0.5
    real = s > ROUNDING * s[:, :1]
    scale = torch.where(real, 1 / torch.where(real, spread, 1), 0)[:, None]
    return {
        part: (((read[part][name].double() - mean) @ directions.mT) * scale).to(torch.float32)
        for part in PARTS
    }


def geometry(read: dict[str, dict[str, Tensor]], name: str) -> list[dict[str, float]]:
    """What kind of cloud the features are, network by network.

    ``R2/NAME``: how much of the points' coordinates a linear map reads off them (least squares on
    the points to fit, scored on those to score); ``dimensions/NAME``: effective rank of centered
    features, exp of the entropy of their singular values (Roy & Vetterli 2007). A smooth line has
    one dimension.
    """
    found = []
    for i in range(len(read["fit"][name])):
        (x, c), (x_test, c_test) = (
            (read[part][name][i].double(), read[part]["coordinates"][i].double())
            for part in ("fit", "test")
        )
        center = x.mean(0)
        design, design_test = (
            torch.cat([t - center, torch.ones_like(t[:, :1])], 1) for t in (x, x_test)
        )
        map_ = torch.linalg.lstsq(design.cpu(), c.cpu(), driver="gelsd").solution
        residual = ((design_test.cpu() @ map_ - c_test.cpu()) ** 2).sum()
        total = ((c_test - c_test.mean(0)) ** 2).sum()
        s = torch.linalg.svdvals(x - center)
        p = s / s.sum()
        entropy = -torch.special.xlogy(p, p).sum()
        found.append(
            {
                f"R2/{name}": 1 - float(residual) / float(total),
                f"dimensions/{name}": float(entropy.exp()),
            }
        )
    return found


Asked = tuple[Tensor, Tensor]
"""Features (R, N, d) and labels (R, N, 1)."""


def _asked(
    read: dict[str, dict[str, Tensor]], part: str, name: str, label: str, seeds: Sequence[int]
) -> Asked:
    y = [LABELS[label](getattr(points(seed), part), seed) for seed in seeds]
    return read[part][name], torch.stack(y).to(read[part][name])


def _linear(asked: Sequence[Asked]) -> float:
    fit, choose, test = ((x.double().numpy(), y.numpy().ravel()) for x, y in asked)
    models = [LogisticRegression(C=c, max_iter=1000).fit(*fit) for c in LINEAR_C]
    best = max(models, key=lambda m: float(m.score(*choose)))
    return float(best.score(*test))


def _mlp(asked: Sequence[Asked], seeds: Sequence[int]) -> list[float]:
    """Each network's accuracy under the L2 that does best on the points to choose."""
    n = len(MLP_L2)
    fit, choose, test = ((x.repeat_interleave(n, 0), y.repeat_interleave(n, 0)) for x, y in asked)
    own = [seed for seed in seeds for _ in MLP_L2]
    trained = students(*fit, own, [*MLP_L2] * len(seeds))
    chosen = np.reshape(hits(trained, *choose), (-1, n)).argmax(1)
    scores = np.reshape(hits(trained, *test), (-1, n))
    return [float(row[i]) for row, i in zip(scores, chosen, strict=True)]
