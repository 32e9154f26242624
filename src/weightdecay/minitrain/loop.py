"""The training loop: ``python -m weightdecay train --weight-decay 0.0``.

One thread, so that two runs use two cores and a run is bitwise reproducible. Killed at any moment
it goes on from its last checkpoint and ends as if it had not been killed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import IO

import torch
from torch import Tensor
from tqdm import tqdm

from weightdecay import runs
from weightdecay.decay import cumulative_dose, describe_groups
from weightdecay.minitrain import corpus, failures, metrics, sealing
from weightdecay.minitrain.batches import PairedBatches, batch_order
from weightdecay.minitrain.build import build_model, build_optimizer, learning_rates, train_step
from weightdecay.minitrain.config import Config
from weightdecay.runs import Json

THREADS = 1
STEP_RECORD_EVERY = 10


def _sha256(tensors: list[Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()


@dataclass
class _Facts:
    """What is known only inside a step: weights before it and v_t's calibration are taken if an
    evaluation comes next."""

    loss: float
    grad_norm: float  # before clipping
    before: dict[str, Tensor] = field(default_factory=dict)
    calibration: dict[str, float | None] = field(default_factory=dict)


class _Loop:
    """The state of one run between its steps."""

    def __init__(self, config: Config, directory: Path, seal: str | None) -> None:
        self.config, self.directory, self.sealed = config, directory, seal is not None
        self.model = build_model(config)
        self.optimizer = build_optimizer(self.model, config)
        self.rates = learning_rates(config)
        self.doses = cumulative_dose(self.rates, config.optimizer.weight_decay)
        self.sentences = corpus.split("train")
        self.order = batch_order(
            config.seed, len(self.sentences), config.training.batch_size, config.training.steps
        )
        self.batches = PairedBatches(self.sentences, self.order, causal=failures.causal(config))
        self.initial = metrics.norms(metrics.group_vectors(self.model))
        self.step = 0
        self.seconds = 0.0  # spent in steps since the last evaluation

    def manifest(self) -> Json:
        return {
            "experiment": "18-break-weight-decay",
            "seed": self.config.seed,
            "data_sha256": corpus.data_hash(),
            "initial_weights_sha256": _sha256(list(self.model.parameters())),
            "batch_order_sha256": _sha256([self.order]),
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "entropy_floor": corpus.entropy_floor(),
            "baselines": {
                name: {split: corpus.ngram_loss(order, split) for split in metrics.SPLITS}
                for name, order in (("unigram", 1), ("trigram", 3))
            },
            **runs.environment(),
        }

    def save(self, out: IO[str]) -> None:
        """Checkpoint, with the length of the metrics that belong to it."""
        out.flush()
        os.fsync(out.fileno())
        state = {
            "step": self.step,
            "metrics_bytes": out.tell(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        with runs.atomic_path(self.directory / runs.CHECKPOINT) as path:
            torch.save(state, path)

    def restore(self) -> int:
        """Load the checkpoint if there is one; the length of the metrics that belong to it."""
        path = self.directory / runs.CHECKPOINT
        if not path.exists():
            return 0
        try:
            state = torch.load(path, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]
        except (OSError, RuntimeError, EOFError, KeyError, ValueError, UnpicklingError) as e:
            raise runs.RunError(f"{path}: not a readable checkpoint; --force trains again") from e
        return int(state["metrics_bytes"])

    def advance(self) -> _Facts:
        """One optimizer step."""
        start = time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rates[self.step]
        loss = train_step(self.model, self.optimizer, self.batches, self.step)
        grad_norm = torch.nn.utils.clip_grad_norm_(
            self.model.parameters(), self.config.optimizer.clip_norm
        )
        facts = _Facts(float(loss), float(grad_norm))
        if self.evaluates(self.step + 1):
            facts.before = metrics.group_vectors(self.model)
            for name, parameters in (
                ("embedding", [self.model.embedding.weight]),
                ("all", list(self.model.parameters())),
            ):
                ratio = metrics.calibration(self.optimizer, parameters)
                facts.calibration[f"calibration/{name}"] = ratio
        self.optimizer.step()
        self.step += 1
        self.seconds += time.perf_counter() - start
        return facts

    def evaluates(self, step: int) -> bool:
        t = self.config.training
        return step % t.eval_every == 0 or step == t.steps

    def evaluation(self, facts: _Facts | None) -> Json:
        """The record of one evaluation; at step 0 there is no gradient and no update yet."""
        t = self.config.training
        measured, _ = metrics.evaluate(self.model)
        after = metrics.group_vectors(self.model)
        norm = metrics.norms(after)
        record: Json = {
            "kind": "eval",
            "step": self.step,
            "epoch": self.step * t.batch_size / len(self.sentences),
            "learning_rate": self.rates[max(self.step - 1, 0)] if self.step else 0.0,
            "dose": self.doses[self.step],
            "grad_norm": facts.grad_norm if facts else None,
            **measured,
            **{f"norm/{k}": v for k, v in norm.items()},
            **{f"growth/{k}": v / self.initial[k] for k, v in norm.items()},
            **metrics.spectral_norms(self.model),
            "steps_per_second": self.since_last / self.seconds if self.seconds else None,
        }
        if facts:
            record |= facts.calibration
            for k, v in facts.before.items():
                record[f"update/{k}"] = float((after[k] - v).norm() / v.norm())
        self.seconds = 0.0
        return sealing.record(record) if self.sealed else record

    @property
    def since_last(self) -> int:
        """Steps since the last evaluation."""
        every = self.config.training.eval_every
        return self.step % every or min(every, self.step)

    def results(self, record: Json, diverged_at: int | None) -> Json:
        everything = corpus.sentences()
        _, correct = metrics.evaluate(self.model)
        wrong = [s for s, right in zip(everything, correct, strict=True) if not right]
        return {
            "final": {k: v for k, v in record.items() if k not in ("kind", "steps_per_second")},
            "diverged_at": diverged_at,
            "mistakes": [
                {
                    "lemma": s.lemma,
                    "tense": s.tense,
                    "person": s.person,
                    "split": s.split,
                    "expected": s.text,
                    "written": written,
                }
                for s, written in zip(
                    wrong, metrics.greedy_forms(self.model, wrong) if wrong else [], strict=True
                )
            ],
        }


def _append(out: IO[str], record: Json) -> Json:
    """Write one line of metrics; the record as it is read back."""
    written: Json = runs.finite(
        {k: float(f"{v:.7g}") if isinstance(v, float) else v for k, v in record.items()}
    )
    out.write(json.dumps(written) + "\n")
    out.flush()
    return written


def train(
    config: Config,
    directory: Path,
    *,
    force: bool = False,
    position: int = 0,
    quiet: bool = False,
    seal: str | None = None,
) -> runs.Run:
    """Train one run into `directory`, going on from a checkpoint if it holds an unfinished one.

    A loss that is not a finite number ends the run; ``results.json`` then says at which step. Under
    a `seal` neither files nor terminal say what is wrong with the run (`sealing`).

    Raises:
        RunError: if the directory must not be written (see `runs.prepare`).
    """
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    loop = _Loop(config, directory, seal)
    written, manifest = sealing.written(config.model_dump(), loop.manifest(), seal)
    resumed = runs.prepare(directory, written, manifest, force=force)
    with runs.locked(directory):
        if resumed:
            manifest = runs.read_json(directory / runs.MANIFEST)
        length = loop.restore()
        path = directory / runs.METRICS
        path.touch()
        if path.stat().st_size < length:
            raise runs.RunError(f"{path}: shorter than its checkpoint says; --force trains again")
        os.truncate(path, length)
        for leftover in directory.glob(f".{runs.CHECKPOINT}.*"):  # of a kill while it was saved
            leftover.unlink()
        if not quiet:
            for line in [] if seal else describe_groups(loop.optimizer.param_groups):
                tqdm.write(f"{directory.name}: {line}")
            if loop.step:
                tqdm.write(f"{directory.name}: goes on from step {loop.step}")
        with path.open("a", encoding="utf-8") as out:
            record, diverged_at = _run(loop, out, position, quiet)
        runs.write_json(
            directory / runs.MANIFEST, {**manifest, "ended": runs.now(), "resumed": resumed}
        )
        runs.write_json(directory / runs.RESULTS, loop.results(record, diverged_at))
    return runs.load(directory)


def _run(loop: _Loop, out: IO[str], position: int, quiet: bool) -> tuple[Json, int | None]:
    """All remaining steps; the last evaluation, and the step at which the loss was lost."""
    t = loop.config.training
    record: Json = {}
    if loop.step == 0:
        record = _append(out, loop.evaluation(None))
    with tqdm(
        total=t.steps,
        initial=loop.step,
        desc=f"{loop.directory.name:>16}",
        unit="step",
        position=position,
        mininterval=0.5,
        disable=True if quiet else None,
    ) as bar:
        for _ in itertools.count(loop.step):
            if loop.step == t.steps:
                break
            facts = loop.advance()
            diverged = not math.isfinite(facts.loss)
            if loop.step % STEP_RECORD_EVERY == 0:
                step = {"batch_loss": facts.loss, "grad_norm": facts.grad_norm}
                _append(out, {"kind": "step", "step": loop.step, **step})
            if loop.evaluates(loop.step) or diverged:
                record = _append(out, loop.evaluation(facts))
                losses = {k: record[f"{k}_loss"] for k in metrics.SPLITS if not loop.sealed}
                bar.set_postfix(losses, refresh=False)
                diverged |= record["train_loss"] is None  # as JSON has it: lost by the last update
            bar.update()
            if diverged:
                tqdm.write(f"{loop.directory.name}: the loss is not finite at step {loop.step}")
                return record, loop.step
            if loop.step % t.checkpoint_every == 0 or loop.step == t.steps:
                loop.save(out)
    if not record:  # killed after the last step: its evaluation was written before the checkpoint
        records, _ = runs.read_metrics(loop.directory / runs.METRICS)
        record = [r for r in records if r["kind"] == "eval"][-1]
    return record, None
