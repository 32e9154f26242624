"""Tuning by rewards as a task of `weightdecay.sweep`: one run on disk, and the rows of its table.

A run takes seconds, so an unfinished one starts again. Its base model is that of the part, read or
trained beside it, and so is the policy that all runs of a seed start from; a run of another draw
reads or trains its sibling of draw 0 in the same way.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from weightdecay import runs, versioned
from weightdecay.plan import Row, Task, run_name
from weightdecay.plasticity import task
from weightdecay.plasticity.reinforce_config import PROTOCOL, Reinforce
from weightdecay.runs import Json

if TYPE_CHECKING:
    from weightdecay.plasticity.downstream import Example
    from weightdecay.transformer import Transformer

NAME = "reinforce"
START, PROMPTS, HELD_OUT = 1024, 512, 128
"""Examples that the policy is made of, prompts of the method, and the expert's held-out ones."""
RATE, BATCH, START_EPOCHS = 3e-3, 16, 6
"""Of the policy's making, where the rate falls on a cosine; of expert and second tasks, where it is
constant."""
POINTS = (0.25, 0.5, 1, 2, 4, 8, 16)
"""Epochs of the method after which the policy is measured, beside its end."""
EXPERT_POINTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
SECOND = ("lists", "safety")
SECOND_EXAMPLES, SECOND_EPOCHS = 512, 3


def check(config: Json, source: str) -> Json:
    """The full config."""
    return versioned.parse(Reinforce, config, source).model_dump()


def rows(directory: Path) -> list[Row]:
    """The policy at the start, along the way and at the end, where everything is measured."""
    found: list[Row] = versioned.finished(directory, PROTOCOL)["rows"]
    return found


def train(values: Json, directory: Path) -> None:
    """One run, if it is not there yet: its sibling of another draw may have trained it."""
    with task.waiting(directory.parent, directory.name):
        if not (directory / runs.RESULTS).exists():
            _train(versioned.parse(Reinforce, values, str(directory)), directory)


def _train(config: Reinforce, directory: Path) -> None:
    from safetensors.torch import load_file, save_model  # torch is imported in the worker only

    from weightdecay.plasticity import formats, reinforce
    from weightdecay.plasticity import reinforce_measure as measure

    manifest = {**runs.environment(), "device": "cpu"}
    runs.prepare(directory, config.model_dump(), manifest, force=True)
    beside = directory.parent
    given, prompts, held_out, expert = formats.parts(
        [START, PROMPTS, HELD_OUT, config.expert_examples], config.seed
    )
    model = policy(config, given, beside)
    start = measure.Policy.of(copy.deepcopy(model), measure.SAMPLES, config.seed)
    before = start.model.state_dict()
    found: list[Row] = []

    def look(phase: str, epoch: float, loss: float | None, samples: int) -> None:
        now = measure.Policy.of(model, samples, config.seed)
        found.append({
            "phase": phase, "epoch": epoch, "loss": loss,
            **measure.abilities(now), **measure.spread(now, start),
            **measure.movement(before, model.state_dict()),
        })  # fmt: skip

    look("start", 0, None, measure.SAMPLES)
    if config.expert_examples:
        shown, unseen = ([formats.first(e) for e in part] for part in (expert, held_out))
        *on_the_way, last = imitate(model, config, shown, unseen)
        found += on_the_way
        look("expert", config.expert_epochs, None, measure.SAMPLES)
        found[-1] |= last
    an_epoch = PROMPTS // reinforce.PROMPTS
    stops = {round(p * an_epoch): p for p in POINTS if p < config.epochs}

    def watch(done: int, loss: float) -> None:
        if done in stops:
            look("method", stops[done], loss, measure.MIDWAY)
        elif done == config.epochs * an_epoch:
            look("method", config.epochs, loss, measure.SAMPLES)

    asked = formats.mixed(prompts, config.share, config.seed)
    reinforce.tune(model, config, asked, watch)
    if config.draw:
        sibling = config.model_copy(update={"draw": 0}).model_dump()
        other = beside / run_name(NAME, sibling)
        train(sibling, other)
        found[-1] |= measure.common(before, model.state_dict(), load_file(other / task.WEIGHTS))
    if config.second:
        for name in SECOND:
            found[-1] |= learn(model, config, name)
    with runs.atomic_path(directory / task.WEIGHTS) as temporary:
        save_model(model, str(temporary))
    versioned.finish(directory, PROTOCOL, {"rows": found})


def policy(config: Reinforce, given: Sequence[Example], folder: Path) -> Transformer:
    """The base model tuned on solutions in both formats, the same for every run of a seed."""
    from safetensors.torch import load_model, save_model

    from weightdecay.plasticity import finetune, formats, pretrain

    key = {**config.base().model_dump(), "share": config.share, "protocol": PROTOCOL}
    path = folder / f"{run_name('policy', key)}.safetensors"
    with task.waiting(folder, path.name):
        if not path.exists():
            model = task.base_model(config.base(), folder)
            finetune.finetune(
                model, formats.mixed(given, config.share, config.seed), learning_rate=RATE,
                weight_decay=0.0, batch_size=BATCH, epochs=START_EPOCHS, seed=config.seed,
            )  # fmt: skip
            with runs.atomic_path(path) as temporary:
                save_model(model, str(temporary))
    model = pretrain.build(config.base())
    load_model(model, str(path))
    return model


def imitate(
    model: Transformer, config: Reinforce, shown: Sequence[Example], unseen: Sequence[Example]
) -> list[Row]:
    """Tune a policy in place on what an expert wrote; a row for some epochs and for the last."""
    from weightdecay.plasticity import finetune, pretrain, reinforce
    from weightdecay.plasticity import reinforce_measure as measure

    an_epoch = -(-len(shown) // BATCH)
    found: list[Row] = []

    def watch(done: int, loss: float) -> None:
        epoch, rest = divmod(done, an_epoch)
        if rest == 0 and (epoch in EXPERT_POINTS or epoch == config.expert_epochs):
            found.append({
                "phase": "expert", "epoch": epoch,
                "score": measure.score(model, measure.asked()),
                "expert/train loss": finetune.mean_response_loss(model, shown),
                "expert/test loss": finetune.mean_response_loss(model, unseen),
            })  # fmt: skip

    reinforce.descend(
        model, pretrain.optimizer(model, config.finetune_decay, RATE),
        lambda batch, _: finetune.response_loss(model, finetune.batch(batch)),
        shown, BATCH, config.expert_epochs, RATE, config.seed, watch,
    )  # fmt: skip
    return found


def learn(model: Transformer, config: Reinforce, name: str) -> Row:
    """What a copy of a policy scores on another task, before it is tuned on it and behind each
    epoch; nothing holds it back now."""
    from weightdecay.plasticity import finetune, pretrain, reinforce
    from weightdecay.plasticity import reinforce_measure as measure
    from weightdecay.plasticity.downstream import examples

    learner = copy.deepcopy(model)
    shown = examples(name, "train", SECOND_EXAMPLES, config.seed)
    found: Row = {}

    def watch(done: int, loss: float) -> None:
        epoch, rest = divmod(done, SECOND_EXAMPLES // BATCH)
        if rest == 0:
            of = measure.second(learner, name)
            found.update({f"{key}/{epoch}": value for key, value in of.items()})

    watch(0, 0.0)
    reinforce.descend(
        learner, pretrain.optimizer(learner, 0.0, RATE),
        lambda batch, _: finetune.response_loss(learner, finetune.batch(batch)),
        shown, BATCH, SECOND_EPOCHS, RATE, config.seed, watch,
    )  # fmt: skip
    return found


TASK = Task(check, train, rows)
