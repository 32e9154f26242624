"""Claims H1 to H10 of the hysteresis article, measured on the part's results.

What holds each claim, and which control confounds it, was written down before the full scan and the
audit were read; `weightdecay.verdicts` has the rules. A difference counts as nothing left if its
interval lies within 5 points. Added after reading them: the crossed control as a linear probe sees
it, a number beside the MLP's that decides no verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from weightdecay.claims import Claim, Direction, Quantity
from weightdecay.hysteresis import embedding, records
from weightdecay.hysteresis.records import PEAK, values
from weightdecay.stats import Estimate, best_p, less, mean_interval

TABLE = {
    "0": 0.0,
    "1e-4": 1e-4,
    "3e-4": 3e-4,
    "6e-4": 6e-4,
    "1e-3": 1e-3,
    "2e-3": 2e-3,
    "1e-2": 1e-2,
}
"""The decays that the article's table shows, as the ledger writes them."""
RISING = ("3e-4", "6e-4", "1e-3", "2e-3", "1e-2")
"""Those at which it sees a memory."""
STRONG, STRONGEST = 1e-2, 2e-2
ORDINARY = 1e-4
"""The decay that it calls ordinary fine-tuning."""
MATCHED = 1.0
"""Lambda of AdamW whose dose of 0.8 shrinks the weights about as much as Adam with L2 at 1e-3."""
NOTHING = 0.05
ARTICLE, FRESH_POINTS = "article", "article/fresh"


def advantage(
    column: str, weight_decay: float, against: str = "fresh", **changed: object
) -> list[float]:
    """Imprinted network less another arm, seed by seed."""
    arms = (values(column, arm, weight_decay, **changed) for arm in ("imprint", against))
    return less(*arms)


def own_labels(probe: str, weight_decay: float) -> list[float]:
    """The crossed control: by how much more a memory helps with its own labels, seed by seed.

    Two arms of the same training have learned the checkerboard and random labels of its cells. Half
    the sum of what each has over the other on its own labels; 0 if what was learned is of no
    account, whatever it did to size and shape of the weights.

    Args:
        probe: ``mlp/outputs``, ``linear/core`` and so on.
    """
    on_checkerboard, on_random = (
        less(
            values(f"{probe}/{labels}", "imprint", weight_decay),
            values(f"{probe}/{labels}", "random_cells", weight_decay),
        )
        for labels in ("checkerboard", "random_cells")
    )
    return [d / 2 for d in less(on_checkerboard, on_random)]


def nothing_left(claim: Claim, words: str, differences: Sequence[float]) -> None:
    """A direction that holds if the interval lies within `NOTHING` of zero."""
    e = mean_interval(differences)
    claim.directions.append(Direction(words, e.low > -NOTHING and e.high < NOTHING, e))


def h1(claim: Claim) -> None:
    for name, decay in TABLE.items():
        claim.add(f"control at {name}", values(ARTICLE, "fresh", decay))
        claim.add(f"imprint at {name}", values(ARTICLE, "imprint", decay))
    for name in RISING:
        claim.direction(f"imprint above the control at {name}", advantage(ARTICLE, TABLE[name]), +1)


def h2(claim: Claim) -> None:
    decays = records.table("hysteresis-scan").distinct("weight_decay")
    by_seed = np.array([advantage(ARTICLE, decay) for decay in decays]).T
    possible = [d for d, p in zip(decays, best_p(by_seed), strict=True) if p > 0.05]
    peak = decays[int(by_seed.mean(0).argmax())]
    interval = Estimate(peak, min(possible), max(possible), len(by_seed))
    claim.quantities.append(
        Quantity("weight decay of the peak", claim.claimed["weight decay of the peak"], interval)
    )
    claim.direction("imprint above the control at 1e-3", advantage(ARTICLE, PEAK), +1)


def h3(claim: Claim) -> None:
    claim.add("accuracy after imprinting", values("head A/square/start", "imprint"))


def h4(claim: Claim) -> None:
    claim.add("control without decay", values(ARTICLE, "fresh", 0.0))
    claim.add("imprint without decay", values(ARTICLE, "imprint", 0.0))
    for arm, words in (("fresh", "control"), ("imprint", "imprint")):
        e = mean_interval(values("R2/outputs", arm, 0.0))
        claim.directions.append(
            Direction(
                f"coordinates are linear in the outputs ({words}), R² above 0.9", e.low > 0.9, e
            )
        )


