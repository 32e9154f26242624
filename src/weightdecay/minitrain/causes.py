"""Five causes to tell apart: healthy, no weight decay, and three failures on purpose.

All of one recipe, ``experiments/sibling-failures/config.yaml``; each differs from healthy in one
key.
"""

from __future__ import annotations

from weightdecay.minitrain import config as config_file
from weightdecay.minitrain import recipe
from weightdecay.minitrain.config import Config
from weightdecay.runs import Json

FOLDER = recipe.EXPERIMENTS / "sibling-failures"
RECIPE = FOLDER / "config.yaml"
CAUSES = {
    "healthy": "nothing is wrong",
    "no-decay": "weight decay is 0",
    "init": "the initial weights are 100 times too large",
    "warmup": "the learning rate has no warmup",
    "mask": "in training the decoder sees the future",
}


def config(cause: str, seed: int) -> Config:
    """The recipe with this cause.

    Raises:
        RunError: for an invalid seed.
    """
    if cause == "no-decay":
        return config_file.read(RECIPE, seed=seed, optimizer={"weight_decay": 0.0})
    failure = "none" if cause == "healthy" else cause
    return config_file.read(RECIPE, seed=seed, failure=failure)


def cause_of(written: Json) -> str:
    """The cause that is in a config as `Config.model_dump` writes it."""
    if failure := written.get("failure"):
        return str(failure)
    return "healthy" if written["optimizer"]["weight_decay"] else "no-decay"
