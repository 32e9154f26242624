"""Wrong answers to 17-referee-report that learners give.

No two letters are alike, so a letter is known by the first thing that is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from weightdecay.grading import Mistake

Letter = list[dict[str, Any]]
Predictions = dict[str, dict[str, str]]
RUBRIC: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parent / "rubric.json").read_text("utf-8")
)
THREATS: dict[str, dict[str, Any]] = RUBRIC["threats"]
HARMLESS: list[str] = RUBRIC["harmless"]
RIVALS: list[str] = list(RUBRIC["rivals"])
HEADLINE = (14, 15)
OF_PROBES = ("fresh-points", "random-labels", "floor-and-ceiling", "other-readouts")
OF_RUNS = ("more-runs", "paired-seeds", "raw-records", "fresh-lambda")
NO_CONTROLS = ("bigger-probe", "t-sne")
OUTCOMES = {"<": {-1}, "<=": {-1, 0}, "=": {0}, ">=": {0, 1}, ">": {1}}


def probe_report(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """The first of these that is so; else the whole letter."""
    letter: Letter = list(f())
    controls = {e["threat"]: e["control"] for e in letter}
    false = set(controls) & set(HARMLESS)
    if len(false) == len(HARMLESS):
        return "everything"
    if "blind-disc" in false:
        return "the design is a flaw"
    if false:
        return "a harmless thing is a flaw"
    if controls and {THREATS[t]["question"] for t in controls} == {"luck"}:
        return "luck only"
    if set(controls.values()) & set(NO_CONTROLS):
        return "what settles nothing is a control"
    against_size = controls.get("size")
    if against_size in OF_PROBES:
        return "the probe is mended against size"
    if against_size in OF_RUNS or "more-runs" in controls.values():
        return "runs against a bias"
    if len(letter) >= 4 and sum(e["sentence"] in HEADLINE for e in letter) > len(letter) / 2:
        return "the headline is where it is wrong"
    if len(controls) >= 4 and not set(RIVALS) <= set(controls):
        return "a rival is not listed"
    return letter


def probe_predictions(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    """The first of these that is so; else the predictions."""
    value: Predictions = f()
    if set(value) <= {*THREATS, *HARMLESS} and set(value) != set(RIVALS):
        return "no rivals"
    pairs = [(p["if_memory"].split(), p["if_rival"].split()) for p in value.values()]
    if any(m == r for m, r in pairs):
        return "the same"
    if any({m[0], m[2]} == {"imprint", "fresh"} for m, _ in pairs):
        return "what the report has measured"
    turned = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
    straight = [(m, r if r[0] == m[0] else [r[2], turned.get(r[1], r[1]), r[0]]) for m, r in pairs]
    if any(OUTCOMES[m[1]] & OUTCOMES[r[1]] for m, r in straight):
        return "overlap"
    if any(m[0] == "imprint" and ">" not in m[1] for m, _ in straight):
        return "turned round"
    return value


def letter(**controls: str) -> Letter:
    """An entry for each threat, right but for the controls given."""
    return [
        {
            "threat": name,
            "sentence": threat["sentences"][0],
            "control": controls.get(name.replace("-", "_"), threat["controls"][0]),
            "why": f"If {name} is real, then the scores do not mean what is said.",
        }
        for name, threat in THREATS.items()
    ]


def only(*names: str) -> Letter:
    return [e for e in letter() if e["threat"] in names]


def without(*names: str) -> Letter:
    return [e for e in letter() if e["threat"] not in names]


def with_false(*names: str) -> Letter:
    return letter() + [
        {
            "threat": name,
            "sentence": 5,
            "control": "floor-and-ceiling",
            "why": f"Because of {name} one should not believe what is concluded here.",
        }
        for name in names
    ]


def everywhere(**changed: Any) -> Letter:
    return [{**e, **changed} for e in letter()]


def gives(value: Any) -> Callable[[], Any]:
    return lambda: value


RIGHT: Predictions = {
    "size": {"if_memory": "imprint > norm-matched", "if_rival": "imprint = norm-matched"},
    "probe-learns": {
        "if_memory": "imprint > other-imprint",
        "if_rival": "imprint = other-imprint",
    },
}


def compared(memory: str, rival: str, threat: str = "size") -> Predictions:
    """Right but for the predictions for one rival."""
    return {**RIGHT, threat: {"if_memory": memory, "if_rival": rival}}


def named(*threats: str) -> Predictions:
    return dict(zip(threats, RIGHT.values(), strict=True))


PROBES = {"report": probe_report, "predictions": probe_predictions}
MISTAKES = [
    Mistake("everything", "report", gives(with_false(*HARMLESS))),
    Mistake("blind-disc", "report", gives(with_false("blind-disc"))),
    Mistake("blind-disc", "report", gives(with_false("blind-disc", "capacity"))),
    Mistake("harmless", "report", gives(with_false("capacity"))),
    Mistake("harmless", "report", gives(with_false("frozen", "full-batch"))),
    Mistake("only-luck", "report", gives(only("unpaired", "selection"))),
    Mistake("only-luck", "report", gives(only("unpaired"))),
    Mistake("no-rival", "report", gives(without("size"))),
    Mistake("no-rival", "report", gives(without("probe-learns"))),
    Mistake("no-rival", "report", gives(without("size", "probe-learns", "imprint-quality"))),
    Mistake("more-runs", "report", gives(letter(size="more-runs"))),
    Mistake("more-runs", "report", gives(letter(size="paired-seeds"))),
    Mistake("more-runs", "report", gives(letter(unpaired="more-runs"))),
    Mistake("more-runs", "report", gives(everywhere(control="more-runs"))),
    Mistake("probe-mended", "report", gives(letter(size="fresh-points"))),
    Mistake("probe-mended", "report", gives(letter(size="random-labels"))),
    Mistake("no-control", "report", gives(letter(probe_learns="bigger-probe"))),
    Mistake("no-control", "report", gives(letter(size="t-sne"))),
    Mistake("headline", "report", gives(everywhere(sentence=15))),
    Mistake("headline", "report", gives(everywhere(sentence=14))),
    Mistake("no-rivals-predicted", "predictions", gives(named("in-sample", "unpaired"))),
    Mistake("no-rivals-predicted", "predictions", gives(named("size", "in-sample"))),
    Mistake("same", "predictions", gives(compared("imprint > fresh", "imprint > fresh"))),
    Mistake(
        "same",
        "predictions",
        gives(compared("imprint > norm-matched", "imprint > norm-matched")),
    ),
    Mistake("published", "predictions", gives(compared("imprint > fresh", "imprint = fresh"))),
    Mistake("published", "predictions", gives(compared("imprint > fresh", "imprint <= fresh"))),
    Mistake(
        "overlap",
        "predictions",
        gives(compared("imprint >= norm-matched", "imprint <= norm-matched")),
    ),
    Mistake(
        "overlap",
        "predictions",
        gives(compared("imprint >= other-imprint", "imprint = other-imprint", "probe-learns")),
    ),
    Mistake(
        "overlap",
        "predictions",
        gives(compared("imprint >= shuffled", "shuffled >= imprint")),
    ),
    Mistake(
        "turned",
        "predictions",
        gives(compared("imprint = norm-matched", "imprint > norm-matched")),
    ),
    Mistake("turned", "predictions", gives(compared("imprint < shuffled", "imprint = shuffled"))),
]
