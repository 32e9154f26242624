"""Wrong answers to 13-held-out-probe that people give, in papers too."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightdecay.grading import Mistake

Data = tuple[Tensor, Tensor, Tensor, list[float]]
Rows = dict[str, Tensor]
Part = str  # "fit", "choose", "score", "all"


# ------------------------------------------------------------------------------------ probes


def drawn(rng: np.random.Generator, n: int, d: int, strength: float) -> Data:
    """Features of very different size, one of which knows the label."""
    labels = rng.permutation(np.repeat([0.0, 1.0], n // 2))
    features = rng.normal(size=(n, d))
    features[:, 0] += strength * labels
    order = rng.permutation(n)
    features *= 10 ** rng.uniform(-2, 2, d)
    features[order[-1]] *= 1e4  # far off, and to be scored
    tensors = (torch.from_numpy(a) for a in (features, labels, order))
    return (*tensors, [0.01, 1.0, 10.0, 100.0, 1000.0])  # type: ignore[return-value]


def probe_accuracy(f: Callable[..., Any], rng: np.random.Generator) -> Any:
    answers = []
    for flip in (1, -1):
        outputs = rng.normal(size=(41, 1)) + 0.2
        labels = np.where(rng.random(41) < 0.8, outputs[:, 0] > 0, outputs[:, 0] < 0) * 1.0
        answers.append(float(f(torch.from_numpy(flip * outputs), torch.from_numpy(labels))))
    return answers


def of_data(right: Callable[..., Any], f: Callable[..., Any], rng: np.random.Generator) -> Any:
    sizes = [*3 * [(40, 15, 0.0), (80, 10, 0.0), (80, 20, 0.5)], (120, 2, 3.0)]
    data = [drawn(rng, *size) for size in sizes]
    while optimism(*data[0]) >= 0:  # one with luck
        data.insert(0, drawn(rng, 40, 2, 0.0))
    answers = [float(f(*d)) for d in data]
    if not np.allclose(answers, [right(*d) for d in data]):
        return answers
    features, *others = data[-1]
    dead = torch.cat([features, torch.zeros_like(features[:, :1])], 1)
    alike = abs(float(f(dead, *others)) - answers[-1]) < 1e-9
    return answers if alike else "a dead feature spoils it"


# --------------------------------------------------------------------------------- accuracy


def threshold_of_probabilities(outputs: Tensor, labels: Tensor) -> float:
    return float(((outputs[:, 0] > 0.5) == (labels > 0.5)).double().mean())


def sign_flipped(outputs: Tensor, labels: Tensor) -> float:
    return float(((outputs[:, 0] < 0) == (labels > 0.5)).double().mean())


def every_pair(outputs: Tensor, labels: Tensor) -> float:
    return float(((outputs > 0) == (labels > 0.5)).double().mean())


def accuracy(outputs: Tensor, labels: Tensor) -> float:
    """Right."""
    return 1 - sign_flipped(outputs, labels)


def better_of_both(outputs: Tensor, labels: Tensor) -> float:
    return max(accuracy(outputs, labels), sign_flipped(outputs, labels))


# -------------------------------------------------------------------------- held_out_accuracy


def parts(order: Tensor) -> Rows:
    n = len(order)
    fit, choose, score = torch.split(order, [n // 2, n // 4, n // 4])
    return {"fit": fit, "choose": choose, "score": score, "all": order}


def fitted(x: Tensor, labels: Tensor, l2: float) -> Tensor:
    one = torch.cat([x, torch.ones_like(x[:, :1])], 1)
    penalty = torch.diag(torch.tensor([l2] * x.shape[1] + [0.0]).to(x))
    found: Tensor = torch.linalg.solve(one.T @ one + penalty, one.T @ (2 * labels - 1)[:, None])
    return found


def standard(x: Tensor, by: Tensor, dead: bool = True) -> Tensor:
    std = by.std(0)
    return (x - by.mean(0)) / (torch.where(std > 0, std, 1.0) if dead else std)


def scored(x: Tensor, labels: Tensor, rows: Rows, l2s: list[float], **leak: Part) -> dict[str, Any]:
    """Accuracy on each part; `fit_on` and `choose_on` say on what, if not on the right part."""
    fit = rows[leak.get("fit_on", "fit")]
    found = []
    for l2 in l2s:
        w = fitted(x[fit], labels[fit], l2)
        outputs = x @ w[:-1] + w[-1]
        found.append({name: accuracy(outputs[r], labels[r]) for name, r in rows.items()})
    return max(found, key=lambda accuracies: accuracies[leak.get("choose_on", "choose")])


def usual(
    features: Tensor,
    labels: Tensor,
    order: Tensor,
    l2s: list[float],
    *,
    report: Part = "score",
    scale_by: Part = "fit",
    **leak: Part,
) -> float:
    """Right, unless a keyword says otherwise."""
    rows = parts(order)
    x = standard(features, features[rows[scale_by]])
    return float(scored(x, labels, rows, l2s, **leak)[report])


def dead_feature(features: Tensor, labels: Tensor, order: Tensor, l2s: list[float]) -> float:
    rows = parts(order)
    x = standard(features, features[rows["fit"]], dead=False)
    return float(scored(x, labels, rows, l2s)["score"])


def not_standardized(features: Tensor, labels: Tensor, order: Tensor, l2s: list[float]) -> float:
    return float(scored(features, labels, parts(order), l2s)["score"])


def each_by_itself(features: Tensor, labels: Tensor, order: Tensor, l2s: list[float]) -> float:
    rows = parts(order)
    x = torch.empty_like(features)
    for name in ("fit", "choose", "score"):
        x[rows[name]] = standard(features[rows[name]], features[rows[name]])
    return float(scored(x, labels, rows, l2s)["score"])


def labels_left_behind(features: Tensor, labels: Tensor, order: Tensor, l2s: list[float]) -> float:
    return usual(features[order], labels, torch.arange(len(order)), l2s)


def order_not_used(features: Tensor, labels: Tensor, order: Tensor, l2s: list[float]) -> float:
    return usual(features, labels, torch.arange(len(order)), l2s)


# ----------------------------------------------------------------------------------- optimism


def optimism(*data: Any) -> float:
    """Right."""
    return usual(*data, report="fit") - usual(*data)


def reversed_(*data: Any) -> float:
    return -optimism(*data)


def absolute(*data: Any) -> float:
    return abs(optimism(*data))


def from_the_choice(*data: Any) -> float:
    return usual(*data, report="choose") - usual(*data)


def two_penalties(*data: Any) -> float:
    return usual(*data, report="fit", choose_on="fit") - usual(*data)


def on_all_points(*data: Any) -> float:
    return usual(*data, report="all") - usual(*data)


PROBES = {
    "accuracy": probe_accuracy,
    "held_out_accuracy": partial(of_data, usual),
    "optimism": partial(of_data, optimism),
}
MISTAKES = [
    Mistake("threshold-of-probabilities", "accuracy", threshold_of_probabilities),
    Mistake("sign-flipped", "accuracy", sign_flipped),
    Mistake("every-pair", "accuracy", every_pair),
    Mistake("better-of-both", "accuracy", better_of_both),
    Mistake("scored-where-fitted", "held_out_accuracy", partial(usual, report="fit")),
    Mistake("scored-where-fitted", "held_out_accuracy", partial(usual, report="all")),
    Mistake("fitted-on-everything", "held_out_accuracy", partial(usual, fit_on="all")),
    Mistake("scale-of-everything", "held_out_accuracy", partial(usual, scale_by="all")),
    Mistake("a-scale-for-each-part", "held_out_accuracy", each_by_itself),
    Mistake("not-standardized", "held_out_accuracy", not_standardized),
    Mistake("chosen-on-the-test", "held_out_accuracy", partial(usual, choose_on="score")),
    Mistake("chosen-where-fitted", "held_out_accuracy", partial(usual, choose_on="fit")),
    Mistake("labels-left-behind", "held_out_accuracy", labels_left_behind),
    Mistake("order-not-used", "held_out_accuracy", order_not_used),
    Mistake("dead-feature", "held_out_accuracy", dead_feature),
    Mistake("the-other-way-round", "optimism", reversed_),
    Mistake("never-negative", "optimism", absolute),
    Mistake("from-the-choice", "optimism", from_the_choice),
    Mistake("not-the-same-probe", "optimism", two_penalties),
    Mistake("in-sample-and-out", "optimism", on_all_points),
]
