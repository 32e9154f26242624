"""Rungs 5 to 8 of the ladder: what went wrong, told from the metrics of one run.

``python -m weightdecay diagnose RUN``. Each rung looks at one panel of the dashboard, and none at
the config. Rungs 6 and 8 compare with what healthy runs of one recipe do (that of
``experiments/sibling-failures``, seeds 42 to 50), so they judge no run of another recipe.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import fmean

from weightdecay import runs
from weightdecay.minitrain import causes, corpus
from weightdecay.minitrain.ladder import Report
from weightdecay.minitrain.rungs import NO_EVIDENCE, NOT_SUPPORTED, SUPPORTED, Rung
from weightdecay.runs import Json, Run

NOTHING = math.log(corpus.VOCAB_SIZE)
START = 2.0  # times NOTHING
EARLY_FROM, EARLY_TO, EARLY_LOSS = 100, 200, 0.5  # steps; nats per token
LATE, CHEAT = 20, 0.75  # records of steps at the end; times the memory floor
SPELLED = 0.05  # share of the training forms
GROWTH = 25.0  # over the initial norm
# Keys in which a run of the recipe may differ from it.
FREE = {
    "model": (),
    "optimizer": ("weight_decay",),
    "training": ("steps", "eval_every", "checkpoint_every"),
}
PANELS = {
    "init": "Train and validation loss",
    "warmup": "Loss of the training batch",
    "mask": "Loss of the training batch",
    "no-decay": "Weight norm by group",
}


@cache
def memory_floor() -> float:
    """Least mean loss on the training sentences of any model that sees the past alone.

    The entropy of the next token after each prefix that occurs, nats per predicted token: a model
    that knows the training sentences by heart reaches it. It lies below the floor of the generator
    (`corpus.entropy_floor`), as it need not pay for the cells that are held out.
    """
    prefixes: Counter[tuple[int, ...]] = Counter()
    longer: Counter[tuple[int, ...]] = Counter()
    for sentence in corpus.split("train"):
        for i in range(1, len(sentence.tokens)):
            prefixes[tuple(sentence.tokens[:i])] += 1
            longer[tuple(sentence.tokens[: i + 1])] += 1
    return -sum(n * math.log(n / prefixes[p[:-1]]) for p, n in longer.items()) / longer.total()


@dataclass(frozen=True)
class Measures:
    """What the rungs look at; NaN for what a run does not have (yet)."""

    start_loss: float
    """Training loss before the first step, nats per token."""
    early_loss: float
    """Mean loss of the recorded batches of steps 101 to 200."""
    early_gradient: float
    """Largest gradient norm, before clipping, of the recorded steps up to 100."""
    late_loss: float
    """Mean loss of the last 20 recorded batches (200 steps)."""
    end_loss: float
    """Training loss of the last evaluation, where no model sees the future."""
    spelled: float
    """Share of the training forms that the last model spells right, greedily."""
    growth: float
    """Norm of the embedding at the end over its initial value."""
    dose: float
    """Sum of η·λ at the last evaluation; NaN while the run is sealed."""


def measure(run: Run) -> Measures:
    """The measures of one run, finished or not."""
    early = [r for r in run.steps if EARLY_FROM < r["step"] <= EARLY_TO]
    complete = bool(run.steps) and run.steps[-1]["step"] >= EARLY_TO
    first, last = run.evals[0], run.final
    return Measures(
        start_loss=_number(first, "train_loss") if first["step"] == 0 else math.nan,
        early_loss=_mean(early) if complete else math.nan,
        early_gradient=max(
            (_number(r, "grad_norm") for r in run.steps if r["step"] <= EARLY_FROM),
            default=math.nan,
        ),
        late_loss=_mean(run.steps[-LATE:]) if complete else math.nan,
        end_loss=_number(last, "train_loss"),
        spelled=_spelled(last),
        growth=_number(last, "growth/embedding"),
        dose=_number(last, "dose"),
    )


def _number(record: Json, key: str) -> float:
    value = record.get(key)
    return math.nan if value is None else float(value)


def _mean(records: list[Json]) -> float:
    return fmean(_number(r, "batch_loss") for r in records) if records else math.nan


def _spelled(record: Json) -> float:
    """Training accuracy over both slices, each by its number of sentences."""
    train = corpus.split("train")
    sizes = Counter("regular" if s.regular else "irregular" for s in train)
    right = sum(n * _number(record, f"accuracy/train/{name}") for name, n in sizes.items())
    return right / len(train)


def _other_recipe(run: Run) -> str:
    """Why healthy runs of the recipe are no measure for this run; empty if they are."""
    recipe = runs.read_yaml(causes.RECIPE)
    for section, free in FREE.items():
        for key, value in recipe[section].items():
            own = run.config[section].get(key)
            if key not in free and own != value:
                return f"{section}.{key} = {own}; the threshold is from runs with {value}"
    return ""


def _rung(
    number: int,
    claim: str,
    threshold: str,
    fires: bool,
    evidence: list[str],
    *,
    missing: str = "",
    then: str = "",
) -> Rung:
    """`missing` says what evidence there is not; `then` what to do if the claim is supported."""
    if missing:
        return Rung(number, claim, threshold, NO_EVIDENCE, [f"Not judged: {missing}."])
    verdict = SUPPORTED if fires else NOT_SUPPORTED
    return Rung(number, claim, threshold, verdict, evidence, then if fires else "")


def bad_start(run: Run) -> Rung:
    """Rung 5: does the untrained model know nothing, or believe something wrong?"""
    m = measure(run)
    return _rung(
        5,
        "The initial weights were too large.",
        f"the loss before the first step is {START * NOTHING:.2f} nats or more: {START:g}× "
        f"ln {corpus.VOCAB_SIZE} = {NOTHING:.2f}, which a model pays that knows nothing",
        m.start_loss >= START * NOTHING,
        [
            f"Loss before the first step: {m.start_loss:.2f} nats per token, "
            f"{m.start_loss / NOTHING:.2f}× ln {corpus.VOCAB_SIZE}.",
            f"Largest gradient norm, before clipping, in the recorded steps up to {EARLY_FROM}: "
            f"{m.early_gradient:.1f}.",
        ],
        missing="it has no evaluation before the first step" if math.isnan(m.start_loss) else "",
        then="Look at the standard deviation of the initial weights; 0.02 is usual here.",
    )


def no_warmup(run: Run) -> Rung:
    """Rung 6: was a good start lost in the first steps?"""
    m = measure(run)
    missing = f"it has not come to step {EARLY_TO}" if math.isnan(m.early_loss) else ""
    return _rung(
        6,
        "The learning rate was too high in the first steps: the warmup is missing.",
        f"the start is good (rung 5 is not supported) and the mean loss of the batches of steps "
        f"{EARLY_FROM + 1} to {EARLY_TO} is {EARLY_LOSS:g} nats or more all the same",
        m.start_loss < START * NOTHING and m.early_loss >= EARLY_LOSS,
        [
            f"Loss before the first step: {m.start_loss:.2f} nats per token.",
            f"Mean loss of the recorded batches of steps {EARLY_FROM + 1} to {EARLY_TO}: "
            f"{m.early_loss:.3f}.",
        ],
        missing=missing or _other_recipe(run),
        then="Let the learning rate climb over the first hundred steps and train again.",
    )


def open_mask(run: Run) -> Rung:
    """Rung 7: is the loss in training too good to be true?"""
    m = measure(run)
    limit = CHEAT * memory_floor()
    return _rung(
        7,
        "In training the model saw the tokens that it had to predict.",
        f"the mean loss of the last {LATE} recorded batches is below {limit:.3f} nats, {CHEAT:g}× "
        f"the least that knowing the training sentences by heart allows ({memory_floor():.3f}), "
        f"and the model writes {SPELLED:.0%} of the training forms or less",
        m.late_loss < limit and m.spelled <= SPELLED,
        [
            f"Mean loss of the last {LATE} recorded batches: {m.late_loss:.4f} nats per token.",
            f"Loss of the same sentences with the future hidden: {m.end_loss:.2f}.",
            f"Training forms that it writes by itself: {m.spelled:.0%}.",
        ],
        missing=f"it has not come to step {EARLY_TO}" if math.isnan(m.late_loss) else "",
        then="Look at the attention mask: no position may see a later one.",
    )


def no_decay(run: Run) -> Rung:
    """Rung 8: is nothing holding the weights?"""
    m = measure(run)
    known = not math.isnan(m.dose)
    missing = "it is not finished" if run.results is None else _other_recipe(run)
    length = runs.read_yaml(causes.RECIPE)["training"]["steps"]
    if not missing and run.final["step"] != length:
        missing = f"the threshold is from runs of {length} steps"
    return _rung(
        8,
        "Nothing pulls the weights back: weight decay is off.",
        f"the dose at the end is 0 or, where no dose is recorded, the embedding ends at "
        f"{GROWTH:g}× its initial norm or more",
        m.dose == 0 if known else m.growth >= GROWTH,
        [
            f"Dose at the end: {m.dose:.3g}." if known else "No dose is recorded.",
            f"Embedding at the end: {m.growth:.2f}× its initial norm.",
        ],
        missing="" if known and run.final["step"] else missing,
        then="Set optimizer.weight_decay above 0 and compare the norms.",
    )


RUNGS: dict[str, Callable[[Run], Rung]] = {
    "init": bad_start,
    "warmup": no_warmup,
    "mask": open_mask,
    "no-decay": no_decay,
}


def walk(run: Run) -> Report:
    """All four rungs for one run, and which cause they leave."""
    rungs = {cause: rung(run) for cause, rung in RUNGS.items()}
    found = [cause for cause, rung in rungs.items() if rung.verdict == SUPPORTED]
    unjudged = [str(r.number) for r in rungs.values() if r.verdict == NO_EVIDENCE]
    words = " and ".join(causes.CAUSES[cause] for cause in found)
    open_ones = f" No evidence yet: {', '.join(unjudged)}." if unjudged else ""
    conclusion = (
        f"{run.name}: {words}." if found else f"{run.name}: none of the four signatures is there."
    )
    return Report(list(rungs.values()), conclusion + open_ones)
