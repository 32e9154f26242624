"""The configuration of a training run, validated once, at the edge.

A mistake is one line that names file, key, value and what is accepted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from weightdecay.minitrain import failures
from weightdecay.runs import Json, RunError, read_yaml

Positive: TypeAlias = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ModelConfig(_Section):
    """Sizes of the decoder; the defaults give 103,680 parameters."""

    d_model: Positive = 64
    n_head: Positive = 4
    n_layer: Positive = 2
    d_ff: Positive = 256
    style: Literal["gpt", "llama"] = "gpt"
    init_std: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.02

    @model_validator(mode="after")
    def _even_heads(self) -> ModelConfig:
        if self.d_model % (2 * self.n_head):
            raise ValueError(
                f"expected d_model = {self.d_model} to be a multiple of 2 x n_head = "
                f"{2 * self.n_head}"
            )
        return self


class OptimizerConfig(_Section):
    """AdamW and its schedule."""

    name: Literal["adamw"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 3e-3
    final_learning_rate: Annotated[float, Field(ge=0, le=1)] = 3e-4
    warmup_steps: Annotated[int, Field(ge=0)] = 100
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.95
    eps: Annotated[float, Field(gt=0, le=1)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0, le=100)] = 0.1
    clip_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class TrainingConfig(_Section):
    """Length of the run and what happens along it."""

    steps: Positive = 2000
    batch_size: Annotated[int, Field(ge=1, le=240)] = 32
    eval_every: Positive = 50
    checkpoint_every: Positive = 200


class Config(_Section):
    """A whole run; `failure` breaks it on purpose (see `weightdecay.minitrain.failures`)."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 42
    model: ModelConfig = ModelConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    training: TrainingConfig = TrainingConfig()
    failure: failures.Failure = "none"

    @model_validator(mode="after")
    def _warmup_fits(self) -> Config:
        if self.optimizer.warmup_steps >= self.training.steps:
            raise ValueError(
                f"expected optimizer.warmup_steps = {self.optimizer.warmup_steps} to be smaller "
                f"than training.steps = {self.training.steps}"
            )
        return self

    @model_validator(mode="after")
    def _no_failure_by_accident(self) -> Config:
        if found := failures.complaint(self):
            raise ValueError(found)
        return self

    @model_serializer(mode="wrap")
    def _healthy_runs_do_not_say_so(self, write: SerializerFunctionWrapHandler) -> Json:
        # So that the directories of runs from before there were failures hold the same config.
        value: Json = write(self)
        if self.failure == "none":
            value.pop("failure", None)
        return value


def _section_keys(location: tuple[int | str, ...]) -> str:
    """The keys accepted in the section that holds `location`."""
    section: type[BaseModel] = Config
    for part in location[:-1]:
        section = section.model_fields[str(part)].annotation  # type: ignore[assignment]
    return ", ".join(section.model_fields)


def _explain(source: str, error: ValidationError) -> str:
    """The first mistake as one line: file, key, value, accepted."""
    first = error.errors(include_url=False)[0]
    location, value = first["loc"], repr(first["input"])
    key = ".".join(str(part) for part in location)
    key = key if key.isprintable() else repr(key)
    value = value if len(value) <= 80 else value[:77] + "..."
    if first["type"] in ("extra_forbidden", "invalid_key"):  # invalid: not even a string
        value = "" if first["type"] == "invalid_key" else f" = {value}"
        return f"{source}: unknown key {key}{value}; accepted: {_section_keys(location)}"
    accepted = first["msg"].removeprefix("Input should be ").removeprefix("Value error, expected ")
    if not key or (isinstance(first["input"], dict) and first["type"] == "value_error"):
        return f"{source}: {f'{key}: ' if key else ''}expected {accepted}"
    return f"{source}: {key} = {value}; accepted: {accepted}"


def parse(value: Json, source: str) -> Config:
    """A validated config from plain data; `source` names the file in messages.

    Raises:
        RunError: one line with file, key, value and what is accepted.
    """
    try:
        return Config.model_validate(value)
    except ValidationError as e:
        raise RunError(_explain(source, e)) from None


def read(path: Path, **changes: dict[str, Any] | int | str) -> Config:
    """The config of a YAML file, with some keys replaced, e.g. ``optimizer={"weight_decay": 0}``.

    Raises:
        RunError: for an unreadable file or an invalid value.
    """
    value = read_yaml(path)
    for key, change in changes.items():
        section = value.get(key)
        both = isinstance(change, dict) and isinstance(section, dict)
        value[key] = {**section, **change} if both else change  # type: ignore[dict-item]
    return parse(value, str(path))
