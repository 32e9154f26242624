"""One run of tuning by rewards, as it stands in ``config.yaml``."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from weightdecay.plasticity.config import Nonnegative, Positive, Pretrain, Size

PROTOCOL: Final = 1
"""As in `config.py`."""
Method: TypeAlias = Literal["sft", "reinforce", "positive", "negative"]


class Reinforce(BaseModel):
    """A base model, a policy with two formats made of it, and what is done to that policy.

    In this order: supervised tuning on few examples of an expert, if any; the method; and two
    other tasks, each from there, if asked for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    protocol: Literal[1] = PROTOCOL
    seed: Annotated[int, Field(ge=0)]
    """Of the base model, of all examples, and with `draw` of what the policy is asked and says."""
    draw: Annotated[int, Field(ge=0)] = 0
    """Runs of other draws start from the same policy: other samples, batches in another order."""
    weight_decay: Nonnegative = 0.1
    """In pretraining."""
    size: Size = "30k"
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Of solutions in the format ``last``, in what the policy is tuned on."""
    expert_examples: Annotated[int, Field(ge=0)] = 0
    """Solutions in the format ``first``."""
    expert_epochs: Annotated[int, Field(ge=1)] = 1
    method: Method = "reinforce"
    epochs: Annotated[int, Field(ge=0)] = 8
    """Of the method; each has every prompt once."""
    learning_rate: Positive
    """Of expert and method, constant behind a short warmup."""
    finetune_decay: Nonnegative = 0.0
    """Lambda of both, decoupled, toward 0."""
    to_start: Nonnegative = 0.0
    """Lambda toward the weights before the method (L2-Init)."""
    kl: Nonnegative = 0.0
    """Coefficient of KL(model || policy before the method)."""
    second: bool = False
    """Are other tasks learned at the end?"""

    @field_validator("to_start")
    @classmethod
    def _one_way(cls, to_start: float, info: ValidationInfo) -> float:
        if to_start and info.data.get("finetune_decay"):
            raise ValueError("expected 0 beside a finetune_decay: weights decay one way")
        return to_start

    def base(self) -> Pretrain:
        """The base model that the policy is made of."""
        return Pretrain(seed=self.seed, weight_decay=self.weight_decay, size=self.size)
