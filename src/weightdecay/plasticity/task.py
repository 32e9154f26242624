"""The two experiments as tasks of `weightdecay.sweep`: base models, and their fine-tunes.

A fine-tune takes its base model from the pretraining run of the same config, which lies beside it
and is trained if it is not there yet.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from weightdecay import runs, versioned
from weightdecay.plan import Row, Task, run_name
from weightdecay.plasticity.config import PROTOCOL, Finetune, Pretrain
from weightdecay.runs import Json

if TYPE_CHECKING:
    from torch import Tensor

    from weightdecay.transformer import Transformer

PRETRAIN_NAME, FINETUNE_NAME = "pretrain", "finetune"
WEIGHTS, MOMENTS = "weights.safetensors", "moments.safetensors"
CURVE = 8
"""Points of a pretraining curve."""
TRAIN = {"chains": 1024, "lists": 1024, "agreement": 384, "exceptions": 384, "safety": 768}
TEST = {"chains": 256, "lists": 256, "agreement": 256, "exceptions": 100, "safety": 256}
SAMPLED = 96
"""Test prompts that get 16 sampled solutions."""
TEST_SEED = 1_000_005


# ------------------------------------------------------------------------------ base models


def check_pretrain(config: Json, source: str) -> Json:
    """The full config."""
    return versioned.parse(Pretrain, config, source).model_dump()


def train_base(values: Json, directory: Path) -> None:
    """One base model: weights, AdamW's moments, its curve and what is measured at its end."""
    from safetensors.torch import save_file, save_model  # torch is imported in the worker only

    from weightdecay.plasticity import measure, pretrain

    config = versioned.parse(Pretrain, values, str(directory))
    manifest = {**runs.environment(), "device": "cpu"}
    goes_on = (directory / pretrain.CHECKPOINT).exists()
    runs.prepare(directory, config.model_dump(), manifest, force=not goes_on)
    path = directory / runs.METRICS
    before = runs.read_metrics(path)[0] if path.exists() else []  # by a run that was killed
    curve: dict[int, Json] = {row["step"]: row for row in before}

    def watch(done: int, model: Transformer, loss: float) -> None:
        curve[done] = {"step": done, "train loss": loss, **measure.midway(model)}
        lines = (json.dumps(runs.finite(row)) for row in curve.values())
        runs.write_text(path, "".join(f"{line}\n" for line in lines))

    n = pretrain.steps(config)
    model, o = pretrain.train(config, directory, watch=watch, every=max(1, n // CURVE))
    moments = {
        f"{name}/{key}": value.detach().clone()
        for name, p in model.named_parameters()
        for key, value in o.state.get(p, {}).items()
    }
    with runs.atomic_path(directory / WEIGHTS) as temporary:
        save_model(model, str(temporary))
    with runs.atomic_path(directory / MOMENTS) as temporary:
        save_file(moments, temporary)
    last = {**curve.pop(n, {"step": n}), **measure.final(model, config)}
    (directory / pretrain.CHECKPOINT).unlink(missing_ok=True)
    versioned.finish(directory, PROTOCOL, {"rows": [*curve.values(), last]})


def pretrain_rows(directory: Path) -> list[Row]:
    """The curve; its last row has everything that is measured at the end."""
    found: list[Row] = versioned.finished(directory, PROTOCOL)["rows"]
    return found


# ------------------------------------------------------------------------------- fine-tunes


def check_finetune(config: Json, source: str) -> Json:
    """The full config."""
    return versioned.parse(Finetune, config, source).model_dump()


def train_finetune(values: Json, directory: Path) -> None:
    """One fine-tune. It takes seconds, so an unfinished one starts again."""
    from weightdecay.plasticity import arms, evaluate, finetune, measure, reward
    from weightdecay.plasticity.downstream import examples

    config = versioned.parse(Finetune, values, str(directory))
    manifest = {**runs.environment(), "device": "cpu"}
    runs.prepare(directory, config.model_dump(), manifest, force=True)
    beside = directory.parent
    model = base_model(config.base(), beside)
    if config.start == "norm_matched":
        model = arms.norm_matched(model, base_model(config.base(config.norms_of), beside))
    loss = finetune.finetune(
        model,
        examples(config.task, "train", TRAIN[config.task], config.seed),
        learning_rate=config.learning_rate,
        weight_decay=config.finetune_decay,
        batch_size=config.batch_size,
        epochs=config.epochs,
        seed=config.seed,
        moments=_moments(config.base(), beside) if config.start == "optimizer_kept" else None,
    )
    asked = examples(config.task, "test", TEST[config.task], TEST_SEED)
    found = {"train loss": loss, "test loss": finetune.mean_response_loss(model, asked)}
    if config.task in ("chains", "lists"):
        with waiting(beside, f"reward-{config.task}"):
            judge = reward.load(config.task, lambda: base_model(reward.BASE, beside), beside)
        found |= evaluate.solutions(model, asked, SAMPLED, judge.judge, config.seed)
        found["score"] = found["greedy"]
    elif config.task == "safety":
        found |= evaluate.refusals(model, asked)
        found["score"] = found["balanced"]
    else:
        found |= evaluate.cloze(model, asked)
        found["score"] = found["cloze"]
    found["excess after"] = evaluate.excess_loss(model, measure.validation(256))
    found |= evaluate.upstream(model, measure.validation(256))
    versioned.finish(directory, PROTOCOL, {"rows": [found]})


def finetune_rows(directory: Path) -> list[Row]:
    """One row."""
    found: list[Row] = versioned.finished(directory, PROTOCOL)["rows"]
    return found


# ------------------------------------------------------------------------------------ files


def base_model(config: Pretrain, folder: Path) -> Transformer:
    """The trained model, read, or trained in its directory of `folder` first."""
    from safetensors.torch import load_model

    from weightdecay.plasticity import pretrain

    directory = _base_run(config, folder)
    model = pretrain.build(config)
    load_model(model, str(directory / WEIGHTS))
    return model


def _base_run(config: Pretrain, folder: Path) -> Path:
    values = config.model_dump()
    directory = folder / run_name(PRETRAIN_NAME, values)
    if not (directory / runs.RESULTS).exists():
        with waiting(folder, directory.name):
            if not (directory / runs.RESULTS).exists():  # nobody has trained it meanwhile
                train_base(values, directory)
    return directory


def _moments(config: Pretrain, folder: Path) -> dict[str, dict[str, Tensor]]:
    """What AdamW remembers of each parameter at the end of pretraining."""
    from safetensors.torch import load_file

    found: dict[str, dict[str, Tensor]] = {}
    for name, value in load_file(_base_run(config, folder) / MOMENTS).items():
        parameter, key = name.rsplit("/", 1)
        found.setdefault(parameter, {})[key] = value
    return found


@contextmanager
def waiting(folder: Path, name: str) -> Iterator[None]:
    """Only one process at a time makes what several need."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


PRETRAIN = Task(check_pretrain, train_base, pretrain_rows)
FINETUNE = Task(check_finetune, train_finetune, finetune_rows)
