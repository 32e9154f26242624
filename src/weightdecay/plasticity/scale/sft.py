"""Supervised fine-tuning of a pretrained model: table 6, loss on the response only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from weightdecay import runs
from weightdecay.decay import cosine_learning_rate
from weightdecay.plasticity.scale.config import Config
from weightdecay.plasticity.scale.text import load_tokenizer
from weightdecay.plasticity.scale.training import Trainer, share, start, write_model
from weightdecay.runs import RunError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""The label of a token that no loss is taken of, as `transformers` has it."""


@dataclass(frozen=True)
class Answer:
    """A prompt with its response: token ids, and labels that leave the prompt out."""

    ids: list[int]
    labels: list[int]


def answer(prompt: str, response: str, tokenizer: PreTrainedTokenizerBase, cutoff: int) -> Answer:
    """The paper's template (appendix C.1), cut off after so many tokens."""
    asked = tokenizer(f"Human: {prompt}\nAssistant:", add_special_tokens=False)["input_ids"]
    said = tokenizer(f" {response}", add_special_tokens=False)["input_ids"]
    ids = [*asked, *said, tokenizer.eos_token_id][:cutoff]
    labels = [*([IGNORED] * len(asked)), *said, tokenizer.eos_token_id][:cutoff]
    return Answer(ids, labels)


def read_answers(path: Path, tokenizer: PreTrainedTokenizerBase, cutoff: int) -> list[Answer]:
    """Those of a JSONL file with the keys ``prompt`` and ``response`` that are not all prompt.

    Raises:
        RunError: naming file and line.
    """
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as e:
        raise RunError(f"{path}: {e.strerror}") from None
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            example = answer(str(record["prompt"]), str(record["response"]), tokenizer, cutoff)
        except (ValueError, KeyError, TypeError):
            raise RunError(
                f'{path}: line {number}; accepted: {{"prompt": ..., "response": ...}}'
            ) from None
        if any(label != IGNORED for label in example.labels):
            found.append(example)
    return found


def collated(examples: list[Answer], pad: int) -> dict[str, Tensor]:
    """A padded batch, each (examples, longest)."""
    longest = max(len(e.ids) for e in examples)

    def filled(rows: list[list[int]], value: int) -> Tensor:
        return torch.tensor([row + [value] * (longest - len(row)) for row in rows])

    return {
        "input_ids": filled([e.ids for e in examples], pad),
        "labels": filled([e.labels for e in examples], IGNORED),
        "attention_mask": filled([[1] * len(e.ids) for e in examples], 0),
    }


def fine_tune(config: Config, out: Path, answers: Path, *, force: bool = False) -> None:
    """Fine-tune the model in `out` on the responses of a JSONL file, into ``out/sft-FILE``.

    Every epoch has an order of its own, and leaves out what does not fill its last batch.

    Raises:
        RunError: if the model is not finished or the file is too short or wrong.
    """
    accelerator = start()
    if not (out / runs.RESULTS).exists():
        raise RunError(f"{out}: holds no finished run; the same command without --sft trains it")
    from transformers import AutoModelForCausalLM

    s, rank, processes = config.sft, accelerator.process_index, accelerator.num_processes
    tokenizer = load_tokenizer(str(out / "model"))
    examples = read_answers(answers, tokenizer, s.cutoff)
    per_epoch = len(examples) // s.batch
    if not per_epoch:
        raise RunError(f"{answers}: {len(examples)} examples; accepted: at least {s.batch}")
    share(accelerator, "sft.batch", s.batch, config.training.micro_batch)
    target = out / f"sft-{answers.stem}"
    with ExitStack() as held:
        if accelerator.is_main_process:
            manifest = {**runs.environment(), "seed": config.seed, "processes": processes}
            settings = {"answers": answers.name, "seed": config.seed, "sft": s.model_dump()}
            if runs.prepare(target, settings, manifest, force=force):
                (target / runs.METRICS).unlink(missing_ok=True)  # killed: short, so done again
            held.enter_context(runs.locked(target))
        accelerator.wait_for_everyone()
        model = AutoModelForCausalLM.from_pretrained(out / "model", dtype=torch.float32)
        trainer = Trainer(accelerator, model, config, s.weight_decay)
        steps = s.epochs * per_epoch
        order = torch.Generator().manual_seed(config.seed)
        losses = []
        for step, batch in enumerate(_epochs(examples, s.epochs, s.batch, order)):
            mine = batch[rank::processes]
            cut = range(0, len(mine), config.training.micro_batch)
            parts = [mine[i : i + config.training.micro_batch] for i in cut]
            targets = sum(label != IGNORED for e in batch for label in e.labels[1:])
            warmup = round(s.warmup_ratio * steps)
            rate = cosine_learning_rate(
                step, peak=s.learning_rate, final=0.0, warmup=warmup, steps=steps
            )
            micro = [collated(part, tokenizer.eos_token_id) for part in parts]
            facts = trainer.step(micro, targets, rate)
            losses.append(facts["loss"])
            if accelerator.is_main_process:
                with (target / runs.METRICS).open("a", encoding="utf-8") as f:
                    f.write(json.dumps(runs.finite({"step": step + 1, **facts})) + "\n")
        mean = sum(losses[-per_epoch:]) / per_epoch
        results = {"steps": steps, "examples": len(examples), "last_epoch_loss": mean}
        write_model(trainer, config, target, tokenizer, results)


def _epochs(
    examples: list[Answer], epochs: int, batch: int, generator: torch.Generator
) -> Iterator[list[Answer]]:
    for _ in range(epochs):
        order = torch.randperm(len(examples), generator=generator).tolist()
        for i in range(0, len(order) - batch + 1, batch):
            yield [examples[j] for j in order[i : i + batch]]
