"""One pretraining and one fine-tuning run, as they stand in ``config.yaml``: checked here, once."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from weightdecay.plasticity.language import VOCABULARY
from weightdecay.transformer import TransformerConfig

PROTOCOL: Final = 1
"""Goes up whenever the same config would give other numbers: results of two versions never mix."""

CONTEXT = 64
Size = Literal["30k", "100k", "400k", "1.6m"]
SIZES: dict[str, tuple[int, int, int]] = {
    "30k": (32, 84, 2),
    "100k": (48, 128, 3),
    "400k": (88, 236, 4),
    "1.6m": (180, 484, 4),
}
"""About how many parameters, to d_model, d_ff and n_layer."""
HEADS = {"30k": 4, "100k": 4, "400k": 4, "1.6m": 6}

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Nonnegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    protocol: Literal[1] = PROTOCOL


class Pretrain(_Strict):
    """What a base model is: tables 1 to 5 of the paper, at a laptop's scale."""

    seed: Annotated[int, Field(ge=0)]
    weight_decay: Nonnegative
    style: Literal["llama", "olmo2"] = "llama"
    size: Size = "100k"
    tokens_per_parameter: Annotated[int, Field(ge=0)] = 20
    """0 leaves the model as it was initialized."""
    schedule: Literal["cosine", "wsd"] = "cosine"
    learning_rate: Positive = 3e-3
    """Peak; the last step has a tenth of it, or 0 under warmup-stable-decay."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Documents of 64 tokens a step."""

    def sizes(self) -> TransformerConfig:
        """Of the model. The head is a matrix of its own, as in both of the paper's families."""
        d_model, d_ff, n_layer = SIZES[self.size]
        return TransformerConfig(
            vocab_size=len(VOCABULARY), context=CONTEXT, d_model=d_model, n_head=HEADS[self.size],
            n_layer=n_layer, d_ff=d_ff, style=self.style, tied_head=False,
            init_std=d_model**-0.5,  # what 0.02 is to the paper's 2048
        )  # fmt: skip


class Finetune(_Strict):
    """One supervised fine-tune of one base model on one task."""

    seed: Annotated[int, Field(ge=0)]
    """Of the base model, its data and the order of the fine-tuning examples."""
    weight_decay: Nonnegative
    """In pretraining, as are the next five."""
    style: Literal["llama", "olmo2"] = "llama"
    size: Size = "100k"
    tokens_per_parameter: Annotated[int, Field(ge=0)] = 20
    schedule: Literal["cosine", "wsd"] = "cosine"
    pretrain_learning_rate: Positive = 3e-3
    task: Literal["chains", "lists", "agreement", "exceptions", "safety"]
    start: Literal["own", "norm_matched", "optimizer_kept"] = "own"
    """The base model as it is; with the norms of another (`norms_of`) and the same function; or
    with the moments that AdamW had at the end of pretraining."""
    norms_of: Nonnegative = 0.1
    """Decay of the model whose norms a norm-matched start takes."""
    learning_rate: Positive
    finetune_decay: Nonnegative = 0.0
    batch_size: Annotated[int, Field(ge=1)] = 16
    epochs: Annotated[int, Field(ge=1)] = 3

    def base(self, weight_decay: float | None = None) -> Pretrain:
        """The base model that it starts from, or its sibling of another decay."""
        return Pretrain(
            seed=self.seed,
            weight_decay=self.weight_decay if weight_decay is None else weight_decay,
            style=self.style,
            size=self.size,
            tokens_per_parameter=self.tokens_per_parameter,
            schedule=self.schedule,
            learning_rate=self.pretrain_learning_rate,
        )
