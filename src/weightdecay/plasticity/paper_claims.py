"""Claims P1 to P14 of the plasticity paper, measured on the part's results.

What holds each claim, and which control confounds it, was written down when only base models of
decay 0 and 0.1 had been seen, none of their fine-tunes, and what speaks of other regimes and
settings before any of their runs; `weightdecay.verdicts` has the rules. The
paper's own setting is the fixed learning rate; the controls are the best rate, and the base model
with the norms of its sibling of decay 0.1. Its decays are ours by dose: 0.1 and 1.0 mean 0.3 and 3.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

from weightdecay.claims import Claim, Direction, Quantity
from weightdecay.plasticity.records import (
    DECAYS,
    DEFAULT,
    FIXED,
    LONG,
    LONG_DECAYS,
    OLMO,
    OTHER_PEAKS,
    RATES,
    SETTING_RATES,
    SETTING_TASKS,
    SETTINGS,
    SMALL,
    USEFUL,
    Rate,
    base,
    downstream,
)
from weightdecay.results import Array
from weightdecay.stats import Estimate, best_p, less, mean_interval

LARGE = 1.0
"""The decay that the paper finds best at 20 tokens per parameter."""
BEYOND = 10.0
LAYERS = (1, 2, 3)
LITTLE_LOSS, LITTLE_ACCURACY = 0.01, 0.02
"""In nats a token and as a share: a difference whose interval lies within is hardly one."""
NEAR_FULL, COLLAPSED = 0.9, 0.5
"""Of the rank without decay."""
UNSTABLE = 0.2
"""Change of a correlation when one model is left out."""


def gain(rate: Rate, decay: float = LARGE, **changed: Any) -> list[float]:
    """Score downstream of a decay less that of the default, over all tasks, seed by seed."""
    return less(downstream(decay, rate, **changed), downstream(DEFAULT, rate, **changed))


def gain_at_equal_norms(rate: Rate) -> list[float]:
    """The same with both at the default's norms; the default's own norms need no matching."""
    return less(downstream(LARGE, rate, start="norm_matched"), downstream(DEFAULT, rate))


def within(claim: Claim, words: str, differences: Sequence[float], bound: float) -> None:
    """A direction that holds if the interval lies within `bound` of zero."""
    e = mean_interval(differences)
    claim.directions.append(Direction(words, e.low > -bound and e.high < bound, e))


def audited(claim: Claim) -> None:
    """Is the advantage of the large decay still there at the best rate, and at equal norms?"""
    at_best = claim.add("gain of 1.0 over 0.1 at the best rates", gain("best"))
    matched = claim.add("gain of 1.0 over 0.1, fixed rate, equal norms", gain_at_equal_norms(FIXED))
    gone = [("with the norms of 0.1", matched), ("at the best learning rates", at_best)]
    reasons = [words for words, e in gone if e.low <= 0]
    if reasons:
        claim.confounded = f"no gain {' nor '.join(reasons)}"


def best_of(values: Array, decays: Sequence[float] = USEFUL) -> Estimate:
    """The decay with the highest mean of (seeds, decays), and those that could be it."""
    possible = [d for d, p in zip(decays, best_p(values), strict=True) if p > 0.05]
    peak = decays[int(values.mean(0).argmax())]
    return Estimate(peak, min(possible, default=peak), max(possible, default=peak), len(values))


def by_score(rate: Rate = FIXED) -> Array:
    """(seeds, useful decays) of scores downstream."""
    return np.array([downstream(decay, rate) for decay in USEFUL]).T


def by_loss() -> Array:
    """(seeds, useful decays) of excess losses after pretraining."""
    return np.array([base("excess", decay) for decay in USEFUL]).T


def p1(claim: Claim) -> None:
    name = "best decay at 20 tokens per parameter"
    claim.quantities.append(Quantity(name, claim.claimed[name], best_of(by_score())))
    name = "best decay at 140 tokens per parameter"
    scores = np.array([downstream(decay, FIXED, **LONG) for decay in LONG_DECAYS]).T
    claim.quantities.append(Quantity(name, claim.claimed[name], best_of(scores, LONG_DECAYS)))
    claim.direction("1.0 better downstream than 0.1, fixed rate", gain(FIXED), +1)
    audited(claim)


def p2(claim: Claim) -> None:
    loss, score = best_of(-by_loss()), best_of(by_score())
    claim.quantities += [
        Quantity("ours by loss", None, loss),
        Quantity("ours by downstream, fixed rate", None, score),
        Quantity("ours by downstream, best rates", None, best_of(by_score("best"))),
    ]
    by_seed = [
        USEFUL[int(s.argmax())] - USEFUL[int(x.argmin())]
        for s, x in zip(by_score(), by_loss(), strict=True)
    ]
    claim.directions.append(
        Direction(
            "decay of the best mean loss at most that of the best mean score",
            loss.mean <= score.mean,
            mean_interval(by_seed),
        )
    )


def p3(claim: Claim) -> None:
    claim.direction(
        "loss at 1.0 above that at 0.1, 20 tokens per parameter",
        less(base("excess", LARGE), base("excess", DEFAULT)),
        +1,
    )
    claim.direction("and better downstream, fixed rate", gain(FIXED), +1)
    loss = less(base("excess", LARGE, **LONG), base("excess", DEFAULT, **LONG))
    claim.add("loss at 1.0 less that at 0.1, 140 tokens per parameter", loss)
    claim.add("and gain downstream, fixed rate", gain(FIXED, **LONG))
    audited(claim)


def p4(claim: Claim) -> None:
    claim.direction("loss at 10 above 0.1", less(base("excess", BEYOND), base("excess", 0.1)), +1)
    within(
        claim, "loss at 0.1 as at 0", less(base("excess", 0.1), base("excess", 0.0)), LITTLE_LOSS
    )


def probe(kind: str, layer: int, decay: float) -> list[float]:
    """Mean accuracy on sentiment and topic; `kind` is ``raw`` or ``probe``."""
    parts = [base(f"{kind}/{task}/{layer}", decay) for task in ("sentiment", "topic")]
    return [float(v) for v in np.mean(parts, 0)]


def p5(claim: Claim) -> None:
    fair = []
    for layer in LAYERS:
        raw = less(probe("raw", layer, LARGE), probe("raw", layer, 0.0))
        claim.direction(f"untuned probe of layer {layer} higher at 1.0 than at 0", raw, +1)
        own = less(probe("probe", layer, LARGE), probe("probe", layer, 0.0))
        fair.append(claim.add(f"standardized and tuned, layer {layer}", own).low > 0)
    if not all(fair):
        claim.confounded = "scale of the features: a standardized and tuned probe gains less"


def best_probe(decay: float) -> Array:
    """(seeds,) highest accuracy over layers, as the paper has it."""
    best: Array = np.max([probe("probe", layer, decay) for layer in LAYERS], 0)
    return best


def p6(claim: Claim) -> None:
    probes = np.array([best_probe(decay) for decay in DECAYS])
    scores = np.array([downstream(decay, FIXED) for decay in DECAYS])  # (decays, seeds)
    across = [float(np.corrcoef(p, s)[0, 1]) for p, s in zip(probes.T, scores.T, strict=True)]
    claim.direction("r over decays", across, +1)
    inside = [float(np.corrcoef(p, s)[0, 1]) for p, s in zip(probes, scores, strict=True)]
    e = claim.add("r over seeds within a decay, the decay as unit", inside)
    if e.low <= 0:
        claim.confounded = "decay itself: among models of one decay the correlation is not there"


def ratio(column: str, decay: float, to: float = 0.0) -> list[float]:
    """A column of base models over that of another decay, seed by seed."""
    return [a / b for a, b in zip(base(column, decay), base(column, to), strict=True)]


def monotone(claim: Claim, words: str, column: str, decays: Sequence[float]) -> None:
    """A direction that holds if the mean falls from each decay to the next; the number beside it is
    Spearman's correlation of column and decay, seed by seed."""
    values = np.array([base(column, decay) for decay in decays])
    held = all(b < a for a, b in itertools.pairwise(values.mean(1)))
    ranks = [float(stats.spearmanr(decays, of_seed).statistic) for of_seed in values.T]
    claim.directions.append(Direction(words, held, mean_interval(ranks)))


