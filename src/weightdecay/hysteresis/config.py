"""One run of the hysteresis experiment, as it stands in ``config.yaml``: checked here, once."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from weightdecay.runs import Json, RunError

PROTOCOL = 1
"""Goes up whenever the same config would give other numbers: results of two versions never mix."""

Arm = Literal[
    "fresh", "imprint", "norm_matched", "shuffled", "shifted", "random_cells", "smooth", "top_reset"
]
Finite = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Config(BaseModel):
    """What one run does. The defaults are the article's script."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    protocol: int = PROTOCOL
    seed: Annotated[int, Field(ge=0)]
    arm: Arm
    """The weights that phase B starts from; see `audit.STARTS`."""
    weight_decay: Finite
    rule: Literal["adam_l2", "adamw"] = "adam_l2"
    task: Literal["saddle", "scrambled"] = "saddle"
    blind: bool = True
    """Is the disc left out of phase B?"""
    loss_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Factor of the loss in phase B."""
    steps: Annotated[int, Field(ge=0)] = 800
    """Of phase B; 0 probes the weights as they start."""
    points: Annotated[int, Field(ge=1)] = 5000
    """In each of the two phases; every step sees them all."""


def parse(values: Json, source: str) -> Config:
    """The checked config.

    Raises:
        RunError: naming source, key, value and what is accepted, in one line.
    """
    if values.get("protocol", PROTOCOL) != PROTOCOL:
        raise RunError(
            f"{source}: protocol = {values['protocol']}; this is version {PROTOCOL} of the "
            "protocol, whose results do not mix with those of others"
        )
    try:
        return Config.model_validate(values)
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            accepted = ", ".join(Config.model_fields)
            raise RunError(f"{source}: unknown key {key}; accepted: {accepted}") from None
        if first["type"] == "missing":
            raise RunError(f"{source}: {key} is missing") from None
        if key == "arm":
            accepted = ", ".join(get_args(Arm))
            raise RunError(f"{source}: arm = {first['input']}; accepted: {accepted}") from None
        raise RunError(f"{source}: {key} = {first['input']!r}; {first['msg']}") from None
