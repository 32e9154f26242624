"""The part's experiments so small that a run takes a second, for this process or another."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from weightdecay.plasticity import measure, pretrain, probes, reward, task
from weightdecay.plasticity.config import Pretrain
from weightdecay.runs import Json

BASE: Json = {"seed": 3, "weight_decay": 1.0, "size": "30k", "tokens_per_parameter": 1}
SIZES: list[tuple[Any, str, Any]] = [
    (pretrain, "CHECKPOINT_STEPS", 8),
    (measure, "DOCUMENTS", 64),
    (probes, "PARTS", {"fit": 60, "choose": 40, "test": 50}),
    (reward, "BASE", Pretrain(seed=1000, weight_decay=0.1, size="30k", tokens_per_parameter=1)),
    (reward, "PROMPTS", 32),
    (reward, "EPOCHS", 2),
    (task, "TRAIN", dict.fromkeys(task.TRAIN, 48)),
    (task, "TEST", dict.fromkeys(task.TEST, 24)),
    (task, "SAMPLED", 6),
]


def shrink(setattr: Callable[[Any, str, Any], None]) -> None:
    """Put the small sizes in place, and forget what was drawn at other sizes."""
    for module, name, value in SIZES:
        setattr(module, name, value)
    measure.validation.cache_clear()
    probes.documents.cache_clear()


def stuck_base(values: Json, directory: str) -> None:
    """A process that trains a base model until step 22, says so in a file, and then hangs."""
    torch.set_num_threads(1)
    shrink(setattr)
    step, done = pretrain.step, 0

    def watched(*arguments: Any) -> None:
        nonlocal done
        step(*arguments)
        done += 1
        if done == 22:
            Path(directory).with_name("stuck").touch()
            time.sleep(600)

    pretrain.step = watched  # type: ignore[assignment]
    task.train_base(values, Path(directory))


def finetuned(values: Json, directory: str) -> None:
    """A process that trains a fine-tune and notes every base model that it trains for it."""
    torch.set_num_threads(1)
    shrink(setattr)
    train = task.train_base

    def noted(config: Json, where: Path) -> None:
        with where.with_name("trained").open("a") as f:
            f.write(f"{os.getpid()} {where.name}\n")
        train(config, where)

    task.train_base = noted  # type: ignore[assignment]
    task.train_finetune(values, Path(directory))
