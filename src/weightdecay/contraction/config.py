"""One run of the contraction experiment, as it stands in ``config.yaml``: checked here, once."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

PROTOCOL: Final = 1
"""Goes up whenever the same config would give other numbers: results of two versions never mix."""

Name = Literal["regression", "classifier", "autoencoder"]


class Config(BaseModel):
    """What one run does. A problem's sizes are in `problems`, the training's in `train`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    protocol: Literal[1] = PROTOCOL
    seed: Annotated[int, Field(ge=0)]
    """Of points, noise and initial weights, the same ones for every decay and arm."""
    problem: Name
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Lambda of AdamW, for the weight matrices."""
