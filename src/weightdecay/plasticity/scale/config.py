"""One run of a real model, as it stands in a YAML file: checked here, once.

Sizes and settings are those of the paper's tables 1 to 6. One of its numbers needs a word: the
intermediate size of OLMo-2-1B, 16384, counts the gate and the up projection of SwiGLU together, as
OLMo's own code does. `transformers` counts one of them, 8192; with 16384 there the model would have
2.3 billion parameters, not the 1.5 billion of the same table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from weightdecay.decay import cosine_learning_rate, cumulative_dose, wsd_learning_rate
from weightdecay.runs import Json, RunError, read_yaml

Count: TypeAlias = Annotated[int, Field(ge=1)]
Rate: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Decay: TypeAlias = Annotated[float, Field(ge=0, le=100)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Model(_Section):
    """Table 1."""

    family: Literal["llama", "olmo2"]
    hidden_size: Count
    intermediate_size: Count
    """Rows of the gate projection, and of the up projection."""
    vocab_size: Count
    context: Annotated[int, Field(ge=2)]
    heads: Count
    layers: Count
    query_groups: Count
    """Heads of keys and values."""

    @model_validator(mode="after")
    def _heads_fit(self) -> Model:
        if self.heads % self.query_groups or self.hidden_size % (2 * self.heads):
            raise ValueError(
                f"expected heads = {self.heads} to be a multiple of query_groups = "
                f"{self.query_groups}, and hidden_size = {self.hidden_size} one of 2 x heads"
            )
        return self


class Optimizer(_Section):
    """AdamW and its schedule, tables 4 and 5."""

    weight_decay: Decay
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    final_learning_rate: Rate
    schedule: Literal["cosine", "wsd"] = "cosine"
    warmup_ratio: Rate = 0.1
    cooldown_ratio: Rate = 0.1
    """Of warmup-stable-decay; the paper does not say its own."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.95
    clip_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class Data(_Section):
    """Where the text comes from."""

    dataset: str
    """Name on the Hugging Face hub, or a local .txt (a document a line) or .jsonl file."""
    subset: str | None = None
    split: str = "train"
    field: str = "text"
    tokenizer: str
    """Name on the hub or a local folder."""
    streams: Count
    """The data are dealt into so many streams, whatever the number of processes."""
    window: Count = 10_000
    """Documents of a stream that are shuffled together."""
    evaluation_blocks: Count
    """Of training and of held-out text, each, for the final losses."""


class Training(_Section):
    """Length of the run (table 2), batch in sequences, and how it is cut into pieces."""

    tokens: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    batch: Count
    micro_batch: Count
    """Sequences that one device takes at a time."""
    checkpoint_every: Count


class Sft(_Section):
    """Table 6; the rate falls to 0, and decay is the paper's default, none."""

    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-5
    weight_decay: Decay = 0.0
    batch: Count = 64
    epochs: Count = 3
    warmup_ratio: Rate = 0.1
    cutoff: Count = 2048


class Config(_Section):
    """One pretraining run and the fine-tunes that start from it."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 42
    model: Model
    optimizer: Optimizer
    data: Data
    training: Training
    sft: Sft = Sft()

    @model_validator(mode="after")
    def _streams_fit(self) -> Config:
        for name, value in (
            ("training.batch", self.training.batch),
            ("data.evaluation_blocks", self.data.evaluation_blocks),
        ):
            if value % self.data.streams:
                raise ValueError(
                    f"expected {name} = {value} to be a multiple of data.streams = "
                    f"{self.data.streams}"
                )
        if self.steps < 1:
            raise ValueError(
                f"expected training.tokens = {self.training.tokens:g} to be at least one batch, "
                f"{self.training.batch * self.model.context}"
            )
        return self

    @property
    def steps(self) -> int:
        return int(self.training.tokens // (self.training.batch * self.model.context))

    def learning_rates(self) -> list[float]:
        """Of each step."""
        o, steps = self.optimizer, self.steps
        shape = {"peak": o.learning_rate, "final": o.final_learning_rate}
        warmup = round(o.warmup_ratio * steps)
        cooldown = min(round(o.cooldown_ratio * steps), steps - warmup)
        if o.schedule == "cosine":
            return [
                cosine_learning_rate(step, **shape, warmup=warmup, steps=steps)
                for step in range(steps)
            ]
        return [
            wsd_learning_rate(step, **shape, warmup=warmup, cooldown=cooldown, steps=steps)
            for step in range(steps)
        ]

    @property
    def dose(self) -> float:
        """Sum of eta lambda over the run."""
        return cumulative_dose(self.learning_rates(), self.optimizer.weight_decay)[-1]


def parse(values: Json, source: str) -> Config:
    """The checked config; `source` names the file in messages.

    Raises:
        RunError: one line with file, key, value and what is accepted.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        raise RunError(f"{source}: {key} is missing")
    if first["type"] == "extra_forbidden":
        section: Any = Config
        for part in first["loc"][:-1]:
            section = section.model_fields[str(part)].annotation
        raise RunError(f"{source}: unknown key {key}; accepted: {', '.join(section.model_fields)}")
    accepted = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if first["type"] == "value_error":  # about several keys, which the message names
        raise RunError(f"{source}: {accepted}")
    raise RunError(f"{source}: {key} = {str(first['input'])[:80]!r}; accepted: {accepted}")


def read(path: Path, *, seed: int | None = None, weight_decay: float | None = None) -> Config:
    """The config of a YAML file, with another seed or weight decay if given.

    Raises:
        RunError: for an unreadable file or an invalid value.
    """
    values = read_yaml(path)
    if seed is not None:
        values["seed"] = seed
    if weight_decay is not None and isinstance(values.get("optimizer"), dict):
        values["optimizer"] = {**values["optimizer"], "weight_decay": weight_decay}
    return parse(values, str(path))
