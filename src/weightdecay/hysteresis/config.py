"""One run of the hysteresis experiment, as it stands in ``config.yaml``: checked here, once."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

PROTOCOL: Final = 1
"""Goes up whenever the same config would give other numbers: results of two versions never mix."""

Arm = Literal[
    "fresh", "imprint", "norm_matched", "shuffled", "shifted", "random_cells", "smooth", "top_reset"
]
Finite = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Config(BaseModel):
    """What one run does. The defaults are the article's script."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    protocol: Literal[1] = PROTOCOL
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
