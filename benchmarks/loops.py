"""What ``bench.py`` times: steps of the plainest loop, of the lab's own, and of replicas; and the
hysteresis article's runs, plainly and our way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import article
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weightdecay import runs
from weightdecay.decay import parameter_groups
from weightdecay.hysteresis import probe, protocol, tasks, teacher
from weightdecay.hysteresis.config import Config
from weightdecay.minitrain import build, corpus, recipe
from weightdecay.minitrain.batches import PairedBatches, batch_order, pair_masks
from weightdecay.replicas import Replicas
from weightdecay.rules import RuleOptimizer, adam_l2, adamw
from weightdecay.runs import Json
from weightdecay.versioned import parse


def plain_loop(width: int | None) -> Callable[[], None]:
    """A step of the plainest loop: eager, default AdamW, every batch padded to the same width.

    The model, its initial weights, the batch order and the clipping are ours.
    """
    config = recipe.read_config(0.1)
    model = build.build_model(config)
    o = config.optimizer
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=o.learning_rate, betas=(o.beta1, o.beta2), weight_decay=0.1
    )
    inputs, targets = corpus.padded(corpus.split("train"))
    if width is not None:
        inputs = F.pad(inputs, (0, width - inputs.shape[1]), value=corpus.TOKEN_ID[corpus.PAD])
        targets = F.pad(targets, (0, width - targets.shape[1]), value=-1)
    order = iter(batch_order(config.seed, len(inputs), config.training.batch_size, 10**5))

    def step() -> None:
        rows = next(order)
        logits = model(inputs[rows])
        loss = F.cross_entropy(logits.flatten(0, 1), targets[rows].flatten(), ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), o.clip_norm)
        optimizer.step()
        loss.item()

    return step


def our_loop(seed: int = recipe.SEED) -> Callable[[], float]:
    """A step of the lab's loop; it returns the batch's loss."""
    config = recipe.read_config(0.1, seed)
    model = build.build_model(config)
    optimizer = build.build_optimizer(model, config)
    sentences = corpus.split("train")
    order = batch_order(config.seed, len(sentences), config.training.batch_size, 2000)
    batches = PairedBatches(sentences, order)
    done = 0

    def step() -> float:
        nonlocal done
        loss = build.train_step(model, optimizer, batches, done % len(order))
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.clip_norm)
        optimizer.step()
        done += 1
        return float(loss)

    return step


Runs: TypeAlias = Callable[[int], list[float]]
"""Takes some steps of each of its runs; returns their last losses."""


def one_by_one(steps_of_runs: Sequence[Callable[[], float]]) -> Runs:
    """Runs that a process trains one after the other."""
    return lambda steps: [[step() for _ in range(steps)][-1] for step in steps_of_runs]


def decoders_apart(seeds: Sequence[int]) -> Runs:
    """The lab's runs, with its own loop."""
    return one_by_one([our_loop(seed) for seed in seeds])


def decoders_stacked(seeds: Sequence[int]) -> Runs:
    """The same runs as replicas, their batches padded to the widest of each step."""
    config = recipe.read_config(0.1)
    models = [build.build_model(recipe.read_config(0.1, seed)) for seed in seeds]
    o, size = config.optimizer, config.training.batch_size
    options: dict[str, Any] = {
        "lr": o.learning_rate, "betas": (o.beta1, o.beta2), "eps": o.eps,
    }  # fmt: skip
    optimizers = [RuleOptimizer(parameter_groups(m, 0.1), adamw, **options) for m in models]
    replicas = Replicas(models, optimizers, clip_norm=o.clip_norm)
    sentences = corpus.split("train")
    batches = [
        PairedBatches(sentences, batch_order(seed, len(sentences), size, 2000)) for seed in seeds
    ]
    widest = [max(widths) for widths in zip(*(b.width for b in batches), strict=True)]

    def padded(of: Callable[[PairedBatches], Tensor], value: int) -> Tensor:
        parts = [F.pad(of(b), (0, max(widest) - of(b).shape[2]), value=value) for b in batches]
        return torch.stack(parts, 1)  # (S, R, B, W)

    inputs, targets = padded(lambda b: b.inputs, 0), padded(lambda b: b.targets, -1)
    first, masks = torch.stack([b.first_length for b in batches], 1), pair_masks(max(widest))
    done = 0

    def loss(model: nn.Module, ids: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
        logits = model(ids, mask)
        return F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-1)

    def advance(steps: int) -> list[float]:
        nonlocal done
        for k in range(done, done + steps):
            w = widest[k]
            mask = masks[first[k], :w, :w].unsqueeze(2)  # (R, B, 1, w, w)
            facts = replicas.step(loss, inputs[k, ..., :w], targets[k, ..., :w], mask)
        done += steps
        return facts.loss.tolist()

    return advance


