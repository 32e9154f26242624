"""What the dashboard draws: panels of series, as plain data for the page's script."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import TypedDict

import numpy as np

from weightdecay.minitrain import corpus, sealing
from weightdecay.minitrain.metrics import GROUPS
from weightdecay.runs import Json, Run

Number = float | None
TENSE_SLICES = [f"val/{tense}" for tense in corpus.TENSES]
SLICES = ["train/regular", "train/irregular", "val/regular", "val/irregular"]


class Series(TypedDict):
    """One line: `x` names the run's axis values (``eval`` or ``step``), `dash` its line style."""

    run: int
    label: str
    dash: str
    x: str
    y: list[Number]


class Panel(TypedDict):
    """One chart; `variants` are chosen by a menu when there is more than one."""

    id: str
    title: str
    unit: str
    kind: str
    log: bool
    reading: str
    text: str
    variants: dict[str, list[Series]]
    lines: list[tuple[str, float]]


class Page(TypedDict):
    """All that the script needs: runs with setting and axes, and the panels."""

    runs: list[Json]
    settings: list[str]
    panels: list[Panel]


def setting(run: Run) -> str:
    """The config without its seed: runs that share it are repetitions of one setting.

    What sealed runs share nobody knows: each is a setting of its own.
    """
    seal = {sealing.KEY: run.manifest[sealing.KEY]} if sealing.is_sealed(run) else {}
    shared = {k: v for k, v in run.config.items() if k != "seed"}
    return json.dumps({**shared, **seal}, sort_keys=True)


def number(value: object) -> Number:
    """A finite number with six significant digits, or None."""
    if isinstance(value, int | float) and math.isfinite(value):
        return float(f"{value:.6g}")
    return None


def _axes(run: Run) -> dict[str, dict[str, list[Number]]]:
    """Step, epoch and dose of each evaluation and of each step record."""
    steps = run.series("step")
    axes: dict[str, dict[str, list[Number]]] = {}
    for name, at in (("eval", steps), ("step", [float(r["step"]) for r in run.steps])):
        axes[name] = {"step": [number(x) for x in at]}
        for key in ("epoch", "dose"):
            axes[name][key] = [number(float(x)) for x in np.interp(at, steps, run.series(key))]
    return axes


def _lines(runs: Sequence[Run], keys: dict[str, tuple[str, str]]) -> list[Series]:
    """One series per run and key; `keys` maps a metric to its label and dash."""
    return [
        Series(run=i, label=label, dash=dash, x="eval", y=[number(v) for v in run.series(key)])
        for i, run in enumerate(runs)
        for key, (label, dash) in keys.items()
    ]


def _step_lines(runs: Sequence[Run], key: str) -> list[Series]:
    return [
        Series(run=i, label="", dash="solid", x="step", y=[number(r.get(key)) for r in run.steps])
        for i, run in enumerate(runs)
    ]


def _bars(runs: Sequence[Run], names: Sequence[str]) -> list[Series]:
    """One bar series per run over the slices `names`."""
    return [
        Series(
            run=i,
            label="",
            dash="solid",
            x=json.dumps(names),
            y=[number(run.final.get(f"accuracy/{n}")) for n in names],
        )
        for i, run in enumerate(runs)
    ]


def _in_words(runs: Sequence[Run], series: Sequence[Series], digits: str = ".3g") -> str:
    """First and last value of every series: the chart for who does not see it."""
    parts = []
    for s in series:
        values = [v for v in s["y"] if v is not None]
        name = f"{runs[s['run']].name} {s['label']}".strip()
        if values:
            parts.append(f"{name}: from {values[0]:{digits}} to {values[-1]:{digits}}")
        else:
            parts.append(f"{name}: no value")
    return "; ".join(parts) + "."


def _bars_in_words(runs: Sequence[Run], names: Sequence[str]) -> str:
    rows = []
    for run in runs:
        values = ((n, run.final.get(f"accuracy/{n}")) for n in names)
        rows.append(f"{run.name}: " + ", ".join(f"{n} {v:.0%}" for n, v in values if v is not None))
    return "; ".join(rows) + "."


def _references(runs: Sequence[Run]) -> list[tuple[str, float]]:
    """Baselines and floor of the losses, if the runs agree on them."""
    m = runs[0].manifest
    if any(run.manifest.get("data_sha256") != m.get("data_sha256") for run in runs):
        return []
    baselines = m.get("baselines", {})
    lines = [(f"{name}, validation", losses["val"]) for name, losses in baselines.items()]
    return [*lines, ("entropy floor", m["entropy_floor"])] if "entropy_floor" in m else lines


