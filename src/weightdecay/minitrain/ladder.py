"""The diagnostic ladder: four rungs from "the curves differ" to a cause.

The rungs compute their evidence from run directories and are in `rungs`; here is the order in
which they are climbed and where it stops. ``python -m weightdecay diagnose A B [C …]``; further
runs serve as the ablation. Rungs 5 to 8, about a single run, are in `signatures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from weightdecay.minitrain import differences
from weightdecay.minitrain.rungs import (
    DECAY,
    NO_EVIDENCE,
    NOT_SUPPORTED,
    SUPPORTED,
    Rung,
    ablation,
    climbing_norm,
    different_losses,
    memorised_or_learned,
    one_difference,
    weight_decay,
)
from weightdecay.runs import MANIFEST, Run, RunError, load


@dataclass(frozen=True)
class Report:
    """The rungs that were climbed and where that leaves the reader."""

    rungs: list[Rung]
    conclusion: str


def choose_pair(runs: Sequence[Run]) -> tuple[Run, Run, list[Run]]:
    """The first run, the best partner for it among the others, and the rest.

    The best partner differs in one key that is not the seed; failing that, the next run is it.
    """
    a, *others = runs
    pairs = (b for b in others if one_difference(a, b).verdict == SUPPORTED)
    b = next(pairs, others[0])
    return a, b, [run for run in others if run is not b]


def siblings(given: Sequence[Run]) -> list[Run]:
    """Readable runs in the directory of the first given run that were not given themselves."""
    known = {run.path.resolve() for run in given}
    found = []
    for path in sorted(given[0].path.resolve().parent.glob("*/" + MANIFEST)):
        if path.parent not in known:
            with suppress(RunError):
                found.append(load(path.parent))
    return found


def diagnose(a: Run, b: Run, others: Sequence[Run] = ()) -> Report:
    """Climb the ladder with two runs in either order; `others` may hold the ablation."""
    first = one_difference(a, b)
    keys = differences.table([a, b])
    if first.verdict != SUPPORTED:
        equal = not keys and not differences.hidden([a, b])
        if equal and (a.final["step"] != b.final["step"] or different_losses(a, b)):
            return Report([first], "Stopped at rung 1: nothing written down explains the curves.")
        if equal:
            return Report([first], "The runs are equal: there is nothing to diagnose.")
        return Report([first], "Stopped at rung 1: more than one thing could explain the curves.")
    for run in (a, b):
        if run.final.get("train_loss") is None or run.final.get("val_loss") is None:
            step = run.final["step"]
            return Report(
                [first],
                f"{run.name} has no finite loss at step {step}: it diverged. The ladder is about "
                "runs that train; look for the cause of that first.",
            )
    if list(keys) != [DECAY]:
        return Report(
            [first],
            f"The runs differ in {next(iter(keys))}, not in weight decay; rungs 2 to 4 are about "
            "weight decay. Rungs 5 to 8 look at one run each: just phase-18-diagnose RUN.",
        )
    less, more = sorted((a, b), key=weight_decay)
    rungs = [
        first,
        climbing_norm(less, more),
        memorised_or_learned(less, more),
        ablation(less, more, others),
    ]
    words = {
        v: [str(r.number) for r in rungs if r.verdict == v]
        for v in (SUPPORTED, NOT_SUPPORTED, NO_EVIDENCE)
    }
    tally = "; ".join(f"{v}: {', '.join(n)}" for v, n in words.items() if n)
    if less.final["step"] != more.final["step"]:
        return Report(rungs, f"Rungs {tally}. The runs stand at different steps.")
    difference = less.final["val_loss"] - more.final["val_loss"]
    return Report(
        rungs,
        f"Rungs {tally}. Less decay (λ = {weight_decay(less):g} against {weight_decay(more):g}) "
        f"changes the final validation loss by {difference:+.3f} nats for this seed.",
    )
