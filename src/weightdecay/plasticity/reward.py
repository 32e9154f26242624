"""A small outcome reward model: how likely is a written solution to be right?

The paper judges with a large reward model from elsewhere. Here a base model that is not in the
grid is fine-tuned on the task, its sampled solutions are verified, and a copy of it with a linear
head learns to tell right ones from wrong ones. One for each task, kept beside the runs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from weightdecay import runs
from weightdecay.plasticity import evaluate, finetune, pretrain, sampling
from weightdecay.plasticity.config import PROTOCOL, Pretrain
from weightdecay.plasticity.downstream import Example, Words, examples, verified
from weightdecay.plasticity.language import PAD, TOKEN_ID
from weightdecay.transformer import Transformer

BASE = Pretrain(seed=1000, weight_decay=0.1)
LEARNING_RATE, BATCH, EPOCHS = 1e-3, 64, 4
PROMPTS, DRAWN = 768, 4
"""Prompts of the training split, and sampled solutions to each, beside the right one."""


class RewardModel(nn.Module):
    """A transformer whose last token's hidden state gives one score, a logit."""

    def __init__(self, body: Transformer) -> None:
        super().__init__()
        self.body = body
        self.score = nn.Linear(body.config.d_model, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, ids: Tensor, last: Tensor) -> Tensor:
        """(B,) scores of padded texts (B, T) whose last tokens stand at `last` (B,)."""
        kept: list[Tensor] = []
        hook = self.body.final_norm.register_forward_hook(lambda _m, _i, out: kept.append(out))
        self.body(ids)
        hook.remove()
        out: Tensor = self.score(kept[0][torch.arange(len(ids)), last]).squeeze(-1)
        return out

    @torch.no_grad()
    def judge(self, asked: Sequence[Example], said: Sequence[Words]) -> Tensor:
        """(N,) scores of responses, on the CPU."""
        ids, last = _texts(asked, said)
        device = self.score.weight.device
        parts = zip(torch.split(ids, 1024), torch.split(last, 1024), strict=True)
        return torch.cat([self(i.to(device), at.to(device)).cpu() for i, at in parts])


def _texts(asked: Sequence[Example], said: Sequence[Words]) -> tuple[Tensor, Tensor]:
    rows = [
        sampling.prompt_ids(e) + [TOKEN_ID[word] for word in words]
        for e, words in zip(asked, said, strict=True)
    ]
    ids = torch.full((len(rows), max(map(len, rows))), TOKEN_ID[PAD])
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
    return ids, torch.tensor([len(row) - 1 for row in rows])


def train(task: str, base: Transformer) -> RewardModel:
    """A reward model for one task, from a base model (which is left as it is)."""
    writer = copy.deepcopy(base)
    shown = examples(task, "train", PROMPTS, seed=BASE.seed)
    finetune.finetune(
        writer, shown, learning_rate=2e-3, weight_decay=0.0, batch_size=16, epochs=3,
        seed=BASE.seed,
    )  # fmt: skip
    asked = examples(task, "train", PROMPTS, seed=BASE.seed + 1)
    drawn = sampling.responses(writer, asked, DRAWN, 1.0, seed=BASE.seed)
    said = [evaluate.cut(s) for each in drawn for s in each] + [e.response for e in asked]
    about = [e for e in asked for _ in range(DRAWN)] + asked
    right = torch.tensor([float(verified(e, s)) for e, s in zip(about, said, strict=True)])
    model = RewardModel(writer)
    ids, last = _texts(about, said)
    o = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    generator = torch.Generator().manual_seed(BASE.seed)
    for _ in range(EPOCHS):
        for part in torch.split(torch.randperm(len(ids), generator=generator), BATCH):
            loss = F.binary_cross_entropy_with_logits(model(ids[part], last[part]), right[part])
            o.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), pretrain.CLIP_NORM)
            o.step()
    return model


def load(task: str, base: Callable[[], Transformer], folder: Path) -> RewardModel:
    """The reward model of a task, trained from the base model if it is not there yet."""
    path = folder / f"reward-v{PROTOCOL}-{task}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with runs.atomic_path(path) as temporary:
            save_model(train(task, base()), str(temporary))
    model = RewardModel(pretrain.build(BASE))
    load_model(model, str(path))
    return model
