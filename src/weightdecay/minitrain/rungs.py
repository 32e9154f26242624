"""The four rungs of the diagnostic ladder: each a claim, a threshold, evidence and a verdict."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from scipy.stats import binomtest

from weightdecay.minitrain import corpus, differences, recipe
from weightdecay.runs import CONFIG, RESULTS, Run, RunError

CLIMBS, HOLDS = 2.0, 1.25  # growth of a norm over its initial value
MEMORIZED, SIGNIFICANT = 0.95, 0.05  # training accuracy; p-value
MARGIN = 0.05  # nats by which an over-decayed run's losses must lie above the control's

DECAY = "optimizer.weight_decay"
HASHED = {
    "initial_weights_sha256": "initial weights",
    "batch_order_sha256": "batch order",
    "data_sha256": "data",
}


class Verdict(StrEnum):
    """What the evidence says of a rung's claim."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    NO_EVIDENCE = "no evidence yet"


SUPPORTED, NOT_SUPPORTED, NO_EVIDENCE = Verdict


@dataclass(frozen=True)
class Rung:
    """One step of the diagnosis.

    `claim` is what would be true if the textbook story held; `evidence` are sentences computed
    from the runs; `next_step` is what to run or do, empty if nothing is missing.
    """

    number: int
    claim: str
    threshold: str
    verdict: Verdict
    evidence: list[str]
    next_step: str = ""


def weight_decay(run: Run) -> float:
    """λ of a run."""
    return float(run.config["optimizer"]["weight_decay"])


def _command(run: Run, decay: float) -> str:
    """What trains a run like `run` with this weight decay, into a directory beside it."""
    seed = int(run.config["seed"])
    same = decay == weight_decay(run)
    out = run.path if same else recipe.run_directory(decay, seed, run.path.resolve().parent)
    words = [f"seed={seed}", f"weight_decay={decay:g}"]
    if out.resolve() != recipe.run_directory(decay, seed).resolve():
        words.append(f"out={shlex.quote(str(out))}")
    words.append("just phase-18-train")
    with suppress(RunError):
        if recipe.read_config(weight_decay(run), seed).model_dump() != run.config:
            words.append(f"--config {shlex.quote(str(run.path / CONFIG))}")
    return " ".join(words)


def _finish(run: Run) -> str:
    """What completes a run that has no readable results."""
    command = _command(run, weight_decay(run))
    if (run.path / RESULTS).exists():
        return f"Its {RESULTS} cannot be read; train it again: {command} --force"
    return f"Finish it: {command} (it goes on from its checkpoint)"


def one_difference(a: Run, b: Run) -> Rung:
    """Rung 1: is anything but one key different?"""
    keys, hidden = differences.table([a, b]), differences.hidden([a, b])
    evidence = [differences.sentence([a, b])]
    if not keys and not hidden:
        evidence.append(_same_results(a, b))
    if "seed" in keys:
        evidence.append(
            "The seed differs, so luck is not ruled out: other initial weights and "
            "another batch order move the losses by themselves."
        )
    elif len(keys) == 1 and not hidden:
        same: list[str] = []
        other: list[str] = []
        for key, words in HASHED.items():
            (same if a.manifest.get(key) == b.manifest.get(key) else other).append(words)
        evidence.append(f"The same in both runs, by hash: {', '.join(same) or 'nothing'}.")
        if other:
            evidence.append(f"That key decides these, too: {', '.join(other)}.")
    one = len(keys) == 1 and not hidden and "seed" not in keys
    return Rung(
        1,
        "The runs differ in one key and in nothing else, so the difference is not luck.",
        "exactly one key differs, it is not the seed, and the manifests agree on data, torch "
        "version and threads, and on initial weights and batch order where that key leaves them",
        SUPPORTED if one else NOT_SUPPORTED,
        evidence,
        ""
        if one
        else "Train a pair that differs in one key: seed=42 weight_decay=0.0 just phase-18-train",
    )


def different_losses(a: Run, b: Run) -> list[str]:
    """The final losses in which two runs differ."""
    return [k for k in ("train_loss", "val_loss") if a.final.get(k) != b.final.get(k)]


