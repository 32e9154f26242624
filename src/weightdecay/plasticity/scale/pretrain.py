"""Pretraining: from random weights to a measured model."""

from __future__ import annotations

import json
import math
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from weightdecay import runs
from weightdecay.decay import cumulative_dose
from weightdecay.plasticity.scale import cost, models, text
from weightdecay.plasticity.scale.config import Config
from weightdecay.plasticity.scale.training import Trainer, newest, save, share, start, write_model
from weightdecay.runs import Json, RunError


def pretrain(config: Config, out: Path, *, force: bool = False) -> None:
    """Train one model from random weights into `out`, or go on with it unless `force`.

    Raises:
        RunError: for a folder that must not be written, data that cannot be read, a batch that
            does not fit the processes, or a loss that is not a finite number.
    """
    accelerator = start()
    rank, processes = accelerator.process_index, accelerator.num_processes
    t = config.training
    if config.data.streams % processes:
        raise RunError(
            f"data.streams = {config.data.streams}; accepted: a multiple of {processes} processes"
        )
    share(accelerator, "training.batch", t.batch, t.micro_batch)
    tokenizer = text.load_tokenizer(config.data.tokenizer)
    if len(tokenizer) > config.model.vocab_size:
        raise RunError(
            f"model.vocab_size = {config.model.vocab_size}; accepted: at least the "
            f"{len(tokenizer)} of the tokenizer"
        )
    with ExitStack() as held:
        if accelerator.is_main_process:
            manifest = {**runs.environment(), "seed": config.seed, "processes": processes}
            runs.prepare(out, config.model_dump(), manifest, force=force)
            held.enter_context(runs.locked(out))
            if force:
                shutil.rmtree(out / "checkpoints", ignore_errors=True)
            accelerator.print(cost.cost(config, out.name))
        accelerator.wait_for_everyone()
        torch.manual_seed(config.seed)  # right before, so that all processes draw the same weights
        model = models.build(config.model)
        trainer = Trainer(accelerator, model, config, config.optimizer.weight_decay)
        streams = _train(
            trainer, config, out, tokenizer, range(rank, config.data.streams, processes)
        )
        results = _results(trainer, config, streams)
        write_model(trainer, config, out, tokenizer, results)


def _train(
    trainer: Trainer, config: Config, out: Path, tokenizer: Any, numbers: range
) -> list[text.Stream]:
    """All remaining steps; this process's streams as they are after the last."""
    a, t = trainer.accelerator, config.training
    done, folder = newest(out)
    states: dict[int, Json] = {}
    if folder:
        a.load_state(str(folder))
        a.step = 0  # of micro-batches: their number may be another now
        states = {n: runs.read_json(folder / f"stream-{n}.json") for n in numbers}
        a.print(f"{out.name}: goes on from step {done}")
    streams = [text.Stream(config, tokenizer, n, states.get(n)) for n in numbers]
    metrics = out / runs.METRICS
    if a.is_main_process:  # what was written after the checkpoint is written again
        kept = runs.read_metrics(metrics)[0] if metrics.exists() else []
        lines = (json.dumps(record) + "\n" for record in kept if record["step"] <= done)
        runs.write_text(metrics, "".join(lines))
    rates = config.learning_rates()
    doses = cumulative_dose(rates, config.optimizer.weight_decay)
    coming = text.ahead(text.batches(config, streams, done))
    for step, (rows, saved) in enumerate(coming, done):
        micro = [{"input_ids": ids, "labels": ids} for ids in torch.split(rows, t.micro_batch)]
        facts = trainer.step(micro, t.batch * (config.model.context - 1), rates[step])
        tokens = (step + 1) * t.batch * config.model.context
        record = {"step": step + 1, "tokens": tokens, "learning_rate": rates[step],
                  "dose": doses[step + 1], **facts}  # fmt: skip
        if a.is_main_process:
            with metrics.open("a", encoding="utf-8") as f:
                f.write(json.dumps(runs.finite(record)) + "\n")
        if not math.isfinite(facts["loss"]):
            raise RunError(f"{out}: the loss is not a finite number at step {step + 1}")
        if saved:
            save(a, out, step + 1, dict(zip(numbers, saved, strict=True)))
            a.print(f"{out.name}: step {step + 1} of {config.steps}, loss {facts['loss']:.4f}")
    return streams


def _results(trainer: Trainer, config: Config, streams: list[text.Stream]) -> Json:
    """What is measured of the final model, on all processes together."""
    micro, results = config.training.micro_batch, dict[str, Any]()
    for split in ("train", "validation"):
        blocks = [block for stream in streams for block in stream.at[split]]
        results[f"{split}_loss"], results[f"{split}_blocks"] = trainer.loss(blocks, micro)
    passes = torch.tensor([stream.at["passes"] for stream in streams])
    most = trainer.accelerator.gather(passes.to(trainer.accelerator.device)).max()
    return {
        "steps": config.steps,
        "dose": config.dose,
        "gap": results["validation_loss"] - results["train_loss"],
        "complete_passes": int(most),
        **results,
    }
