"""A calculator of doses for a page without a kernel; `calculator.js` has the same sums."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from weightdecay import decay
from weightdecay.interactive import ASSETS_VARIABLE, _environment, asset

MOST_STEPS = 5_000_000


@dataclass(frozen=True)
class Run:
    """What the dose depends on."""

    peak: float = 3e-4
    """Largest learning rate."""
    decay: float = 0.1
    """Decoupled, as torch's AdamW takes it: each step multiplies by 1 - eta lambda."""
    steps: int = 10_000
    schedule: Literal["constant", "cosine", "wsd"] = "cosine"
    warmup: int = 500
    """Steps; not for the constant schedule."""
    final: float = 0.1
    """Last learning rate over the peak."""
    cooldown: float = 0.2
    """Share of the run, of warmup-stable-decay alone."""
    wanted: float = 3.0
    """A dose that one would like to have."""


def learning_rates(run: Run) -> list[float]:
    """Of each step.

    Raises:
        ValueError: if warmup, and under wsd the cooldown, do not fit into the run.
    """
    final = run.final * run.peak
    rate = {
        "constant": functools.partial(decay.constant_learning_rate, peak=run.peak),
        "cosine": functools.partial(
            decay.cosine_learning_rate, peak=run.peak, final=final, warmup=run.warmup
        ),
        "wsd": functools.partial(
            decay.wsd_learning_rate, peak=run.peak, final=final, warmup=run.warmup,
            cooldown=round(run.cooldown * run.steps),
        ),
    }[run.schedule]  # fmt: skip
    return [rate(t, steps=run.steps) for t in range(run.steps)]


def answers(run: Run) -> dict[str, float]:
    """Dose; share of a weight left without gradients; tau in steps and as a share of the run; and
    the decay that gives the wanted dose."""
    total = math.fsum(learning_rates(run))
    tau = decay.timescale(run.peak, run.decay)
    return {
        "dose": total * run.decay,
        "left": math.exp(-total * run.decay),
        "tau": tau,
        "share": tau / run.steps,
        "needed": run.wanted / total,
    }


LABELS = {
    "dose": "Dose",
    "left": "Left of a weight that gets no gradient",
    "tau": "Timescale at the peak",
    "share": "That is",
    "needed": "λ for the wanted dose",
}
FIELDS: tuple[dict[str, Any], ...] = (
    {"name": "peak", "label": "Peak learning rate", "least": 1e-9, "most": 10},
    {"name": "decay", "label": "Weight decay λ", "least": 0, "most": 1000},
    {"name": "steps", "label": "Steps", "least": 1, "most": MOST_STEPS},
    {
        "name": "schedule", "label": "Schedule",
        "choices": (
            ("cosine", "warmup, cosine"),
            ("wsd", "warmup, stable, linear decay"),
            ("constant", "constant"),
        ),
    },
    {"name": "warmup", "label": "Warmup, steps", "least": 0, "most": MOST_STEPS},
    {"name": "final", "label": "Last rate over peak", "least": 0, "most": 1},
    {"name": "cooldown", "label": "Cooldown, share of the run", "least": 0, "most": 1},
    {"name": "wanted", "label": "Dose that you want", "least": 0, "most": 1000},
)  # fmt: skip


def shown(key: str, value: float) -> str:
    """An answer as the page shows it."""
    if math.isinf(value):
        return "without end"
    percent = key in ("left", "share")
    number = 100 * value if percent else value
    text = f"{number:.3g}" if number == 0 or 1e-3 <= abs(number) < 1e6 else f"{number:.2e}"
    if "e" in text and 1e-3 <= abs(number) < 1e6:
        text = f"{float(text):.0f}"
    unit = {"left": "%", "share": "% of the run", "tau": " steps"}
    return text + unit.get(key, "")


@dataclass(frozen=True)
class Calculator:
    """Fields, answers, and where the dose stands among those of known runs.

    Args:
        name: Unique on its page; letters, digits and hyphens.
        start: What the fields hold first.
        landmarks: (dose, in words whose it is), in any order.
    """

    name: str
    start: Run
    landmarks: Sequence[tuple[float, str]] = ()

    def html(self) -> str:
        """For a page without a kernel."""
        assets = os.environ.get(ASSETS_VARIABLE)
        found = answers(self.start)
        return _environment.get_template("calculator.html").render(
            name=self.name,
            fields=FIELDS,
            start=asdict(self.start),
            answers=[(key, LABELS[key], shown(key, found[key])) for key in LABELS],
            landmarks=[
                {"dose": dose, "shown": shown("dose", dose), "words": words}
                for dose, words in sorted(self.landmarks)
            ],
            assets=assets,
            css="" if assets else asset("interactive.css"),
            script="" if assets else asset("calculator.js"),
        )

    def show(self) -> Any:
        """The same on the built site and in a live notebook."""
        from IPython.display import HTML

        return HTML(self.html())
