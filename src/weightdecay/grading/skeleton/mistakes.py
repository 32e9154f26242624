"""Wrong answers that learners give, each with the symptom that it must show."""

from collections.abc import Callable

import numpy as np

from weightdecay.grading import Mistake


def probe_answer(f: Callable[[float], float], rng: np.random.Generator) -> list[float]:
    return [f(x) for x in rng.uniform(3, 9, size=3)]


def squared(x: float) -> float:
    return x**2


def halved(x: float) -> float:
    return x / 2


PROBES = {"answer": probe_answer}
MISTAKES = [Mistake("squared", "answer", squared), Mistake("halved", "answer", halved)]
