"""What it takes to pretrain one of the paper's models."""

from __future__ import annotations

from dataclasses import dataclass

from weightdecay.plan import ROOT
from weightdecay.plasticity.scale import models
from weightdecay.plasticity.scale.config import Config, read

CONFIGS = ROOT / "experiments" / "plasticity-scale"
PEAK = 989e12
"""FLOP/s of an H100 SXM in bf16 without sparsity, by its data sheet."""
UTILIZATION = 0.4
"""Share of the peak, an assumption of ours; the paper's hours come to half of it."""
PAPER_HOURS = {"olmo-2-1b": 2 * 24 * 8.0, "olmo-2-1b-140x": 14 * 24 * 8.0}
"""GPU hours in the paper's appendix B.2: 2 days and 2 weeks on 8 H100."""


@dataclass(frozen=True)
class Cost:
    """What one pretraining run takes."""

    name: str
    parameters: int
    tokens: int
    flops: float
    """6 N tokens: forward and backward, attention's own products not counted."""
    gpu_hours: float
    peak: float
    utilization: float
    paper_hours: float | None

    @property
    def paper_utilization(self) -> float | None:
        """Share of the peak that the paper's hours come to."""
        return self.paper_hours and self.flops / (self.paper_hours * 3600 * self.peak)

    def __str__(self) -> str:
        paper = ""
        if self.paper_hours:
            share = f"{self.paper_utilization:.0%} of that peak"
            paper = f"; the paper's run took {self.paper_hours:,.0f}, {share}"
        return (
            f"{self.name}: {self.parameters:,} parameters, {self.tokens:,} tokens, "
            f"{self.gpu_hours:,.1f} GPU hours, assuming {self.utilization:.0%} of "
            f"{self.peak / 1e12:g} TFLOP/s{paper}"
        )


def cost(
    config: Config, name: str = "run", *, peak: float = PEAK, utilization: float = UTILIZATION
) -> Cost:
    """GPU hours of a run: 6 N tokens / (peak utilization)."""
    parameters = models.count(config.model)
    tokens = config.steps * config.training.batch * config.model.context
    flops = 6.0 * parameters * tokens
    hours = flops / (peak * utilization) / 3600
    return Cost(name, parameters, tokens, flops, hours, peak, utilization, PAPER_HOURS.get(name))


def costs(*, peak: float = PEAK, utilization: float = UTILIZATION) -> list[Cost]:
    """Of every configuration of the paper's in `experiments/plasticity-scale`."""
    names = ("llama-2-0.5b", "llama-2-1b", "olmo-2-1b", "olmo-2-1b-140x")
    return [
        cost(read(CONFIGS / f"{name}.yaml"), name, peak=peak, utilization=utilization)
        for name in names
    ]