def _same_results(a: Run, b: Run) -> str:
    differ = different_losses(a, b)
    if a.final["step"] != b.final["step"]:
        return f"They were stopped at different steps: {a.final['step']} and {b.final['step']}."
    if differ:
        return f"Yet their final {' and '.join(differ)} differ: the training is not reproducible."
    return "Their final losses are equal to the last digit: these are two copies of one run."


def _growth(run: Run) -> dict[str, float]:
    return {
        k.removeprefix("growth/"): v
        for k, v in run.final.items()
        if k.startswith("growth/") and v is not None
    }


def climbing_norm(less: Run, more: Run) -> Rung:
    """Rung 2: which norm climbs with less decay and holds with more?"""
    claim = "One weight norm climbs without decay and holds with it."
    threshold = (
        f"some group ends at {CLIMBS:g}× its initial norm or more in the run with less decay and "
        f"at {HOLDS:g}× or less in the other"
    )
    growth, other = _growth(less), _growth(more)
    shared = [g for g in growth if g in other]
    found = [g for g in shared if growth[g] >= CLIMBS and other[g] <= HOLDS]
    evidence = [
        f"{g}: {growth[g]:.2f}× its initial norm in {less.name}, {other[g]:.2f}× in {more.name} "
        f"(ratio {growth[g] / other[g]:.2f})"
        for g in shared
    ]
    both = [g for g in shared if growth[g] >= CLIMBS and other[g] > HOLDS]
    if found:
        evidence.append(f"Climbs in one run and holds in the other: {', '.join(found)}.")
    elif both:
        evidence.append(f"Climbs in one run and does not hold in the other: {', '.join(both)}.")
    if less.final["step"] != more.final["step"]:
        short = min((less, more), key=lambda run: int(run.final["step"]))
        steps = " and ".join(f"{run.name} at step {run.final['step']}" for run in (less, more))
        evidence = [*evidence[: len(shared)], f"Norms of different steps say nothing: {steps}."]
        return Rung(2, claim, threshold, NO_EVIDENCE, evidence, _finish(short))
    if shared:
        widest = max(shared, key=lambda g: abs(math.log(growth[g] / other[g])))
        evidence.append(f"The widest ratio between the runs is in {widest}.")
    return Rung(
        2,
        claim,
        threshold,
        (SUPPORTED if found else NOT_SUPPORTED) if shared else NO_EVIDENCE,
        evidence or ["No norm was recorded in both runs."],
    )


def _wrong(run: Run, split: str) -> set[tuple[str, str, str]]:
    assert run.results is not None
    return {
        (m["lemma"], m["tense"], m["person"])
        for m in run.results["mistakes"]
        if m["split"] == split
    }


