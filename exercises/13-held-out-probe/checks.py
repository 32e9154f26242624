"""Checks of 13-held-out-probe: against NumPy's least squares, on data that tell the leaks apart."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch

from weightdecay.grading import expect

Array = npt.NDArray[Any]
Score = Callable[..., float]


class Data(NamedTuple):
    """Features (N, d), labels (N,), a shuffled order (N,), penalties."""

    features: Array
    labels: Array
    order: Array
    l2s: list[float]

    def arguments(self) -> tuple[Any, ...]:
        return (*map(torch.from_numpy, self[:3]), self.l2s)


def noise(rng: np.random.Generator, n: int, d: int, l2s: list[float]) -> Data:
    """Labels that the features know nothing of."""
    return Data(rng.normal(size=(n, d)), rng.integers(0, 2, n) * 1.0, rng.permutation(n), l2s)


def informed(rng: np.random.Generator, n: int) -> Data:
    """One feature that knows the label and one that does not; rows sorted by label."""
    labels = np.repeat([0.0, 1.0], n // 2)
    features = rng.normal(size=(n, 2)) + np.outer(3 * labels, [1, 0])
    return Data(features, labels, rng.permutation(n), [1.0])


def scores(
    data: Data, chosen_on: str = "choose", scaled_by: str = "fit", ddof: int = 1
) -> dict[str, float]:
    """Accuracy on each part, of the probe with the penalty that does best on `chosen_on`."""
    n = len(data.order)
    fit, choose, score = np.split(data.order, [n // 2, n // 2 + n // 4])
    parts = {"fit": fit, "choose": choose, "score": score, "all": data.order}
    by = data.features[parts[scaled_by]]
    std = by.std(0, ddof=ddof)
    x = np.c_[(data.features - by.mean(0)) / np.where(std > 0, std, 1), np.ones(n)]
    found = []
    for l2 in data.l2s:
        penalty = np.sqrt(l2) * np.eye(x.shape[1])[:-1]  # rows that stand for the penalty
        targets = np.r_[2 * data.labels[fit] - 1, np.zeros(len(penalty))]
        w = np.linalg.lstsq(np.r_[x[fit], penalty], targets, rcond=None)[0]
        right = (x @ w > 0) == (data.labels == 1)
        found.append({name: float(right[rows].mean()) for name, rows in parts.items()})
    return max(found, key=lambda accuracies: accuracies[chosen_on])


def drawn(draw: Callable[[], Data], tells: Callable[[Data], bool]) -> Data:
    """Data that tell a mistake, and on which n or n - 1 in the standard deviation is the same."""
    while True:
        data = draw()
        if scores(data) == scores(data, ddof=0) and tells(data):
            return data


def ask(f: Score, data: Data, right: float, told: str, what: str = "the held-out accuracy") -> None:
    n, d = data.features.shape
    inputs = {"N": n, "d": d, "l2s": data.l2s, "data": told}
    expect(f(*data.arguments()), right, inputs=inputs, what=what)


# ---------------------------------------------------------------------------------- Part 1


def outputs_and_labels(rng: np.random.Generator, right: int) -> tuple[Array, Array]:
    """40 outputs, half of them above 0; the `right` smallest in size are right."""
    outputs = np.sort(10 ** rng.uniform(-2, 1, 40)) * np.tile([1.0, -1.0], 20)
    labels = (outputs > 0) == (np.arange(40) < right)
    shuffled = rng.permutation(40)
    return outputs[shuffled, None], labels[shuffled] * 1.0


@pytest.mark.points(1)
def test_accuracy(accuracy: Score, rng: np.random.Generator) -> None:
    """the accuracy is the share of points with an output above 0 and label 1, or neither"""
    right = int(rng.integers(27, 39))
    outputs, labels = outputs_and_labels(rng, right)
    expect(
        accuracy(torch.from_numpy(outputs), torch.from_numpy(labels)),
        right / 40,
        inputs={"outputs": outputs, "labels": labels},
        what="the accuracy",
    )


@pytest.mark.points(1)
def test_mostly_wrong(accuracy: Score, rng: np.random.Generator) -> None:
    """a probe that is mostly wrong has an accuracy below one half"""
    right = int(rng.integers(3, 13))
    outputs, labels = outputs_and_labels(rng, right)
    expect(
        accuracy(torch.from_numpy(outputs), torch.from_numpy(labels)),
        right / 40,
        inputs={"outputs": outputs, "labels": labels},
        what="the accuracy",
    )


# ---------------------------------------------------------------------------------- Part 2


@pytest.mark.points(2)
def test_points_of_the_fit_do_not_count(held_out_accuracy: Score, rng: np.random.Generator) -> None:
    """random labels: many weights fit them, and points that were not fitted show it"""
    data = drawn(
        lambda: noise(rng, 80, 30, [1.0]), lambda d: scores(d)["fit"] > scores(d)["score"] + 0.3
    )
    ask(held_out_accuracy, data, scores(data)["score"], "random labels")


@pytest.mark.points(1)
def test_rows_in_the_given_order(held_out_accuracy: Score, rng: np.random.Generator) -> None:
    """rows sorted by label: `order` shuffles features and labels alike"""
    data = drawn(lambda: informed(rng, 80), lambda d: scores(d)["score"] > 0.8)
    ask(held_out_accuracy, data, scores(data)["score"], "rows sorted by label")


def far_off(rng: np.random.Generator) -> Data:
    """The feature that knows the label is small, and a point to score lies far off."""
    data = informed(rng, 80)
    data.features[:, 0] *= 1e-3
    data.features[data.order[-1], 0] = 10.0
    return data


@pytest.mark.points(2)
def test_scale_of_the_points_to_fit(held_out_accuracy: Score, rng: np.random.Generator) -> None:
    """a point to score that lies far off changes nothing for the others"""
    data = drawn(
        lambda: far_off(rng),
        lambda d: scores(d)["score"] > scores(d, scaled_by="all")["score"] + 0.1,
    )
    told = "a feature of size 0.001 knows the label; it is 10 for one point to score"
    ask(held_out_accuracy, data, scores(data)["score"], told)


def three_choices(data: Data) -> bool:
    """Each part would choose another penalty, and it shows."""
    found = {scores(data, chosen_on=part)["score"] for part in ("fit", "choose", "score")}
    first = scores(data._replace(l2s=data.l2s[:1]))["score"]
    best = scores(data)["choose"]
    alone = sum(scores(data._replace(l2s=[l2]))["choose"] == best for l2 in data.l2s)
    return len(found) == 3 and alone == 1 and first != scores(data)["score"]


@pytest.mark.points(2)
def test_choice_of_the_penalty(held_out_accuracy: Score, rng: np.random.Generator) -> None:
    """the penalty is chosen on the points to choose: not on those to fit, not on those to score"""
    data = drawn(lambda: noise(rng, 80, 10, [0.01, 10.0, 100.0, 1000.0]), three_choices)
    ask(held_out_accuracy, data, scores(data)["score"], "each part would choose another penalty")


@pytest.mark.points(1)
def test_dead_feature(held_out_accuracy: Score, rng: np.random.Generator) -> None:
    """a feature that is 0 everywhere changes nothing"""
    data = drawn(lambda: informed(rng, 80), lambda d: scores(d)["score"] > 0.8)
    dead = data._replace(features=np.c_[data.features, np.zeros(80)])
    ask(held_out_accuracy, dead, scores(data)["score"], "the last feature is 0 for every point")


@pytest.mark.points(1)
@pytest.mark.hidden
def test_labels_of_the_points_to_score(held_out_accuracy: Score, rng: np.random.Generator) -> None:
    """with the labels of all points to score exchanged, what was right is wrong"""
    for _ in range(3):
        data = noise(rng, 40, 6, [0.01, 1.0, 100.0])
        before = held_out_accuracy(*data.arguments())
        score = data.order[30:]
        data.labels[score] = 1 - data.labels[score]
        ask(held_out_accuracy, data, 1 - before, "labels of the points to score exchanged")


# ---------------------------------------------------------------------------------- Part 3


def gap(data: Data) -> float:
    return scores(data)["fit"] - scores(data)["score"]


@pytest.mark.points(1)
def test_optimism(optimism: Score, rng: np.random.Generator) -> None:
    """the optimism is the accuracy on the points to fit less that on the points to score"""
    data = drawn(
        lambda: noise(rng, 80, 10, [0.01, 10.0, 100.0, 1000.0]),
        lambda d: (
            three_choices(d)
            and gap(d) > 0.1
            and scores(d)["fit"] != scores(d, chosen_on="fit")["fit"]
            and scores(d)["fit"] != scores(d)["choose"]
        ),
    )
    ask(optimism, data, gap(data), "random labels", "the optimism")


@pytest.mark.points(1)
def test_luck(optimism: Score, rng: np.random.Generator) -> None:
    """where the points to score happen to do better, the optimism is negative"""
    data = drawn(lambda: noise(rng, 40, 2, [1.0]), lambda d: gap(d) < -0.05)
    ask(optimism, data, gap(data), "the points to score happen to do better", "the optimism")
