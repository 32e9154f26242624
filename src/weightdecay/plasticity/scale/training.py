"""Training steps, checkpoints and the end of a run, for one process or many."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from weightdecay import runs
from weightdecay.decay import describe_groups
from weightdecay.plasticity.scale import EXTRA, models
from weightdecay.plasticity.scale.config import Config
from weightdecay.runs import Json, RunError

if TYPE_CHECKING:
    from accelerate import Accelerator


def start() -> Accelerator:
    """This process's part in the launch, in bfloat16 on a GPU.

    Raises:
        RunError: if a package is missing or the launch is of a kind that would train wrongly.
    """
    try:
        from accelerate import Accelerator
        from accelerate.utils import DistributedType
    except ImportError as e:
        raise RunError(f"{e.name} is missing; {EXTRA}") from None
    gpu = torch.cuda.is_available() and os.environ.get("ACCELERATE_USE_CPU", "false") == "false"
    accelerator = Accelerator(mixed_precision="bf16" if gpu else "no")
    if accelerator.distributed_type == DistributedType.FSDP and not accelerator.is_fsdp2:
        # The first version flattens parameters, so that no matrix is told from a gain any more.
        raise RunError(
            "fsdp_version = 1; accepted: 2, as in experiments/plasticity-scale/fsdp.yaml"
        )
    return accelerator


class Trainer:
    """A model in training: one optimizer step from the micro-batches of this process."""

    def __init__(
        self, accelerator: Accelerator, model: Any, config: Config, weight_decay: float
    ) -> None:
        o = config.optimizer
        groups = models.groups(model, config.model.family, weight_decay)
        accelerator.print("\n".join(describe_groups(groups)))
        optimizer = torch.optim.AdamW(groups, lr=o.learning_rate, betas=(o.beta1, o.beta2))
        self.accelerator, self.clip_norm = accelerator, o.clip_norm
        self.model, self.optimizer = accelerator.prepare(model, optimizer)

    def step(self, micro: list[dict[str, Tensor]], targets: int, rate: float) -> Json:
        """One step on the mean loss over all `targets` predicted tokens of the global batch."""
        a, norm = self.accelerator, torch.tensor(math.nan)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        a.gradient_accumulation_steps = len(micro)
        total = torch.zeros((), device=a.device)
        for batch in micro:
            batch = {name: tensor.to(a.device) for name, tensor in batch.items()}
            with a.accumulate(self.model):
                loss = self.model(**batch, num_items_in_batch=targets).loss
                # Accelerate takes the mean over micro-batches and processes; ours is a sum of both.
                a.backward(loss * len(micro) * a.num_processes)
                if a.sync_gradients:
                    norm = a.clip_grad_norm_(self.model.parameters(), self.clip_norm)
                self.optimizer.step()
                self.optimizer.zero_grad()
            total += loss.detach()
        return {"loss": float(a.reduce(total, "sum")), "grad_norm": float(norm)}

    @torch.no_grad()
    def loss(self, blocks: list[list[int]], micro_batch: int) -> tuple[float, int]:
        """Mean loss over blocks of equal length, those of all processes, and their number."""
        a = self.accelerator
        self.model.eval()
        mine = torch.tensor([len(blocks)], device=a.device)
        most, count = int(a.gather(mine).max()), int(a.reduce(mine, "sum"))
        total = torch.zeros((), device=a.device)
        for i in range(0, most, micro_batch):
            # A sharded model answers only if every process asks: one that has nothing left, too.
            part = blocks[i : i + micro_batch]
            ids = torch.tensor(part or [[0, 0]], device=a.device)
            total += self.model(input_ids=ids, labels=ids).loss * len(part)
        return float(a.reduce(total, "sum")) / count if count else math.nan, count


def share(accelerator: Accelerator, key: str, batch: int, micro: int) -> int:
    """Sequences of this process in a batch.

    Raises:
        RunError: if the batch cannot be cut evenly.
    """
    mine, rest = divmod(batch, int(accelerator.num_processes))
    if rest or mine % micro:
        raise RunError(
            f"{key} = {batch}; accepted: a multiple of training.micro_batch = {micro} times "
            f"{accelerator.num_processes} processes"
        )
    return mine


def newest(out: Path) -> tuple[int, Path | None]:
    """Steps done and folder of the last complete checkpoint; 0 and None without one."""
    found = sorted((out / "checkpoints").glob("step-*"))
    return (int(found[-1].name.removeprefix("step-")), found[-1]) if found else (0, None)


def save(accelerator: Accelerator, out: Path, done: int, streams: dict[int, str]) -> None:
    """Write a checkpoint; it has its name only once every process has written its part."""
    final = out / "checkpoints" / f"step-{done:08d}"
    partial = final.with_name(f"partial-{final.name}")
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)  # of a kill while it was saved
        partial.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(partial))
    for number, state in streams.items():
        (partial / f"stream-{number}.json").write_text(state)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        partial.replace(final)
        for older in sorted(final.parent.glob("step-*"))[:-1]:
            shutil.rmtree(older)
    accelerator.wait_for_everyone()


def write_model(trainer: Trainer, config: Config, out: Path, tokenizer: Any, results: Json) -> None:
    """The whole model and its measures, from the main process; ``results.json`` last."""
    state = trainer.accelerator.get_state_dict(trainer.model)  # every process takes part
    if trainer.accelerator.is_main_process:
        state = {name: tensor.detach().cpu() for name, tensor in state.items()}
        whole = models.build(config.model)
        whole.load_state_dict(state)
        whole.config.eos_token_id = tokenizer.eos_token_id
        whole.generation_config.eos_token_id = tokenizer.eos_token_id
        whole.save_pretrained(out / "model")
        tokenizer.save_pretrained(out / "model")
        results |= {"weights": models.measured(state, config.model)}
        manifest = runs.read_json(out / runs.MANIFEST)
        runs.write_json(out / runs.MANIFEST, {**manifest, "ended": runs.now()})
        runs.write_json(out / runs.RESULTS, results)
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.end_training()