def build(runs: Sequence[Run]) -> Page:
    """The page data of one or more runs."""
    settings = list(dict.fromkeys(setting(run) for run in runs))
    sealed = [run.name for run in runs if sealing.is_sealed(run)]
    withheld = f" Withheld until the reveal: {', '.join(sealed)}." if sealed else ""
    panels: list[Panel] = []

    def add(
        id: str,
        title: str,
        unit: str,
        reading: str,
        variants: dict[str, list[Series]],
        *,
        kind: str = "lines",
        log: bool = False,
        text: str = "",
        lines: Callable[[], list[tuple[str, float]]] = list,
    ) -> None:
        if not variants:
            return
        text = text or _in_words(runs, next(iter(variants.values())))
        panels.append(
            Panel(
                id=id,
                title=title,
                unit=unit,
                kind=kind,
                log=log,
                reading=reading,
                text=text,
                variants=variants,
                lines=lines(),
            )
        )

    both = {"train{}": ("train", "solid"), "val{}": ("validation", "dash")}

    def losses(part: str) -> list[Series]:
        return _lines(runs, {k.format(f"_loss{part}"): v for k, v in both.items()})

    add(
        "loss",
        "Train and validation loss",
        "nats per token",
        "Solid: all 240 training sentences. Dashed: all 60 validation sentences.",
        {
            "whole sentence": losses(""),
            "form only": losses("_form"),
            "features only": losses("_features"),
        },
        log=True,
        lines=lambda: _references(runs),
    )
    add(
        "gap",
        "Gap: validation less train loss",
        "nats per token",
        "Both losses of the same model. Above zero: better on the sentences it was trained on.",
        {
            "whole sentence": _lines(runs, {"gap": ("", "solid")}),
            "what the form adds": _lines(runs, {"gap_form": ("", "solid")}),
            "what the features add": _lines(runs, {"gap_features": ("", "solid")}),
        },
    )
    add(
        "norm",
        "Weight norm by group",
        "Frobenius norm",
        "Over its initial value: 1 is where training began.",
        {
            f"{GROUPS[g]}, {how}": _lines(runs, {f"{key}/{g}": ("", "solid")})
            for key, how in (("growth", "over initial"), ("norm", "absolute"))
            for g in GROUPS
        },
    )
    add(
        "spectral",
        "Spectral norm by matrix",
        "largest singular value",
        "The most a matrix can stretch a vector.",
        {
            k.removeprefix("spectral/"): _lines(runs, {k: ("", "solid")})
            for k in dict.fromkeys(k for run in runs for k in run.final)
            if k.startswith("spectral/")
        },
    )
    add(
        "update",
        "Update-to-weight ratio",
        "‖update‖ / ‖weights‖",
        "How far one optimizer step turns or stretches a group, relative to its size.",
        {GROUPS[g]: _lines(runs, {f"update/{g}": ("", "solid")}) for g in GROUPS},
        log=True,
    )
    add(
        "grad",
        "Gradient norm before clipping",
        "norm",
        "Every tenth step, over all parameters.",
        {"all": _step_lines(runs, "grad_norm")},
        log=True,
    )
    add(
        "batch",
        "Loss of the training batch",
        "nats per token",
        "Every tenth step, before the update: the loss as the optimizer sees it.",
        {"all": _step_lines(runs, "batch_loss")},
        log=True,
        lines=lambda: _references(runs)[-1:],
    )
    add(
        "calibration",
        "Calibration of Adam's v_t",
        "squared gradient / v_t",
        "Around 1 the second-moment estimate fits the gradients it scales.",
        {
            name: _lines(runs, {f"calibration/{name}": ("", "solid")})
            for name in ("embedding", "all")
        },
        log=True,
    )
    add(
        "rate",
        "Learning rate",
        "per step",
        "Of the step before each evaluation." + withheld,
        {"learning rate": _lines(runs, {"learning_rate": ("", "solid")})},
    )
    add(
        "dose",
        "Dose",
        "sum of η·λ",
        "Weights without gradient have shrunk by a factor of about exp(−dose)." + withheld,
        {"dose": _lines(runs, {"dose": ("", "solid")})},
    )
    add(
        "accuracy",
        "Accuracy by slice along the run",
        "exact match",
        "Greedy spelling of the form from its features.",
        {
            s: _lines(runs, {f"accuracy/{s}": ("", "solid")})
            for s in (*reversed(SLICES), *TENSE_SLICES)
        },
    )
    add(
        "slices",
        "Accuracy by slice at the end",
        "exact match",
        "A slice that is high in train and low in validation was memorized.",
        {"by regularity": _bars(runs, SLICES), "validation by tense": _bars(runs, TENSE_SLICES)},
        kind="bars",
        text=_bars_in_words(runs, SLICES),
    )
    return Page(
        runs=[
            {"name": r.name, "setting": settings.index(setting(r)), "axes": _axes(r)} for r in runs
        ],
        settings=[_setting_name(runs, s) for s in settings],
        panels=panels,
    )


def _setting_name(runs: Sequence[Run], wanted: str) -> str:
    """How a setting is called where its seeds are drawn together: its shortest run name."""
    return min((run.name for run in runs if setting(run) == wanted), key=len)