def p7(claim: Claim) -> None:
    column = "pseudo-rank/QK"
    claim.add("pseudo-rank of W_QK at 1.0 over that at the least decay", ratio(column, LARGE))
    claim.direction("lower at 1.0 than at 0", less(base(column, LARGE), base(column, 0.0)), -1)
    monotone(claim, "mean falls from each decay to the next, to 2.0", column, USEFUL)


def p8(claim: Claim) -> None:
    near = claim.add("W_VP at 1.0 over that without decay", ratio("pseudo-rank/VP", LARGE))
    gone = claim.add("W_VP at 10 over that without decay", ratio("pseudo-rank/VP", BEYOND))
    claim.directions += [
        Direction("near full at 1.0", near.low > NEAR_FULL, near),
        Direction("collapsed at 10", gone.high < COLLAPSED, gone),
    ]


def p9(claim: Claim) -> None:
    for name in ("QK", "VP"):
        e = mean_interval(ratio(f"pseudo-rank/{name}", DEFAULT))
        words = f"W_{name} at 0.1 over that without decay, near full"
        claim.directions.append(Direction(words, e.low > NEAR_FULL, e))


def p10(claim: Claim) -> None:
    claim.direction("gap at 1.0 below that at 0", less(base("gap", LARGE), base("gap", 0.0)), -1)
    monotone(claim, "mean falls from each decay to the next, to 2.0", "gap", USEFUL)