POINTS, DECAY = 5000, 1e-3  # of the hysteresis article's second phase: full batch, Adam + L2


def saddle_teacher(seed: int) -> tuple[nn.Module, Tensor, Tensor]:
    """The article's 2-128-128-32 core with the head of 20, and points (N, 2) with a saddle."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 32),
        nn.Linear(32, 20),
    )  # fmt: skip
    x = 6 * torch.rand(POINTS, 2) - 3
    return model, x, x.prod(1, keepdim=True)


def teacher_loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return F.mse_loss(model(x).mean(1, keepdim=True), y)


def teachers_apart(seeds: Sequence[int]) -> Runs:
    """Each with torch's fused Adam."""

    def run(seed: int) -> Callable[[], float]:
        model, x, y = saddle_teacher(seed)
        adam = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=DECAY, fused=True)

        def step() -> float:
            loss = teacher_loss(model, x, y)
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            return float(loss.detach())

        return step

    return one_by_one([run(seed) for seed in seeds])


def teachers_stacked(seeds: Sequence[int]) -> Runs:
    """The same as replicas."""
    models, xs, ys = zip(*map(saddle_teacher, seeds), strict=True)
    options: dict[str, Any] = {"lr": 1e-3, "weight_decay": DECAY}
    replicas = Replicas(models, [RuleOptimizer(m.parameters(), adam_l2, **options) for m in models])
    x, y = torch.stack(xs), torch.stack(ys)
    return lambda steps: [replicas.step(teacher_loss, x, y) for _ in range(steps)][-1].loss.tolist()


# ----------------------------------------------------------------- the hysteresis article's scan


def scan_config(arm: str, decay: float, seed: int) -> Config:
    """A run of the article, the same work as one of `article.run`'s.

    Raises:
        ValueError: if the two have come to differ in points or steps.
    """
    config = parse(Config, {"arm": arm, "weight_decay": decay, "seed": seed}, "bench")
    ours = (config.points, config.steps, protocol.IMPRINT_STEPS, probe.POINTS, probe.STEPS)
    plain = (article.POINTS, article.ADAPT_STEPS, article.IMPRINT_STEPS, article.PROBE_POINTS,
             article.PROBE_STEPS)  # fmt: skip
    if ours != plain:
        raise ValueError(f"points and steps of the two ways differ: {ours} and {plain}")
    return config


def scan_run(config: Json, directory: Path) -> None:
    """One run our way with the article's probe alone, as the `train` of a sweep's task."""
    one = parse(Config, config, str(directory))
    adapted = protocol.adapt([one], imprints=directory.parent / "imprints")
    (found,) = probe.article(probe.readings(adapted.end, [one.seed]), [one.seed])
    directory.mkdir()
    runs.write_json(directory / runs.RESULTS, found)


# Of the products in one step of `teacher.fit`, multiplications and additions for each point:
# forward x W1' (2 x 128), h1 W2' (128 x 128), h2 v (128); backward h2' d (128), d2' h1 and d2 W2
# (128 x 128 each), d1' x (128 x 2). Products whose size does not grow with the points are left out.
STEP_FLOPS = 2 * POINTS * (3 * 128 * 128 + 2 * 2 * 128 + 2 * 128)


def teacher_steps() -> Callable[[int], Tensor]:
    """Steps of phase B of one network, as a worker of the sweep takes them: Adam included."""
    x = tasks.donut(POINTS, tasks.generator(0, "phase B"))[None]
    y, flat, one = tasks.saddle(x), teacher.initial(0)[None], torch.ones(1)

    def fit(steps: int) -> Tensor:
        phase = teacher.Fit("head_b", steps, protocol.ADAPT_LR, adam_l2, one, DECAY * one)
        return teacher.fit(flat, x, y, phase)[0]

    return fit