def mcnemar(wrong_a: set[tuple[str, str, str]], wrong_b: set[tuple[str, str, str]]) -> float:
    """Two-sided exact McNemar test on the cells that only one of two models gets wrong."""
    only_a, only_b = len(wrong_a - wrong_b), len(wrong_b - wrong_a)
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def memorised_or_learned(less: Run, more: Run) -> Rung:
    """Rung 3: memorized or learned, by slice?"""
    claim = "With less decay the model memorized the training sentences; with more it learned."
    threshold = (
        f"training accuracy of the run with less decay is {MEMORIZED:.0%} or more in both slices, "
        f"and it gets more validation cells wrong, exact McNemar p < {SIGNIFICANT}"
    )
    for run in (less, more):
        if run.results is None:
            missing = [f"{run.name} is not finished: it has no readable {RESULTS}."]
            return Rung(3, claim, threshold, NO_EVIDENCE, missing, _finish(run))
    evidence, memorized = [], True
    for name in ("regular", "irregular"):
        parts = []
        for run in (less, more):
            train, val = (run.final[f"accuracy/{s}/{name}"] for s in ("train", "val"))
            parts.append(f"train {train:.0%}, validation {val:.0%} in {run.name}")
        memorized &= less.final[f"accuracy/train/{name}"] >= MEMORIZED
        evidence.append(f"{name}: {'; '.join(parts)}")
    wrong_less, wrong_more = _wrong(less, "val"), _wrong(more, "val")
    p = mcnemar(wrong_less, wrong_more)
    evidence.append(
        f"Of {len(corpus.split('val'))} validation cells {less.name} gets {len(wrong_less)} wrong "
        f"and {more.name} {len(wrong_more)}; {len(wrong_less - wrong_more)} only the first, "
        f"{len(wrong_more - wrong_less)} only the second (exact McNemar p = {p:.2g})."
    )
    if all(more.final[f"accuracy/train/{n}"] >= MEMORIZED for n in ("regular", "irregular")):
        evidence.append(f"{more.name}, too, writes {MEMORIZED:.0%} or more of each training slice.")
    parts_of_gap = [run.final.get(k) for run in (less, more) for k in ("gap_form", "gap_features")]
    if None not in parts_of_gap:
        gaps = (
            f"{run.name}: gap {run.final['gap']:.3f}, of which {run.final['gap_form']:.3f} from "
            f"spelling and {run.final['gap_features']:.3f} from the feature tokens"
            for run in (less, more)
        )
        evidence.append(
            f"{'; '.join(gaps)}. What the feature tokens add says that a model knows which cells "
            "were held out, not how it spells them."
        )
    worse = len(wrong_less) > len(wrong_more) and p < SIGNIFICANT
    return Rung(
        3,
        claim,
        threshold,
        SUPPORTED if memorized and worse else NOT_SUPPORTED,
        evidence,
        ""
        if p < SIGNIFICANT
        else "One pair of runs decides little: compare several seeds, e.g. "
        "seed=43 weight_decay=0.0 just phase-18-train",
    )


def ablation(less: Run, more: Run, others: Sequence[Run]) -> Rung:
    """Rung 4: does an over-decayed run among `others` fail the other way?"""
    claim = "Too much decay fails the other way: both losses end higher and the norms shrink."
    threshold = (
        f"a run that differs in weight decay alone, with more of it than both, ends with training "
        f"and validation loss at least {MARGIN} nats above those of {more.name}"
    )
    if more.results is None:
        missing = [f"{more.name} is not finished: it has no readable {RESULTS}."]
        return Rung(4, claim, threshold, NO_EVIDENCE, missing, _finish(more))
    over = [
        run
        for run in others
        if list(differences.table([more, run])) == [DECAY]
        and not differences.hidden([more, run])
        and weight_decay(run) > weight_decay(more)
        and run.results is not None
    ]
    lost = [run for run in over if None in (run.final["train_loss"], run.final["val_loss"])]
    evidence = [f"{run.name} diverged: it has no losses to compare." for run in lost]
    over = [run for run in over if run not in lost]
    if not over:
        value = 0.5 if weight_decay(more) < 0.5 else min(100, 10 * weight_decay(more))
        if lost:
            value = (weight_decay(more) + min(map(weight_decay, lost))) / 2
        evidence = evidence or ["No such finished run was given or found."]
        return Rung(4, claim, threshold, NO_EVIDENCE, evidence, _command(more, value))
    fails = False
    for run in sorted(over, key=weight_decay):
        changes = {k: run.final[k] - more.final[k] for k in ("train_loss", "val_loss")}
        fails |= all(change >= MARGIN for change in changes.values())
        evidence.append(
            f"{run.name} (λ = {weight_decay(run):g}): train loss {run.final['train_loss']:.3f} "
            f"({changes['train_loss']:+.3f}), validation loss {run.final['val_loss']:.3f} "
            f"({changes['val_loss']:+.3f}), embedding norm {run.final['growth/embedding']:.2f}× "
            f"its initial value"
        )
    more_decay = _command(more, min(100, 10 * max(map(weight_decay, over))))
    return Rung(
        4,
        claim,
        threshold,
        SUPPORTED if fails else NOT_SUPPORTED,
        evidence,
        "" if fails else f"Look further out: {more_decay}",
    )
