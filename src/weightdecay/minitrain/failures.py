"""Three failures on purpose, each behind one switch: ``failure: init | warmup | mask`` in a config.

``none``    the default; a config that leaves the key out has it
``init``    every weight matrix starts `INIT_FACTOR` times larger than ``model.init_std``
``warmup``  the learning rate starts at its peak; ``optimizer.warmup_steps`` is ignored
``mask``    in training, and only there, a token attends to the later tokens of its own sentence

Everything else stays as the config says, so a failed run and its healthy counterpart differ in one
key. None can be turned on by accident: without the switch, a config whose numbers amount to the
first two is refused (`complaint`), and no other key leads to the third.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from weightdecay.minitrain.config import Config

Failure: TypeAlias = Literal["none", "init", "warmup", "mask"]

INIT_FACTOR = 100
# Ten times the usual 0.02. Weights of that size still train.
MAX_INIT_STD = 0.2
# Up to here the recipe trains well from the first step on; at three times this it does not.
MAX_RATE_WITHOUT_WARMUP = 0.01


def init_std(config: Config) -> float:
    """Standard deviation of the initial weights."""
    return config.model.init_std * (INIT_FACTOR if config.failure == "init" else 1)


def warmup_steps(config: Config) -> int:
    """Steps over which the learning rate climbs to its peak."""
    return 0 if config.failure == "warmup" else config.optimizer.warmup_steps


def causal(config: Config) -> bool:
    """Whether the mask of the training batches hides later tokens of the same sentence."""
    return config.failure != "mask"


def complaint(config: Config) -> str | None:
    """What in `config` is one of the failures without its switch, as ``expected … to be …``."""
    std, o = config.model.init_std, config.optimizer
    if std > MAX_INIT_STD and config.failure != "init":
        return (
            f"expected model.init_std = {std:g} to be at most {MAX_INIT_STD:g}; "
            "for a bad start on purpose set failure: init"
        )
    # One step of warmup is none: it is at the peak already.
    matters = o.learning_rate > MAX_RATE_WITHOUT_WARMUP and o.warmup_steps < 2
    if matters and config.failure != "warmup":
        return (
            f"expected optimizer.warmup_steps = {o.warmup_steps} to be at least 2 with a "
            f"learning_rate above {MAX_RATE_WITHOUT_WARMUP:g}; "
            "for none on purpose set failure: warmup"
        )
    return None