def h5(claim: Claim) -> None:
    claim.direction("imprint above the control at 1e-3", advantage(ARTICLE, PEAK), +1)
    matched = claim.add(
        "imprint less norm-matched fresh weights", advantage(ARTICLE, PEAK, "norm_matched")
    )
    claim.add("imprint less its own weights shuffled", advantage(ARTICLE, PEAK, "shuffled"))
    claim.add(
        "imprint less control, probe on whitened outputs",
        advantage("mlp/whitened/checkerboard", PEAK),
    )
    claim.add(
        "help of a memory with its own labels (crossed, MLP)", own_labels("mlp/outputs", PEAK)
    )
    claim.add("the same, linear probe", own_labels("linear/outputs", PEAK))
    if matched.low <= 0:
        claim.confounded = "fresh weights of the imprinted norms score as high"


def h6(claim: Claim) -> None:
    nothing_left(claim, "no difference left at 2e-2", advantage(ARTICLE, STRONGEST))
    claim.direction("there was one at 1e-3", advantage(ARTICLE, PEAK), +1)
    read = claim.add(
        "imprint at 2e-2, probe on whitened outputs",
        values("mlp/whitened/checkerboard", "imprint", STRONGEST),
    )
    untrained = claim.add(
        "untrained network, the same probe",
        values("mlp/whitened/checkerboard", "fresh", 0.0, steps=0),
    )
    if read.low > untrained.mean - NOTHING:
        claim.confounded = "whitened outputs still give as much as those of an untrained network"


def h7(claim: Claim) -> None:
    """By the rule in `embedding`, which was fixed before a picture was looked at."""
    asked = (
        ("clusters clearer after imprinting than in the control", "silhouette", +1),
        ("less of one line after imprinting than in the control", "line", -1),
    )
    held, survived = [], []
    for words, column, sign in asked:
        control = embedding.values(column, "fresh")
        e = {
            arm: less(embedding.values(column, arm), control) for arm in ("imprint", "norm_matched")
        }
        claim.direction(words, e["imprint"], sign)
        held.append(claim.directions[-1].held)
        matched = mean_interval([sign * d for d in e["norm_matched"]])
        claim.add(f"{words}: norm-matched in its place", e["norm_matched"])
        survived.append(held[-1] and matched.low <= 0)
    if any(held) and not any(survived):
        claim.confounded = "norm-matched weights, which have learned nothing, look the same"


def h8(claim: Claim) -> None:
    claim.direction(
        "the old head forgets the disc at 1e-4",
        less(
            values("head A/disc/end", "imprint", ORDINARY),
            values("head A/disc/start", "imprint", ORDINARY),
        ),
        -1,
    )
    left = own_labels("mlp/outputs", ORDINARY)
    claim.direction("a memory helps with its own labels at 1e-4 (crossed, MLP)", left, +1)
    claim.add(
        "help of a memory with its own labels at 1e-4 (crossed, linear)",
        own_labels("linear/outputs", ORDINARY),
    )
    nothing_left(claim, "it no longer does at 1e-2", own_labels("mlp/outputs", STRONG))
    claim.add(
        "imprint less norm-matched fresh weights at 1e-4",
        advantage(FRESH_POINTS, ORDINARY, "norm_matched"),
    )


def h9(claim: Claim) -> None:
    claim.direction(
        "imprint above the control under AdamW, dose 0.8",
        advantage(ARTICLE, MATCHED, rule="adamw"),
        +1,
    )
    claim.add(
        "imprint above the control at AdamW's lambda 1e-3, dose 0.0008",
        advantage(ARTICLE, PEAK, rule="adamw"),
    )
    claim.add(
        "imprint's norm after AdamW at dose 0.8",
        values("norm/end", "imprint", MATCHED, rule="adamw"),
    )
    claim.add("imprint's norm after Adam with L2 at 1e-3", values("norm/end", "imprint"))


def h10(claim: Claim) -> None:
    for against, words in (
        ("fresh", "over the control"),
        ("norm_matched", "over norm-matched weights"),
    ):
        kept = (
            advantage(FRESH_POINTS, PEAK, against, task=task) for task in ("saddle", "scrambled")
        )
        differences = less(*kept)
        if against == "fresh":
            claim.direction(f"saddle keeps more than scrambled cells, {words}", differences, +1)
        else:
            e = claim.add(f"saddle keeps more than scrambled cells, {words}", differences)
            if e.low <= 0:
                claim.confounded = "not so against weights of the same norms"


MEASURES: dict[str, Callable[[Claim], None]] = {
    "H1": h1, "H2": h2, "H3": h3, "H4": h4, "H5": h5,
    "H6": h6, "H7": h7, "H8": h8, "H9": h9, "H10": h10,
}  # fmt: skip


def measure(claim: Claim) -> None:
    """Measure one H claim on the committed tables.

    Raises:
        RunError: if a table is missing.
    """
    MEASURES[claim.id](claim)