def forgotten(decay: float, rate: float = FIXED, **changed: Any) -> list[float]:
    """Excess loss on the pretraining text that fine-tuning adds, mean over tasks, seed by seed."""
    return less(downstream(decay, rate, column="excess after", **changed), base("excess", decay))


def p11(claim: Claim) -> None:
    claim.direction(
        "1.0 forgets more than 0.1, fixed rate", less(forgotten(LARGE), forgotten(DEFAULT)), +1
    )
    matched = less(forgotten(LARGE, start="norm_matched"), forgotten(DEFAULT))
    e = claim.add("1.0 with the norms of 0.1 forgets more", matched)
    for task in ("sums", "agreement"):
        column = f"upstream/{task}"
        change = less(base(column, LARGE), base(column, DEFAULT))
        within(claim, f"upstream {task} of base models at 1.0 as at 0.1", change, LITTLE_ACCURACY)
    if e.low <= 0:
        claim.confounded = "weight norm: with the norms of 0.1 it does not forget more"


def p12(claim: Claim) -> None:
    for rate in RATES:
        claim.direction(f"1.0 better than 0.1 at rate {rate:g}", gain(rate), +1)
    claim.direction(
        "on average over the rates", [float(v) for v in np.mean([gain(r) for r in RATES], 0)], +1
    )
    claim.direction("at the best rates", gain("best"), +1)
    for peak in OTHER_PEAKS:
        there = gain(FIXED, **SMALL, pretrain_learning_rate=peak)
        claim.direction(f"1.0 better than 0.1, pretrained at peak rate {peak:g}", there, +1)
    for setting in SETTINGS:
        ((key, value),) = setting.items()
        gains = [gain(r, tasks=SETTING_TASKS, **setting) for r in SETTING_RATES]
        words = f"1.0 better than 0.1, {key.replace('_', ' ')} {value:g}, mean of two rates"
        claim.direction(words, [float(v) for v in np.mean(gains, 0)], +1)


def p13(claim: Claim) -> None:
    losses = np.array([base("excess", decay) for decay in DECAYS]).T
    scores = np.array([downstream(decay, FIXED) for decay in DECAYS]).T  # (seeds, decays)
    pairs = list(zip(losses, scores, strict=True))
    claim.add("r over six decays", [float(np.corrcoef(x, y)[0, 1]) for x, y in pairs])
    change = claim.add(
        "largest change of r when one decay is left out", [_largest_change(x, y) for x, y in pairs]
    )
    claim.directions.append(Direction("changes by more than 0.2", change.low > UNSTABLE, change))


def _largest_change(x: Array, y: Array) -> float:
    r = np.corrcoef(x, y)[0, 1]
    left_out = [np.corrcoef(np.delete(x, i), np.delete(y, i))[0, 1] for i in range(len(x))]
    return float(np.abs(np.array(left_out) - r).max())


def p14(claim: Claim) -> None:
    for layer in LAYERS:
        column = f"norm/layer {layer}"
        words = f"norm of layer {layer} at 1.0 below that at 0"
        claim.direction(words, less(base(column, LARGE), base(column, 0.0)), -1)
        monotone(claim, f"layer {layer}: falls from each decay to the next", column, DECAYS)
    share = "share/embedding"
    grown = less(base(share, LARGE, **OLMO), base(share, 0.0, **OLMO))
    claim.direction("share of the undecayed embedding larger at 1.0 than at 0", grown, +1)


MEASURES: dict[str, Callable[[Claim], None]] = {
    "P1": p1, "P2": p2, "P3": p3, "P4": p4, "P5": p5, "P6": p6, "P7": p7,
    "P8": p8, "P9": p9, "P10": p10, "P11": p11, "P12": p12, "P13": p13, "P14": p14,
}  # fmt: skip


def measure(claim: Claim) -> None:
    """Measure one P claim on the committed tables.

    Raises:
        RunError: if a table is missing.
    """
    MEASURES[claim.id](claim)
